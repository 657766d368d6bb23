package login

import (
	"strings"
	"testing"

	"mfa/internal/mfa"
)

func TestOriginOf(t *testing.T) {
	// The key and its fingerprint are as ssh-keygen -lf prints them.
	const key = "AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
	const fingerprint = "SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU"
	for name, tc := range map[string]struct {
		req  mfa.Request
		want mfa.Origin
	}{
		"rhost":                  {mfa.Request{RHost: "192.0.2.1"}, mfa.Origin{Address: "192.0.2.1"}},
		"mapped":                 {mfa.Request{RHost: "::ffff:192.0.2.1"}, mfa.Origin{Address: "192.0.2.1"}},
		"ipv6":                   {mfa.Request{RHost: "2001:DB8:0::1"}, mfa.Origin{Address: "2001:db8::1"}},
		"zone":                   {mfa.Request{RHost: "fe80::1%eth0"}, mfa.Origin{Address: "fe80::1"}},
		"host name":              {mfa.Request{RHost: "Laptop.Example.com"}, mfa.Origin{Address: "laptop.example.com"}},
		"nearly an address":      {mfa.Request{RHost: "192.0.2 .1"}, mfa.Origin{Address: `"192.0.2\x20.1"`}},
		"host named local":       {mfa.Request{RHost: "LOCAL"}, mfa.Origin{Address: `"local"`}},
		"host with a zone":       {mfa.Request{RHost: "fe80::1%a b"}, mfa.Origin{Address: "fe80::1"}},
		"nothing":                {mfa.Request{}, mfa.Origin{Address: "local"}},
		"ssh beats rhost":        {mfa.Request{RHost: "evil.example", SSHConnection: "192.0.2.1 1 192.0.2.2 22"}, mfa.Origin{Address: "192.0.2.1"}},
		"from the server itself": {mfa.Request{SSHConnection: "192.0.2.1 1 192.0.2.1 22"}, mfa.Origin{Address: "192.0.2.1", Here: true}},
		"itself, mapped":         {mfa.Request{SSHConnection: "::ffff:192.0.2.1 1 192.0.2.1 22"}, mfa.Origin{Address: "192.0.2.1", Here: true}},
		"itself, over IPv6":      {mfa.Request{SSHConnection: "2001:db8::1 1 2001:db8:0::1 22"}, mfa.Origin{Address: "2001:db8::1", Here: true}},
		"itself, without server": {mfa.Request{RHost: "192.0.2.1", SSHConnection: "192.0.2.1 1 x 22"}, mfa.Origin{Address: "192.0.2.1"}},
		"ssh with three words":   {mfa.Request{RHost: "192.0.2.9", SSHConnection: "192.0.2.1 1 192.0.2.2"}, mfa.Origin{Address: "192.0.2.9"}},
		"ssh with five words":    {mfa.Request{RHost: "192.0.2.9", SSHConnection: "192.0.2.1 1 192.0.2.2 22 x"}, mfa.Origin{Address: "192.0.2.9"}},
		"ssh with a name":        {mfa.Request{RHost: "192.0.2.9", SSHConnection: "host 1 192.0.2.2 22"}, mfa.Origin{Address: "192.0.2.9"}},
		"ssh with a bad port":    {mfa.Request{RHost: "192.0.2.9", SSHConnection: "192.0.2.1 99999 192.0.2.2 22"}, mfa.Origin{Address: "192.0.2.9"}},
		"ssh with a bad server":  {mfa.Request{RHost: "192.0.2.9", SSHConnection: "192.0.2.1 1 x 22"}, mfa.Origin{Address: "192.0.2.9"}},
		"words that break lines": {mfa.Request{Service: "ss|hd\n", RHost: "a b|c\x00"}, mfa.Origin{Service: `"ss\x7chd\n"`, Address: `"a\x20b\x7cc\x00"`}},
		"key": {
			mfa.Request{RHost: "192.0.2.1", SSHAuthInfo: "password\npublickey ssh-ed25519 " + key + "\n"},
			mfa.Origin{Address: "192.0.2.1", Key: fingerprint},
		},
		"no key":  {mfa.Request{SSHAuthInfo: "password\n"}, mfa.Origin{Address: "local"}},
		"bad key": {mfa.Request{SSHAuthInfo: "publickey ssh-ed25519 ***\npublickey\n"}, mfa.Origin{Address: "local"}},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.req.Service == "" {
				tc.req.Service, tc.want.Service = "sshd", "sshd"
			}
			if got := OriginOf(tc.req); got != tc.want {
				t.Errorf("got %+v, want %+v", got, tc.want)
			}
		})
	}
}

func FuzzOriginOf(f *testing.F) {
	f.Add("sshd", "192.0.2.1", "192.0.2.1 1 192.0.2.2 22", "publickey ssh-ed25519 AAAA\n")
	f.Fuzz(func(t *testing.T, service, rhost, conn, info string) {
		o := OriginOf(mfa.Request{Service: service, RHost: rhost, SSHConnection: conn, SSHAuthInfo: info})
		if o.Address == "" || strings.Count(o.String(), "|") != 2 || strings.ContainsAny(o.String(), "\n\x00 ") {
			t.Errorf("origin %q", o)
		}
	})
}
