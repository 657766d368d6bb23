package e2e

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"mfa/internal/deliver/delivertest"
)

// atHome makes a site whose ssh comes from home, the daemon in its own process.
func atHome(t *testing.T, settings ...string) *site {
	t.Helper()
	s := newSite(t)
	s.set(settings...)
	s.stack("sshd", s.passwordThenCode()...)
	s.startDaemon()
	s.comeFrom(home, next)
	s.sshd()
	return s
}

// Somebody who knows the password begins logins from ten addresses: the user is
// still asked for a code where they always are, and in sudo.
func TestCodesSentToStrangersAreNotTheUsers(t *testing.T) {
	s := atHome(t)
	alice := s.newUser("alice")
	s.login(alice, 1)
	for _, address := range strings.Fields("198.51.100.1 198.51.100.2 198.51.100.3 198.51.100.4 198.51.100.5 198.51.100.6") {
		_, err := s.knock(alice.name, address)
		ok(t, err)
	}
	if said, err := s.knock(alice.name, "198.51.100.7"); err != nil || !strings.Contains(said, "Too many codes") {
		t.Errorf("a stranger reads %q, %v", said, err)
	}
	s.expectLetters(alice, 4)
	s.login(alice, 5)
	s.login(alice, 6)
}

// Where texts alone count, who uses up those of the day does not get the code into
// a mailbox; where a carrier fails, an address that an administrator entered does.
func TestTextsUsedUpDoNotFallBackToAMailbox(t *testing.T) {
	s, tw := texting(t)
	s.set(`policy.methods = ["sms"]`, "sms.per_user_per_day = 1")
	s.run()
	alice := newAccount(t, "alice")
	s.mustControl("enroll", alice.name, "--phone", number, "--email", alice.email, "--no-message")
	c := s.begin(alice)
	c.expect(t, endOfCode)
	c.send(texted(t, tw, 1))
	c.expectIn(t)

	if said := unwrapped(s.begin(alice).expectOut(t)); !strings.Contains(said, "No more text messages can be sent for now") {
		t.Errorf("it says %q", said)
	}
	s.expectLetters(alice, 0)
	s.expectFailures(alice, 0)
	s.set(`policy.methods = ["sms", "email"]`)
	s.reload()
	c = s.begin(alice)
	c.pick(t, byText, "")
	said := unwrapped(c.expect(t, endOfCode))
	if !strings.Contains(said, "Too many were sent lately") || !strings.Contains(said, "sent by email to a***") {
		t.Errorf("where email counts it says %q", said)
	}
	c.send(s.code(alice, 1))
	c.expectIn(t)
}

// addedBy writes into the record of a who entered the addresses.
func (s *site) addedBy(a account, who string) {
	s.t.Helper()
	name := s.path("store/users/" + a.name + ".toml")
	text, err := os.ReadFile(name)
	ok(s.t, err)
	changed := regexp.MustCompile(`(?m)^(\s*added_by = ).*$`).ReplaceAllString(string(text), "${1}"+quoted(who))
	if !strings.Contains(string(text), "added_by") {
		s.t.Fatalf("nobody entered anything:\n%s", text)
	}
	ok(s.t, os.WriteFile(name, []byte(changed), 0o600))
}

// An address that somebody typed for themselves and never confirmed gets no code
// that was meant for a phone.
func TestTextDoesNotFallBackToAnAddressTyped(t *testing.T) {
	for addedBy, in := range map[string]bool{"root": true, "": true, "NAME": false} {
		t.Run("added by "+addedBy, func(t *testing.T) {
			s, _ := texting(t, delivertest.TwilioReply{Status: 400, Code: 21610, Message: "unsubscribed"})
			s.set(`policy.methods = ["sms"]`)
			s.run()
			alice := newAccount(t, "alice")
			s.mustControl("enroll", alice.name, "--phone", number, "--email", alice.email, "--no-message")
			s.addedBy(alice, strings.Replace(addedBy, "NAME", alice.name, 1))
			c := s.begin(alice)
			if !in {
				if said := unwrapped(c.expectOut(t)); !strings.Contains(said, "could not be sent to "+maskedNumber) {
					t.Errorf("it says %q", said)
				}
				s.expectLetters(alice, 0)
				return
			}
			c.expect(t, `sent by email to[^\0]*`+endOfCode)
			c.send(s.code(alice, 1))
			c.expectIn(t)
		})
	}
}
