package e2e

import (
	"strings"
	"testing"
	"time"
)

func TestEnrollByAppFromTheQRCodeAlone(t *testing.T) {
	s, clock := inProcess(t)
	alice := newAccount(t, "alice")
	c := s.begin(alice)
	menu := c.pick(t, offerApp, "")
	expectSaid(t, menu, "second factor is needed", offerEmail)
	if strings.Contains(menu, offerSkip) || strings.Contains(menu, offerLater) {
		t.Errorf("a way around is offered: %q", menu)
	}
	screen := c.expect(t, codeWanted)
	if len(drawn(screen)) > 0 {
		t.Errorf("a QR code that nobody asked for: %q", screen)
	}
	c.send("q")
	p := scan(t, c.expect(t, codeWanted))
	expectSaid(t, screen, "otpauth://totp/", inFours(p.secret))
	at := clock.step(p.period)
	c.send(p.code(t, at))
	if codes := c.keep(t); len(codes) != 10 {
		t.Errorf("%d backup codes are shown", len(codes))
	}
	c.expectIn(t)

	t.Run("the code of the setup is refused", func(t *testing.T) {
		s.refusedAsUsed(t, alice, p.code(t, at))
	})
	s.loginByApp(alice, p, clock)
	last := clock.now()
	t.Run("the same code twice is refused", func(t *testing.T) {
		s.refusedAsUsed(t, alice, p.code(t, last))
	})
	t.Run("the code of the step before is refused", func(t *testing.T) {
		s.refusedAsUsed(t, alice, p.code(t, last.Add(-p.period)))
	})
	s.expectFailures(alice, 0)
	s.loginByApp(alice, p, clock)
}

// inFours writes a secret as people type it.
func inFours(secret string) string {
	var groups []string
	for ; len(secret) > 4; secret = secret[4:] {
		groups = append(groups, secret[:4])
	}
	return strings.Join(append(groups, secret), " ")
}

// refusedAsUsed ends the test unless a login with a code of the app that was used
// before is told so and not let in.
func (s *site) refusedAsUsed(t *testing.T, a account, code string) {
	t.Helper()
	c := s.begin(a)
	c.expect(t, codeOrMenu)
	for range 2 {
		c.send(code)
		c.expect(t, `used already[^\0]*Code[^\n]*: $`)
	}
	c.send(code)
	c.expectOut(t)
}

func TestEnrollByAppWithOtherParameters(t *testing.T) {
	s, clock := inProcess(t, "totp.digits = 8", `totp.period = "60s"`, `totp.algorithm = "SHA256"`, `totp.issuer = "Example"`)
	alice := newAccount(t, "alice")
	p, _ := s.enrollByApp(alice, clock)
	if p.digits != 8 || p.period != time.Minute || p.algorithm != "sha256" {
		t.Errorf("the QR code says %d digits, %v, %s", p.digits, p.period, p.algorithm)
	}
	s.loginByApp(alice, p, clock)
}

func TestEnrollByEmailMistypedOnce(t *testing.T) {
	s, alice := nothingYet(t)
	c := s.begin(alice)
	c.pick(t, offerEmail, "")
	c.expect(t, emailPrompt)
	c.send("alice at example.com")
	c.expect(t, `not an address like alice@example\.com[^\0]*`+emailPrompt)
	c.send("alcie@example.com")
	c.expect(t, `a\*\*\*e@example\.com[^\0]*`+codeWanted)
	mistyped := account{name: alice.name, email: "alcie@example.com"}
	old := s.code(mistyped, 1)
	c.send("c")
	c.expect(t, emailPrompt)
	c.send(alice.email)
	c.expect(t, codePrompt(alice))
	code := s.code(alice, 1)
	if old != code {
		c.send(old) // proves nothing about the right address
		c.expect(t, `to another address[^\0]*`+codeWanted)
	}
	c.send(code)
	c.keep(t)
	c.expectIn(t)
	expectSaid(t, s.mustControl("show", alice.name), "a***e@example.com", "confirmed")
	s.expectLetters(mistyped, 1)
	s.login(alice, 2)
}

func TestMistypedAddressesCountAgainstTheLimit(t *testing.T) {
	s, alice := nothingYet(t, "code.max_sends = 2")
	c := s.begin(alice)
	c.pick(t, offerEmail, "")
	for _, stranger := range []string{"first@example.com", "second@example.com"} {
		c.expect(t, emailPrompt)
		c.send(stranger)
		c.expect(t, `example\.com[^\0]*`+codeWanted)
		c.send("c")
	}
	c.expect(t, emailPrompt)
	c.send("third@example.com")
	c.expect(t, `Too many codes were sent`)
	c.pick(t, offerApp, "") // the way that sends nothing is open
	c.expect(t, codeWanted)
	found, err := s.letters("@example.com")
	ok(t, err)
	if len(found) != 2 {
		t.Errorf("%d mails were sent, want 2", len(found))
	}
}

func TestDroppedConnectionAfterTheAddressResumes(t *testing.T) {
	s, alice := nothingYet(t)
	c := s.begin(alice)
	c.pick(t, offerEmail, "")
	c.expect(t, emailPrompt)
	c.send(alice.email)
	c.expect(t, codePrompt(alice))
	code := s.code(alice, 1)
	c.close()

	c = s.begin(alice)
	if said := c.expect(t, `sent to a\*\*\*e@example\.com [^\n]* ago[^\0]*`+codeWanted); strings.Contains(said, "Choice") {
		t.Errorf("asked again what to set up: %q", said)
	}
	s.expectLetters(alice, 1)
	c.send("r")
	c.expect(t, `can be sent in[^\0]*`+codeWanted)
	s.expectLetters(alice, 1)
	c.close()

	s.restartDaemon()
	c = s.begin(alice)
	c.expect(t, ` ago[^\0]*`+codeWanted)
	c.send(code)
	c.keep(t)
	c.expectIn(t)
	s.expectLetters(alice, 1)
}

func TestDroppedConnectionAfterTheQRCodeResumes(t *testing.T) {
	s, clock := inProcess(t)
	alice := newAccount(t, "alice")
	c := s.begin(alice)
	c.pick(t, offerApp, "")
	p := c.scan(t)
	c.close()

	c = s.begin(alice)
	if again := c.scan(t); again != p {
		t.Error("another secret than the one that was scanned before")
	}
	c.send(p.code(t, clock.step(p.period)))
	c.keep(t)
	c.expectIn(t)
}

func TestDroppedConnectionAtTheBackupCodesIsEnrolled(t *testing.T) {
	s, alice := nothingYet(t)
	c := s.begin(alice)
	c.pick(t, offerEmail, "")
	c.expect(t, emailPrompt)
	c.send(alice.email)
	c.expect(t, codePrompt(alice))
	c.send(s.code(alice, 1))
	c.expect(t, keptPrompt)
	c.close()
	s.login(alice, 2)
}

func TestNothingCountsBeforeItIsConfirmed(t *testing.T) {
	s, alice := nothingYet(t)
	c := s.begin(alice)
	c.pick(t, offerEmail, "")
	c.expect(t, emailPrompt)
	c.send(alice.email)
	c.expect(t, codePrompt(alice))
	if said, status := s.control("show", alice.name); status != 3 {
		t.Errorf("mfactl show: status %d\n%s", status, said)
	}
	c.send("m")
	c.pick(t, offerApp, "")
	c.expect(t, codeWanted)
	c.close()
	if said, status := s.control("show", alice.name); status != 3 {
		t.Errorf("mfactl show: status %d\n%s", status, said)
	}
}

func TestAddressesByAdministratorsOnly(t *testing.T) {
	s, alice := nothingYet(t, "policy.self_contacts = false")
	c := s.begin(alice)
	if said := c.expect(t, codeWanted); strings.Contains(said, "mail") {
		t.Errorf("email is offered: %q", said)
	}
	c.close()

	s.mustControl("enroll", alice.name, "--email", alice.email)
	expectSaid(t, s.mustControl("show", alice.name), "not yet")
	s.login(alice, 1)
	if said := s.mustControl("show", alice.name); strings.Contains(said, "not yet") {
		t.Errorf("not confirmed by the login:\n%s", said)
	}

	own := s.own(alice, "enroll")
	own.expect(t, codePrompt(alice))
	own.send(s.code(alice, 2))
	if said := own.expect(t, codeWanted); strings.Contains(said, offerEmail) {
		t.Errorf("mfactl offers email: %q", said)
	}
}

func TestLaterWithinTheGrace(t *testing.T) {
	s, clock := inProcess(t, `policy.enroll_grace = "3d"`)
	alice := newAccount(t, "alice")
	for _, left := range []string{"3 days", "3 days", "25 hours"} {
		c := s.begin(alice)
		expectSaid(t, c.pick(t, offerLater, ""), "Later (within "+left+")")
		c.expectIn(t)
		clock.pass(24*time.Hour - 5*time.Minute)
	}
	clock.pass(time.Hour)
	c := s.begin(alice)
	menu := c.pick(t, offerApp, "")
	if strings.Contains(menu, offerLater) {
		t.Errorf("offered after the grace: %q", menu)
	}
	p := c.addApp(t, clock)
	c.keep(t)
	c.expectIn(t)
	s.loginByApp(alice, p, clock)
}

func TestSkipForNow(t *testing.T) {
	s, alice := nothingYet(t, `policy.mode = "optional"`, "policy.opt_out = true")
	skip := func() {
		t.Helper()
		c := s.begin(alice)
		c.pick(t, offerSkip, "")
		expectSaid(t, c.expectInAfter(t), "mfactl enroll")
	}
	skip()
	s.expectNotAsked(alice)
	s.restartDaemon()
	s.expectNotAsked(alice)

	s.mustControl("reset", alice.name, "--yes")
	skip()
	s.expectNotAsked(alice)

	c := s.own(alice, "enroll")
	c.pick(t, offerEmail, "")
	c.expect(t, emailPrompt)
	c.send(alice.email)
	c.expect(t, codePrompt(alice))
	c.send(s.code(alice, 1))
	c.keep(t)
	c.expectStatus(t, 0)
	s.login(alice, 2)

	s.mustControl("reset", alice.name, "--yes")
	c = s.begin(alice)
	expectSaid(t, c.pick(t, offerSkip, ""), offerApp, offerEmail)
	c.expectIn(t)
}

// expectNotAsked ends the test unless a logs in with the password alone.
func (s *site) expectNotAsked(a account) {
	s.t.Helper()
	c := s.begin(a)
	if said := c.expectIn(s.t); strings.Contains(said, "Choice") || strings.Contains(said, "Code") {
		s.t.Errorf("asked: %q", said)
	}
}

func TestOffAndOnAgain(t *testing.T) {
	for how, take := range map[string]func(*site){"restart": (*site).restartDaemon, "reload": (*site).reload} {
		for _, anew := range []string{"true", "false"} {
			t.Run(how+" reenroll_after_off="+anew, func(t *testing.T) {
				s, alice := nothingYet(t, "policy.reenroll_after_off = "+anew)
				s.enrollByEmail(alice, 1)
				s.set(`policy.mode = "off"`)
				take(s)
				s.expectNotAsked(alice)
				s.set(`policy.mode = "required"`)
				take(s)
				if anew == "false" {
					s.login(alice, 2)
					return
				}
				thief := s.begin(alice) // the old factor is not worth nothing
				thief.expect(t, codePrompt(alice))
				thief.send(wrong(s.code(alice, 2)))
				thief.expect(t, "not right")
				thief.close()

				c := s.begin(alice)
				c.expect(t, codePrompt(alice))
				c.send(s.code(alice, 2))
				c.pick(t, offerEmail, "") // and then everything is set up anew
				c.expect(t, emailPrompt)
				c.send(alice.email)
				c.expect(t, codePrompt(alice))
				c.send(s.code(alice, 3))
				c.keep(t)
				c.expectIn(t)
				take(s) // on before, on now
				s.login(alice, 4)
			})
		}
	}
}

func TestEnrollAtSudo(t *testing.T) {
	s, clock := inProcess(t)
	s.stack("sudo", s.passwordThenCode()...)
	alice := newAccount(t, "alice")
	maySudo(t, alice)
	sudo := func() *terminal {
		c := s.as(alice, "sudo", "sh", "-c", greet)
		c.expect(t, `assword for [^\n]*: $`)
		c.send(password)
		return c
	}
	c := sudo()
	c.pick(t, offerApp, "")
	p := c.addApp(t, clock)
	c.keep(t)
	expectSaid(t, c.expectIn(t), "as root")

	c = sudo()
	c.expect(t, codeOrMenu)
	c.send(p.code(t, clock.step(p.period)))
	expectSaid(t, c.expectIn(t), "as root")
	s.loginByApp(alice, p, clock) // the same app for sshd
}

func TestEnrollAtSu(t *testing.T) {
	s, clock := inProcess(t)
	s.stack("su", s.passwordThenCode()...)
	alice, bob := newAccount(t, "alice"), newAccount(t, "bob")
	su := func() *terminal {
		c := s.as(alice, "su", bob.name, "-c", greet)
		c.expect(t, `assword: $`)
		c.send(password)
		return c
	}
	c := su()
	c.pick(t, offerApp, "")
	p := c.addApp(t, clock)
	c.keep(t)
	expectSaid(t, c.expectIn(t), "as "+bob.name)

	c = su()
	c.expect(t, codeOrMenu)
	c.send(p.code(t, clock.step(p.period)))
	expectSaid(t, c.expectIn(t), "as "+bob.name)
}

// Slips do not lock a user without a second factor.
func TestWrongConfirmationCodesDoNotLock(t *testing.T) {
	s, alice := nothingYet(t)
	c := s.begin(alice)
	c.pick(t, offerEmail, "")
	c.expect(t, emailPrompt)
	c.send(alice.email)
	c.expect(t, codePrompt(alice))
	bad := wrong(s.code(alice, 1))
	for range 2 {
		c.send(bad)
		c.expect(t, `not right[^\0]*`+codeWanted)
	}
	c.send(bad)
	c.expectOut(t)
	s.expectFailures(alice, 0)

	c = s.begin(alice)
	c.expect(t, codePrompt(alice))
	c.send(bad)
	c.expect(t, `not right[^\0]*`+codeWanted)
	c.close()

	c = s.begin(alice)
	c.expect(t, codePrompt(alice))
	c.send(s.code(alice, 1))
	c.keep(t)
	c.expectIn(t)
}
