package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// The server's own address is no place, like loopback: a local process, a tunnel and
// a jump host (ssh -J host host) come from there.
func TestOwnAddressIsNoPlace(t *testing.T) {
	for name, server := range map[string]string{"IPv4": "203.0.113.1", "IPv6": "2001:db8:1::1"} {
		t.Run(name, func(t *testing.T) {
			s, _ := daemonInProcess(t, `session.remember = "always"`)
			s.ownNetwork(server)
			s.stack("sshd", s.passwordThenCode()...)
			s.sshd("ListenAddress " + server)
			alice := s.newUser("alice")
			begin := func() *terminal {
				c := s.ssh(alice, "HostName="+server, "BindAddress="+server, fmt.Sprintf("HostKeyAlias=[127.0.0.1]:%d", s.sshdPort))
				c.expect(t, `Password: $`)
				c.send(password)
				return c
			}
			c := begin()
			c.expect(t, codePrompt(alice))
			c.send(s.code(alice, 1))
			c.expectIn(t)
			begin().expect(t, codePrompt(alice))
			if all := s.sessionsOf(alice); len(all) != 0 {
				t.Errorf("remembered: %v", all)
			}
		})
	}
}

// From where others come too, nobody goes on with what was begun: a local process with
// the password begins at 127.0.0.1, and the user comes through a jump host.
func TestBeginningAtNoPlaceIsNotShared(t *testing.T) {
	s, _ := inProcess(t)
	alice := newAccount(t, "alice")
	thief := s.begin(alice)
	thief.pick(t, offerApp, "")
	stolen := thief.scan(t)
	thief.close()
	c := s.begin(alice)
	c.pick(t, offerApp, "")
	if p := c.scan(t); p.secret == stolen.secret {
		t.Error("the key that somebody else has read is shown to the user")
	}

	c = s.begin(alice)
	c.pick(t, offerEmail, "")
	c.expect(t, emailPrompt)
	c.send(thiefMail.email)
	c.expect(t, codePrompt(thiefMail))
	c.close()
	c = s.begin(alice)
	if menu := c.expect(t, choicePrompt); strings.Contains(menu, "t***f") {
		t.Errorf("the address that somebody else typed goes on: %q", menu)
	}
}
