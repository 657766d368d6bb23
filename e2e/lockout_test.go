package e2e

import (
	"errors"
	"fmt"
	"net"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mfa/internal/deliver/delivertest"
	"mfa/internal/mfa"
	"mfa/internal/wire"
	"mfa/internal/wire/wiretest"
)

// Events of lockouts in the audit file.
const (
	eventLocked         = "lockout.locked"
	eventUnlocked       = "lockout.unlocked"
	eventRecoveryFailed = "recovery.failed"
	eventDisabled       = "factor.disabled"
)

const recoveryPrompt = `Recovery code: $`

// newPassword is what a user changes theirs to. No dictionary has it.
const newPassword = "Wq4-second-life-Wq4"

// recoveryLine is how a mail shows its recovery code.
var recoveryLine = regexp.MustCompile(`(?m)^Recovery code: ([2-9a-y]{4}(?:-[2-9a-y]{4}){3})\r?$`)

// recoveryCode returns the recovery code in the letter.
func (l letter) recoveryCode(t testing.TB) string {
	t.Helper()
	m := recoveryLine.FindStringSubmatch(l.body)
	if m == nil {
		t.Fatalf("no recovery code in the mail %q", l.raw)
	}
	return m[1]
}

// changesPasswords puts a password part that changes /etc/shadow into a stack.
func changesPasswords(t testing.TB, service string) {
	t.Helper()
	ok(t, appendFile("/etc/pam.d/"+service, "password required pam_unix.so sha512"))
}

// lockByCodes types n wrong codes, at most three a connection, and returns what
// the last one was told.
func (s *site) lockByCodes(a account, n int) string {
	s.t.Helper()
	for {
		c := s.begin(a)
		for range min(n, 3) {
			c.expect(s.t, `Code[^\n]*: $`)
			c.send("000000")
			n--
		}
		if said := c.expectOut(s.t); n == 0 {
			return unwrapped(said)
		}
	}
}

// changePassword goes through what sshd shows of pam_unix, from the old password
// to the new one.
func (c *terminal) changePassword(t testing.TB) {
	t.Helper()
	c.expect(t, `Current password: $`)
	c.send(password)
	c.expect(t, `New password: $`)
	c.send(newPassword)
	c.expect(t, `Retype new password: $`)
	c.send(newPassword)
}

// expectNewPassword ends the test unless only the new password leads a to the
// second factor. It returns the login.
func (s *site) expectNewPassword(a account) *terminal {
	s.t.Helper()
	c := s.begin(a)
	c.expectOut(s.t)
	c = s.ssh(a)
	c.expect(s.t, `Password: $`)
	c.send(newPassword)
	c.expect(s.t, `Code[^\n]*: $`)
	return c
}

func TestLockRecoverChangePassword(t *testing.T) {
	e := delivertest.StartExim(t, delivertest.EximOptions{NoTLS: true})
	s, alice := smtpReady(t, "alice", e.Port, "lockout.force_password_change = true")
	changesPasswords(t, "sshd")
	s.loginByExim(alice, e, 1) // confirms the address

	if said := s.lockByCodes(alice, failures); !strings.Contains(said, "locked for 15 minutes") {
		t.Fatalf("the last wrong code says %q", said)
	}
	mails := e.Mails(t, 3)
	mail, err := parseLetter(mails[2].Raw)
	ok(t, err)
	expectSaid(t, unwrapped(mail.subject+" "+mail.body), "locked", hostName, alice.name, "sshd", "127.0.0.1",
		"15 minutes", "Time:", "24 hours")
	code := mail.recoveryCode(t)

	t.Run("an empty line is out", func(t *testing.T) {
		c := s.begin(alice)
		expectSaid(t, unwrapped(c.expect(t, recoveryPrompt)), "locked for", "minutes", "a***e@example.com")
		c.send("")
		c.expectOut(t)
	})
	t.Run("wrong codes are out", func(t *testing.T) {
		c := s.begin(alice)
		for range 2 {
			c.expect(t, recoveryPrompt)
			c.send("2222-2222-2222-2222")
		}
		c.expect(t, recoveryPrompt)
		c.send("000000") // has not the shape of one, and is asked again
		c.expect(t, recoveryPrompt)
		c.send("")
		c.expectOut(t)
		if n := len(s.events(alice, eventRecoveryFailed)); n != 2 {
			t.Errorf("%d wrong recovery codes were counted", n)
		}
		s.expectFailures(alice, failures)
	})

	s.restartDaemon() // all this is remembered
	c := s.begin(alice)
	c.expect(t, recoveryPrompt)
	c.send(strings.ToUpper(code))
	c.expect(t, codePrompt(alice))
	c.close() // the connection drops, but the demand for a new password stands

	c = s.begin(alice)
	c.expect(t, codePrompt(alice))
	mails = e.Mails(t, 3)
	last, err := letter{body: mails[1].Text, raw: mails[1].Raw}.code()
	ok(t, err)
	c.send(last) // it was sent before the lock, and is still good
	expectSaid(t, unwrapped(c.expect(t, `password now\.`)), "You are required to change your password now.")
	c.changePassword(t)
	c.expectIn(t)

	c = s.expectNewPassword(alice)
	mails = e.Mails(t, 4)
	last, err = letter{body: mails[3].Text, raw: mails[3].Raw}.code()
	ok(t, err)
	c.send(last)
	c.expectIn(t) // and no further change is demanded
	if n := len(s.events(alice, eventUnlocked)); n != 1 {
		t.Errorf("%d times unlocked", n)
	}
	for _, secret := range []string{code, newPassword, password} {
		for _, place := range []string{"audit.jsonl", "store/state.db", "store/state-0.log", "store/state-1.log"} {
			text, err := os.ReadFile(s.path(place))
			ok(t, err)
			if strings.Contains(string(text), secret) {
				t.Errorf("%q is in %s", secret, place)
			}
		}
		if strings.Contains(s.log.String(), secret) {
			t.Errorf("%q is in the log", secret)
		}
	}
}

func TestRecoveryCodeIsGoodOnce(t *testing.T) {
	s, alice := ready(t)
	s.login(alice, 1)
	s.lockByCodes(alice, failures)
	s.awaitNotice(alice, 1, "Second factor locked")
	first := s.notices(alice)[0].recoveryCode(t)
	c := s.begin(alice)
	c.expect(t, recoveryPrompt)
	c.send(first)
	c.expect(t, codePrompt(alice))
	c.close()

	s.lockByCodes(alice, failures)
	s.awaitNotice(alice, 2, "Second factor locked")
	c = s.begin(alice)
	c.expect(t, recoveryPrompt)
	c.send(first)
	expectSaid(t, unwrapped(c.expect(t, recoveryPrompt)), "not right")
	c.send(s.notices(alice)[1].recoveryCode(t))
	c.expect(t, codePrompt(alice))
	c.send(s.code(alice, 2))
	c.expectIn(t)
}

// A client that cannot be asked is refused like before, and nothing hangs.
func TestLockedAndNobodyToAsk(t *testing.T) {
	s, alice := ready(t)
	s.login(alice, 1)
	s.lockByCodes(alice, failures)
	s.awaitNotice(alice, 1, "Second factor locked")
	c := s.begin(alice)
	c.expect(t, recoveryPrompt)
	c.send(password) // as the password method of sshd does
	c.expect(t, `your password[^\0]*`+recoveryPrompt)
	c.send("")
	c.expectOut(t)
	if n := len(s.events(alice, eventRecoveryFailed)); n != 0 {
		t.Errorf("%d wrong recovery codes were counted", n)
	}
}

func TestRecoveryOff(t *testing.T) {
	s, alice := ready(t, "lockout.recovery = false")
	s.login(alice, 1)
	s.lockByCodes(alice, failures)
	s.awaitNotice(alice, 1, "Second factor locked", "15 minutes")
	if body := s.notices(alice)[0].body; strings.Contains(strings.ToLower(body), "recovery") {
		t.Errorf("the mail speaks of recovery:\n%s", body)
	}
	c := s.begin(alice)
	expectSaid(t, unwrapped(c.expectOut(t)), "locked for")
}

func TestLockByAdministrator(t *testing.T) {
	s, alice := ready(t)
	s.login(alice, 1)
	expectSaid(t, s.mustControl("lock", alice.name), "locked until")
	c := s.begin(alice)
	expectSaid(t, unwrapped(c.expectOut(t)), "locked by an administrator")
	expectSaid(t, s.mustControl("show", alice.name), "until unlocked")
	s.mustControl("unlock", alice.name)
	s.login(alice, 2)

	s.mustControl("lock", alice.name, "--for", "2h")
	c = s.begin(alice)
	expectSaid(t, unwrapped(c.expectOut(t)), "for 120 minutes")
	s.mustControl("unlock", alice.name)
	s.login(alice, 3)
	if n := len(s.notices(alice)); n != 0 {
		t.Errorf("%d mails about a lock by an administrator", n)
	}
	if locked, unlocked := s.events(alice, eventLocked), s.events(alice, eventUnlocked); len(locked) != 2 || len(unlocked) != 2 ||
		locked[0]["actor"] != "root" {
		t.Errorf("locked %v, unlocked %v", locked, unlocked)
	}
}

func TestPresetStig(t *testing.T) {
	s, alice := ready(t, `lockout.preset = "stig"`)
	s.login(alice, 1)
	if said := s.lockByCodes(alice, 3); !strings.Contains(said, "until an administrator unlocks it") {
		t.Errorf("the third wrong code says %q", said)
	}
	s.expectFailures(alice, 3)
	c := s.begin(alice)
	expectSaid(t, unwrapped(c.expectOut(t)), "until an administrator unlocks it")
}

func TestChangePasswordFromTheMenu(t *testing.T) {
	t.Run("several methods", func(t *testing.T) {
		s, alice, p, clock := twoMethods(t)
		changesPasswords(t, "sshd")
		c := s.begin(alice)
		c.expect(t, codeOrMenu)
		c.send("m")
		expectSaid(t, unwrapped(c.expect(t, choicePrompt)), "p to change your password")
		c.send("p")
		expectSaid(t, unwrapped(c.expect(t, choicePrompt)), "after this login")
		c.send("")
		c.expect(t, codeOrMenu)
		c.send(p.code(t, clock.step(p.period)))
		c.changePassword(t)
		c.expectIn(t)
		c = s.expectNewPassword(alice)
		c.send(p.code(t, clock.step(p.period)))
		c.expectIn(t)
	})
	t.Run("one method", func(t *testing.T) {
		s, alice := ready(t)
		changesPasswords(t, "sshd")
		c := s.ssh(alice)
		c.toCode(s, alice)
		c.send("m")
		expectSaid(t, unwrapped(c.expect(t, codeWanted)), "No other method", "p to change your password")
		c.send("p")
		expectSaid(t, unwrapped(c.expect(t, codeWanted)), "after this login")
		c.send(s.code(alice, 1))
		c.changePassword(t)
		c.expectIn(t)
		s.expectFailures(alice, 0)
		c = s.expectNewPassword(alice)
		c.send(s.code(alice, 2))
		c.expectIn(t)
	})
}

func TestNoticeOfWrongCodesFromANewAddress(t *testing.T) {
	s := fromHome(t)
	alice := s.newUser("alice")
	s.login(alice, 1) // home is known from here on
	c := s.begin(alice)
	c.expect(t, codeWanted)
	c.send("000000")
	c.expect(t, `not right[^\0]*`+codeWanted)
	c.close()
	eventually(t, "the login ends", func() bool { return len(s.events(alice, eventLogin)) == 2 })

	stranger := []string{"BindAddress=" + next}
	for range 2 { // one mail a day
		c = s.ssh(alice, stranger...)
		c.toCode(s, alice)
		c.send("000000")
		c.expect(t, `not right[^\0]*`+codeWanted)
		c.send("")
		c.expect(t, codeWanted)
		c.close()
	}
	s.awaitNotice(alice, 1, "Wrong code", next, "sshd", hostName)
	eventually(t, "the logins end", func() bool { return len(s.events(alice, eventLogin)) == 4 })
	if told := s.notices(alice); len(told) != 1 {
		t.Errorf("%d notices", len(told))
	}
}

// The attack of NIST SP 800-63B-4, 3.2.2: as many guesses at once as there can be.
func TestTwoThousandParallelWrongGuesses(t *testing.T) {
	const connections, guesses = 200, 10
	s, alice := ready(t)
	s.login(alice, 1)
	together(t, connections, func(int) error {
		for left := guesses; left > 0; {
			n, err := s.guess(alice, left)
			if err != nil {
				return err
			}
			if n == 0 {
				n = 1 // refused without a question: that was a guess, too
			}
			left -= n
		}
		return nil
	})
	s.expectFailures(alice, failures)
	if n := len(s.events(alice, eventLocked)); n != 1 {
		t.Errorf("locked %d times", n)
	}
	if n := len(s.events(alice, eventRecoveryFailed)); n > 20 {
		t.Errorf("%d guesses at the recovery code were evaluated", n)
	}
	accepted := 0
	for _, e := range s.events(alice, eventLogin) {
		if e["outcome"] == mfa.Accepted.String() {
			accepted++
		}
	}
	if accepted != 1 {
		t.Errorf("%d logins were accepted, want the first", accepted)
	}
	expectSaid(t, s.mustControl("show", alice.name), "until 20")
}

// guess holds a login as the module does and answers every prompt wrongly, most
// times at most. It returns how often it did.
func (s *site) guess(a account, most int) (n int, err error) {
	c, err := net.Dial("unix", s.path("run/pam.sock"))
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	if err := c.SetDeadline(time.Now().Add(2 * patience)); err != nil {
		return 0, err
	}
	if err := wire.Write(c, wiretest.Hello(mfa.Request{Service: "sshd", User: a.name, RHost: "127.0.0.1"})); err != nil {
		return 0, err
	}
	for {
		f, err := wire.Read(c)
		if err != nil {
			return n, err
		}
		switch f.Type {
		case wire.Done:
			if outcome, err := wire.DecodeDone(f); err != nil || outcome == mfa.Accepted || outcome == mfa.Exempt {
				return n, fmt.Errorf("a wrong guess is %v: %w", outcome, err)
			}
			return n, nil
		case wire.Prompt:
			if n == most {
				return n, nil // the one before was looked at
			}
			wrong := "000000"
			if strings.HasSuffix(string(f.Payload), "Recovery code: ") {
				wrong = "2222-2222-2222-2222"
			}
			n++
			err := wire.Write(c, wire.Frame{Type: wire.Answer, Payload: []byte(wrong)})
			if errors.Is(err, unix.EPIPE) {
				return n, nil // the lock that another guess brought ended this login
			}
			if err != nil {
				return n, err
			}
		}
	}
}

// A method that was guessed at a hundred times in a row is worth nothing until it is
// set up anew, however often the lock in between was ended.
func TestMethodIsDisabled(t *testing.T) {
	s, alice := ready(t, "lockout.failures = 100")
	s.login(alice, 1)
	for left := 100; left > 0; {
		n, err := s.guess(alice, left)
		ok(t, err)
		left -= n
	}
	s.expectFailures(alice, 100)
	s.mustControl("unlock", alice.name)
	c := s.begin(alice)
	expectSaid(t, unwrapped(c.expectOut(t)), "disabled after 100 wrong codes")
	if n := len(s.events(alice, eventDisabled)); n != 1 {
		t.Errorf("%d events", n)
	}
	expectSaid(t, s.mustControl("show", alice.name), "disabled:")
	s.mustControl("enroll", alice.name, "--email", alice.email)
	c = s.begin(alice)
	c.expect(t, codeWanted)
	c.close()
}

// Where PAM cannot change the password, the login fails and does not pass unchanged.
func TestPasswordCannotBeChanged(t *testing.T) {
	s, alice := ready(t)
	ok(t, appendFile("/etc/pam.d/sshd", "password required pam_deny.so"))
	c := s.ssh(alice)
	c.toCode(s, alice)
	c.send("p")
	c.expect(t, codeWanted)
	c.send(s.code(alice, 1))
	c.expectOut(t)
}

// With the parts that Debian's services include.
func TestManualPasswordChange(t *testing.T) {
	s := newSite(t)
	lines := []string{"@include common-auth"}
	lines = append(lines, manual(t, "pam.d: password and code")[1:]...)
	lines = append(lines, "@include common-account")
	lines = append(lines, manual(t, "pam.d: password change")...)
	lines = append(lines, "@include common-password", "session required pam_permit.so", "")
	stack := strings.ReplaceAll(strings.Join(lines, "\n"), "pam_mfa.so", s.module())
	ok(t, os.WriteFile("/etc/pam.d/sshd", []byte(stack), 0o644))
	s.startDaemon()
	s.sshd()
	alice := s.newUser("alice")
	c := s.ssh(alice)
	c.toCode(s, alice)
	c.send("p")
	c.expect(t, codeWanted)
	c.send(s.code(alice, 1))
	c.changePassword(t)
	c.expectIn(t)
	s.expectNewPassword(alice).close()
}
