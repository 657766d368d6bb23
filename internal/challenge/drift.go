package challenge

import (
	"fmt"
	"time"

	"mfa/internal/factor/otp"
	"mfa/internal/mfa"
)

// An app whose clock is off shows codes of another time. Such a code is wrong and
// counted; but it says what is the matter. Told at once that would help a guesser,
// who would learn what to type in some minutes. So one such code is told to the
// audit only, and to the person when they have proven another factor; the person is
// told at once after two codes in a row, of different steps and equally far off,
// which chance gives to one guesser in a thousand million.
const (
	driftReach  = time.Hour        // how far off a clock is looked for
	maxDrift    = 240              // steps, if they are short
	driftWithin = 10 * time.Minute // between two codes in a row
	driftKept   = 24 * time.Hour   // until another factor is proven
)

// driftOf is what the wrong code of an app says of its clock, after what the one before
// it said; nil if nothing. Last is the step of the app's newest right code: a code of
// before was overheard or copied.
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

// textDrift says how far a clock seems to be off.
func textDrift(whose string, d mfa.Drift) string {
	way := "behind"
	if d.Off > 0 {
		way = "ahead"
	}
	return fmt.Sprintf("%s clock seems to be %s %s.", whose, mfa.Span(d.Off.Abs()), way)
}

// hint is what a wrong code tells the person of their app's clock, if it helps no
// guesser: who sets an app up has its secret before them.
func (k Kind) hint(res checked) string {
	if res.Drift == nil || !res.Drift.Sure && k.Setup == "" {
		return ""
	}
	return "\n" + textDrift("Your app's", *res.Drift) + adviceDrift
}

// adviseClock says at the next prompt what may be wrong with an app, to who leaves it
// for another method after a wrong code of any kind: so it tells a guesser nothing.
func (c *Conversation) adviseClock(k Kind) {
	if k.Method == mfa.TOTP && c.wrong > 0 && k.Setup == "" {
		c.news = adviceRefused
	}
}

const adviceRefused = "If what your app showed was refused, let the phone set its time by itself."

const adviceDrift = " Let the phone set its time by itself."
