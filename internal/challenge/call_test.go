package challenge

import (
	"testing"
	"time"

	"mfa/internal/deliver"
	"mfa/internal/deliver/spend"
	"mfa/internal/mfa"
)

// A call is told as a call, counted by its own ledger and by no other, and its code goes by
// email where a text's would.
func TestCall(t *testing.T) {
	const number = "+17891234567"
	limit := spend.LimitError{Limit: "sms.call.per_user_per_day", Until: start.Add(time.Hour), Window: 24 * time.Hour}
	for name, tc := range map[string]struct {
		to    Target
		spent error
		call  error
		steps []step
		want  mfa.Outcome
		last  string
	}{
		"taken":        {Target{Method: mfa.Call, To: number}, nil, nil, []step{{"+1*******67 is being called: a voice reads the code twice.", nil}}, mfa.Accepted, "Code:"},
		"not taken":    {Target{Method: mfa.Call, To: number, Fallback: mailed}, nil, deliver.Permanent(errAway), []step{{"The call to +1*******67 could not be made. The code was sent by email to a***e@example.com.", nil}}, mfa.Accepted, "Code:"},
		"no address":   {Target{Method: mfa.Call, To: number}, nil, deliver.Permanent(errAway), nil, mfa.Unavailable, "ask your administrator."},
		"at a limit":   {Target{Method: mfa.Call, To: number, Fallback: mailed}, limit, nil, nil, mfa.Exhausted, "No more calls can be made for now. The next can be made in 60 minutes."},
		"ledger broke": {Target{Method: mfa.Call, To: number, Fallback: mailed}, errAway, nil, nil, mfa.Unavailable, "the log of mfad says why."},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t)
			h.spentOnCalls, h.fail[mfa.Call] = tc.spent, tc.call
			for i := range tc.steps {
				tc.steps[i].answer = func() (string, error) { return h.code(1), nil }
			}
			s := &script{t: t, steps: tc.steps}
			_, v, err := h.pose(h.talk(s), tc.to)
			if v.Outcome != tc.want || (err != nil) != (tc.want == mfa.Unavailable) {
				t.Errorf("%+v, %v", v, err)
			}
			s.end(tc.last)
			if h.called == 0 || len(h.strangers) != 0 {
				t.Errorf("counted as a call %d times, and as a text %d times", h.called, len(h.strangers))
			}
		})
	}
}

// The words of a code that stands, that is sent again, or that nobody was sent yet.
func TestWordsOfCalls(t *testing.T) {
	p := mfa.PendingCode{Method: mfa.Call, To: "+17891234567"}
	for got, want := range map[string]string{
		textCodeAlreadySent(nil, p, 2*time.Minute, 9*time.Minute, false): "+1*******67 was called 2 minutes ago.\nThe code is still good for 9 minutes. Type r for a new call.",
		textCodeResent(nil, mfa.Call, "+1*******67", false):              "+1*******67 is being called again, with a new code. The one before is void.",
		textNotSentYet(nil, mfa.Call, "+1*******67"):                     "Nobody was called yet. Type r to have a code read out at +1*******67.",
		textOn(nil, ofCalls.follows, "+1*******67", "x"):                 "+1*******67 will be called: a voice reads the code twice.\nx",
		textSendFailed(nil, mfa.Call, "+1*******67", "", true):           "The call to +1*******67 did not get through.\nTry again later, or ask your administrator.",
		textFellBack(nil, mfa.Call, "+1*******67", "", "m", true):        "The call to +1*******67 did not get through.\nm",
		textFellBack(nil, mfa.SMS, "+1*******67", "", "m", true):         "The text message to +1*******67 did not arrive.\nm",
		textCodeResent(nil, mfa.Call, "+1*******67", true):               "+1*******67 is to be called again, but the call has not gone out yet. The one before is void.",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	p.Via = "alice@example.com"
	if got, want := textCodeAlreadySent(nil, p, 2*time.Minute, 3*time.Minute, false), "A code was sent to a***e@example.com 2 minutes ago.\nIt is still good for 3 minutes. Type r for a new one."; got != want {
		t.Errorf("fell back: %q, want %q", got, want)
	}
}
