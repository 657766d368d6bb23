package challenge

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"mfa/internal/deliver"
	"mfa/internal/deliver/spend"
	"mfa/internal/mfa"
	"mfa/internal/store"
)

const mailed = "alice@example.com"

// pose asks alice for a code that is sent to her, and returns what it came to.
func (h *harness) pose(c *Conversation, to Target, keys ...string) (key string, v mfa.Verdict, err error) {
	h.t.Helper()
	q, end, err := c.SentCode(h.t.Context(), to, "")
	if end != nil {
		return "", *end, err
	}
	q.Keys = keys
	return c.Pose(h.t.Context(), q)
}

// A code that was sent is good once, and what is not right of it is told in its own words.
func TestAnswersToASentCode(t *testing.T) {
	h := newHarness(t)
	to := Target{Method: mfa.Email, To: mailed}
	newest := func() (string, error) { return h.code(1), nil }

	s := &script{t: t, steps: []step{
		{"A code was sent to a***e@example.com.", types("r")},
		{"A new code can be sent in 30 seconds.", func() (string, error) { h.later(time.Minute); return "r", nil }},
		{"A new code was sent to a***e@example.com. The one before is void.", func() (string, error) { return h.code(2), nil }},
		{"That code is the older one", types("12345678")},
		{textNoCode, newest},
	}}
	c := h.talk(s)
	if _, v, err := h.pose(c, to); v.Outcome != mfa.Accepted || err != nil || c.Arrived() != (Target{Method: mfa.Email, To: mailed}) {
		t.Errorf("%+v, %v, arrived %+v", v, err, c.Arrived())
	}
	s.end("Code:")
	if st := h.state(); len(st.Failures) > 0 || len(st.Pending) > 0 || len(st.Ended) != 2 {
		t.Errorf("remembered: %+v", st)
	}

	// The next one, of which the last is said to be used, and which expires.
	used := h.code(1)
	s = &script{t: t, steps: []step{
		{"A code was sent", types(used)},
		{"That code was used already.", func() (string, error) { h.later(11 * time.Minute); return h.code(1), nil }},
		{"That code has expired.", fails(mfa.ErrNoConversation)},
	}}
	if _, v, err := h.pose(h.talk(s), to); v.Outcome != mfa.NoConversation || !errors.Is(err, mfa.ErrNoConversation) {
		t.Errorf("%+v, %v", v, err)
	}
	s.end("Code:")
	if st := h.state(); len(st.Failures) > 0 {
		t.Errorf("counted: %+v", st.Failures)
	}

	// One that was sent before is asked for again, and no other is sent.
	h.later(20 * time.Minute)
	s = &script{t: t, steps: []step{{"A code was sent", fails(mfa.ErrNoConversation)}}}
	_, _, _ = h.pose(h.talk(s), to)
	h.code(4)
	h.later(time.Minute)
	s = &script{t: t, steps: []step{{"A code was sent to a***e@example.com 60 seconds ago. It is still good for 9 minutes.", newest}}}
	if _, v, err := h.pose(h.talk(s), to); v.Outcome != mfa.Accepted || err != nil || h.sent() != 4 {
		t.Errorf("%+v, %v, %d messages", v, err, h.sent())
	}
}

// No more codes are sent than code.max_sends says; what needs no sending stays open.
func TestNoMoreCodesAreSent(t *testing.T) {
	h := newHarness(t)
	to := Target{Method: mfa.Email, To: mailed}
	h.set(func(st *mfa.State) { st.Sends = []time.Time{start, start, start} })
	s := &script{t: t}
	if _, v, err := h.pose(h.talk(s), to); v.Outcome != mfa.Exhausted || err != nil || v.Reason != "code.max_sends reached" || h.sent() != 0 {
		t.Errorf("%+v, %v", v, err)
	}
	s.end("Too many codes were sent to you. The next can be sent in 15 minutes.")
}

// Nobody is told to wait longer than the limit is about, whatever slots the ledger counts in. They
// were told "in 25 hours" where messages in any 24 hours are limited, and "in 65 minutes" of an hour.
func TestWaitForALimitOfTexts(t *testing.T) {
	for want, limits := range map[string]spend.Limits{"24 hours": {UserPerDay: 1}, "60 minutes": {TotalPerHour: 1}} {
		h := newHarness(t)
		ledger := &spend.Ledger{
			Limits: limits, Now: h.clock, Hash: func(number string) string { return number },
			Update: func(ctx context.Context, key string, fn func([]byte) ([]byte, error)) error {
				return store.Update(ctx, h.store, key, fn)
			},
		}
		h.asker.deps.Spending = ledger
		to := Target{Method: mfa.SMS, To: "+17891234567"}
		if err := ledger.Reserve(t.Context(), "alice", to.To, false); err != nil {
			t.Fatal(err)
		}
		h.later(time.Second)
		s := &script{t: t}
		if _, v, err := h.pose(h.talk(s), to); v.Outcome != mfa.Exhausted || err != nil {
			t.Errorf("%+v, %v", v, err)
		}
		s.end("No more text messages can be sent for now. The next can be sent in " + want + ".")
	}
}

// A code that no carrier takes is void at once, so that the next login sends another.
func TestCodeThatIsNotDelivered(t *testing.T) {
	for _, keys := range [][]string{nil, {KeyMenu}} {
		h := newHarness(t)
		h.fail[mfa.Email] = deliver.Permanent(errAway)
		s := &script{t: t}
		key, v, err := h.pose(h.talk(s), Target{Method: mfa.Email, To: mailed}, keys...)
		s.end("Try again later, or ask your administrator.")
		if len(h.state().Pending) > 0 {
			t.Errorf("still asked for: %+v", h.state().Pending)
		}
		if keys != nil && key != KeyMenu || keys == nil && (v.Outcome != mfa.Unavailable || !errors.Is(err, errAway)) {
			t.Errorf("%q %+v %v", key, v, err)
		}
	}
}

// A text that cannot be sent goes by email, in the same conversation; where a limit of ours
// is reached, only where email counts.
func TestTextFallsBackToEmail(t *testing.T) {
	const number = "+17891234567"
	limit := spend.LimitError{Limit: "sms.per_user_per_day", Until: start.Add(time.Hour), Window: 24 * time.Hour}
	for name, tc := range map[string]struct {
		to    Target
		spent error
		sms   error
		mail  error
		steps []step
		want  mfa.Outcome
		last  string
	}{
		"taken":                                  {Target{Method: mfa.SMS, To: number}, nil, nil, nil, []step{{"A code was sent to +1*******67.", nil}}, mfa.Accepted, "Code:"},
		"not taken":                              {Target{Method: mfa.SMS, To: number, Fallback: mailed}, nil, deliver.Permanent(errAway), nil, []step{{"The code was sent by email to a***e@example.com.", nil}}, mfa.Accepted, "Code:"},
		"nor email":                              {Target{Method: mfa.SMS, To: number, Fallback: mailed}, nil, deliver.Permanent(errAway), deliver.Permanent(errAway), nil, mfa.Unavailable, "ask your administrator."},
		"no address":                             {Target{Method: mfa.SMS, To: number}, nil, deliver.Permanent(errAway), nil, nil, mfa.Unavailable, "ask your administrator."},
		"at a limit":                             {Target{Method: mfa.SMS, To: number, Fallback: mailed, AtLimit: mailed}, limit, nil, nil, []step{{"Too many were sent lately. The code was sent by email", nil}}, mfa.Accepted, "Code:"},
		"at a limit, where email does not count": {Target{Method: mfa.SMS, To: number, Fallback: mailed}, limit, nil, nil, nil, mfa.Exhausted, "The next can be sent in 60 minutes."},
		"the ledger is away":                     {Target{Method: mfa.SMS, To: number, Fallback: mailed, AtLimit: mailed}, errAway, nil, nil, nil, mfa.Unavailable, "the log of mfad says why."},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t)
			h.spent = tc.spent
			h.fail[mfa.SMS], h.fail[mfa.Email] = tc.sms, tc.mail
			for i := range tc.steps {
				tc.steps[i].answer = func() (string, error) { return h.code(1), nil }
			}
			s := &script{t: t, steps: tc.steps}
			c := h.talk(s)
			_, v, err := h.pose(c, tc.to)
			if v.Outcome != tc.want || (err != nil) != (tc.want == mfa.Unavailable) {
				t.Errorf("%+v, %v", v, err)
			}
			if way := c.Arrived().Method; tc.want == mfa.Accepted && (way == mfa.Email) != (tc.sms != nil || tc.spent != nil) {
				t.Errorf("arrived by %q", way)
			}
			s.end(tc.last)
		})
	}
}

// A text that a gateway took and reports lost later goes by email: that is told at the
// next prompt.
func TestTextThatIsLost(t *testing.T) {
	h := newHarness(t)
	s := &script{t: t, steps: []step{
		{"A code was sent to +1*******67.", func() (string, error) {
			h.code(1)
			h.mu.Lock()
			text := h.mails[0].ID
			h.mu.Unlock()
			h.await(func() bool {
				h.queue.Lost(text, errAway) // once somebody follows it
				return h.sent() == 2 && h.under() == 0
			})
			return "", nil
		}},
		{"did not arrive. The code was sent by email to a***e@example.com.", func() (string, error) { return h.code(1), nil }},
	}}
	_, v, err := h.pose(h.talk(s), Target{Method: mfa.SMS, To: "+17891234567", Fallback: mailed})
	if v.Outcome != mfa.Accepted || err != nil {
		t.Errorf("%+v, %v", v, err)
	}
	s.end("Code:")
}

// A text that is lost after its code was typed is no reason to send the code again.
func TestTextThatIsLostAfterItsCode(t *testing.T) {
	h := newHarness(t)
	s := &script{t: t, steps: []step{{"A code was sent", func() (string, error) { return h.code(1), nil }}}}
	c := h.talk(s)
	q, _, err := c.SentCode(t.Context(), Target{Method: mfa.SMS, To: "+17891234567", Fallback: mailed}, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, v, err := c.Pose(t.Context(), q); v.Outcome != mfa.Accepted || err != nil {
		t.Fatalf("%+v, %v", v, err)
	}
	h.mu.Lock()
	text := h.mails[0].ID
	h.mu.Unlock()
	d := q.Code.(*sentCode).cur.delivery
	h.await(func() bool {
		h.queue.Lost(text, errAway) // once somebody follows it
		d.mu.Lock()
		defer d.mu.Unlock()
		return d.lost
	})
	h.queue.Close(t.Context())
	if h.sent() != 1 {
		t.Errorf("%d messages went out", h.sent())
	}
	if st := h.state(); len(st.Pending) > 0 || len(st.Ended) != 1 || st.Ended[0].Why != mfa.CodeUsed {
		t.Errorf("remembered: %+v %+v", st.Pending, st.Ended)
	}
}

// While no carrier has taken a code the prompt says so, and Enter says it again.
func TestCodeThatIsUnderWay(t *testing.T) {
	h := newHarness(t)
	h.held = make(chan struct{})
	s := &script{t: t, steps: []step{
		{"A code is being sent to a***e@example.com, but has not left yet.", types("")},
		{textUnderway, func() (string, error) { close(h.held); return h.code(1), nil }},
	}}
	if _, v, err := h.pose(h.talk(s), Target{Method: mfa.Email, To: mailed}); v.Outcome != mfa.Accepted || err != nil {
		t.Errorf("%+v, %v", v, err)
	}
	s.end("Code:")
}

// A code that no carrier has taken is told as such wherever it is told: when it is asked for by
// r, to who comes back or comes from another method, in one line, and where it goes by email in
// the place of a text. Before, only the first prompt told that: any other said "was sent", with
// nothing sent.
func TestCodeThatHasNotLeftIsNeverSaidToBeSent(t *testing.T) {
	const number = "+17891234567"
	h := newHarness(t)
	h.held = make(chan struct{})
	to := Target{Method: mfa.Email, To: mailed}
	s := &script{t: t, steps: []step{
		{"A code is being sent to a***e@example.com, but has not left yet.", func() (string, error) { h.later(time.Minute); return "r", nil }},
		{"A new code is being sent to a***e@example.com, but has not left yet. The one before is void.", types("")},
		{textUnderway, fails(mfa.ErrNoConversation)},
	}}
	_, _, _ = h.pose(h.talk(s), to)
	s.end("Code:")
	s = &script{t: t, steps: []step{
		{"A code is being sent to a***e@example.com, but has not left yet. It is still good for 10 minutes.", types("")},
		{textUnderway, fails(mfa.ErrNoConversation)},
	}}
	_, _, _ = h.pose(h.talk(s), to)
	s.end("Code:")
	s = &script{t: t}
	if v, err := h.talk(s).SendBehind(t.Context(), to, false); v.Outcome != mfa.CodeSent || err != nil {
		t.Errorf("%+v, %v", v, err)
	}
	s.end("A code is being sent to a***e@example.com, but has not left yet. Log in again with it right behind your password. It is good for 10 minutes.")
	h.later(time.Minute)
	s = &script{t: t}
	if v, err := h.talk(s).SendBehind(t.Context(), to, true); v.Outcome != mfa.CodeSent || err != nil {
		t.Errorf("%+v, %v", v, err)
	}
	s.end("A code is being sent to a***e@example.com, but has not left yet. Log in again with it right behind your password. It is good for 10 minutes.")

	h.spent = spend.LimitError{Limit: spend.LimitUser, Until: start.Add(time.Hour), Window: 24 * time.Hour}
	h.set(func(st *mfa.State) { st.Sends = nil })
	s = &script{t: t, steps: []step{
		{"Too many were sent lately. The code is being sent by email to a***e@example.com, but has not left yet.", fails(mfa.ErrNoConversation)},
	}}
	_, _, _ = h.pose(h.talk(s), Target{Method: mfa.SMS, To: number, Fallback: mailed, AtLimit: mailed})
	s.end("Code:")

	close(h.held)
	h.await(func() bool { return h.under() == 0 })
	s = &script{t: t, steps: []step{{"A code was sent to a***e@example.com 1 second ago.", fails(mfa.ErrNoConversation)}}}
	_, _, _ = h.pose(h.talk(s), to)
	s.end("Code:")
}

// What was said of a code that a gateway took is not true any more once it is lost.
func TestLostTextIsUnderWayAgain(t *testing.T) {
	h := newHarness(t)
	s := &script{t: t, steps: []step{
		{"A code was sent to +1*******67.", func() (string, error) {
			h.code(1)
			h.held = make(chan struct{})
			h.mu.Lock()
			text := h.mails[0].ID
			h.mu.Unlock()
			h.await(func() bool {
				h.queue.Lost(text, errAway) // once somebody follows it
				return h.state().Pending[0].Via != ""
			})
			return "", nil
		}},
		{"did not arrive. The code is being sent by email to a***e@example.com, but has not left yet.", func() (string, error) { close(h.held); return h.code(1), nil }},
	}}
	if _, v, err := h.pose(h.talk(s), Target{Method: mfa.SMS, To: "+17891234567", Fallback: mailed}); v.Outcome != mfa.Accepted || err != nil {
		t.Errorf("%+v, %v", v, err)
	}
	s.end("Code:")
}

// A code that was replaced before it fell back is not under way for ever.
func TestReplacedCodeIsNotUnderWay(t *testing.T) {
	h := newHarness(t)
	h.held, h.fail[mfa.SMS] = make(chan struct{}), deliver.Permanent(errAway)
	s := &script{t: t, steps: []step{{"has not left yet", func() (string, error) {
		h.set(func(st *mfa.State) { st.Pending = nil })
		close(h.held)
		h.await(func() bool { return h.under() == 0 })
		return "", mfa.ErrNoConversation
	}}}}
	_, _, _ = h.pose(h.talk(s), Target{Method: mfa.SMS, To: "+17891234567", Fallback: mailed})
	if s.end("Code:"); h.under() != 0 {
		t.Errorf("%d codes are said to be under way", h.under())
	}
}

// A code that nobody asked for and that cannot be sent: why is told at the next Enter, and
// ends the login.
func TestCodeNobodyAskedForThatIsNotSent(t *testing.T) {
	for name, tc := range map[string]struct {
		spent, fail error
		tried       func(h *harness) bool
		last        string
	}{
		"the ledger is away": {errAway, nil, func(h *harness) bool { h.mu.Lock(); defer h.mu.Unlock(); return len(h.strangers) > 0 }, TextUnavailable},
		"no carrier":         {nil, deliver.Permanent(errAway), func(h *harness) bool { return len(h.state().Ended) > 0 }, "ask your administrator."},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t)
			h.spent, h.fail[mfa.SMS] = tc.spent, tc.fail
			s := &script{t: t, steps: []step{{"A code is being sent to +1*******67.", func() (string, error) {
				h.await(func() bool { return tc.tried(h) })
				return "", nil
			}}}}
			c := h.talk(s)
			c.Presence = Doubtful
			_, v, err := h.pose(c, Target{Method: mfa.SMS, To: "+17891234567"})
			if v.Outcome != mfa.Unavailable || !errors.Is(err, errAway) {
				t.Errorf("%+v, %v", v, err)
			}
			s.end(tc.last)
			if len(h.state().Failures) > 0 {
				t.Errorf("counted: %+v", h.state().Failures)
			}
		})
	}
}

// Nothing is sent to who may not be there before the prompt has stood, and to who is not
// there only if they type r.
func TestCodesNobodyAskedFor(t *testing.T) {
	to := Target{Method: mfa.Email, To: mailed}
	for name, tc := range map[string]struct {
		presence Presence
		steps    func(h *harness) []step
		sent     int
		want     mfa.Outcome
	}{
		"a robot": {Doubtful, func(*harness) []step {
			return []step{{"A code is being sent to a***e@example.com.", fails(mfa.ErrNoConversation)}}
		}, 0, mfa.NoConversation},
		"a person behind a key": {Doubtful, func(h *harness) []step {
			return []step{{"A code is being sent", func() (string, error) { return h.code(1), nil }}}
		}, 1, mfa.Accepted},
		"guesses before anything was sent": {Doubtful, func(*harness) []step {
			return []step{{"A code is being sent", types("123456")}, {"No code was sent yet.", types("abc")}, {"No code was sent yet.", types("123456")}}
		}, 0, mfa.NoConversation},
		"nobody": {Absent, func(*harness) []step { return []step{{"No code was sent yet. Type r", fails(mfa.ErrNoConversation)}} }, 0, mfa.NoConversation},
		"nobody, but": {Absent, func(h *harness) []step {
			return []step{{"Type r", types("r")}, {"A code was sent to", func() (string, error) { return h.code(1), nil }}}
		}, 1, mfa.Accepted},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t)
			s := &script{t: t, steps: tc.steps(h)}
			c := h.talk(s)
			c.Presence = tc.presence
			_, v, _ := h.pose(c, to)
			if v.Outcome != tc.want || h.sent() != tc.sent || len(h.state().Failures) > 0 {
				t.Errorf("%+v, %d sent, failures %v", v, h.sent(), h.state().Failures)
			}
			s.end("")
		})
	}
}

// To somebody who is no account nothing is sent, and they read the same.
func TestNobodyIsSentNothing(t *testing.T) {
	h := newHarness(t)
	s := &script{t: t, steps: []step{{"A code was sent to a***e@example.com.", types("123456")}, {"2 tries left", types("123457")}, {"One try left", types("123458")}}}
	c := h.asker.Converse(h.accounts.User(h.accounts.Records().NewUnknownAccount("ghost"), home), s)
	if _, v, err := h.pose(c, Target{Method: mfa.Email, To: mailed}); v.Outcome != mfa.Exhausted || err != nil || h.sent() != 0 {
		t.Errorf("%+v, %v, %d sent", v, err, h.sent())
	}
	s.end("This login ends here.")
}

// A mail server takes longer than a prompt waits, and then a code "is being sent": so it is for
// somebody who is no account, after r and in one line as well, or each name that is one would be
// known by it. Once the carriers are quick again, for both.
func TestNobodyIsKnownByASlowCarrier(t *testing.T) {
	h := newHarness(t)
	to := Target{Method: mfa.Email, To: mailed}
	ghost := func(s *script) *Conversation {
		return h.asker.Converse(h.accounts.User(h.accounts.Records().NewUnknownAccount("ghost"), home), s)
	}
	visit := func(of func(s *script) *Conversation) (said []string) {
		t.Helper()
		hear := func(answer string, err error) func() (string, error) {
			return func() (string, error) { h.later(time.Minute); return answer, err }
		}
		s := &script{t: t, steps: []step{{"", hear("", nil)}, {"", hear("r", nil)}, {"", hear("", mfa.ErrNoConversation)}}}
		_, _, _ = h.pose(of(s), to)
		said = append(said, s.said...)
		s = &script{t: t}
		_, _ = of(s).SendBehind(t.Context(), to, true)
		return append(said, s.said...)
	}
	alike := func(want string) {
		t.Helper()
		known, unknown := visit(func(s *script) *Conversation { return h.talk(s) }), visit(ghost)
		if !slices.Equal(known, unknown) || !strings.Contains(strings.Join(strings.Fields(strings.Join(known, " ")), " "), want) {
			t.Errorf("somebody real hears\n%q\na stranger\n%q\nwant %q", known, unknown, want)
		}
		h.later(time.Hour)
	}
	h.held = make(chan struct{})
	alike("has not left yet")
	close(h.held)
	h.await(func() bool { return h.under() == 0 })
	alike("was sent")
}

// The number of a setup is confirmed by nobody and may be another's: its texts use up no
// more than a stranger's, the first and each that is asked for.
func TestTextsOfASetupAreAStrangers(t *testing.T) {
	for setup, want := range map[string][]bool{"": {false, false}, "mine": {true, true}} {
		h := newHarness(t)
		h.set(func(st *mfa.State) { st.Enrolling = &mfa.Enrolling{ID: "mine"} })
		s := &script{t: t, steps: []step{{"A code", types("r")}, {"new code can be sent", func() (string, error) {
			h.later(time.Minute)
			return "r", nil
		}}, {"A new code was sent", fails(mfa.ErrNoConversation)}}}
		c := h.talk(s)
		q, end, err := c.SentCode(t.Context(), Target{Method: mfa.SMS, To: "+17891234567"}, setup)
		if end != nil || err != nil {
			t.Fatalf("%+v, %v", end, err)
		}
		_, _, _ = c.Pose(t.Context(), q)
		if !slices.Equal(h.strangers, want) {
			t.Errorf("setup %q: %v, want %v", setup, h.strangers, want)
		}
	}
}
