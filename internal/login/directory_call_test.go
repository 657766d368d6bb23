package login

import (
	"testing"

	"mfa/internal/account"
	"mfa/internal/mfa"
)

// called has a phone called, and the directory have bob's number alone.
func called(t *testing.T, change ...func(*settings)) (*harness, *fakeDirectory) {
	t.Helper()
	d, r := withFakeDirectory(t, append([]func(*settings){func(s *settings) {
		s.policy.Policy.Methods, s.policy.TextMessages, s.keeping.TextMessages = []mfa.Method{mfa.Call}, true, true
	}}, change...)...)
	r.says("bob", account.Found{Phones: []string{"+17891234571"}})
	return d, r
}

// A number of the directory is where calls go too: else whoever has the password would be led
// to a number of their own.
func TestDirectoryHasANumberToCall(t *testing.T) {
	for name, change := range map[string]func(*settings){
		"alone":  func(*settings) {},
		"beside": func(s *settings) { s.policy.Policy.Methods = []mfa.Method{mfa.TOTP, mfa.Call} },
		"anew":   func(s *settings) { s.policy.Generation, s.keeping.Generation = 2, 2 },
	} {
		t.Run(name, func(t *testing.T) {
			d, r := called(t, change)
			d.login(request("bob"), mfa.NoConversation, step{"+1*******71 is being called", nil, mfa.ErrNoConversation})
			d.noRecord()
			if err := d.accounts.Records().ResetUser(t.Context(), "bob", d.clock()); err != nil {
				t.Fatal(err)
			}
			r.is(errRegister)
			d.login(request("bob"), mfa.Unavailable, step{want: "cannot be asked now"})
		})
	}
}

// Where the directory says of a number, no other is entered by asking for a call.
func TestDirectoryPreferredIsWhereCallsGo(t *testing.T) {
	for name, methods := range map[string][]mfa.Method{"alone": {mfa.Call}, "beside": {mfa.SMS, mfa.Call}} {
		t.Run(name, func(t *testing.T) {
			d, _ := called(t, func(s *settings) {
				s.keeping.Contacts.Confirmed, s.keeping.Contacts.Prefer = false, account.PreferDirectory
				s.policy.Policy.Methods = methods
			})
			steps := []step{{want: "A second factor is needed"}}
			if len(methods) > 1 {
				steps = []step{{"phone call", say("2"), nil}}
			}
			d.login(request("bob"), mfa.NoConversation, append(steps, step{"Press Enter to have a code sent there", say("+17891234599"), nil},
				step{"Only +1*******71", nil, mfa.ErrNoConversation})...)
		})
	}
}

// While the directory does not say, nobody enters an address in the place of what it may have.
func TestDirectoryPreferredAndDownWhenItIsOffered(t *testing.T) {
	d, r := withFakeDirectory(t, func(s *settings) {
		s.keeping.Contacts.Confirmed, s.keeping.Contacts.Prefer = false, account.PreferDirectory
		s.policy.Policy.Methods = []mfa.Method{mfa.Email}
	})
	r.is(errRegister)
	d.login(request("bob"), mfa.Unavailable, step{want: "cannot be asked now"})
	d.engine.cfg.Policy.Methods = []mfa.Method{mfa.TOTP, mfa.Email}
	d.login(request("bob"), mfa.NoConversation, step{want: "A second factor is needed"}, step{"Add this key", nil, mfa.ErrNoConversation})
	r.is(nil)
	r.says("bob", account.Found{})
	d.engine.cfg.Policy.Methods = []mfa.Method{mfa.Email}
	d.login(request("bob"), mfa.NoConversation, step{want: "A second factor is needed"}, step{"Where should codes be sent?", nil, mfa.ErrNoConversation})
}

// A change of what somebody has is proven by what the directory has, though no login there is asked.
func TestDirectoryIsProvenWhereModeIsOff(t *testing.T) {
	d, r := withFakeDirectory(t, func(s *settings) {
		s.policy.Policy.Mode = ModeOff
		s.policy.Policy.Rules = []Rule{{Services: []string{"sshd"}, Mode: new(ModeRequired)}}
	})
	origin := mfa.Origin{Service: "mfactl", Address: "local", UID: 1001}
	for _, err := range []error{nil, errRegister} {
		r.is(err)
		s, want := step{"sent to b***b@example.com", nil, mfa.ErrNoConversation}, mfa.NoConversation
		if err != nil {
			s, want = step{want: "cannot be asked now"}, mfa.Unavailable
			if err := d.accounts.Records().ResetUser(t.Context(), "bob", d.clock()); err != nil {
				t.Fatal(err)
			}
		}
		c := d.engine.Converse(mfa.Identity{Name: "bob", UID: 1001}, origin, &script{t: t, steps: []step{s}})
		if v, _ := d.engine.Prove(t.Context(), c); v.Outcome != want {
			t.Errorf("%v: %+v", err, v)
		}
	}
}
