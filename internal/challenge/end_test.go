package challenge

import (
	"context"
	"errors"
	"testing"
	"time"

	"mfa/internal/account"
	"mfa/internal/factor"
	"mfa/internal/mfa"
)

// The person is asked again for what is there now, a few times; where the name is another
// account's by now, the conversation is over.
func TestRepeat(t *testing.T) {
	for name, tc := range map[string]struct {
		errs   []error // of one try after another
		gone   error
		want   mfa.Outcome
		tries  int
		last   string
		failed error
	}{
		"at once":          {[]error{nil}, nil, mfa.Accepted, 1, "", nil},
		"after a change":   {[]error{account.ErrChanged, nil}, nil, mfa.Accepted, 2, "", nil},
		"after new rules":  {[]error{account.ErrRules, nil}, nil, mfa.Accepted, 2, "", nil},
		"again and again":  {[]error{account.ErrChanged, account.ErrChanged, account.ErrChanged}, nil, mfa.Exhausted, 3, TextStopped, nil},
		"another's name":   {[]error{account.ErrChanged}, account.ErrAccount, mfa.Unavailable, 1, textAccount, nil},
		"a look-up failed": {[]error{account.ErrChanged}, errAway, mfa.Unavailable, 1, TextUnavailable, errAway},
		"another error":    {[]error{errAway}, nil, mfa.Unavailable, 1, "", errAway},
	} {
		h := newHarness(t)
		s := &script{t: t}
		c := h.talk(s)
		c.User.Require(account.Preconditions{Account: func(context.Context) error { return tc.gone }})
		tries := 0
		v, err := c.Repeat(t.Context(), func(context.Context) (mfa.Verdict, error) {
			tries++
			if err := tc.errs[tries-1]; err != nil {
				return mfa.Verdict{Outcome: mfa.Unavailable}, err
			}
			return mfa.Verdict{Outcome: mfa.Accepted}, nil
		})
		if v.Outcome != tc.want || tries != tc.tries || !errors.Is(err, tc.failed) {
			t.Errorf("%s: %+v, %v after %d tries", name, v, err, tries)
		}
		if len(s.said) > 0 || tc.last != "" {
			s.end(tc.last)
		}
	}
}

// Nobody is let in where a prompt got no answer, the client is gone, or the conversation was
// ended from outside.
func TestClose(t *testing.T) {
	accepted := mfa.Verdict{Outcome: mfa.Accepted, Reason: "right code"}
	c := newHarness(t).talk(&script{t: t})
	if v, err := c.Close(t.Context(), accepted, nil); v != accepted || err != nil {
		t.Errorf("%+v, %v", v, err)
	}
	gone, end := context.WithCancelCause(t.Context())
	end(errAway)
	if v, err := c.Close(gone, accepted, nil); v.Outcome != mfa.NoConversation || !errors.Is(err, errAway) {
		t.Errorf("gone: %+v, %v", v, err)
	}
	s := &script{t: t}
	c = newHarness(t).talk(s)
	ended, end := context.WithCancelCause(t.Context())
	end(mfa.Ended{Outcome: mfa.Exhausted, Text: "You were reset.", Err: errAway})
	if v, err := c.Close(ended, accepted, nil); v.Outcome != mfa.Exhausted || err != nil {
		t.Errorf("ended: %+v, %v", v, err)
	}
	s.end("You were reset.")
	s = &script{t: t}
	c = newHarness(t).talk(s)
	c.Say(t.Context(), mfa.Failure, "You were reset.") // an answer met the same
	if _, err := c.Close(ended, accepted, nil); err != nil || len(s.said) != 1 {
		t.Errorf("told %d times: %v", len(s.said), err)
	}
	c = newHarness(t).talk(&script{t: t, steps: []step{{"x", fails(mfa.ErrNoConversation)}}})
	_, _ = c.Line(t.Context(), mfa.Ask, "x")
	if v, err := c.Close(t.Context(), accepted, nil); v.Outcome != mfa.NoConversation || !errors.Is(err, mfa.ErrNoConversation) {
		t.Errorf("unanswered: %+v, %v", v, err)
	}
}

// A conversation does not go round for ever, whatever is answered.
func TestPromptsAreBounded(t *testing.T) {
	s := &script{t: t}
	for range maxPrompts {
		s.steps = append(s.steps, step{"Choice", types("7")})
	}
	if _, _, err := newHarness(t).talk(s).Choose(t.Context(), "Which?", []string{"one", "two"}, ""); !errors.Is(err, mfa.ErrNoConversation) {
		t.Errorf("%v", err)
	}
	s.end("Choice [1]:")
}

func TestChoose(t *testing.T) {
	for answer, want := range map[string]struct {
		chosen  int
		starred bool
		keyed   bool
	}{"": {0, false, false}, "1": {0, false, false}, " 2": {1, false, false}, "2*": {1, true, false}, "2 *": {1, true, false}, "*": {0, true, false}, "P": {0, false, true}} {
		s := &script{t: t, steps: []step{{"Which? 1 one 2 two Star. P is it. Choice [1]:", types(answer)}}}
		i, starred, keyed, err := newHarness(t).talk(s).ChooseOrKey(t.Context(), "Which?", []string{"one", "two"}, "Star.", "p", "P is it.")
		if err != nil || i != want.chosen || starred != want.starred || keyed != want.keyed {
			t.Errorf("%q: %d %v %v, %v", answer, i, starred, keyed, err)
		}
		s.end("Choice [1]:")
	}
}

// A lock tells of itself; with a recovery code out, it is asked for, and ends the lock.
func TestRecover(t *testing.T) {
	for name, tc := range map[string]struct {
		steps []step
		want  mfa.Outcome
		last  string
	}{
		"right":         {[]step{{"Recovery code:", nil}}, mfa.Accepted, "Recovery code:"},
		"empty":         {[]step{{"Recovery code:", types("")}}, mfa.Exhausted, TextStopped},
		"wrong, right":  {[]step{{"Recovery code:", types("3333-3333-3333-3333")}, {"That code is not right.", nil}}, mfa.Accepted, "Recovery code:"},
		"no such shape": {[]step{{"Recovery code:", types("123456")}, {"it has 16 letters", nil}}, mfa.Accepted, "Recovery code:"},
		"a name":        {[]step{{"Recovery code:", types("alice")}, {"That is a name", nil}}, mfa.Accepted, "Recovery code:"},
		"the password":  {[]step{{"Recovery code:", fails(mfa.ErrPasswordTyped)}, {textWasPassword, nil}}, mfa.Accepted, "Recovery code:"},
		"idle":          {[]step{{"Recovery code:", types("1")}, {"it has 16", types("alice")}, {"That is a name", types("2")}}, mfa.Exhausted, TextStopped},
	} {
		t.Run(name, func(t *testing.T) {
			h := recoverable(t)
			code, err := factor.NewRecoveryCode(zeros{})
			if err != nil {
				t.Fatal(err)
			}
			r := factor.NewRecovery(h.asker.deps.Key, alice, code, start, 24*time.Hour)
			until := start.Add(time.Minute)
			h.set(func(st *mfa.State) { st.LockedUntil, st.Recovery = &until, &r })
			for i := range tc.steps {
				if tc.steps[i].answer == nil {
					tc.steps[i].answer = types(code)
				}
			}
			s := &script{t: t, steps: tc.steps}
			v, err := h.talk(s).Recover(t.Context(), h.state())
			_, _, locked := h.state().Locked(start)
			if v.Outcome != tc.want || err != nil || locked == (tc.want == mfa.Accepted) {
				t.Errorf("%+v, %v, locked %v", v, err, locked)
			}
			s.end(tc.last)
		})
	}
	h := newHarness(t) // no code was mailed
	h.set(func(st *mfa.State) { st.LockedHard = true })
	s := &script{t: t}
	if v, err := h.talk(s).Recover(t.Context(), h.state()); v.Outcome != mfa.Exhausted || err != nil {
		t.Errorf("%+v, %v", v, err)
	}
	s.end("after too many wrong codes.")
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// recoverable is a harness in which a lock mails alice a code.
func recoverable(t *testing.T) *harness {
	t.Helper()
	h := newHarness(t)
	cfg := h.accounts.Config()
	cfg.Lockout.Recovery = true
	h.accounts = account.New(cfg, account.Deps{
		Records: h.accounts.Records(), Key: h.asker.deps.Key, Mail: h.queue, Audit: h.asker.deps.Audit, Log: h.asker.deps.Log, Now: h.clock,
	})
	h.asker.deps.Accounts = h.accounts
	err := h.accounts.Records().UpdateEnrollment(t.Context(), "alice", func(en *mfa.Enrollment) error {
		*en = mfa.Enrollment{UID: alice.UID, Email: &mfa.Address{Address: mailed, Confirmed: start}}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// An answer that sshd keeps back is taken like what others type, counts for nothing and lets
// nobody in.
func TestWithheld(t *testing.T) {
	h := newHarness(t)
	withheld := func(n int) func() (string, error) { return fails(mfa.Withheld(n)) }
	s := &script{t: t, steps: []step{
		{"A code was sent", withheld(6)}, {"2 tries left", withheld(1)}, {"A new code can be sent", withheld(6)}, {"One try left", withheld(6)},
	}}
	c := h.talk(s)
	_, v, err := h.pose(c, Target{Method: mfa.Email, To: mailed})
	if v.Outcome != mfa.Exhausted || err != nil || len(h.state().Failures) > 0 {
		t.Errorf("%+v, %v, failures %v", v, err, h.state().Failures)
	}
	if v, err := c.Close(t.Context(), mfa.Verdict{Outcome: mfa.Accepted}, nil); v.Outcome != mfa.NoConversation || err == nil {
		t.Errorf("let in: %+v, %v", v, err)
	}
	s.end("This login ends here.")
}

// The step that counts as used is of the app that the user has, until the one that is set
// up counts: neither a wrong nor a right code of a setup changes it.
func TestSetupLeavesTheUsedStep(t *testing.T) {
	now := start.Unix() / 30
	for name, used := range map[string]int64{"of now": now, "of the one to come": now + 1, "of an app with shorter periods": 2 * now, "of a clock that ran ahead": now + 1e6} {
		h := newHarness(t)
		app, _ := h.app()
		h.doubt = true
		h.set(func(st *mfa.State) { st.TOTPStep, st.Enrolling = used, &mfa.Enrolling{ID: "one", Method: mfa.TOTP} })
		s := &script{t: t, steps: []step{{"Your app", types("000000")}, {"2 tries left", func() (string, error) { return h.appCodeAt(h.clock()), nil }}}}
		c := h.talk(s)
		_, v, err := c.Pose(t.Context(), Question{Code: c.AppCode("one", func(context.Context) (mfa.TOTPSecret, error) { return app, nil }), Text: "Your app"})
		if v.Outcome != mfa.Accepted || err != nil {
			t.Errorf("%s: %+v, %v", name, v, err)
		}
		if st := h.state(); st.TOTPStep != used || c.SetupStep() != now {
			t.Errorf("%s: step %d became %d; the setup's is %d", name, used-now, st.TOTPStep-now, c.SetupStep()-now)
		}
	}
}
