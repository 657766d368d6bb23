package login

import (
	"slices"
	"testing"

	"mfa/internal/mfa"
)

// calling has everybody with a phone called.
func calling(methods ...mfa.Method) func(*settings) {
	return func(s *settings) {
		texting(s)
		s.policy.Policy.Methods = methods
	}
}

// A phone is there for both; a call is made only where it is chosen, or alone.
func TestCallIsAMethod(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		methods   []mfa.Method
		preferred mfa.Method
		want      []mfa.Method
		first     mfa.Method
	}{
		"off":       {[]mfa.Method{mfa.SMS}, "", []mfa.Method{mfa.SMS}, mfa.SMS},
		"alone":     {[]mfa.Method{mfa.Call}, "", []mfa.Method{mfa.Call}, mfa.Call},
		"both":      {[]mfa.Method{mfa.SMS, mfa.Call}, "", []mfa.Method{mfa.SMS, mfa.Call}, ""},
		"preferred": {[]mfa.Method{mfa.SMS, mfa.Call}, mfa.Call, []mfa.Method{mfa.Call, mfa.SMS}, mfa.Call},
	} {
		en := mfa.Enrollment{UID: 1000, Preferred: tc.preferred, SMS: &mfa.Address{Address: phone}}
		if got := usable(en, tc.methods); !slices.Equal(got, tc.want) || firstMethod(en, got) != tc.first {
			t.Errorf("%s: %q, first %q", name, got, firstMethod(en, got))
		}
	}
	if en := (mfa.Enrollment{SMS: &mfa.Address{Address: phone}}); slices.Contains(usable(en, possibleMethods(en)), mfa.Call) {
		t.Error("whoever has a phone is called where nobody said so")
	}
}

func TestCallConfirmsTheNumber(t *testing.T) {
	t.Parallel()
	d := newTexting(t, "", calling(mfa.Call))
	d.engine.cfg.Policy.Methods = []mfa.Method{mfa.Call}
	d.login(request("alice"), mfa.Accepted, step{"+1*******71 is being called: a voice reads the code twice.", func() string {
		d.mu.Lock()
		defer d.mu.Unlock()
		return d.mails[0].Code
	}, nil})
	if m := d.mails[0]; m.Carrier != mfa.Call || m.To != phone {
		t.Errorf("sent %+v", m)
	}
	if sms, _ := d.contacts(); sms.Confirmed.IsZero() {
		t.Error("the number is not confirmed")
	}
}

// Where calls are all there is, who is no account seems to have a phone.
func TestNobodyIsAskedByCall(t *testing.T) {
	t.Parallel()
	d := newTexting(t, "", calling(mfa.Call))
	d.engine.cfg.Policy.Methods = []mfa.Method{mfa.Call}
	d.login(request("nobody-here"), mfa.NoConversation, step{"is being called: a voice reads the code twice.", nil, mfa.ErrNoConversation})
	if d.mailCount() != 0 {
		t.Errorf("%d calls to nobody", d.mailCount())
	}
}

// A phone that was set up by a call, a landline maybe, is proven by a call where it counts no
// more; a text would not arrive.
func TestNarrowerPolicyCallsALandline(t *testing.T) {
	t.Parallel()
	d := newTexting(t, "")
	d.enroll("alice", mfa.Enrollment{UID: 1000, Preferred: mfa.Call, SMS: &mfa.Address{Address: phone, Confirmed: start}})
	d.engine.cfg.Policy.Methods, d.engine.cfg.Policy.EnrollAtLogin = []mfa.Method{mfa.TOTP}, true
	d.login(request("alice"), mfa.NoConversation, step{"is being called", nil, mfa.ErrNoConversation})
}
