package challenge

import (
	"fmt"
	"time"

	"mfa/internal/factor/otp"
	"mfa/internal/mfa"
	"mfa/internal/text"
)

// An app whose clock is wrong shows codes of another time. Such a code is wrong and
// counted, but it shows how far the clock is off. To tell that at once would help a
// guesser, who would learn a code of another time. So after one such code only the audit
// file says so, and the person is told once they have proven another factor. After two
// in a row, of different steps and equally far off, the person is told at once: by
// chance that happens to about one guesser in a thousand million.
const (
	driftReach  = time.Hour        // how far off a clock is looked for
	maxDrift    = 240              // steps, if they are short
	driftWithin = 10 * time.Minute // between two codes in a row
	driftKept   = 24 * time.Hour   // until another factor is proven
)

// driftOf returns how far the clock of an app is off by a wrong code of it, nil if that is
// not known. Before is the result for the wrong code before it. Last is the step of the
// app's newest right code: an older code may have been overheard.
func driftOf(before *mfa.Drift, now time.Time, secret []byte, last int64, code string, p otp.Params) *mfa.Drift {
	reach := min(int(driftReach/p.Period), maxDrift)
	step, ok, err := otp.Near(secret, code, now, reach, p)
	if err != nil || !ok || step <= last {
		return nil
	}
	d := mfa.Drift{Step: step, Off: time.Duration(step-otp.Step(now, p.Period)) * p.Period, At: now}
	if before != nil && step > before.Step && (d.Off-before.Off).Abs() <= p.Period {
		since := now.Sub(before.At)
		d.Sure = since >= 0 && since <= driftWithin
	}
	return &d
}

// driftReason says for the audit file how far a clock seems to be off.
func driftReason(d mfa.Drift) string {
	way := "behind"
	if d.Off > 0 {
		way = "ahead"
	}
	return fmt.Sprintf("the app's clock seems to be %s %s.", mfa.Span(d.Off.Abs()), way)
}

// textDrift tells the person how far the clock of their app seems to be off.
func (c *Conversation) textDrift(d mfa.Drift) string {
	what := textBehind
	if d.Off > 0 {
		what = textAhead
	}
	return c.User.Words().Join(c.Words(what, text.SpanOf(d.Off.Abs())), c.Words(adviceDrift))
}

const (
	textBehind = "Your app's clock seems to be %s behind."
	textAhead  = "Your app's clock seems to be %s ahead."
)

// clockHint is the text about the app's clock after a wrong code, if that helps no guesser. In
// a setup it helps none: the person sees the secret.
func (c *Conversation) clockHint(k Kind, res checked) string {
	if res.Drift == nil || !res.Drift.Sure && k.Setup == "" {
		return ""
	}
	return "\n" + c.textDrift(*res.Drift)
}

// adviseClock has the next prompt say what may be wrong with an app, when the person
// leaves it for another method after any wrong code. So it tells a guesser nothing.
func (c *Conversation) adviseClock(k Kind) {
	if k.Method == mfa.TOTP && c.wrong > 0 && k.Setup == "" {
		c.news = c.Words(adviceRefused)
	}
}

const adviceRefused = "If what your app showed was refused, let the phone set its time by itself."

const adviceDrift = "Let the phone set its time by itself."
