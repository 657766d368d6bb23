package foreign

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"mfa/internal/factor/otp"
)

// The options of google-authenticator that say nothing we would have to keep:
// limits are [lockout]'s, the window is totp.skew's or hotp.window's, and a grace period is a
// remembered session's. They are those of pam_google_authenticator.c.
var googleIgnored = []string{"RATE_LIMIT", "RESETTING_TIME_SKEW"}

// The format fixes these.
const (
	googleDigits   = 6
	googlePeriod   = 30
	googleMaxStep  = 60 // largest STEP_SIZE, in seconds
	googleWindow   = 3  // WINDOW_SIZE where it says nothing
	scratchDigits  = 8
	googleOptional = `" ` // an option begins like this
)

// GoogleAuthenticator reads a file as google-authenticator(1) writes it: the
// secret, options, and codes that work once.
func GoogleAuthenticator(text string) (App, error) {
	first, rest, _ := strings.Cut(text, "\n")
	secret, err := secretOf(strings.TrimRight(first, "\r"))
	if err != nil {
		return App{}, fmt.Errorf("line 1: %w", err)
	}
	g := googleState{app: App{Secret: secret}, period: googlePeriod, counter: -1}
	n := 1
	for line := range strings.Lines(rest) {
		n++
		if err := g.line(strings.TrimRight(line, "\r\n")); err != nil {
			return App{}, fmt.Errorf("line %d: %w", n, err)
		}
	}
	g.app.Params.Digits, g.app.Params.Algorithm = googleDigits, "SHA1"
	window := "totp.skew"
	switch counts := g.counter >= 0; {
	case counts && g.totp:
		return App{}, errors.New(`it has both "TOTP_AUTH" and "HOTP_COUNTER"`)
	case counts:
		g.app.Count, g.app.LastStep, window = g.counter, 0, "hotp.window"
	case g.totp:
		g.app.Params.Period = time.Duration(g.period) * time.Second
	default:
		return App{}, errors.New(`it has neither "TOTP_AUTH" nor "HOTP_COUNTER"`)
	}
	if g.window > googleWindow {
		g.app.Notes = append([]string{fmt.Sprintf("had a window of %d codes: %s counts now", g.window, window)}, g.app.Notes...)
	}
	return g.app, g.app.check()
}

// A googleState is what was read so far.
type googleState struct {
	app     App
	totp    bool
	period  int   // seconds
	window  int   // WINDOW_SIZE
	counter int64 // of the next code; -1: it goes by time
}

func (g *googleState) line(line string) error {
	option, isOption := strings.CutPrefix(line, googleOptional)
	switch {
	case isOption:
		name, value, _ := strings.Cut(option, " ")
		return g.option(name, strings.TrimSpace(value))
	case line == "":
		return nil
	case !isDigits(line, scratchDigits):
		return fmt.Errorf("neither an option nor a code of %d digits", scratchDigits)
	case len(g.app.Scratch) == maxScratch:
		return fmt.Errorf("more than %d codes", maxScratch)
	}
	g.app.Scratch = append(g.app.Scratch, line)
	return nil
}

func (g *googleState) option(name, value string) error {
	switch {
	case name == "TOTP_AUTH":
		g.totp = true
	case name == "HOTP_COUNTER":
		return g.count(value)
	case name == "DISALLOW_REUSE":
		return g.used(value)
	case name == "STEP_SIZE", name == "TIME_SKEW", name == "WINDOW_SIZE":
		return g.number(name, value)
	case strings.HasPrefix(name, "LAST") && isDigits(name[len("LAST"):], 1):
	case strings.HasPrefix(name, "GRACE_PERIOD"):
	default:
		for _, known := range googleIgnored {
			if name == known {
				return nil
			}
		}
		return errors.New("an option that is not known")
	}
	return nil
}

// number reads an option that is a number.
func (g *googleState) number(name, value string) error {
	n, err := strconv.Atoi(value)
	switch {
	case name == "STEP_SIZE" && (err != nil || n < 1 || n > googleMaxStep):
		return fmt.Errorf("STEP_SIZE is not 1 to %d", googleMaxStep)
	case err != nil:
		return fmt.Errorf("%s is not a number", name)
	case name == "STEP_SIZE":
		g.period = n
	case name == "TIME_SKEW" && n != 0:
		g.note(fmt.Sprintf("the app's clock was %d steps off", n))
	case name == "WINDOW_SIZE":
		g.window = n
	}
	return nil
}

// count reads the count of the next code. The program counts on at wrong codes too, so it
// may be ahead of the app.
func (g *googleState) count(value string) error {
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || n < 0 || n > otp.MaxCount {
		return fmt.Errorf("HOTP_COUNTER is not 0 to %d", int64(otp.MaxCount))
	}
	g.counter = max(g.counter, n)
	return nil
}

// used reads the steps of codes that were used.
func (g *googleState) used(value string) error {
	for _, word := range strings.Fields(value) {
		step, err := strconv.ParseInt(word, 10, 64)
		if err != nil || step < 0 {
			return errors.New("DISALLOW_REUSE is not a list of numbers")
		}
		g.app.LastStep = max(g.app.LastStep, step)
	}
	return nil
}

func (g *googleState) note(text string) { g.app.Notes = append(g.app.Notes, text) }
