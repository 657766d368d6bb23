package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"mfa/internal/mfa"
)

// sshdFrom is what sshd asks for a login by password from an address.
func sshdFrom(user, address string) mfa.Request {
	return mfa.Request{Service: "sshd", User: user, RHost: address, SSHAuthInfo: "password", SSHConnection: address + " 40000 192.0.2.1 22"}
}

// Under names and addresses of one's own choosing no more codes are sent than
// code.max_sends says, and none ends that a login waits for.
func TestOneBoundOnMailForAllThatIsNoPlace(t *testing.T) {
	for name, ask := range map[string]func(s *site, a account, i int) (uid int, req mfa.Request){
		"loopback": func(_ *site, a account, i int) (int, mfa.Request) {
			return 0, sshdFrom(a.name, fmt.Sprint("127.0.0.", i+2))
		},
		"host name": func(_ *site, a account, i int) (int, mfa.Request) {
			return 0, mfa.Request{Service: "ftp", User: a.name, RHost: fmt.Sprintf("h%d.evil.example", i)}
		},
		"local": func(_ *site, a account, i int) (int, mfa.Request) {
			return 0, mfa.Request{Service: fmt.Sprint("a", i), User: a.name, TTY: "tty1"}
		},
		"the server's own": func(_ *site, a account, i int) (int, mfa.Request) {
			own := fmt.Sprint("192.0.2.", i+1)
			return 0, mfa.Request{Service: "sshd", User: a.name, RHost: own, SSHConnection: own + " 4000 " + own + " 22"}
		},
		"code as the user": func(_ *site, a account, i int) (int, mfa.Request) {
			return a.uid, mfa.Request{Service: fmt.Sprint("a", i), User: a.name}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := atHome(t)
			alice := s.newUser("alice")
			s.login(alice, 1)
			c := s.beginAt(alice, next) // a new place
			c.expect(t, codePrompt(alice))
			code := s.code(alice, 2)
			refused := 0
			for i := range 12 {
				uid, req := ask(s, alice, i)
				if said, _ := s.talkAs(uid, req, hangUp); strings.Contains(said, "Too many codes") {
					refused++
				}
			}
			if refused != 7 {
				t.Errorf("%d of 12 were refused; max_sends is 5", refused)
			}
			c.send(code)
			c.expectIn(t)
			s.login(alice, 8)
		})
	}
}

// The addresses of one network count as one place.
func TestOneNetworkHasOneBoundOnMail(t *testing.T) {
	s := newSite(t)
	s.startDaemon()
	alice := s.newUser("alice")
	if _, out := s.talkAs(0, sshdFrom(alice.name, "2001:db8::7"), func(int, string) (string, bool) { return s.code(alice, 1), true }); out != "accepted" {
		t.Fatal(out)
	}
	refused := 0
	for i := range 12 {
		if said, _ := s.talkAs(0, sshdFrom(alice.name, fmt.Sprintf("2001:db8::%x", 100+i)), hangUp); strings.Contains(said, "Too many codes") {
			refused++
		}
	}
	if refused != 7 {
		t.Errorf("%d of 12 were refused; max_sends is 5", refused)
	}
}

// A user who is not enrolled has no mailbox of others filled.
func TestLocalUserMailsStrangersWithinTheBound(t *testing.T) {
	s, eve := nothingYet(t)
	victim := account{email: "victim@example.com"}
	for i := range 15 {
		s.talkAs(eve.uid, mfa.Request{Service: fmt.Sprint("x", i), User: eve.name}, func(_ int, text string) (string, bool) {
			switch {
			case strings.Contains(text, "Choice"):
				return "2", true
			case strings.Contains(text, "Email address"):
				return victim.email, true
			}
			return "", false
		})
	}
	time.Sleep(300 * time.Millisecond)
	found, err := s.letters(victim.email)
	ok(t, err)
	if len(found) > 5 {
		t.Errorf("%d mails to somebody who has no account here", len(found))
	}
}
