package e2e

import (
	"strings"
	"testing"
	"time"
)

// twoMethods makes a site on a clock of ours, and a user who has set up an
// authenticator app at a login and then codes by email with mfactl. One mail went
// to them.
func twoMethods(t *testing.T, settings ...string) (*site, account, phone, *clock) {
	t.Helper()
	s, clock := inProcess(t, settings...)
	alice := newAccount(t, "alice")
	p, _ := s.enrollByApp(alice, clock)
	c := s.own(alice, "enroll")
	c.expect(t, codeOrMenu)
	c.send(p.code(t, clock.step(p.period)))
	c.pick(t, offerEmail, "")
	c.expect(t, emailPrompt)
	c.send(alice.email)
	c.expect(t, codePrompt(alice))
	c.send(s.code(alice, 1))
	c.expectStatus(t, 0)
	return s, alice, p, clock
}

func TestChooseAnotherMethod(t *testing.T) {
	s, alice, p, clock := twoMethods(t)
	c := s.begin(alice)
	c.expect(t, `authenticator app[^\0]*`+codeOrMenu)
	c.send("r") // nothing to send
	c.expect(t, codeOrMenu)
	c.send("m")
	s.expectLetters(alice, 1)
	expectSaid(t, c.pick(t, byEmail, ""), byApp, "a***e@example.com", byBackup)
	c.expect(t, `sent to a\*\*\*e@example\.com[^\0]*`+codeOrMenu)
	code := s.code(alice, 2)
	c.send("M")
	c.pick(t, byApp, "")
	c.expect(t, codeOrMenu)
	c.send("m")
	c.pick(t, byEmail, "") // the code that was sent is still good
	c.expect(t, ` ago[^\0]*`+codeOrMenu)
	c.send(code)
	c.expectIn(t)
	s.expectLetters(alice, 2)
	s.expectFailures(alice, 0)
	s.loginByApp(alice, p, clock) // not remembered
}

func TestMenuTakesOnlyItsNumbers(t *testing.T) {
	s, alice, p, clock := twoMethods(t)
	c := s.begin(alice)
	c.expect(t, codeOrMenu)
	c.send("m")
	for _, answer := range []string{"0", "4", "x", "-1", "2 2", "**"} {
		c.expect(t, choicePrompt)
		c.send(answer)
		c.expect(t, "number from 1 to 3")
	}
	c.expect(t, choicePrompt)
	c.send("")
	c.expect(t, `authenticator app[^\0]*`+codeOrMenu)
	c.send(p.code(t, clock.step(p.period)))
	c.expectIn(t)
	s.expectFailures(alice, 0)
}

func TestChoiceIsRemembered(t *testing.T) {
	s, alice, _, _ := twoMethods(t)
	c := s.begin(alice)
	c.expect(t, codeOrMenu)
	c.send("m")
	expectSaid(t, c.pick(t, byEmail, "*"), "*")
	c.expect(t, codePrompt(alice))
	c.send(s.code(alice, 2))
	c.expectIn(t)
	expectSaid(t, s.mustControl("show", alice.name), "asked for first")
	expectSaid(t, s.mustControl("show", alice.name, "--json"), `"preferred": "email"`)
	s.login(alice, 3)
}

func TestResendBeforeAndAfterItsTime(t *testing.T) {
	s, alice, _, clock := twoMethods(t, `code.resend_after = "40s"`)
	c := s.begin(alice)
	c.expect(t, codeOrMenu)
	c.send("m")
	c.pick(t, byEmail, "")
	c.expect(t, codeOrMenu)
	first := s.code(alice, 2)
	c.send("r")
	c.expect(t, `can be sent in \d+\s+seconds[^\0]*`+codeOrMenu)
	s.expectLetters(alice, 2)
	clock.pass(41 * time.Second)
	c.send("r")
	c.expect(t, `new code (was|is being) sent[^\0]*`+codeOrMenu)
	second := s.code(alice, 3)
	if first != second {
		c.send(first)
		c.expect(t, `older one[^\0]*`+codeOrMenu)
	}
	c.send(second)
	c.expectIn(t)
}

func TestNoMoreCodesThanAllowed(t *testing.T) {
	s, alice, p, clock := twoMethods(t, `code.resend_after = "0s"`, "code.max_sends = 3")
	c := s.begin(alice)
	c.expect(t, codeOrMenu)
	c.send("m")
	c.pick(t, byEmail, "")
	c.expect(t, codeOrMenu)
	c.send("r")
	c.expect(t, `new code (was|is being) sent[^\0]*`+codeOrMenu)
	c.send("r")
	c.expect(t, `new code (was|is being) sent[^\0]*`+codeOrMenu)
	last := s.code(alice, 4)
	c.send("r") // what was sent to set the method up, to another place, counts for itself
	c.expect(t, `Too many codes were sent to you\. The next can be sent in 1[45]\s+minutes[^\0]*`+codeOrMenu)
	s.expectLetters(alice, 4)
	c.send(last)
	c.expectIn(t)

	t.Run("the other way is open", func(t *testing.T) {
		c := s.begin(alice)
		c.expect(t, codeOrMenu)
		c.send("m")
		c.pick(t, byEmail, "")
		c.expect(t, "Too many codes were sent")
		c.pick(t, byApp, "")
		c.expect(t, codeOrMenu)
		c.send(p.code(t, clock.step(p.period)))
		c.expectIn(t)
	})
	s.expectLetters(alice, 4)
	clock.pass(16 * time.Minute)
	c = s.begin(alice)
	c.expect(t, codeOrMenu)
	c.send("m")
	c.pick(t, byEmail, "")
	c.expect(t, codePrompt(alice))
	c.send(s.code(alice, 5))
	c.expectIn(t)
}

func TestWrongCodesOfTheAppLock(t *testing.T) {
	s, clock := inProcess(t)
	alice := newAccount(t, "alice")
	p, _ := s.enrollByApp(alice, clock)
	for _, tries := range []int{3, 2} {
		c := s.begin(alice)
		for n := range tries {
			c.expect(t, codeOrMenu)
			c.send(wrong(p.code(t, clock.step(p.period))))
			if n < tries-1 {
				c.expect(t, "not right")
			}
		}
		if said := c.expectOut(t); (tries == 2) != strings.Contains(said, "locked") {
			t.Errorf("after %d wrong codes: %q", tries, said)
		}
	}
	s.expectFailures(alice, 5)
	c := s.begin(alice)
	expectSaid(t, c.expectOut(t), "locked")
	clock.pass(15*time.Minute + time.Second)
	s.loginByApp(alice, p, clock)
}

func TestBackupCode(t *testing.T) {
	s, alice := nothingYet(t, "backup.codes = 4")
	codes := s.enrollByEmail(alice, 1)
	if len(codes) != 4 {
		t.Fatalf("%d backup codes", len(codes))
	}
	use := func(code string) *terminal {
		t.Helper()
		c := s.begin(alice)
		c.expect(t, codeOrMenu)
		c.send("m")
		c.pick(t, byBackup, "")
		c.expect(t, backupPrompt)
		c.send(code)
		return c
	}
	expectSaid(t, use(codes[0]).expectInAfter(t), "3 backup codes are left")

	t.Run("the same again", func(t *testing.T) {
		c := use(codes[0])
		c.expect(t, `used already[^\0]*`+backupPrompt)
		c.send(strings.ToUpper(codes[0]))
		c.expect(t, `used already[^\0]*`+backupPrompt)
		c.send("m")
		c.pick(t, byEmail, "")
		c.expect(t, codeOrMenu)
		c.close()
	})
	t.Run("after a restart", func(t *testing.T) {
		s.restartDaemon()
		use(codes[0]).expect(t, `used already[^\0]*`+backupPrompt)
	})
	t.Run("wrong", func(t *testing.T) {
		use("2222-2222-2222-2222").expect(t, `not right[^\0]*`+backupPrompt)
	})
	if told := s.notices(alice); len(told) != 0 {
		t.Errorf("mails before there are few codes: %v", told)
	}
	loose := strings.ToUpper(strings.ReplaceAll(codes[2], "-", ""))
	expectSaid(t, use(loose).expectInAfter(t), "2 backup codes are left")
	s.awaitNotice(alice, 1, "Few backup codes", "2 backup codes are left", "mfactl backup-codes")
	expectSaid(t, use(strings.ReplaceAll(codes[1], "-", " ")).expectInAfter(t), "1 backup code is left")
	s.awaitNotice(alice, 2, "1 backup code is left")
	expectSaid(t, s.mustControl("show", alice.name, "--json"), `"backup_left": 1`)
}
