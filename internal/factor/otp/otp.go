// Package otp does the arithmetic of one-time passwords, by time (TOTP, RFC
// 6238) and by count (HOTP, RFC 4226), and writes what an authenticator app needs
// at setup: the otpauth URI, its QR code and the secret for typing.
//
// What to know before trusting it: it is pure, with no state and no clock, so a code is
// accepted only once if the caller keeps the step that Verify returns, hands it in as last
// the next time, and commits it before anybody hears that the code was right. The same
// holds for the count that Find returns. No drift is remembered: the window stays around
// the given time, and a clock that goes wrong is put right where it goes wrong. All
// functions may be called from many goroutines. No error holds a secret or a code.
package otp

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"time"

	pquerna "github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
)

// Params say how a secret becomes codes. Both sides must agree on them.
type Params struct {
	Digits    int           // 6 to 8
	Period    time.Duration // how long a code is shown; whole seconds
	Algorithm string        // of the HMAC: "SHA1", "SHA256" or "SHA512"
}

// Every authenticator app takes these to be meant when a URI does not say so.
const (
	usualDigits    = 6
	usualPeriod    = 30 * time.Second
	usualAlgorithm = "SHA1"
)

var algorithms = map[string]pquerna.Algorithm{
	"SHA1":   pquerna.AlgorithmSHA1,
	"SHA256": pquerna.AlgorithmSHA256,
	"SHA512": pquerna.AlgorithmSHA512,
}

// maxSkew bounds the work of one answer, and how long an overheard code lives.
const maxSkew = 10

// A Result is what Verify found. The zero value is a refusal.
type Result uint8

// The results.
const (
	Wrong Result = iota // the code of no step within reach
	Right               // the code of a step that was not used yet
	Spent               // the code of a step that was used, or of one before it
)

// Check returns an error that says what is wrong with p, or nil.
func (p Params) Check() error {
	switch _, known := algorithms[p.Algorithm]; {
	case p.Digits < 6 || p.Digits > 8:
		return fmt.Errorf("digits are %d: want 6 to 8", p.Digits)
	case p.Period < time.Second || p.Period%time.Second != 0:
		return fmt.Errorf("period is %v: want whole seconds", p.Period)
	case !known:
		return fmt.Errorf("algorithm is %q: want SHA1, SHA256 or SHA512", p.Algorithm)
	}
	return nil
}

// Step returns how many whole periods have passed at t since 1970, the T of RFC
// 6238, section 4.2. It panics for a period under a second.
func Step(t time.Time, period time.Duration) int64 {
	return t.Unix() / int64(period/time.Second)
}

// Code returns the code of one step (RFC 4226, section 5.3). The error says
// which of the parameters is out of bounds.
func Code(secret []byte, step int64, p Params) (string, error) {
	if err := check(secret, p); err != nil {
		return "", err
	}
	return codeOf(encode(secret), step, p)
}

// check returns an error for a secret or parameters that may make no code. An empty
// secret would give codes that anybody can compute.
func check(secret []byte, p Params) error {
	if len(secret) < minSecret {
		return errors.New("make one-time code: the secret is too short")
	}
	if err := p.Check(); err != nil {
		return fmt.Errorf("make one-time code: %w", err)
	}
	return nil
}

// codeOf is Code for a secret in base32 and parameters that were checked.
func codeOf(base32 string, step int64, p Params) (string, error) {
	text, err := hotp.GenerateCodeCustom(base32, uint64(step), hotp.ValidateOpts{
		Digits:    pquerna.Digits(p.Digits),
		Algorithm: algorithms[p.Algorithm],
	})
	if err != nil {
		return "", fmt.Errorf("make one-time code: %w", err)
	}
	return text, nil
}

// Verify looks for answer among the codes of the steps around now, up to skew
// (0 to 10) before and after it. Last is the step of the newest code that was
// accepted, 0 if there was none: a code of that step or an older one is Spent.
// With Right it returns the step to keep as the next last, otherwise 0.
//
// Every candidate is computed and compared in constant time. Answer must be the
// digits alone. An error means that secret, skew or p cannot be used; it is no
// verdict about the answer. After the clock was set back, codes are Spent until
// the clock has passed last again.
func Verify(secret []byte, answer string, now time.Time, last int64, skew int, p Params) (int64, Result, error) {
	if err := check(secret, p); err != nil {
		return 0, Wrong, err
	}
	if skew < 0 || skew > maxSkew {
		return 0, Wrong, fmt.Errorf("verify one-time code: skew is %d: want 0 to %d", skew, maxSkew)
	}
	base32, oldest, found := encode(secret), Step(now, p.Period)-int64(skew), -1
	for i := range 2*skew + 1 {
		want, err := codeOf(base32, oldest+int64(i), p)
		if err != nil {
			return 0, Wrong, err
		}
		// Of two steps that happen to share a code the newer one is taken: it
		// spends both.
		found = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare([]byte(want), []byte(answer)), i, found)
	}
	step := oldest + int64(found)
	switch {
	case found < 0:
		return 0, Wrong, nil
	case step <= last:
		return 0, Spent, nil
	}
	return step, Right, nil
}
