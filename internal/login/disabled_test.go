package login

import (
	"strings"
	"testing"
	"time"

	"mfa/internal/audit"
	"mfa/internal/mfa"
)

func TestMethodFailuresAreCountedByMethod(t *testing.T) {
	d := newHarness(t, enrolling)
	_, codes := withApp(d)
	d.failTOTP(2)
	d.login(request("bob"), mfa.Accepted,
		step{"app shows", say("m"), nil}, step{"Backup code", say("2"), nil}, step{"backup codes are left", say(codes[0]), nil})
	if st := d.state("bob"); st.MethodFailures[mfa.TOTP] != 2 || len(st.Failures) != 0 {
		t.Errorf("after success with another method: %+v", st)
	}
	d.failTOTP(1)
	if _, err := d.accounts.Unlock(t.Context(), "bob", "root"); err != nil {
		t.Fatal(err)
	}
	if st := d.state("bob"); st.MethodFailures[mfa.TOTP] != 3 || len(st.Failures) != 0 {
		t.Errorf("after unlocking: %+v", st)
	}
}

// A right code clears what its method has against it, be it asked for or set up.
func TestARightCodeClearsItsMethod(t *testing.T) {
	d := newHarness(t, enrolling)
	a, _ := withApp(d)
	d.failTOTP(2)
	d.advance(30 * time.Second)
	d.login(request("bob"), mfa.Accepted, step{"app shows", a.shows(), nil})
	if n := d.state("bob").MethodFailures[mfa.TOTP]; n != 0 {
		t.Errorf("%d failures", n)
	}
}

// failTOTP types n wrong codes of bob's app in one login.
func (d *harness) failTOTP(n int) {
	d.t.Helper()
	var steps []step
	for range n {
		steps = append(steps, wrong(""))
	}
	d.login(request("bob"), mfa.WrongCode, append(steps, step{err: mfa.ErrNoConversation})...)
}

// Only a setup that was completed brings a method back: who begins one and goes
// away has as little as before.
func TestDisabledMethodIsSetUpAnew(t *testing.T) {
	d := newHarness(t, enrolling)
	a, codes := withApp(d)
	d.disable("bob", mfa.TOTP)
	add := func(want mfa.Outcome, steps ...step) {
		t.Helper()
		s := &script{t: t, steps: steps}
		s.read = func(text string) {
			if strings.Contains(text, "Key: ") {
				a.scan(text)
			}
		}
		c := d.engine.Converse(mfa.Identity{Name: "bob", UID: 1001}, mfa.Origin{Service: "mfactl", Address: "local"}, s)
		if v, err := d.engine.Prove(t.Context(), c); v.Outcome != mfa.Accepted {
			t.Fatalf("%+v %v", v, err)
		}
		if v, err := d.enrol.Add(t.Context(), c, mfa.EnrollOffer{Methods: []mfa.Method{mfa.TOTP}}); v.Outcome != want || len(s.steps) > 0 {
			t.Fatalf("%+v %v, want %v; steps left %v", v, err, want, s.steps)
		}
	}
	setUp := step{want: "What do you want to set up"}
	add(mfa.WrongCode, step{"2 backup codes are left", say(codes[0]), nil}, setUp,
		wrong("type the code"), step{want: "not right", err: mfa.ErrNoConversation})
	if st := d.state("bob"); !st.Disabled(mfa.TOTP) || st.MethodFailures[mfa.TOTP] != mfa.MaxMethodFailures {
		t.Errorf("after a setup that was not completed: %+v", st.MethodFailures)
	}
	add(mfa.Accepted, step{"1 backup code is left", say(codes[1]), nil}, setUp,
		step{"type the code", a.shows(), nil}, step{want: "it works"})
	d.advance(30 * time.Second)
	d.login(request("bob"), mfa.Accepted, step{"app shows", a.shows(), nil})
}

func TestDisabledMethod(t *testing.T) {
	d := newHarness(t)
	d.disable("alice", mfa.Email)
	d.login(request("alice"), mfa.Exhausted, step{want: "disabled after 100 wrong codes in a row. Ask your administrator"})
	if n := d.mailCount(); n != 0 {
		t.Errorf("%d mails", n)
	}
	s := &script{t: t, steps: []step{{want: "disabled after 100 wrong codes in a row"}}}
	c := d.engine.Converse(mfa.Identity{Name: "alice", UID: 1000}, mfa.Origin{Service: "mfactl", Address: "local"}, s)
	if v, err := d.engine.Prove(t.Context(), c); v.Outcome != mfa.Exhausted || err != nil {
		t.Errorf("who has only a disabled method may change it: %+v %v", v, err)
	}
}

// disable makes a method of a user look as after 100 wrong codes.
func (d *harness) disable(user string, m mfa.Method) {
	d.t.Helper()
	id, err := lookUpAccount(d.t.Context(), user)
	if err != nil {
		d.t.Fatal(err)
	}
	err = d.engine.deps.Accounts.Records().Account(id).Update(d.t.Context(), func(st *mfa.State) error {
		st.MethodFailures = map[mfa.Method]int{m: mfa.MaxMethodFailures}
		return nil
	})
	if err != nil {
		d.t.Fatal(err)
	}
}

func TestTheHundredthWrongCodeDisables(t *testing.T) {
	d := newHarness(t, func(s *settings) { s.keeping.Lockout.Failures = 100 })
	d.disable("alice", mfa.Email)
	err := d.engine.deps.Accounts.Records().UpdateState(t.Context(), "alice", func(st *mfa.State) error {
		st.MethodFailures[mfa.Email]--
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	// Two who were asked before it: the second is not looked at, though right.
	other := func() string {
		d.login(request("alice"), mfa.Exhausted, wrong("sent"), step{want: "not right.\nThis method is disabled"})
		return d.code()
	}
	d.login(request("alice"), mfa.Exhausted, step{"sent", other, nil}, step{want: "This method is disabled"})
	if n := d.audited(audit.Disabled); n != 1 {
		t.Errorf("%d events", n)
	}
	if !strings.Contains(d.log.String(), "method disabled") {
		t.Error("the log does not say so")
	}
}

// A wrong code may be the last for the method and lock the user: both are told. Who heard of the
// method alone was refused by the next login for what nobody had told them.
func TestTheHundredthWrongCodeLocksToo(t *testing.T) {
	d := newHarness(t, func(s *settings) { s.keeping.Lockout.Failures = 1 })
	d.disable("alice", mfa.Email)
	err := d.engine.deps.Accounts.Records().UpdateState(t.Context(), "alice", func(st *mfa.State) error {
		st.MethodFailures[mfa.Email]--
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	said := ""
	s := &script{t: t, steps: []step{wrong("sent"), {want: "not right.\nYour second factor is locked"}}}
	s.read = func(text string) { said += text + "\n" }
	v, err := d.engine.Login(t.Context(), request("alice"), s)
	if err != nil || v.Outcome != mfa.Exhausted || v.Reason != "wrong code; now locked; method now disabled" || !strings.Contains(said, "This method is disabled") {
		t.Errorf("%+v\n%s", v, said)
	}
}
