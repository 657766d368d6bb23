package account_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"mfa/internal/account"
	"mfa/internal/mfa"
)

// A fakeDirectory is a directory that says what a test wants.
type fakeDirectory struct {
	found account.Found
	err   error
}

func (r *fakeDirectory) Look(context.Context, mfa.Identity) (account.Found, error) {
	return r.found, r.err
}

// withFakeDirectory returns a harness whose directory counts.
func withFakeDirectory(t *testing.T, change func(c *account.Config)) (*harness, *fakeDirectory) {
	t.Helper()
	r := &fakeDirectory{}
	cfg := account.Config{TextMessages: true, Contacts: account.ContactsConfig{
		Source: "ldap", Confirmed: true, Prefer: account.PreferUser, Keep: mfa.Duration(24 * time.Hour),
	}}
	if change != nil {
		change(&cfg)
	}
	w := newHarness(t, account.Config{})
	w.deps.Directory = r
	w.configure(cfg)
	return w, r
}

func TestKnownByTheDirectory(t *testing.T) {
	said := func(at time.Time) mfa.State {
		return mfa.State{UID: 1000, Contacts: &mfa.Contacts{Source: "ldap", Email: "d@example.com", Phone: "+14155552671", At: at}}
	}
	own := mfa.Enrollment{Version: 1, UID: 1000, Email: &mfa.Address{Address: "own@example.org"}}
	skipped := mfa.Enrollment{Version: 1, UID: 1000, Skipped: &confirmed}
	for name, tc := range map[string]struct {
		change       func(c *account.Config)
		en           mfa.Enrollment
		st           mfa.State
		email, phone string
	}{
		"no record":            {nil, mfa.Enrollment{}, said(confirmed), "d@example.com", "+14155552671"},
		"own address":          {nil, own, said(confirmed), "own@example.org", "+14155552671"},
		"directory preferred":  {func(c *account.Config) { c.Contacts.Prefer = account.PreferDirectory }, own, said(confirmed), "d@example.com", "+14155552671"},
		"not confirmed":        {func(c *account.Config) { c.Contacts.Confirmed = false }, mfa.Enrollment{}, said(confirmed), "", ""},
		"no text messages":     {func(c *account.Config) { c.TextMessages = false }, mfa.Enrollment{}, said(confirmed), "d@example.com", ""},
		"another source":       {func(c *account.Config) { c.Contacts.Source = "userdb" }, mfa.Enrollment{}, said(confirmed), "", ""},
		"as old as it may be":  {nil, mfa.Enrollment{}, said(confirmed.Add(-24 * time.Hour)), "d@example.com", "+14155552671"},
		"too old":              {nil, mfa.Enrollment{}, said(confirmed.Add(-24*time.Hour - time.Second)), "", ""},
		"nothing kept":         {func(c *account.Config) { c.Contacts.Keep = 0 }, mfa.Enrollment{}, said(confirmed.Add(-10 * time.Minute)), "", ""},
		"nothing kept, of now": {func(c *account.Config) { c.Contacts.Keep = 0 }, mfa.Enrollment{}, said(confirmed), "d@example.com", "+14155552671"},
		"chose to have none":   {nil, skipped, said(confirmed), "", ""},
		"nothing remembered":   {nil, mfa.Enrollment{}, mfa.State{}, "", ""},
		"own of before":        {func(c *account.Config) { c.Generation = 1 }, own, said(confirmed), "d@example.com", "+14155552671"},
	} {
		w, _ := withFakeDirectory(t, tc.change)
		was := tc.en.Clone()
		known := w.Known(alice, tc.en, tc.st)
		for m, want := range map[mfa.Method]string{mfa.Email: tc.email, mfa.SMS: tc.phone} {
			if a := known.Contact(m); (a == nil) != (want == "") || a != nil && a.Address != want {
				t.Errorf("%s: %s goes to %+v, want %q", name, m, a, want)
			}
		}
		if tc.en.Fingerprint() != was.Fingerprint() {
			t.Errorf("%s: the record was changed", name)
		}
	}
}

// Dry writes nothing; else the answer is remembered, and another one in its place. None is
// not.
func TestDirectoryIsRemembered(t *testing.T) {
	w, r := withFakeDirectory(t, nil)
	u := w.ByAdministrator(alice)
	r.found = account.Found{Emails: []string{"a@example.com"}, At: w.now}
	st, err := u.AskDirectory(t.Context(), mfa.State{UID: 1000}, []mfa.Method{mfa.Email}, time.Second, true)
	if err != nil || st.Contacts == nil || w.state().Contacts != nil {
		t.Fatalf("dry: %+v, %v, stored %+v", st.Contacts, err, w.state().Contacts)
	}
	for _, step := range []struct{ found, want string }{{"a@example.com", "a@example.com"}, {"b@example.com", "b@example.com"}, {"", ""}, {"c@example.com", "c@example.com"}} {
		w.now = w.now.Add(time.Minute)
		r.found = account.Found{At: w.now}
		if step.found != "" {
			r.found.Emails = []string{step.found}
		}
		if _, err := u.AskDirectory(t.Context(), w.state(), []mfa.Method{mfa.Email}, time.Second, false); err != nil {
			t.Fatal(err)
		}
		got := ""
		if c := w.state().Contacts; c != nil {
			got = c.Email
		}
		if got != step.want {
			t.Errorf("after %q it is remembered %q", step.found, got)
		}
	}
	if lines := w.audited("contacts.changed"); len(lines) != 4 || !strings.Contains(lines[2], "has none any more") {
		t.Errorf("audited %q", lines)
	}
	r.err = errors.New("down")
	before := w.state()
	_, err = u.AskDirectory(t.Context(), before, []mfa.Method{mfa.Email}, time.Second, false)
	if _, is := errors.AsType[*account.DirectoryError](err); !is || w.state().Contacts.Email != before.Contacts.Email {
		t.Errorf("a look-up that fails: %v, remembered %+v", err, w.state().Contacts)
	}
}

// A number that is none is said to be so where it is wanted, and hides no good address.
func TestDirectoryWithSomethingUnusable(t *testing.T) {
	w, r := withFakeDirectory(t, nil)
	u := w.ByAdministrator(alice)
	r.found = account.Found{Emails: []string{"a@example.com"}, Unusable: map[mfa.Method]error{mfa.SMS: errors.New("no plus")}, At: w.now}
	if _, err := u.AskDirectory(t.Context(), mfa.State{UID: 1000}, []mfa.Method{mfa.Email}, time.Second, false); err != nil {
		t.Errorf("where no number is wanted: %v", err)
	}
	st, err := u.AskDirectory(t.Context(), mfa.State{UID: 1000}, []mfa.Method{mfa.Email, mfa.SMS}, time.Second, false)
	if !errors.Is(err, account.ErrUnusable) || st.Contacts == nil || st.Contacts.Email != "a@example.com" {
		t.Errorf("where one is: %v, %+v", err, st.Contacts)
	}
}
