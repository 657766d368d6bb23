package challenge

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"time"

	"mfa/internal/account"
	"mfa/internal/factor"
	"mfa/internal/mfa"
)

// asked is what a question of the app came to.
type asked struct {
	outcome mfa.Outcome
	key     string
	wrong   int // codes that were counted
}

// Every kind of answer to a code, told in its own words; only a guess is counted.
func TestAnswersToAnApp(t *testing.T) {
	right := func(h *harness) func() (string, error) {
		return func() (string, error) { return h.appCodeAt(h.clock()), nil }
	}
	for name, tc := range map[string]struct {
		keys  []string
		steps func(h *harness) []step
		want  asked
		last  string
	}{
		"right": {nil, func(h *harness) []step { return []step{{"Your app", right(h)}} }, asked{mfa.Accepted, "", 0}, "Code:"},
		"right as people paste it": {nil, func(h *harness) []step {
			return []step{{"Your app", func() (string, error) {
				c := h.appCodeAt(h.clock())
				return "Code: " + c[:3] + "\u00a0" + c[3:] + ".", nil
			}}}
		}, asked{mfa.Accepted, "", 0}, "Code:"},
		"wrong, then right": {nil, func(h *harness) []step {
			return []step{{"Your app", types("000000")}, {"That code is not right. 2 tries left.", right(h)}}
		}, asked{mfa.Accepted, "", 0}, "Code:"},
		"wrong three times": {nil, func(*harness) []step {
			return []step{{"Your app", types("000000")}, {"2 tries left", types("000001")}, {"One try left", types("000002")}}
		}, asked{mfa.Exhausted, "", 3}, "That code is not right. This login ends here."},
		"empty": {nil, func(h *harness) []step {
			return []step{{"Your app", types("")}, {textTOTP, right(h)}}
		}, asked{mfa.Accepted, "", 0}, "Code:"},
		"nothing but what is no attempt": {nil, func(*harness) []step {
			return []step{{"Your app", types("")}, {textTOTP, types("alice")}, {"That is a name", types("123")}}
		}, asked{mfa.NoConversation, "", 0}, "This login ends here."},
		"no code, after a guess": {nil, func(*harness) []step {
			return []step{{"Your app", types("000000")}, {"2 tries left", types("")}, {textTOTP, types("")}, {textTOTP, types("")}}
		}, asked{mfa.WrongCode, "", 1}, "This login ends here."},
		"the password": {nil, func(h *harness) []step {
			return []step{{"Your app", fails(mfa.ErrPasswordTyped)}, {textWasPassword, right(h)}}
		}, asked{mfa.Accepted, "", 0}, "Code:"},
		"names": {nil, func(h *harness) []step {
			return []step{{"Your app", types("ALICE")}, {"That is a name", types("sshd")}, {"That is a name", right(h)}}
		}, asked{mfa.Accepted, "", 0}, "Code:"},
		"of another length": {nil, func(h *harness) []step {
			return []step{{"Your app", types("12345678")}, {"That cannot be the code. Nothing was counted.", right(h)}}
		}, asked{mfa.Accepted, "", 0}, "Code:"},
		"r": {nil, func(h *harness) []step {
			return []step{{"Your app", types("r")}, {textNotSent, right(h)}}
		}, asked{mfa.Accepted, "", 0}, "Code:"},
		"m, and there is no other": {nil, func(h *harness) []step {
			return []step{{"Your app", types("m")}, {textNoOther, types("ｍ")}, {textNoOther, right(h)}}
		}, asked{mfa.Accepted, "", 0}, "Code:"},
		"m, and p is offered": {[]string{KeyPassword}, func(h *harness) []step {
			return []step{{"Your app", types("m")}, {TextPasswordKey, right(h)}}
		}, asked{mfa.Accepted, "", 0}, "Code:"},
		"m": {[]string{KeyMenu}, func(*harness) []step { return []step{{"Your app", types("M")}} }, asked{0, KeyMenu, 0}, "Code:"},
		"the client is gone": {nil, func(*harness) []step {
			return []step{{"Your app", fails(mfa.ErrNoConversation)}}
		}, asked{mfa.NoConversation, "", 0}, "Code:"},
		"gone after a guess": {nil, func(*harness) []step {
			return []step{{"Your app", types("000000")}, {"2 tries", fails(mfa.ErrNoConversation)}}
		}, asked{mfa.WrongCode, "", 1}, "Code:"},
		"the one before": {nil, func(h *harness) []step {
			return []step{{"Your app", func() (string, error) {
				h.set(func(st *mfa.State) { st.TOTPStep = h.clock().Unix() / 30 })
				return h.appCodeAt(h.clock()), nil
			}}, {textSpent + " " + adviceWait, types("")}, {textTOTP, types("")}}
		}, asked{mfa.NoConversation, "", 0}, "This login ends here."},
		"locked meanwhile": {nil, func(h *harness) []step {
			return []step{{"Your app", func() (string, error) {
				h.set(func(st *mfa.State) { st.LockedHard = true })
				return h.appCodeAt(h.clock()), nil
			}}}
		}, asked{mfa.Exhausted, "", 0}, "until an administrator unlocks it, after too many wrong codes."},
		"disabled meanwhile": {nil, func(h *harness) []step {
			return []step{{"Your app", func() (string, error) {
				h.set(func(st *mfa.State) { st.MethodFailures = map[mfa.Method]int{mfa.TOTP: mfa.MaxMethodFailures} })
				return h.appCodeAt(h.clock()), nil
			}}}
		}, asked{mfa.Exhausted, "", 0}, "or ask your administrator."},
		"the fifth of all": {nil, func(h *harness) []step {
			h.set(func(st *mfa.State) { st.Failures = []time.Time{start, start, start, start} })
			return []step{{"Your app", types("000000")}}
		}, asked{mfa.Exhausted, "", 0}, "Your second factor is locked for 15 minutes, after too many wrong codes."},
		"the hundredth of the app": {nil, func(h *harness) []step {
			h.set(func(st *mfa.State) { st.MethodFailures = map[mfa.Method]int{mfa.TOTP: mfa.MaxMethodFailures - 1} })
			return []step{{"Your app", types("000000")}}
		}, asked{mfa.Exhausted, "", 1}, "or ask your administrator."},
		"while the clock is doubted": {nil, func(h *harness) []step {
			h.doubt = true
			h.set(func(st *mfa.State) { st.TOTPStep = start.AddDate(10, 0, 0).Unix() / 30 })
			return []step{{"Your app", right(h)}}
		}, asked{mfa.Unavailable, "", 0}, textClock},
		"while it is doubted, and there are others": {[]string{KeyMenu}, func(h *harness) []step {
			h.doubt = true
			h.set(func(st *mfa.State) { st.TOTPStep = start.AddDate(10, 0, 0).Unix() / 30 })
			return []step{{"Your app", right(h)}}
		}, asked{0, KeyMenu, 0}, textClock},
		"after the clock ran ahead": {nil, func(h *harness) []step {
			h.set(func(st *mfa.State) { st.TOTPStep = start.AddDate(10, 0, 0).Unix() / 30 })
			return []step{{"Your app", right(h)}}
		}, asked{mfa.Accepted, "", 0}, "Code:"},
		"while the store is away": {nil, func(h *harness) []step {
			return []step{{"Your app", func() (string, error) { h.store.Fail(errAway); return "000000", nil }}}
		}, asked{mfa.Unavailable, "", 0}, "the log of mfad says why."},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t)
			s := &script{t: t, steps: tc.steps(h)}
			app, _ := h.app()
			c := h.talk(s)
			q := Question{Code: c.AppCode("", func(context.Context) (mfa.TOTPSecret, error) { return app, nil }), Text: "Your app", Keys: tc.keys}
			key, v, err := c.Pose(t.Context(), q)
			h.store.Fail(nil)
			got := asked{v.Outcome, key, len(h.state().Failures)}
			if key != "" {
				got.outcome = 0
			}
			var cause error // of what was nobody's choice
			switch {
			case strings.HasSuffix(name, "away"):
				cause = errAway
			case strings.Contains(name, "gone"):
				cause = mfa.ErrNoConversation
			}
			if got != tc.want || !errors.Is(err, cause) {
				t.Errorf("got %+v, %v; want %+v", got, err, tc.want)
			}
			s.end(tc.last)
		})
	}
}

// A conversation that saw the user as they were builds on nothing that came since, and
// hands that on to whoever began it.
func TestAnswerAfterAChange(t *testing.T) {
	for name, change := range map[string]func(h *harness){
		"a lock":      func(h *harness) { _, _ = h.accounts.Lock(t.Context(), alice, 0, "root"); h.set((*mfa.State).Unlock) },
		"a new epoch": func(h *harness) { h.set(func(st *mfa.State) { st.NewEpoch(start) }) },
		"by hand": func(h *harness) {
			err := h.accounts.Records().UpdateEnrollment(t.Context(), "alice", func(en *mfa.Enrollment) error {
				*en = mfa.Enrollment{UID: alice.UID, Email: &mfa.Address{Address: "eve@example.com"}}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		},
	} {
		h := newHarness(t)
		s := &script{t: t, steps: []step{{"Your app", func() (string, error) { change(h); return h.appCodeAt(h.clock()), nil }}}}
		c := h.talk(s)
		c.User.See(h.state(), mfa.Enrollment{})
		app, _ := h.app()
		_, v, err := c.Pose(t.Context(), Question{Code: c.AppCode("", func(context.Context) (mfa.TOTPSecret, error) { return app, nil }), Text: "Your app"})
		if !errors.Is(err, account.ErrChanged) || v.Outcome == mfa.Accepted || h.state().TOTPStep != 0 {
			t.Errorf("after %s: %+v, %v, step %d", name, v, err, h.state().TOTPStep)
		}
	}
}

// A wrong code of what is being set up is counted nowhere but in the conversation, and one
// that was begun anew from elsewhere is void.
func TestAnswersInASetup(t *testing.T) {
	h := newHarness(t)
	app, _ := h.app()
	current := func(context.Context) (mfa.TOTPSecret, error) { return app, nil }
	h.set(func(st *mfa.State) {
		st.Enrolling = &mfa.Enrolling{ID: "mine"}
		st.MethodFailures = map[mfa.Method]int{mfa.TOTP: mfa.MaxMethodFailures} // set up anew for that
	})
	s := &script{t: t, steps: []step{
		{"Your app", types("000000")}, {"That code is not right. 2 tries left.", types("000001")}, {"One try left", func() (string, error) { return h.appCodeAt(h.clock()), nil }},
	}}
	c := h.talk(s)
	_, v, err := c.Pose(t.Context(), Question{Code: c.AppCode("mine", current), Text: "Your app"})
	if v.Outcome != mfa.Accepted || err != nil || len(h.state().Failures) > 0 {
		t.Errorf("%+v, %v, failures %v", v, err, h.state().Failures)
	}
	s.end("Code:")

	h.set(func(st *mfa.State) { st.Enrolling.ID = "another's" })
	c = h.talk(&script{t: t, steps: []step{{"Your app", types("000000")}}})
	if _, v, err := c.Pose(t.Context(), Question{Code: c.AppCode("mine", current), Text: "Your app"}); !errors.Is(err, ErrVoid) || v.Outcome == mfa.Accepted {
		t.Errorf("begun anew elsewhere: %+v, %v", v, err)
	}
}

// A backup code is good once; one that has not its shape is no attempt.
func TestAnswersToBackupCodes(t *testing.T) {
	h := newHarness(t)
	codes, set, err := factor.NewBackupSet(rand.Reader, 2)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(want mfa.Outcome, steps ...step) {
		t.Helper()
		s := &script{t: t, steps: steps}
		c := h.talk(s)
		_, v, err := c.Pose(t.Context(), Question{Code: c.BackupCode(func(context.Context) (mfa.BackupSet, error) { return set, nil }), Text: "Backup"})
		if v.Outcome != want || err != nil || len(s.steps) > 0 {
			t.Errorf("%+v, %v, %d steps left", v, err, len(s.steps))
		}
	}
	ask(mfa.Accepted, step{"Backup code:", types(strings.ToUpper(codes[0]))})
	ask(mfa.Accepted, step{"Backup", types(codes[0])}, step{textBackupSpent + " " + adviceAnother, types("123")}, step{textNoCode + " " + textBackup, types(codes[1])})
	h.set(func(st *mfa.State) { st.LockedHard = true })
	ask(mfa.Exhausted, step{"Backup", types(codes[1])})
}
