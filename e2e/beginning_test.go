package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// elsewhere is an address of this machine that is not the one of the other logins.
const elsewhere = "127.0.0.2"

// beginAt is begin from another address.
func (s *site) beginAt(a account, address string) *terminal {
	s.t.Helper()
	c := s.ssh(a, "BindAddress="+address)
	c.expect(s.t, `Password: $`)
	c.send(password)
	return c
}

// expectNoRecord ends the test if anything of a's enrollment is stored.
func (s *site) expectNoRecord(a account) {
	s.t.Helper()
	if b, err := os.ReadFile(s.path("store/users/" + a.name + ".toml")); !os.IsNotExist(err) {
		s.t.Fatalf("%s has a record, %v:\n%s", a.name, err, b)
	}
}

// expectUseless ends the test if a code of the app p lets anybody in as a.
func (s *site) expectUseless(a account, p phone, clock *clock) {
	s.t.Helper()
	c := s.beginAt(a, elsewhere)
	c.expect(s.t, codeOrMenu)
	c.send(p.code(s.t, clock.step(p.period)))
	c.expect(s.t, "not right")
	c.close()
}

// Somebody with only the password reads the key of a setup, and hangs up. The next
// login from elsewhere is shown another key, and the first one is worth nothing.
func TestBeginningIsNotShownElsewhere(t *testing.T) {
	s, clock := inProcess(t)
	alice := newAccount(t, "alice")
	thief := s.beginAt(alice, elsewhere)
	thief.pick(t, offerApp, "")
	stolen := thief.scan(t)
	thief.close()

	c := s.begin(alice)
	c.pick(t, offerApp, "") // not led on with what somebody else began
	p := c.addApp(t, clock)
	if p.secret == stolen.secret {
		t.Fatal("the key that somebody else has read is shown to the next")
	}
	c.keep(t)
	c.expectIn(t)
	s.expectUseless(alice, stolen, clock)

	var from []string
	for _, e := range s.events(alice, "enrollment.begun") {
		from = append(from, fmt.Sprint(e["address"], " ", e["reason"]))
	}
	if len(from) != 2 || !strings.HasPrefix(from[0], elsewhere) || !strings.HasPrefix(from[1], "127.0.0.1") || !strings.Contains(from[1], elsewhere) {
		t.Errorf("the audit file says of beginnings: %q", from)
	}
	changed := s.events(alice, "enrollment.changed")
	expectSaid(t, fmt.Sprint(changed[0]["reason"]), "begun", "sshd from 127.0.0.1")
}

// An address that was typed is shown to nobody else, and its code, typed after
// somebody else began, proves nothing.
func TestAddressTypedIsNotShownElsewhere(t *testing.T) {
	s, clock := inProcess(t)
	alice, thief := newAccount(t, "alice"), account{email: "thief@example.com"}
	c := s.beginAt(alice, elsewhere)
	c.pick(t, offerEmail, "")
	c.expect(t, emailPrompt)
	c.send(thief.email)
	c.expect(t, codePrompt(thief))
	code := s.code(thief, 1)

	mine := s.begin(alice)
	if menu := mine.pick(t, offerApp, ""); strings.Contains(menu, "t***f") {
		t.Errorf("the address is shown: %q", menu)
	}
	p := mine.scan(t)
	c.send(code)
	c.expectOut(t)
	s.expectNoRecord(alice)
	mine.send(p.code(t, clock.step(p.period)))
	mine.keep(t)
	mine.expectIn(t)
	if record := s.record(alice); strings.Contains(record, thief.email) {
		t.Errorf("committed:\n%s", record)
	}
}

// A setup that was begun anew from elsewhere ends the one before, also where that
// still waits for its code.
func TestVoidBeginningDoesNotCommit(t *testing.T) {
	s, clock := inProcess(t)
	alice := newAccount(t, "alice")
	thief := s.beginAt(alice, elsewhere)
	thief.pick(t, offerApp, "")
	stolen := thief.scan(t)

	c := s.begin(alice)
	c.pick(t, offerApp, "")
	p := c.scan(t)
	thief.send(stolen.code(t, clock.step(stolen.period)))
	thief.expectOut(t)
	s.expectNoRecord(alice)
	c.send(p.code(t, clock.now()))
	c.keep(t)
	c.expectIn(t)
	s.expectUseless(alice, stolen, clock)
}

// Code that runs as the user, without any password, begins on either socket. Nothing
// of that is shown at a login, or the other way round.
func TestBeginningOfAProgramIsNotShownAtALogin(t *testing.T) {
	s, clock := inProcess(t)
	s.stack("sudo", s.codeOnly()...)
	alice := newAccount(t, "alice")
	maySudo(t, alice)
	read := func(c *terminal) phone {
		t.Helper()
		defer c.close()
		c.pick(t, offerApp, "")
		return c.scan(t)
	}
	asUser := func(service string) *terminal {
		return s.own(alice, "test", alice.name, "--service", service)
	}
	s.stack("locker", s.codeOnly()...)
	seen := map[string]string{}
	for _, by := range []struct {
		name string
		open func() *terminal
	}{
		{"mfactl enroll", func() *terminal { return s.own(alice, "enroll") }},
		{"pam.sock as the user, for sudo", func() *terminal { return asUser("sudo") }},
		{"sudo", func() *terminal { return s.as(alice, "sudo", "true") }},
		{"mfactl enroll again", func() *terminal { return s.own(alice, "enroll") }},
		{"pam.sock as the user, for a locker", func() *terminal { return asUser("locker") }},
		{"ssh", func() *terminal { return s.begin(alice) }},
		{"mfactl enroll after ssh", func() *terminal { return s.own(alice, "enroll") }},
	} {
		p := read(by.open())
		if other, there := seen[p.secret]; there {
			t.Errorf("%s is shown the key of %s", by.name, other)
		}
		seen[p.secret] = by.name
	}
	c := s.begin(alice)
	c.pick(t, offerApp, "")
	c.addApp(t, clock)
	c.keep(t)
	c.expectIn(t)
}

// From the same place it goes on, and says so; n makes a new key, for whoever did not
// begin it.
func TestBeginningGoesOnAndCanBeRefused(t *testing.T) {
	s, clock := inProcess(t)
	alice := newAccount(t, "alice")
	c := s.begin(alice)
	c.pick(t, offerApp, "")
	first := c.scan(t)
	c.close()

	c = s.begin(alice)
	screen := c.expect(t, "type n[^\\0]*"+codeWanted)
	expectSaid(t, unwrapped(screen), "was begun", "ago from here", inFours(first.secret))
	c.send("n")
	p := c.addApp(t, clock)
	if p.secret == first.secret {
		t.Fatal("the key is the same")
	}
	c.keep(t)
	c.expectIn(t)
	s.expectUseless(alice, first, clock)
}

// The mail about another method says where setting it up was begun.
func TestMailSaysWhereASetupWasBegun(t *testing.T) {
	s, alice := nothingYet(t, `policy.reenroll_after_off = false`)
	s.enrollByEmail(alice, 1)
	c := s.own(alice, "enroll")
	c.expect(t, codeOrMenu)
	c.send(s.code(alice, 2))
	c.pick(t, offerApp, "")
	p := c.scan(t)
	c.send(p.code(t, (&clock{}).now()))
	c.expectStatus(t, 0)
	s.awaitNotice(alice, 1, "Second factor changed", "begun", "mfactl")
}
