package foreign

import (
	"encoding/hex"
	"errors"
	"fmt"
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

// oathTypes are the types by time of usersfile.c in oath-toolkit. All its others
// go by a counter.
var oathTypes = map[string]otp.Params{
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
// kept: of several the first. Times in the file are in the zone local.
func Oath(text string, local *time.Location) []OathLine {
	var all []OathLine
	taken := map[string]int{}
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
		if first := taken[l.User]; l.Err == nil && first > 0 {
			l.App, l.Err = App{}, fmt.Errorf("another app of this user, beside line %d: one can be kept", first)
		}
		if l.Err == nil {
			taken[l.User] = n
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
	p, byTime := oathTypes[kind]
	switch {
	case kind == "HOTP" || strings.HasPrefix(kind, "HOTP/E"):
		return App{}, errors.New("its codes go by a counter (HOTP), not by time")
	case !byTime:
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
