package login

import (
	"strings"
	"testing"
	"time"

	"mfa/internal/mfa"
)

// oddServices are names that are not sshd's, though they look like it.
var oddServices = []string{
	"ss|hd", "sshd\x00", "sshd ", " sshd", "sshd\t", "sshd\n", "sshdé", "sshd\u200b", "ｓｓｈｄ", "sshd|", "/sshd", "sshd\x7f",
	`"sshd"`, "sshd\xff", "", strings.Repeat("s", maxPlain+1),
}

// A service whose name is not plain is nobody that a rule lets in, is no place to
// be remembered, and is asked as strictly as anybody.
func TestOddServicesMeetTheStrictestPolicy(t *testing.T) {
	off, optional, always := ModeOff, ModeOptional, RememberAlways
	for name, change := range map[string]func(*settings){
		"a rule lets sshd in": func(s *settings) {
			s.policy.Policy.Rules = []Rule{{Services: []string{"sshd"}, Mode: &off}}
		},
		"a rule lets everybody in": func(s *settings) { s.policy.Policy.Rules = []Rule{{Mode: &off}} },
		"all others are let in": func(s *settings) {
			required := ModeRequired
			s.policy.Policy.Mode = ModeOff
			s.policy.Policy.Rules = []Rule{{Services: []string{"sshd"}, Mode: &required}}
		},
		"a rule makes it optional": func(s *settings) {
			s.policy.Policy.Rules = []Rule{{Services: []string{"sshd"}, Mode: &optional}}
		},
		"sshd is remembered": func(s *settings) {
			s.policy.Policy.Rules = []Rule{{Services: []string{"sshd"}, Remember: &always}}
		},
		"everybody is remembered": func(s *settings) {
			s.policy.Session = SessionConfig{Remember: RememberAlways, Lifetime: mfa.Duration(24 * time.Hour), Bind: []string{BindAddress}, IPv4Prefix: 8, IPv6Prefix: 64}
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, service := range oddServices {
				d := newHarness(t, change)
				req := request("alice")
				req.Service = service
				d.login(req, mfa.Accepted, d.withCode())
				d.advance(time.Hour)
				d.login(req, mfa.Accepted, d.withCode()) // and again
				if st := d.state("alice"); len(st.Sessions) != 0 {
					t.Errorf("%q: remembered %+v", service, st.Sessions)
				}
			}
		})
	}
}

// Where nobody is ever asked, nobody is locked out for a name.
func TestOddServicesWhereNobodyIsAsked(t *testing.T) {
	d := newHarness(t, func(s *settings) { s.policy.Policy.Mode = ModeOff })
	req := request("alice")
	req.Service = "ss|hd"
	d.login(req, mfa.Exempt)
}

// No two places are one because of how they are written.
func TestOddOriginsAreTheirOwn(t *testing.T) {
	seen := map[string]string{}
	for _, service := range append([]string{"sshd"}, oddServices...) {
		for _, host := range []string{"", "local", "a", "a|b", "a b", "ab", "a\x00b", "\"local\"", "192.0.2.1", "192.0.2.1 ", "192.0.2 .1"} {
			o := OriginOf(mfa.Request{Service: service, RHost: host}).String()
			if before, ok := seen[o]; ok {
				t.Errorf("%q from %q is %s, as is %s", service, host, o, before)
			}
			seen[o] = service + " from " + host
			if strings.Count(o, "|") != 2 || strings.ContainsAny(o, " \n\x00") {
				t.Errorf("origin %q", o)
			}
		}
	}
}
