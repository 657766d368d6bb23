package login

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mfa/internal/audit"
	"mfa/internal/challenge"
	"mfa/internal/mfa"
)

// expectUncounted ends the test if anything was counted against a user.
func (d *harness) expectUncounted(user string) {
	d.t.Helper()
	st := d.state(user)
	if len(st.Failures) != 0 || len(st.MethodFailures) != 0 || d.audited(audit.Failed) != 0 {
		d.t.Fatalf("counted: %+v", st)
	}
}

func TestRightCodeAsItIsPasted(t *testing.T) {
	for _, frame := range []string{"Your code: %.", "\u00a0%\u200b", "[200~%[201~", "(%)", "% is your code"} {
		d := newHarness(t)
		d.login(request("alice"), mfa.Accepted, step{"sent", func() string {
			return strings.ReplaceAll(frame, "%", d.code())
		}, nil})
	}
}

// Answers of programs and people that cannot be a code: asked again, three times,
// and nothing is counted, however often.
func TestWhatIsNoCodeIsNotCounted(t *testing.T) {
	for _, answer := range []string{
		"alice", "ALICE", "alice@example.com", `EXAMPLE\alice`, "host", "host.example.com", "sshd", "SSHD",
		"correct horse", "12345", "1234567", "yes", "?", "\u00a0", "[200~[201~", "123456x",
	} {
		d := newHarness(t)
		for range 10 {
			d.login(request("alice"), mfa.NoConversation,
				step{"sent", say(answer), nil}, step{"", say(answer), nil}, step{"", say(answer), nil}, step{want: "ends here"})
		}
		d.expectUncounted("alice")
		if n := d.mailCount(); n != 1 {
			t.Errorf("%q: %d mails", answer, n)
		}
		d.login(request("alice"), mfa.Accepted, step{"sent", say(answer), nil}, step{"", d.code, nil})
	}
}

// A name in digits is no guess at a code of so many digits.
func TestNameThatLooksLikeACode(t *testing.T) {
	d := newHarness(t, func(s *settings) { s.asking.Host = "990011.example.com" })
	req := request("alice")
	req.Service = "204711"
	d.login(req, mfa.Accepted,
		step{"sent", say("204711"), nil}, step{"That is a name", say("990011"), nil}, step{"That is a name", d.code, nil})
	d.expectUncounted("alice")
	if !strings.Contains(d.log.String(), "dovecot, OpenVPN") {
		t.Error("the log does not say what such programs are")
	}
}

func TestBackupAndAppTakeNoOtherTextForACode(t *testing.T) {
	d := newHarness(t, enrolling)
	_, codes := withApp(d)
	d.login(request("bob"), mfa.Accepted,
		step{"app shows", say("12345678"), nil},
		step{"cannot be the code", say("m"), nil}, step{"Backup code", say("2"), nil},
		step{"backup codes", say("123456"), nil},
		step{"cannot be the code", say("Backup code: " + strings.ToUpper(codes[0]) + "."), nil})
	d.expectUncounted("bob")
}

func TestWhatIsNoCodeInASetup(t *testing.T) {
	d := newHarness(t, enrolling)
	for range 6 {
		d.login(request("bob"), mfa.NoConversation, step{"Authenticator app", say("1"), nil},
			step{"type the code", say("bob"), nil}, step{"a name", say("hunter2"), nil}, step{"cannot be", say("bob"), nil}, step{want: "ends here"})
		if err := d.engine.deps.Accounts.Records().UpdateState(t.Context(), "bob", func(st *mfa.State) error { st.Enrolling = nil; return nil }); err != nil {
			t.Fatal(err)
		}
	}
	d.expectUncounted("bob")
}

// One mail, six windows: one is in, and five are told that it was used.
func TestOneCodeInSixWindows(t *testing.T) {
	d := newHarness(t)
	var asked, done sync.WaitGroup
	const windows = 6
	asked.Add(windows)
	var mu sync.Mutex
	said := map[string]int{}
	for range windows {
		done.Go(func() {
			first := true
			p := promptFunc(func(_ context.Context, p mfa.Prompt) (string, error) {
				if p.Kind != mfa.Ask {
					return "", nil
				}
				if first {
					first = false
					asked.Done()
					asked.Wait()
					return d.code(), nil
				}
				mu.Lock()
				said[oneLine(p.Text)]++
				mu.Unlock()
				return "", mfa.ErrNoConversation
			})
			v, _ := d.engine.Login(t.Context(), request("alice"), p)
			mu.Lock()
			said[v.Outcome.String()]++
			mu.Unlock()
		})
	}
	done.Wait()
	want := "That code was used already. Type r for a new one. Code: "
	if said[mfa.Accepted.String()] != 1 || said[want] != windows-1 {
		t.Errorf("%v", said)
	}
	d.expectUncounted("alice")
}

// Replaced by r in another window; and expired, after reconnecting, in this window
// and another, and the day after.
func TestCodesThatAreGoodNoMore(t *testing.T) {
	d := newHarness(t)
	elsewhere := request("alice")
	elsewhere.RHost = "192.0.2.9"
	var old string
	d.login(request("alice"), mfa.NoConversation, step{"sent", func() string {
		old = d.code()
		d.advance(time.Minute)
		d.login(request("alice"), mfa.NoConversation, step{"was sent", say("r"), nil}, step{want: "new code", err: mfa.ErrNoConversation})
		return old
	}, nil}, step{want: "is the older one: a newer one took its place", err: mfa.ErrNoConversation})
	newer := d.code()
	d.advance(11 * time.Minute)
	for _, req := range []mfa.Request{request("alice"), elsewhere} {
		d.login(req, mfa.NoConversation, step{"sent", say(newer), nil}, step{"expired", say(old), nil},
			step{want: "older one", err: mfa.ErrNoConversation})
	}
	d.advance(23*time.Hour + 40*time.Minute)
	d.login(request("alice"), mfa.Accepted, step{"sent", say(newer), nil}, d.rightCodeAfter("expired"))
	d.expectUncounted("alice")
}

// The memory of ended codes is bounded, and no good code is lost to it.
func TestEndedCodesAreBounded(t *testing.T) {
	d := newHarness(t, func(s *settings) { s.asking.Code.MaxSends = 1000; s.asking.Code.ResendAfter = 0 })
	d.login(request("alice"), mfa.NoConversation, step{want: "sent", err: mfa.ErrNoConversation})
	mine := d.code()
	other := request("alice")
	other.RHost = "192.0.2.9"
	for range 5 {
		steps := []step{{"sent", say("r"), nil}}
		for range 20 {
			steps = append(steps, step{"A new code", say("r"), nil})
		}
		d.login(other, mfa.NoConversation, append(steps, step{want: "A new code", err: mfa.ErrNoConversation})...)
	}
	if st := d.state("alice"); len(st.Ended) != 16 || len(st.Pending) != 2 {
		t.Errorf("%d codes are kept, and %d are good", len(st.Ended), len(st.Pending))
	}
	d.login(request("alice"), mfa.Accepted, step{"was sent", say(mine), nil})
}

// The codes of other logins are no guesses, but after one they help no guesser.
func TestCodesElsewhereHelpNoGuesser(t *testing.T) {
	d := newHarness(t)
	var codes []string
	for _, from := range []string{"192.0.2.2", "192.0.2.3"} {
		req := request("alice")
		req.RHost = from
		d.login(req, mfa.NoConversation, step{want: "sent", err: mfa.ErrNoConversation})
		codes = append(codes, d.code())
	}
	d.login(request("alice"), mfa.Exhausted, step{"sent", say(codes[1]), nil}, step{"sent for another login", say(codes[0]), nil},
		wrong("sent for another login"), step{"not right. 2 tries", say(codes[1]), nil}, step{"not right. One try", say(codes[0]), nil}, step{want: "ends here"})
	if n := len(d.state("alice").Failures); n != 3 {
		t.Errorf("%d failures", n)
	}
}

// A slip is told from a guess by four codes of other logins, the newest.
func TestNewestCodesElsewhere(t *testing.T) {
	d := newHarness(t, func(s *settings) { s.asking.Code.MaxSends = 1000 })
	var codes []string
	for i := range 5 {
		req := request("alice")
		req.RHost = fmt.Sprintf("192.0.2.%d", 2+i)
		d.login(req, mfa.NoConversation, step{want: "sent", err: mfa.ErrNoConversation})
		codes = append(codes, d.code())
	}
	d.login(request("alice"), mfa.WrongCode, step{"sent", say(codes[1]), nil}, step{"sent for another login", say(codes[0]), nil},
		step{want: "not right. 2 tries", err: mfa.ErrNoConversation})
}

// After a change of code.digits the codes of before are guesses like others.
func TestLengthOfACodeThatWasSent(t *testing.T) {
	d := newHarness(t)
	d.login(request("alice"), mfa.NoConversation, step{want: "sent", err: mfa.ErrNoConversation})
	code := d.code()
	longer := defaults().asking
	longer.Code.Digits = 8
	d.engine.deps.Asker = challenge.New(longer, d.deps)
	d.login(request("alice"), mfa.Accepted, wrong("was sent"), step{"2 tries", say("12345678"), nil}, step{"One try", say(code), nil})
	d.login(request("alice"), mfa.WrongCode, step{"sent", say("123456"), nil}, step{"cannot be", say("12345678"), nil},
		step{want: "not right", err: mfa.ErrNoConversation})
	if !slices.ContainsFunc(d.state("alice").Ended, func(e mfa.EndedCode) bool { return e.Why == mfa.CodeUsed }) {
		t.Error("no code is used")
	}
}
