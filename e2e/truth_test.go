package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"testing"

	"github.com/msteinert/pam/v2"
)

// driver builds the PAM application of pam_mfa's tests, which answers by script, and
// returns its path.
func (s *site) driver() string {
	s.t.Helper()
	program := s.path("driver")
	if _, err := os.Stat(program); err == nil {
		return program
	}
	out, err := exec.Command("gcc", "-o", program, filepath.Join(moduleRoot(), "pam_mfa/testdata/driver.c"), "-lpam").CombinedOutput()
	if err != nil {
		s.t.Fatalf("gcc: %v\n%s", err, out)
	}
	return program
}

// authenticate goes through libpam with these answers, and returns what
// pam_authenticate did. Of the answers, @fail is a conversation that fails, @null one
// without a text, and @none one without an answer.
func (s *site) authenticate(a account, answers ...string) pam.Error {
	s.t.Helper()
	args := slices.Concat([]string{"20", s.driver(), "-r", "203.0.113.7", "/etc/pam.d", "truth", a.name}, answers)
	out, err := exec.Command("timeout", args...).CombinedOutput()
	if err != nil {
		s.t.Fatalf("driver: %v\n%s", err, out)
	}
	m := regexp.MustCompile(`(?m)^auth (\d+) `).FindSubmatch(out)
	if m == nil {
		s.t.Fatalf("driver wrote %s", out)
	}
	code, err := strconv.Atoi(string(m[1]))
	ok(s.t, err)
	return pam.Error(code)
}

// codeOf is what each outcome in the audit file means to PAM, as the manual has it. The
// stack of these tests turns PAM_IGNORE into PAM_ACCT_EXPIRED, which nothing else returns.
var codeOf = map[string]pam.Error{
	"accepted": 0, "exempt": pam.ErrAcctExpired, "wrong_code": pam.ErrAuth, "exhausted": pam.ErrMaxtries,
	"must_enroll": pam.ErrPermDenied, "unavailable": pam.ErrAuthinfoUnavail, "no_conversation": pam.ErrConv, "broken": pam.ErrSystem,
}

// The audit file names the code that PAM returned, whatever the application
// makes of its prompts.
func TestAuditSaysWhatPAMReturned(t *testing.T) {
	optional := []string{`policy.mode = "optional"`, "policy.opt_out = true"}
	grace := []string{`policy.enroll_grace = "3d"`}
	remember := []string{`session.remember = "ask"`}
	const enrolled, skipped = true, false
	for name, tc := range map[string]struct {
		settings []string
		enrolled bool
		answers  []string // CODE: the code that was mailed before
		want     string
	}{
		"right code":                      {nil, enrolled, []string{"CODE"}, "accepted"},
		"right code, nobody to remember":  {remember, enrolled, []string{"CODE", "@fail"}, "no_conversation"},
		"right code, no text to remember": {remember, enrolled, []string{"CODE", "@null"}, "no_conversation"},
		"right code, not remembered":      {remember, enrolled, []string{"CODE", "n"}, "accepted"},
		"wrong codes":                     {nil, enrolled, []string{"WRONG", "WRONG", "WRONG"}, "exhausted"},
		"wrong code, then nobody":         {nil, enrolled, []string{"WRONG", "@fail"}, "wrong_code"},
		"nobody":                          {nil, enrolled, []string{"@fail"}, "no_conversation"},
		"no text":                         {nil, enrolled, []string{"@null"}, "no_conversation"},
		"no answer":                       {nil, enrolled, []string{"@none"}, "no_conversation"},
		"optional, enrolled, nobody":      {optional, enrolled, []string{"@fail"}, "no_conversation"},
		"optional, nobody":                {optional, skipped, []string{"@fail"}, "no_conversation"},
		"optional, no text":               {optional, skipped, []string{"@null"}, "no_conversation"},
		"optional, no answer":             {optional, skipped, []string{"@none"}, "no_conversation"},
		"optional, half way":              {optional, skipped, []string{"2", "@fail"}, "no_conversation"},
		"optional, skipped":               {optional, skipped, []string{"3"}, "exempt"},
		"grace, nobody":                   {grace, skipped, []string{"@fail"}, "no_conversation"},
		"grace, no text":                  {grace, skipped, []string{"@null"}, "no_conversation"},
		"grace, later":                    {grace, skipped, []string{"3"}, "exempt"},
		"off, nobody":                     {[]string{`policy.mode = "off"`}, enrolled, []string{"@fail"}, "exempt"},
		"must enroll, nobody":             {[]string{"policy.enroll_at_login = false"}, skipped, []string{"@fail"}, "must_enroll"},
		"enrolling, nobody":               {nil, skipped, []string{"@fail"}, "no_conversation"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.set(tc.settings...)
			ok(t, os.WriteFile("/etc/pam.d/truth", fmt.Appendf(nil,
				"auth [success=done ignore=ignore default=die] %s\nauth [default=die] %s\n", s.module(), "pam_debug.so auth=acct_expired"), 0o644))
			s.startDaemon()
			alice := newAccount(t, "alice")
			answers := slices.Clone(tc.answers)
			if tc.enrolled {
				s.mustControl("enroll", alice.name, "--email", alice.email, "--no-message")
			}
			if slices.Contains(answers, "CODE") || slices.Contains(answers, "WRONG") {
				s.authenticate(alice, "@fail") // the code is sent, and stays good
				code := s.code(alice, 1)
				for i, answer := range answers {
					answers[i] = map[string]string{"CODE": code, "WRONG": wrong(code)}[answer]
					if answers[i] == "" {
						answers[i] = answer
					}
				}
			}
			got := s.authenticate(alice, answers...)
			found := s.events(alice, eventLogin)
			said := found[len(found)-1]["outcome"].(string)
			if said != tc.want || got != codeOf[said] {
				t.Errorf("the audit file says %s, PAM returned %d; want %s, which is %d: %v", said, got, tc.want, codeOf[tc.want], found[len(found)-1])
			}
		})
	}
}
