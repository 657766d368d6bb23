package login

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"mfa/internal/audit"
	"mfa/internal/challenge"
	"mfa/internal/mfa"
)

// recovering is for users who can get mails about locks.
func recovering(s *settings) {
	s.keeping.Lockout.Recovery, s.keeping.Lockout.Notify = true, true
}

// newRecovering returns a harness on which alice has confirmed her address.
func newRecovering(t *testing.T, change ...func(*settings)) *harness {
	t.Helper()
	d := newHarness(t, append([]func(*settings){recovering}, change...)...)
	d.login(request("alice"), mfa.Accepted, d.withCode())
	return d
}

// lock types wrong codes until alice is locked.
func (d *harness) lock() { d.lockFrom(request("alice")) }

// lockFrom is lock by logins that are all the same.
func (d *harness) lockFrom(req mfa.Request) {
	d.t.Helper()
	for {
		s := promptFunc(guessWrongly)
		if _, err := d.engine.Login(d.t.Context(), req, s); err != nil {
			d.t.Fatal(err)
		}
		if _, _, locked := d.state("alice").Locked(d.clock()); locked {
			return
		}
	}
}

const recoveryLine = `(?m)^Recovery code: (\S+)$`

// recovery returns the recovery code mailed nth, as soon as it is.
func (d *harness) recovery(n int) string {
	d.t.Helper()
	var codes []string
	d.await(func() bool {
		codes = d.mailed(recoveryLine)
		return len(codes) >= n
	})
	return codes[n-1]
}

// told returns the mails so far with that in their subject.
func (d *harness) told(subject string) (found []mfa.Message) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, m := range d.mails {
		if strings.Contains(m.Subject, subject) {
			found = append(found, m)
		}
	}
	return found
}

// guessWrongly answers whatever is asked, and wrongly.
func guessWrongly(_ context.Context, p mfa.Prompt) (string, error) {
	if strings.HasSuffix(p.Text, challenge.EndRecovery) {
		return "2222-2222-2222-2222", nil
	}
	return "990099", nil
}

func TestRecoveryCodeUnlocksAndTheSecondFactorFollows(t *testing.T) {
	d := newRecovering(t)
	d.lock()
	code := d.recovery(1)
	m := d.told("Second factor locked on host")
	if len(m) != 1 || m[0].To != "alice@example.com" {
		t.Fatalf("mails %+v", m)
	}
	for _, want := range []string{"locked for 15 minutes", "sshd", "192.0.2.1", "alice", "2026-11-21 12:00", "24 hours"} {
		if !strings.Contains(m[0].Text, want) {
			t.Errorf("the mail does not say %q:\n%s", want, m[0].Text)
		}
	}
	d.login(request("alice"), mfa.WrongCode,
		step{"locked for 15 minutes", say("2222-2222-2222-2222"), nil},
		step{"not right", say(" " + strings.ToUpper(code) + " "), nil},
		wrong("was sent"),
		step{want: "2 tries left", err: mfa.ErrNoConversation})
	d.login(request("alice"), mfa.Accepted, step{"was sent", d.code, nil})
	if st := d.state("alice"); st.Recovery != nil || st.MustChangePassword || st.LockedUntil != nil {
		t.Errorf("state %+v", st)
	}
	if strings.Contains(d.log.String(), code) {
		t.Error("the log holds the code")
	}
}

func TestLockedWithoutARecoveryCode(t *testing.T) {
	for name, tc := range map[string]struct {
		setUp func(*harness)
		mails int
	}{
		"no confirmed address": {func(d *harness) {
			d.enroll("alice", mfa.Enrollment{UID: 1000, Email: &mfa.Address{Address: "alice@example.com"}})
			d.lock()
		}, 0},
		"the code expired": {func(d *harness) {
			d.lock()
			d.recovery(1)
			d.advance(24 * time.Hour)
		}, 1},
		"locked by an administrator": {func(d *harness) {
			d.lock()
			d.recovery(1)
			if _, err := d.accounts.Lock(d.t.Context(), mfa.Identity{Name: "alice", UID: 1000}, 0, "root"); err != nil {
				d.t.Fatal(err)
			}
		}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			d := newRecovering(t, func(s *settings) { s.keeping.Lockout.Duration = minutes(60 * 48) })
			tc.setUp(d)
			d.login(request("alice"), mfa.Exhausted, step{want: "locked"})
			if n := len(d.told("locked")); n != tc.mails {
				t.Errorf("%d mails about the lock, want %d", n, tc.mails)
			}
		})
	}
}

func TestLockMailsByTheirKeys(t *testing.T) {
	for name, tc := range map[string]struct {
		recovery, notify bool
		mails            int
		code             bool
	}{
		"both":          {true, true, 1, true},
		"recovery only": {true, false, 1, true},
		"notify only":   {false, true, 1, false},
		"neither":       {false, false, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			d := newRecovering(t, func(s *settings) {
				s.keeping.Lockout.Recovery, s.keeping.Lockout.Notify = tc.recovery, tc.notify
			})
			d.lock()
			d.await(func() bool { return len(d.mails) >= 2+tc.mails })
			m := d.told("locked")
			if len(m) != tc.mails {
				t.Fatalf("mails %+v", m)
			}
			if tc.mails > 0 && strings.Contains(m[0].Text, "Recovery code: ") != tc.code {
				t.Errorf("mail %q", m[0].Text)
			}
			if has := d.state("alice").Recovery != nil; has != tc.code {
				t.Errorf("a code is kept: %v", has)
			}
		})
	}
}

// A mailbox is not flooded by locks, and the code that was mailed last stays good.
func TestFewMailsAboutLocksADay(t *testing.T) {
	d := newRecovering(t)
	for range 7 {
		d.advance(16 * time.Minute)
		d.lock()
	}
	code := d.recovery(5)
	d.login(request("alice"), mfa.NoConversation,
		step{"Recovery code: ", say(code), nil}, step{want: "sent", err: mfa.ErrNoConversation})
	if n := len(d.told("locked")); n != 5 {
		t.Errorf("%d mails", n)
	}
	d.advance(24 * time.Hour)
	d.lock()
	d.recovery(6)
}

func TestANewLockReplacesTheRecoveryCode(t *testing.T) {
	d := newRecovering(t)
	d.lock()
	old := d.recovery(1)
	d.advance(16 * time.Minute)
	d.lock()
	code := d.recovery(2)
	d.login(request("alice"), mfa.NoConversation,
		step{"Recovery code: ", say(old), nil}, step{"not right", say(code), nil},
		step{want: "sent", err: mfa.ErrNoConversation})
}

func TestARightCodeEndsTheRecoveryCode(t *testing.T) {
	d := newRecovering(t)
	d.lock()
	d.recovery(1)
	d.advance(16 * time.Minute)
	d.login(request("alice"), mfa.Accepted, step{"sent", d.code, nil})
	if d.state("alice").Recovery != nil {
		t.Error("it is kept")
	}
}

// However many guess at once, each guess is counted before anybody hears of it, and
// at the twentieth the code is void.
func TestGuessesAtARecoveryCodeAreBounded(t *testing.T) {
	d := newRecovering(t)
	d.lock()
	d.recovery(1)
	var all sync.WaitGroup
	for range 30 {
		all.Go(func() {
			p := promptFunc(guessWrongly)
			if v, err := d.engine.Login(t.Context(), request("alice"), p); v.Outcome != mfa.Exhausted || err != nil {
				t.Errorf("%+v %v", v, err)
			}
		})
	}
	all.Wait()
	if n := d.audited(audit.RecoveryFailed); n != 20 {
		t.Errorf("%d guesses were counted, want 20", n)
	}
	d.login(request("alice"), mfa.Exhausted, step{want: "locked"}) // and it is not asked for
	if n := d.state("alice").Recovery.Tries; n != 20 {
		t.Errorf("%d tries", n)
	}
}

func TestWhatIsNoRecoveryCodeIsNotCounted(t *testing.T) {
	d := newRecovering(t)
	d.lock()
	d.recovery(1)
	d.login(request("alice"), mfa.Exhausted,
		step{"Recovery code: ", say("123456"), nil},
		step{want: "cannot be the recovery code", err: mfa.ErrPasswordTyped},
		step{"That is your password", say("no code"), nil},
		step{want: "ends here"})
	d.login(request("alice"), mfa.Exhausted, step{want: "Recovery code: ", err: mfa.ErrNoConversation}, step{want: "locked for 15"})
	d.login(request("alice"), mfa.Exhausted, step{"Recovery code: ", say(""), nil}, step{want: "ends here"})
	if st := d.state("alice"); st.Recovery.Tries != 0 || len(st.MethodFailures) != 1 {
		t.Errorf("state %+v", st)
	}
}

func TestForcedPasswordChangeOutlivesTheConversation(t *testing.T) {
	d := newRecovering(t, func(s *settings) { s.keeping.Lockout.ForcePasswordChange = true })
	d.lock()
	d.login(request("alice"), mfa.NoConversation,
		step{"Recovery code: ", say(d.recovery(1)), nil}, step{want: "sent", err: errors.New("gone")})
	for _, demanded := range []bool{true, false} {
		steps := []step{{"sent", d.code, nil}}
		if demanded {
			steps = append(steps, step{want: "required to change your password now"})
		}
		s := &script{t: t, steps: steps}
		v, err := d.engine.Login(t.Context(), request("alice"), s)
		if v.Outcome != mfa.Accepted || v.ChangePassword != demanded || err != nil {
			t.Errorf("%+v %v, want a demand: %v", v, err, demanded)
		}
	}
}

// A conversation of mfactl is no login: it leaves the demand to the next one.
func TestSelfServiceLeavesTheDemand(t *testing.T) {
	d := newRecovering(t, func(s *settings) { s.keeping.Lockout.ForcePasswordChange = true })
	d.lock()
	s := &script{t: t, steps: []step{
		{"Recovery code: ", say(d.recovery(1)), nil},
		{"sent", d.code, nil},
	}}
	c := d.engine.Converse(mfa.Identity{Name: "alice", UID: 1000}, mfa.Origin{Service: "mfactl", Address: "local"}, s)
	if v, err := d.engine.Prove(t.Context(), c); v.Outcome != mfa.Accepted || err != nil {
		t.Fatalf("%+v %v", v, err)
	}
	if !d.state("alice").MustChangePassword {
		t.Error("the demand is gone")
	}
}

func TestChangePasswordByChoice(t *testing.T) {
	d := newHarness(t)
	s := &script{t: t, steps: []step{
		{"sent", say("m"), nil},
		{"Type p to change your password after this login.", say("P"), nil},
		{"Your password is changed after this login.", d.code, nil},
		{want: "Change your password now"},
	}}
	if v, err := d.engine.Login(t.Context(), request("alice"), s); v.Outcome != mfa.Accepted || !v.ChangePassword || err != nil {
		t.Errorf("%+v %v", v, err)
	}
	if st := d.state("alice"); len(st.MethodFailures) != 0 || st.MustChangePassword {
		t.Errorf("state %+v", st)
	}
	// Where the application would not do it, it is an answer like others.
	req := request("alice")
	req.Service = "sudo"
	d.login(req, mfa.NoConversation, step{"sent", say("m"), nil}, step{"No other method is set up for this account.\nCode: ", say("p"), nil},
		step{want: "cannot be the code", err: mfa.ErrNoConversation})
}

func TestNoPasswordChangeForARefusedLogin(t *testing.T) {
	d := newHarness(t)
	s := &script{t: t, steps: []step{
		{"sent", say("p"), nil}, wrong("after this login"), {want: "2 tries", err: mfa.ErrNoConversation},
	}}
	if v, _ := d.engine.Login(t.Context(), request("alice"), s); v.Outcome != mfa.WrongCode || v.ChangePassword {
		t.Errorf("%+v", v)
	}
}

func TestLockByAdministrator(t *testing.T) {
	d := newRecovering(t)
	id := mfa.Identity{Name: "alice", UID: 1000}
	if until, err := d.accounts.Lock(t.Context(), id, 2*time.Hour, "root"); err != nil || !until.Equal(start.Add(2*time.Hour)) {
		t.Fatal(until, err)
	}
	d.login(request("alice"), mfa.Exhausted, step{want: "locked by an administrator, for 120 minutes"})
	if until, err := d.accounts.Lock(t.Context(), id, 0, "root"); err != nil || until != nil {
		t.Fatal(until, err)
	}
	d.advance(1000 * time.Hour)
	d.login(request("alice"), mfa.Exhausted, step{want: "locked by an administrator, until one unlocks it"})
	if _, err := d.accounts.Unlock(t.Context(), "alice", "root"); err != nil {
		t.Fatal(err)
	}
	d.login(request("alice"), mfa.Accepted, d.withCode())
	if n := len(d.told("locked")); n != 0 {
		t.Errorf("%d mails", n)
	}
}
