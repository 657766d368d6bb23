package login

import (
	"os"
	"strings"
	"testing"
	"time"

	"mfa/internal/mfa"
)

// audit returns what was written down so far.
func (d *harness) audits() string {
	d.t.Helper()
	text, err := os.ReadFile(d.audit)
	if err != nil {
		d.t.Fatal(err)
	}
	return string(text)
}

// A phone whose clock is off by minutes is told of, and what it shows is never
// accepted and always counted.
func TestPhoneWithAWrongClock(t *testing.T) {
	for off, words := range map[int64]string{-14: "7 minutes behind", 14: "7 minutes ahead"} {
		d := newHarness(t, enrolling)
		a, _ := withApp(d)
		d.advance(time.Hour)
		shows := func() string { return a.code(off) }
		d.login(request("bob"), mfa.WrongCode,
			step{"app shows", shows, nil},
			step{"not right. 2 tries left.\nCode", func() string { d.advance(30 * time.Second); return shows() }, nil},
			step{"Your app's clock seems to be " + words, func() string { return "" }, mfa.ErrNoConversation})
		if n := strings.Count(d.audits(), "the app's clock seems to be "+words); n != 2 {
			t.Errorf("%d lines of the audit tell it", n)
		}
		if n := len(d.state("bob").Failures); n != 2 {
			t.Errorf("%d failures", n)
		}
	}
}

// One such code, or the same one twice, is told to nobody who has proven nothing.
func TestAWrongClockIsNoOracle(t *testing.T) {
	d := newHarness(t, enrolling)
	a, codes := withApp(d)
	d.advance(time.Hour)
	ahead := a.code(20)
	quiet := step{want: "not right. One try left.\nCode (", err: mfa.ErrNoConversation}
	d.login(request("bob"), mfa.WrongCode, step{"app shows", say(ahead), nil},
		step{"not right. 2 tries left.\nCode (", func() string { d.advance(30 * time.Second); return ahead }, nil}, quiet)
	d.advance(15 * time.Minute)
	// Two that are not equally far off, and two with a guess between them.
	d.login(request("bob"), mfa.WrongCode, step{"app shows", func() string { return a.code(20) }, nil},
		step{"2 tries left.\nCode (", func() string { d.advance(30 * time.Second); return a.code(40) }, nil}, quiet)
	d.advance(16 * time.Minute)
	d.login(request("bob"), mfa.Exhausted, step{"app shows", func() string { return a.code(20) }, nil}, wrong("2 tries left.\nCode ("),
		step{"One try left.\nCode (", func() string { d.advance(30 * time.Second); return a.code(20) }, nil},
		step{want: "not right. This login ends here."})
	// A user who has proven another factor is told.
	d.login(request("bob"), mfa.Accepted, step{"app shows", say("m"), nil}, step{"Backup code", say("2"), nil},
		step{"backup codes", say(codes[0]), nil}, step{want: "Your app's clock seems to be 10 minutes ahead"})
	if d.state("bob").Drift != nil {
		t.Error("it is told again")
	}
}

// A user who sets an app up has its secret, and is told at once.
func TestWrongClockInASetup(t *testing.T) {
	d := newHarness(t, enrolling)
	a := &app{d: d}
	s := &script{t: t, steps: []step{
		{"Authenticator app", say("1"), nil},
		{"type the code", func() string { return a.code(-10) }, nil},
		{"clock seems to be 5 minutes behind", a.shows(), nil},
		{"Backup codes", say(""), nil},
	}}
	s.read = func(text string) {
		if strings.Contains(text, "Key: ") {
			a.scan(text)
		}
	}
	if v, err := d.engine.Login(t.Context(), request("bob"), s); v.Outcome != mfa.Accepted || len(s.steps) > 0 {
		t.Fatalf("%+v %v", v, err)
	}
}
