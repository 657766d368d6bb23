package e2e

import (
	"fmt"
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
