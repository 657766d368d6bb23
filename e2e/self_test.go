package e2e

import (
	"os"
	"strings"
	"testing"
)

// The exit statuses of mfactl that these tests meet.
const (
	statusFailed     = 1
	statusNotAllowed = 4
)

func TestOwnEnrollmentIsTheConversationOfALogin(t *testing.T) {
	s, alice, p, clock := twoMethods(t)
	s.loginByApp(alice, p, clock)
	expectSaid(t, s.mustControl("show", alice.name), "a***e@example.com", "authenticator app", "backup codes left")
}

func TestOwnAppIsReplaced(t *testing.T) {
	s, alice, p, clock := twoMethods(t)
	c := s.own(alice, "enroll")
	c.expect(t, codeOrMenu)
	c.send(p.code(t, clock.step(p.period)))
	c.pick(t, offerApp, "")
	next := c.addApp(t, clock)
	c.expectStatus(t, 0)
	if next.secret == p.secret {
		t.Fatal("the new app has the old secret")
	}
	s.awaitNotice(alice, 1, "Second factor changed", "authenticator app was added", alice.name, hostName)
	s.loginByApp(alice, next, clock)
	c = s.begin(alice)
	c.expect(t, codeOrMenu)
	c.send(p.code(t, clock.step(p.period)))
	c.expect(t, "not right")
}

func TestFirstMethodNeedsNoProof(t *testing.T) {
	s, alice := nothingYet(t)
	c := s.own(alice, "enroll")
	c.pick(t, offerEmail, "")
	c.expect(t, emailPrompt)
	c.send(alice.email)
	c.expect(t, codePrompt(alice))
	c.send(s.code(alice, 1))
	if codes := c.keep(t); len(codes) != 10 {
		t.Errorf("%d backup codes are shown", len(codes))
	}
	c.expectStatus(t, 0)
	s.login(alice, 2)
}

// Where only administrators enroll, code that runs as the user, who has proven nothing,
// sets up no first factor. Who has one adds others.
func TestFirstMethodByAdministratorsOnly(t *testing.T) {
	s, alice := nothingYet(t, "policy.enroll_at_login = false")
	expectSaid(t, s.own(alice, "enroll").expectStatus(t, statusNotAllowed), "Only an administrator")
	s.expectNoRecord(alice)
	s.mustControl("enroll", alice.name, "--email", alice.email, "--no-message")
	c := s.own(alice, "enroll")
	c.expect(t, codePrompt(alice))
	c.send(s.code(alice, 1))
	c.pick(t, offerApp, "")
	c.scan(t)
}

// record returns what the store holds of a's enrollment.
func (s *site) record(a account) string {
	s.t.Helper()
	b, err := os.ReadFile(s.path("store/users/" + a.name + ".toml"))
	ok(s.t, err)
	return string(b)
}

func TestOwnChangesAskForAProofFirst(t *testing.T) {
	s, alice, p, clock := twoMethods(t, `policy.mode = "optional"`, "policy.opt_out = true", "lockout.failures = 100")
	for _, args := range [][]string{{"enroll"}, {"prefer", "email"}, {"backup-codes"}, {"opt-out"}} {
		t.Run(args[0], func(t *testing.T) {
			before := s.record(alice)
			c := s.own(alice, args...)
			for range 3 {
				c.expect(t, codeOrMenu)
				c.send(wrong(p.code(t, clock.step(p.period))))
			}
			said := c.expectStatus(t, statusFailed)
			expectSaid(t, said, "not right")
			if shown := c.said.String(); backupLine.MatchString(shown) || strings.Contains(shown, "set up?") {
				t.Errorf("shown without a proof: %q", shown)
			}
			if now := s.record(alice); now != before {
				t.Errorf("changed without a proof, from\n%s\nto\n%s", before, now)
			}
			if told := s.notices(alice); len(told) != 0 {
				t.Errorf("mails without a change: %v", told)
			}
		})
	}
	s.expectFailures(alice, 12)
	s.loginByApp(alice, p, clock)
}

// expectEvent ends the test unless the last event of that kind about a came from
// mfactl, by actor.
func (s *site) expectEvent(a account, event, actor string) {
	s.t.Helper()
	found := s.events(a, event)
	if len(found) == 0 {
		s.t.Fatalf("no %s in the audit file", event)
	}
	if last := found[len(found)-1]; last["actor"] != actor || last["service"] != "mfactl" {
		s.t.Errorf("the audit file says %v", last)
	}
}

// proven opens mfactl as a and proves who it is by an app.
func (s *site) proven(a account, p phone, clock *clock, args ...string) *terminal {
	s.t.Helper()
	c := s.own(a, args...)
	c.expect(s.t, codeOrMenu)
	c.send(p.code(s.t, clock.step(p.period)))
	return c
}

func TestOwnPreference(t *testing.T) {
	s, alice, p, clock := twoMethods(t)
	expectSaid(t, s.proven(alice, p, clock, "prefer", "email").expectStatus(t, 0), "email")
	s.expectEvent(alice, "enrollment.changed", alice.name)
	s.login(alice, 2)
	c := s.own(alice, "prefer", "sms")
	c.expect(t, codePrompt(alice))
	c.send(s.code(alice, 3))
	expectSaid(t, c.expectStatus(t, statusNotAllowed), "not set up")
}

func TestNewBackupCodesEndTheOldOnes(t *testing.T) {
	s, alice := nothingYet(t)
	s.enrollByEmail(alice, 1)
	c := s.own(alice, "backup-codes")
	c.expect(t, codeOrMenu)
	c.send(s.code(alice, 2))
	old := backupLine.FindAllString(c.expectStatus(t, 0), -1)
	s.awaitNotice(alice, 1, "New backup codes", "the old ones are void")
	c = s.own(alice, "backup-codes")
	c.expect(t, codeOrMenu)
	c.send(s.code(alice, 3))
	codes := backupLine.FindAllString(c.expectStatus(t, 0), -1)
	if len(old) != 10 || len(codes) != 10 {
		t.Fatalf("%d backup codes, and then %d", len(old), len(codes))
	}
	s.awaitNotice(alice, 2, "New backup codes")
	s.expectEvent(alice, "enrollment.changed", alice.name)

	c = s.begin(alice)
	c.expect(t, codeOrMenu)
	c.send("m")
	c.pick(t, byBackup, "")
	c.expect(t, backupPrompt)
	c.send(old[0])
	c.expect(t, `not right[^\0]*`+backupPrompt)
	c.send(codes[0])
	expectSaid(t, c.expectInAfter(t), "9 backup codes are left")
}

func TestOptOut(t *testing.T) {
	s, alice, p, clock := twoMethods(t, `policy.mode = "optional"`, "policy.opt_out = true")
	s.proven(alice, p, clock, "opt-out").expectStatus(t, 0)
	s.expectEvent(alice, "enrollment.opted_out", alice.name)
	s.awaitNotice(alice, 1, "Second factor removed", "own choice")
	s.expectNotAsked(alice)
	if strings.Contains(s.record(alice), "totp") {
		t.Errorf("the record still has the app:\n%s", s.record(alice))
	}
	s.mustControl("reset", alice.name, "--yes")
	s.begin(alice).pick(t, offerSkip, "")
}

func TestNoOptOutWhereItIsRequired(t *testing.T) {
	s, alice, p, clock := twoMethods(t)
	expectSaid(t, s.own(alice, "opt-out").expectStatus(t, statusNotAllowed), "required")
	s.loginByApp(alice, p, clock)
}
