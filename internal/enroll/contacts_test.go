package enroll

import (
	"errors"
	"strings"
	"testing"

	"mfa/internal/mfa"
	"mfa/internal/wire"
)

// setContacts ends the test unless it becomes of in what is wanted.
func setContacts(t *testing.T, s *Service, in Contacts, email, phone string) {
	t.Helper()
	out, err := s.SetContacts(t.Context(), alice, in, "root")
	if want := (wire.ContactSet{User: "alice", Email: email, Phone: phone}); err != nil || out != want {
		t.Fatalf("%+v: %+v, %v; want %+v", in, out, err, want)
	}
}

func TestSetContacts(t *testing.T) {
	s := newService(t)
	in := Contacts{Email: " alice@example.com", Phone: "+49 151 23456789", DryRun: true}
	setContacts(t, s, in, wire.ImportedNew, wire.ImportedNew)
	if keys, err := s.Accounts.Records().S.Keys(t.Context(), ""); err != nil || len(keys) != 0 {
		t.Fatalf("a dry run wrote %q, %v", keys, err)
	}
	in.DryRun = false
	setContacts(t, s, in, wire.ImportedNew, wire.ImportedNew)
	en, st := records(t, s)
	if en.Email.Address != "alice@example.com" || en.SMS.Address != "+4915123456789" || en.UID != alice.UID ||
		!en.Email.Confirmed.IsZero() || en.SMS.AddedBy != "root" {
		t.Errorf("%+v %+v", en.Email, en.SMS)
	}

	// Again: nothing is written, and no conversation ends.
	setContacts(t, s, in, wire.ImportedUnchanged, wire.ImportedUnchanged)
	if _, again := records(t, s); again.Epoch != st.Epoch {
		t.Error("what is set up so already began a new epoch")
	}

	// One that nobody confirmed is replaced, and the other stays.
	setContacts(t, s, Contacts{Email: "a@example.com"}, wire.ImportedReplaced, "")
	if en, _ := records(t, s); en.Email.Address != "a@example.com" || en.SMS == nil {
		t.Errorf("%+v", en)
	}
}

// Addresses that a user has confirmed stay, unless an administrator says otherwise.
func TestSetContactsKeepsWhatIsConfirmed(t *testing.T) {
	s := newService(t)
	put(t, s, func(en *mfa.Enrollment) {
		en.Email = &mfa.Address{Address: "alice@example.com", Confirmed: now}
		en.SMS = &mfa.Address{Address: "+4915123456789", Confirmed: now}
	})
	setContacts(t, s, Contacts{Email: "other@example.com", Phone: "+4915123456789"}, wire.ImportedKept, wire.ImportedUnchanged)
	setContacts(t, s, Contacts{Email: "other@example.com", Phone: "+4915123456788", Replace: true, DryRun: true},
		wire.ImportedReplaced, wire.ImportedReplaced)
	if en, _ := records(t, s); en.Email.Address != "alice@example.com" || en.SMS.Confirmed.IsZero() {
		t.Errorf("%+v %+v", en.Email, en.SMS)
	}
	setContacts(t, s, Contacts{Email: "other@example.com", Phone: "+4915123456789", Replace: true}, wire.ImportedReplaced, wire.ImportedUnchanged)
	if en, _ := records(t, s); en.Email.Address != "other@example.com" || !en.Email.Confirmed.IsZero() || en.SMS.Confirmed.IsZero() {
		t.Errorf("%+v %+v", en.Email, en.SMS)
	}
}

// A method that took too many wrong codes is usable again where codes go elsewhere now.
func TestSetContactsForgetsWrongCodes(t *testing.T) {
	s := newService(t)
	err := s.Accounts.Records().UpdateState(t.Context(), "alice", func(st *mfa.State) error {
		st.UID, st.MethodFailures = alice.UID, map[mfa.Method]int{mfa.Email: 100, mfa.SMS: 100, mfa.TOTP: 100}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	setContacts(t, s, Contacts{Email: "alice@example.com", Phone: "+4915123456789"}, wire.ImportedNew, wire.ImportedNew)
	if _, st := records(t, s); len(st.MethodFailures) != 1 || st.MethodFailures[mfa.TOTP] != 100 {
		t.Errorf("%v", st.MethodFailures)
	}
}

// Somebody who chose to have no second factor has one then, and is told of in the answer;
// an enrollment of another account under the name counts for nothing.
func TestSetContactsOfNobodyEnrolled(t *testing.T) {
	s := newService(t)
	put(t, s, func(en *mfa.Enrollment) { en.Skipped = &now })
	out, err := s.SetContacts(t.Context(), alice, Contacts{Email: "alice@example.com"}, "root")
	if err != nil || !out.Chosen || out.Email != wire.ImportedNew {
		t.Fatalf("%+v, %v", out, err)
	}
	if en, _ := records(t, s); en.Skipped != nil || en.Email == nil {
		t.Errorf("%+v", en)
	}
	put(t, s, func(en *mfa.Enrollment) {
		en.UID, en.Email = 4711, &mfa.Address{Address: "alice@example.com", Confirmed: now}
	})
	setContacts(t, s, Contacts{Phone: "+4915123456789"}, "", wire.ImportedNew)
	if en, _ := records(t, s); en.Email != nil || en.UID != alice.UID {
		t.Errorf("%+v", en)
	}
}

// put stores what edit makes of an enrollment of alice.
func put(t *testing.T, s *Service, edit func(en *mfa.Enrollment)) {
	t.Helper()
	err := s.Accounts.Records().UpdateEnrollment(t.Context(), "alice", func(en *mfa.Enrollment) error {
		*en = mfa.Enrollment{UID: alice.UID}
		edit(en)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// All that is wrong is said, and nothing is done by halves.
func TestSetContactsRefuses(t *testing.T) {
	s := newService(t)
	for _, tc := range []struct {
		in   Contacts
		said []string
	}{
		{Contacts{}, []string{"neither"}},
		{Contacts{Email: "alice", Phone: "12"}, []string{`"alice": That is not an address`, `"12": Begin the number`}},
		{Contacts{Email: "alice@example.com", Phone: "1.78E+10"}, []string{`"1.78E+10": A number has digits only`}},
		{Contacts{Email: "alice@localhost..", Phone: "+4915123456789"}, []string{"not an address"}},
		{Contacts{Email: "a***e@example.com"}, []string{"masked"}},
		{Contacts{Email: "a***@example.com"}, []string{"masked"}},
		{Contacts{Phone: "+4*******89"}, []string{"digits only"}},
	} {
		out, err := s.SetContacts(t.Context(), alice, tc.in, "root")
		if !errors.Is(err, ErrInvalid) || out.Changes() {
			t.Errorf("%+v: %+v, %v", tc.in, out, err)
			continue
		}
		for _, said := range tc.said {
			if !strings.Contains(err.Error(), said) {
				t.Errorf("%+v: %v, want %q in it", tc.in, err, said)
			}
		}
	}
	if keys, err := s.Accounts.Records().S.Keys(t.Context(), ""); err != nil || len(keys) != 0 {
		t.Errorf("what is refused wrote %q, %v", keys, err)
	}
}
