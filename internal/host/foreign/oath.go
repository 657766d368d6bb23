package foreign

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"mfa/internal/factor/otp"
)

// An OathLine is one line of a users.oath.
type OathLine struct {
	Line int
	User string
	App  App
	Err  error // why it cannot be taken over; then App is empty
}

// oathTypes are the types of usersfile.c in oath-toolkit. Those without a period go by a
// counter.
var oathTypes = map[string]otp.Params{
	"HOTP":       {Digits: 6},
	"HOTP/E":     {Digits: 6},
	"HOTP/E/6":   {Digits: 6},
	"HOTP/E/7":   {Digits: 7},
	"HOTP/E/8":   {Digits: 8},
	"HOTP/T30":   {Digits: 6, Period: 30 * time.Second},
	"HOTP/T30/6": {Digits: 6, Period: 30 * time.Second},
	"HOTP/T30/7": {Digits: 7, Period: 30 * time.Second},
	"HOTP/T30/8": {Digits: 8, Period: 30 * time.Second},
	"HOTP/T60":   {Digits: 6, Period: 60 * time.Second},
	"HOTP/T60/6": {Digits: 6, Period: 60 * time.Second},
	"HOTP/T60/7": {Digits: 7, Period: 60 * time.Second},
	"HOTP/T60/8": {Digits: 8, Period: 60 * time.Second},
}

// Fields of a line. Those from moving on are missing until the first login.
const (
	oathType = iota
	oathUser
	oathPIN
	oathSecret
	oathMoving
	oathOTP
	oathTime
	oathFields
)

// Oath reads a users.oath (pam_oath(8)). Every line that is no comment is in the
// result, those that cannot be taken over with the reason. One app a user can be
// kept that goes by time, and one that goes by a counter: of several the first. Times in the file are in the zone local.
func Oath(text string, local *time.Location) []OathLine {
	var all []OathLine
	type kind struct {
		user   string
		counts bool
	}
	taken := map[kind]int{}
	n := 0
	for line := range strings.Lines(text) {
		n++
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		l := OathLine{Line: n}
		if len(words) > oathUser {
			l.User = words[oathUser]
		}
		l.App, l.Err = oathApp(words, local)
		of := kind{l.User, l.App.Counts()}
		if first := taken[of]; l.Err == nil && first > 0 {
			l.App, l.Err = App{}, fmt.Errorf("another app of this user, beside line %d: one can be kept", first)
		}
		if l.Err == nil {
			taken[of] = n
		}
		all = append(all, l)
	}
	return all
}

// oathApp reads the words of one line.
func oathApp(words []string, local *time.Location) (App, error) {
	if len(words) <= oathSecret || len(words) > oathFields {
		return App{}, fmt.Errorf("%d words: want type, user, PIN and secret, and then up to 3 more", len(words))
	}
	kind := words[oathType]
	p, known := oathTypes[kind]
	switch {
	case !known:
		return App{}, errors.New("a type that is not known")
	case words[oathPIN] != "-" && words[oathPIN] != "+":
		return App{}, errors.New("it has a PIN, which has no place here: the password is the first factor")
	}
	secret, err := hex.DecodeString(words[oathSecret])
	if err != nil {
		return App{}, errors.New("the secret is not hexadecimal")
	}
	p.Algorithm = "SHA1"
	a := App{Secret: secret, Params: p}
	if a.Counts() {
		return countedOath(a, words)
	}
	if err := a.check(); err != nil {
		return App{}, err
	}
	if len(words) > oathTime {
		if a.LastStep, err = lastOathStep(a, words[oathOTP], words[oathTime], local); err != nil {
			return App{}, err
		}
	}
	return a, nil
}

// countedOath is oathApp for a that goes by a counter. The file has the count of the code
// that was used last; of the first one, if none was.
func countedOath(a App, words []string) (App, error) {
	if len(words) > oathMoving {
		n, err := strconv.ParseInt(words[oathMoving], 10, 64)
		if err != nil || n < 0 || n > otp.MaxCount {
			return App{}, fmt.Errorf("the counter is not 0 to %d", int64(otp.MaxCount))
		}
		if a.Count = n; len(words) > oathOTP {
			a.Count++
		}
	}
	if err := a.check(); err != nil {
		return App{}, err
	}
	return a, nil
}

// oathWindow is how far from the time of a login the step of its code is looked
// for. Pam_oath's window is 5 by default.
const oathWindow = 20

// lastOathStep returns the newest step that the last login can have used: that
// of the code it left, which may have been ahead of its time, or that of its time.
func lastOathStep(a App, code, when string, local *time.Location) (int64, error) {
	at, err := time.ParseInLocation("2006-01-02T15:04:05L", when, local)
	if err != nil {
		return 0, errors.New("the time of the last login is not like 2009-12-07T00:23:21L")
	}
	now := otp.Step(at, a.Params.Period)
	for step := now + oathWindow; step > now; step-- {
		if c, err := otp.Code(a.Secret, step, a.Params); err != nil || c == code {
			return step, err
		}
	}
	return max(0, now), nil
}
