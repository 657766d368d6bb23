// Package foreign reads what other programs keep of their users' second factors:
// the file of google-authenticator, the users.oath of oath-toolkit, and lists of tokens
// as makers hand them out: PSKC (RFC 6030), and lines with commas.
//
// Only what begins with Find opens files; the others read a text.
// That was written by a user or by a program of theirs, so everything is bounded, and
// what is not understood is an error, never passed over. No error holds a secret or
// a code, only lines and names of options.
package foreign

import (
	"fmt"
	"strings"

	"mfa/internal/factor/otp"
)

// An App is what an authenticator app or a token was given, and what was used of it.
type App struct {
	Secret   []byte
	Params   otp.Params // without a period: its codes go by a counter
	LastStep int64      // by time: newest step known to be used, 0 if none is
	Count    int64      // by a counter: count of the first code that was not used
	Serial   string     // number on a token
	Scratch  []string   // codes that work once each and are not used yet
	Notes    []string   // what is not taken over, in a few words each
}

// maxScratch bounds the codes of one file; google-authenticator makes up to 10.
const maxScratch = 100

// secretOf reads a secret in base32 as google-authenticator does: digits that
// look like letters are those, and a last letter that completes no byte does not
// count.
func secretOf(text string) ([]byte, error) {
	text = strings.NewReplacer("0", "O", "1", "L", "8", "B", " ", "", "-", "", "\t", "").Replace(text)
	switch len(text) % 8 {
	case 1, 3, 6:
		text = text[:len(text)-1]
	}
	return otp.ParseSecret(text)
}

// Counts says whether the codes go by a counter (RFC 4226), not by time.
func (a App) Counts() bool { return a.Params.Period == 0 }

// check refuses an app with which no code can be made.
func (a App) check() error {
	if a.Counts() {
		if err := otp.CheckToken(a.Secret, a.Count, a.Params); err != nil {
			return fmt.Errorf("it cannot be used: %w", err)
		}
		return nil
	}
	if _, err := otp.Code(a.Secret, 0, a.Params); err != nil {
		return fmt.Errorf("it cannot be used: %w", err)
	}
	return nil
}

// isDigits says whether s is n decimal digits.
func isDigits(s string, n int) bool {
	return len(s) == n && strings.Trim(s, "0123456789") == ""
}
