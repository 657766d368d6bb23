package login

import (
	"errors"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mfa/internal/audit"
	"mfa/internal/factor/otp"
	"mfa/internal/mfa"
)

func enrolling(s *settings) { s.policy.Policy.EnrollAtLogin, s.policy.Policy.SelfContacts = true, true }

// app plays an authenticator app: it reads the key at setup and shows codes.
type app struct {
	d      *harness
	secret []byte
}

func (a *app) scan(text string) {
	a.d.t.Helper()
	m := regexp.MustCompile(`(?m)^Key: ([A-Z2-7 ]+)$`).FindStringSubmatch(text)
	if m == nil {
		a.d.t.Fatalf("no key in %q", text)
	}
	var err error
	if a.secret, err = otp.ParseSecret(m[1]); err != nil {
		a.d.t.Fatal(err)
	}
}

// code shows the code of the time, steps away from now.
func (a *app) code(steps int64) string {
	a.d.t.Helper()
	p := otp.Params{Digits: 6, Period: 30 * time.Second, Algorithm: "SHA1"}
	code, err := otp.Code(a.secret, otp.Step(a.d.clock(), p.Period)+steps, p)
	if err != nil {
		a.d.t.Fatal(err)
	}
	return code
}

func (a *app) shows() func() string { return func() string { return a.code(0) } }

// withApp has bob enroll an app at a login, and returns it and his backup codes.
func withApp(d *harness) (*app, []string) {
	d.t.Helper()
	a := &app{d: d}
	var backup []string
	s := &script{t: d.t, steps: []step{
		{"Authenticator app", say("1"), nil},
		{"type the code that the app shows", a.shows(), nil},
		{"Backup codes", say(""), nil},
	}}
	s.read = func(text string) {
		if strings.Contains(text, "Key: ") {
			a.scan(text)
		}
		if strings.Contains(text, "Backup codes") {
			backup = regexp.MustCompile(`\w{4}(?:-\w{4}){3}`).FindAllString(text, -1)
		}
	}
	if v, err := d.engine.Login(d.t.Context(), request("bob"), s); v.Outcome != mfa.Accepted || len(s.steps) > 0 {
		d.t.Fatalf("%+v %v", v, err)
	}
	if len(backup) != 3 {
		d.t.Fatalf("%d backup codes, want backup.codes", len(backup))
	}
	return a, backup
}

func TestEnrollAppAtLogin(t *testing.T) {
	d := newHarness(t, enrolling)
	a, _ := withApp(d)
	spent := a.code(0)
	d.login(request("bob"), mfa.NoConversation,
		step{"authenticator app", say(spent), nil},
		step{"used already", func() string { return a.code(-1) }, nil},
		step{"used already", say(spent), nil}, step{want: "ends here"})
	d.advance(30 * time.Second)
	d.login(request("bob"), mfa.Accepted, step{"authenticator app", a.shows(), nil})
	if n := len(d.state("bob").Failures); n != 0 {
		t.Errorf("%d failures for codes that were used before", n)
	}
	if n := d.mailCount(); n != 0 {
		t.Errorf("%d mails", n)
	}
}

func TestEnrollEmailAtLogin(t *testing.T) {
	d := newHarness(t, enrolling)
	d.login(request("bob"), mfa.Accepted,
		step{"Codes by email", say("2"), nil},
		step{"Where should codes be sent", say("not an address"), nil},
		step{"not an address like", say("bbo@example.com"), nil},
		step{"sent to b***o@example.com", say("c"), nil},
		step{"Where should codes be sent", say("bob@example.com"), nil},
		step{"sent to b***b@example.com", d.code, nil},
		step{"Backup codes", say(""), nil})
	d.login(request("bob"), mfa.Accepted, d.withCode())
	if to := d.mails[0].To; to != "bbo@example.com" || d.mails[1].To != "bob@example.com" {
		t.Errorf("first mail to %s, second to %s", to, d.mails[1].To)
	}
}

func TestEnrollmentResumes(t *testing.T) {
	d := newHarness(t, enrolling)
	d.login(request("bob"), mfa.NoConversation,
		step{"Codes by email", say("2"), nil},
		step{"Where should", say("bob@example.com"), nil},
		step{want: "sent to b***b@example.com", err: errors.New("gone")})
	if _, err := d.engine.deps.Accounts.Records().Enrollment(t.Context(), "bob"); err == nil {
		t.Error("enrolled without a code")
	}
	d.advance(20 * time.Second)
	d.login(request("bob"), mfa.Accepted,
		step{"sent to b***b@example.com 20 seconds ago", d.code, nil}, step{"Backup codes", say(""), nil})
	if n := d.mailCount(); n != 1 {
		t.Errorf("%d mails", n)
	}
}

// A setup that was begun long ago is not picked up.
func TestEnrollmentDoesNotResumeForEver(t *testing.T) {
	d := newHarness(t, enrolling)
	d.login(request("bob"), mfa.NoConversation,
		step{"Choose one", say("1"), nil}, step{want: "Key: ", err: errors.New("gone")})
	d.advance(2 * time.Hour)
	d.login(request("bob"), mfa.NoConversation, step{want: "Choose one", err: errors.New("gone")})
}

func TestBackupCodeIsGoodOnce(t *testing.T) {
	d := newHarness(t, enrolling)
	_, codes := withApp(d)
	use := func(code, want string) {
		t.Helper()
		d.login(request("bob"), mfa.Accepted,
			step{"Code (m = other method): ", say("m"), nil},
			step{"Backup code", say("2"), nil},
			step{want, say(code), nil})
	}
	use(strings.ToUpper(strings.ReplaceAll(codes[0], "-", " ")), "2 backup codes are left")
	d.login(request("bob"), mfa.NoConversation,
		step{"authenticator", say("m"), nil}, step{"", say("2"), nil},
		step{"backup codes", say(codes[0]), nil}, step{want: "used already", err: mfa.ErrNoConversation})
	use(codes[1], "1 backup code is left")
}

func TestSkip(t *testing.T) {
	optional := func(s *settings) { s.policy.Policy.Mode, s.policy.Policy.OptOut = ModeOptional, true }
	d := newHarness(t, enrolling, optional)
	d.login(request("bob"), mfa.Exempt, step{"mfactl enroll", say("3"), nil})
	d.login(request("bob"), mfa.Exempt)
	if _, err := d.enrol.Reset(t.Context(), "bob", "root"); err != nil {
		t.Fatal(err)
	}
	d.login(request("bob"), mfa.NoConversation, step{want: "Skip for now", err: mfa.ErrNoConversation})
}

// A choice to skip counts only while policy leaves it to the user.
func TestSkipDoesNotOutlastPolicy(t *testing.T) {
	d := newHarness(t, enrolling)
	d.enroll("bob", mfa.Enrollment{UID: 1001, Skipped: &start})
	d.login(request("bob"), mfa.NoConversation, step{want: "is needed", err: mfa.ErrNoConversation})
}

func TestGrace(t *testing.T) {
	d := newHarness(t, enrolling, func(s *settings) { s.policy.Policy.EnrollGrace = mfa.Duration(48 * time.Hour) })
	d.login(request("bob"), mfa.Exempt, step{"Later (within 48 hours)", say("3"), nil})
	d.advance(47 * time.Hour)
	d.login(request("bob"), mfa.NoConversation, step{want: "Later (within 60 minutes)", err: mfa.ErrNoConversation})
	d.advance(time.Hour)
	d.login(request("bob"), mfa.NoConversation, step{want: "  2  Codes by email\nChoice", err: mfa.ErrNoConversation})
}

func TestOnlyAdministratorsSetAddresses(t *testing.T) {
	d := newHarness(t, enrolling, func(s *settings) { s.policy.Policy.SelfContacts = false })
	d.login(request("bob"), mfa.NoConversation,
		step{want: "A second factor is needed"}, step{"Key: ", say("m"), nil},
		step{want: "No other method", err: mfa.ErrNoConversation})
	d.login(request("alice"), mfa.Accepted, d.withCode())
}

// A user who set something up before everybody had to enroll anew proves that, and then sets
// up everything anew.
func TestOlderGenerationEnrollsAnew(t *testing.T) {
	d := newHarness(t, enrolling, func(s *settings) { s.policy.Generation, s.keeping.Generation = 1, 1 })
	d.login(request("alice"), mfa.Exhausted, wrong("sent to a***e"), wrong(""), wrong(""), step{want: "ends here"})
	d.login(request("alice"), mfa.NoConversation, d.withCode(), step{want: "is needed", err: mfa.ErrNoConversation})
	if en := d.enrollment("alice"); en.Generation != 0 || en.Email == nil {
		t.Errorf("before anything new was set up: %+v", en)
	}
	a := &app{d: d}
	s := &script{t: t, steps: []step{
		d.withCode(), {"is needed", say("1"), nil}, {"type the code", a.shows(), nil}, {"Backup codes", say(""), nil},
	}}
	s.read = func(text string) {
		if strings.Contains(text, "Key: ") {
			a.scan(text)
		}
	}
	if v, err := d.engine.Login(t.Context(), request("alice"), s); v.Outcome != mfa.Accepted {
		t.Fatalf("%+v %v", v, err)
	}
	if en := d.enrollment("alice"); en.Generation != 1 || en.Email != nil || en.TOTP == nil {
		t.Errorf("afterwards: %+v", en)
	}
}

// Where an older factor is disabled, nobody enrolls anew in its place.
func TestOlderGenerationThatIsDisabledIsRefused(t *testing.T) {
	d := newHarness(t, enrolling, func(s *settings) { s.policy.Generation, s.keeping.Generation = 1, 1 })
	d.update("alice", func(st *mfa.State) {
		st.UID, st.MethodFailures = 1000, map[mfa.Method]int{mfa.Email: mfa.MaxMethodFailures}
	})
	d.login(request("alice"), mfa.Exhausted, step{want: "Ask your administrator"})
}

// Guesses at a confirmation code count: or anybody's address could be confirmed.
// A user without a second factor is not locked by wrong codes; but a conversation
// takes three, and a code that was sent takes five.
func TestWrongConfirmationCodesDoNotLock(t *testing.T) {
	d := newHarness(t, enrolling)
	d.login(request("bob"), mfa.Exhausted,
		step{"Choose", say("2"), nil}, step{"Where", say("eve@example.com"), nil},
		wrong("sent"), wrong("2 tries"), wrong("One try"), step{want: "ends here"})
	right := d.code()
	d.login(request("bob"), mfa.WrongCode, wrong("sent"), wrong("2 tries"),
		step{"One try", say(right), nil}, // the code took five
		step{"That code is void", say(right), nil}, step{"That code is void", say(right), nil}, step{want: "ends here"})
	if st := d.state("bob"); len(st.Failures) != 0 || len(st.MethodFailures) != 0 || d.audited(audit.Failed) != 0 {
		t.Errorf("counted: %+v", st)
	}
	d.login(request("bob"), mfa.Accepted, step{"sent", d.code, nil}, step{"Backup codes", say(""), nil})
}

func TestChoosing(t *testing.T) {
	d := newHarness(t, enrolling)
	a, _ := withApp(d)
	en, err := d.engine.deps.Accounts.Records().Enrollment(t.Context(), "bob")
	if err != nil {
		t.Fatal(err)
	}
	en.Email = &mfa.Address{Address: "bob@example.com", Confirmed: start}
	d.enroll("bob", en)
	d.advance(time.Minute)

	d.login(request("bob"), mfa.Accepted,
		step{"authenticator app", say("r"), nil},
		step{"No code is sent", say("m"), nil},
		step{"1  Code from your authenticator app\n  2  Code by email to b***b@example.com\n  3  Backup code", say("7"), nil},
		step{"number from 1 to 3", say("1"), nil},
		step{"authenticator app", a.shows(), nil})
	if n := d.mailCount(); n != 0 {
		t.Errorf("%d mails before email was chosen", n)
	}
	d.advance(time.Minute)
	preferred := func() mfa.Method {
		en, err := d.engine.deps.Accounts.Records().Enrollment(t.Context(), "bob")
		if err != nil {
			t.Fatal(err)
		}
		return en.Preferred
	}
	d.login(request("bob"), mfa.NoConversation,
		step{"authenticator app", say("m"), nil}, step{"Choice", say("3*"), nil}, step{"Backup code", nil, mfa.ErrNoConversation})
	d.login(request("bob"), mfa.Accepted,
		step{"authenticator app", say("m"), nil}, step{"Choice", say("3*"), nil}, step{"Backup code", say("m"), nil},
		step{"Choice", say("1"), nil}, step{"authenticator app", a.shows(), nil})
	if m := preferred(); m != "" {
		t.Errorf("%q is preferred, and was not proven", m)
	}
	d.advance(time.Minute)
	d.login(request("bob"), mfa.Accepted,
		step{"authenticator app", say("M"), nil}, step{"Choice", say("2*"), nil}, d.withCode())
	if m := preferred(); m != mfa.Email {
		t.Errorf("%q is preferred", m)
	}
	d.login(request("bob"), mfa.Accepted, d.withCode()) // preferred: not asked how
	if n := d.mailCount(); n != 2 {
		t.Errorf("%d mails", n)
	}
}

func TestUndeliveredOffersTheOtherMethods(t *testing.T) {
	d := newHarness(t, enrolling)
	a, _ := withApp(d)
	en, err := d.engine.deps.Accounts.Records().Enrollment(t.Context(), "bob")
	if err != nil {
		t.Fatal(err)
	}
	en.Email, en.Preferred = &mfa.Address{Address: "bob@example.com", Confirmed: start}, mfa.Email
	d.enroll("bob", en)
	d.fail = errors.New("no route")
	d.advance(time.Minute)
	s := &script{t: t, steps: []step{
		{want: "could not be sent"},
		{"How do you want", say("2"), nil},
		{"authenticator", a.shows(), nil},
	}}
	s.skip = "was sent to" // the carrier may be slower than the prompt
	if v, err := d.engine.Login(t.Context(), request("bob"), s); v.Outcome != mfa.Accepted || len(s.steps) > 0 {
		t.Fatalf("%+v %v, left %v", v, err, s.steps)
	}
	if n := len(d.state("bob").Failures); n != 0 {
		t.Errorf("%d failures", n)
	}
}

// The owner of a confirmed address hears there of every change, whoever makes it.
func TestNoticesOfChanges(t *testing.T) { synctest.Test(t, noticesOfChanges) }

func noticesOfChanges(t *testing.T) {
	d := newHarness(t, enrolling)
	alice, _ := lookUpAccount(t.Context(), "alice")
	confirmed := mfa.Enrollment{UID: 1000, Email: &mfa.Address{Address: "alice@example.com", Confirmed: start}}
	d.enroll("alice", confirmed)
	c := d.engine.Converse(alice, mfa.Origin{Service: "mfactl", Address: "local"}, promptFunc(nil))
	told := func(what string, do func() error, want string) {
		t.Helper()
		d.enroll("alice", confirmed)
		before := d.mailCount()
		if err := do(); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		synctest.Wait() // the mail leaves in the background
		d.mu.Lock()
		defer d.mu.Unlock()
		if len(d.mails) != before+1 || d.mails[before].To != "alice@example.com" || !strings.Contains(d.mails[before].Text, want) {
			t.Errorf("%s: mails %+v", what, d.mails[before:])
		}
	}
	told("another address", func() error {
		return d.enrol.SetContact(t.Context(), alice, mfa.Email, "other@example.com", "root")
	}, "now go to o***r@example.com, by an administrator")
	told("reset", func() error {
		_, err := d.enrol.Reset(t.Context(), "alice", "root")
		return err
	}, "was reset by an administrator")
	told("opting out", func() error { return d.enrol.OptOut(t.Context(), c.User) }, "was removed, by your own choice")

	a := &app{d: d}
	s := &script{t: t, steps: []step{
		{"What do you want to set up", say("1"), nil},
		{"type the code", a.shows(), nil},
		{"Backup codes", say(""), nil},
	}}
	s.read = func(text string) {
		if strings.Contains(text, "Key: ") {
			a.scan(text)
		}
	}
	told("an app", func() error {
		offer, err := d.engine.Offer(t.Context(), c.User)
		if err != nil {
			return err
		}
		v, err := d.enrol.Add(t.Context(), d.engine.Converse(alice, mfa.Origin{Service: "mfactl", Address: local}, s), offer)
		if v.Outcome != mfa.Accepted {
			t.Errorf("outcome %v", v.Outcome)
		}
		return err
	}, "An authenticator app was added")
}

// A user whose mails are used up can still use the methods that need none.
func TestMaxSendsLeavesTheOtherMethods(t *testing.T) {
	d := newHarness(t, enrolling, func(s *settings) { s.asking.Code.MaxSends = 1 })
	a, _ := withApp(d)
	en, err := d.engine.deps.Accounts.Records().Enrollment(t.Context(), "bob")
	if err != nil {
		t.Fatal(err)
	}
	en.Email, en.Preferred = &mfa.Address{Address: "bob@example.com", Confirmed: start}, mfa.Email
	d.enroll("bob", en)
	d.login(request("bob"), mfa.Accepted, d.withCode())
	d.advance(time.Minute)
	d.login(request("bob"), mfa.Accepted,
		step{want: "Too many codes"}, step{"How do you want", say("2"), nil}, step{"authenticator", a.shows(), nil})

	onlyEmail := newHarness(t, enrolling, func(s *settings) {
		s.asking.Code.MaxSends, s.policy.Policy.Methods = 1, []mfa.Method{mfa.Email}
	})
	onlyEmail.login(request("bob"), mfa.Exhausted,
		step{want: "is needed"},
		step{"Where", say("first@example.com"), nil},
		step{"sent to", say("c"), nil},
		step{"Where", say("second@example.com"), nil},
		step{want: "Too many codes"})
}

// Where policy offers email before the app, who has both is asked first: a mail
// costs, and nobody wanted one yet.
func TestNothingIsSentBeforeAChoice(t *testing.T) {
	d := newHarness(t, enrolling, func(s *settings) {
		s.policy.Policy.Methods = []mfa.Method{mfa.Email, mfa.TOTP, mfa.Backup}
	})
	d.enroll("bob", mfa.Enrollment{
		UID: 1001, Email: &mfa.Address{Address: "bob@example.com", Confirmed: start}, TOTP: &mfa.TOTPSecret{},
	})
	d.login(request("bob"), mfa.NoConversation, step{want: "1  Code by email to b***b@example.com", err: mfa.ErrNoConversation})
	if n := d.mailCount(); n != 0 || len(d.state("bob").Sends) != 0 {
		t.Errorf("%d mails before a choice", n)
	}
}

// enrollment returns the record of user.
func (d *harness) enrollment(user string) mfa.Enrollment {
	d.t.Helper()
	en, err := d.engine.deps.Accounts.Records().Enrollment(d.t.Context(), user)
	if err != nil {
		d.t.Fatal(err)
	}
	return en
}
