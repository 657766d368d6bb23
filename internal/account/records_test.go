package account_test

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"mfa/internal/account"
	"mfa/internal/account/record"
	"mfa/internal/mfa"
	"mfa/internal/store"
	"mfa/internal/store/storetest"
)

// confirmed is some moment.
var confirmed = time.Date(2030, 5, 17, 9, 30, 0, 0, time.UTC)

// enrolled is an Enrollment with everything set.
func enrolled() mfa.Enrollment {
	return mfa.Enrollment{
		Version: mfa.EnrollmentVersion,
		UID:     1000,
		Email:   &mfa.Address{Address: "alice@example.com", Confirmed: confirmed, AddedBy: "root"},
		SMS:     &mfa.Address{Address: "+17891234567", Confirmed: confirmed, AddedBy: "root"},
	}
}

// newRecords returns records over an empty store.
func newRecords() (account.Records, *storetest.Meddler) {
	m := new(storetest.Meddler)
	return account.Records{S: m, Cache: record.NewCache()}, m
}

// put stores text at key, whatever is there.
func put(t *testing.T, r account.Records, key, text string) {
	t.Helper()
	err := store.Update(t.Context(), r.S, key, func([]byte) ([]byte, error) { return []byte(text), nil })
	if err != nil {
		t.Fatal(err)
	}
}

// stored returns the bytes at key.
func stored(t *testing.T, r account.Records, key string) string {
	t.Helper()
	it, err := r.S.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return string(it.Value)
}

// become returns a fn of UpdateEnrollment.
func become(e mfa.Enrollment) func(*mfa.Enrollment) error {
	return func(old *mfa.Enrollment) error { *old = e; return nil }
}

func TestEnrollmentFile(t *testing.T) {
	r, _ := newRecords()
	if err := r.UpdateEnrollment(t.Context(), "alice", become(enrolled())); err != nil {
		t.Fatal(err)
	}
	const want = `# second factor of alice; may be edited by hand
version = 1
uid = 1000

[email]
address = "alice@example.com"
confirmed = 2030-05-17T09:30:00Z
added_by = "root"

[sms]
address = "+17891234567"
confirmed = 2030-05-17T09:30:00Z
added_by = "root"
`
	if got := stored(t, r, "users/alice"); got != want {
		t.Errorf("file:\n%s\nwant:\n%s", got, want)
	}
	got, err := r.Enrollment(t.Context(), "alice")
	if err != nil || !reflect.DeepEqual(got, enrolled()) {
		t.Errorf("Enrollment = %+v, %v", got, err)
	}
}

func TestEnrollmentAbsent(t *testing.T) {
	r, m := newRecords()
	if _, err := r.Enrollment(t.Context(), "alice"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Enrollment = %v", err)
	}
	err := r.UpdateEnrollment(t.Context(), "alice", func(e *mfa.Enrollment) error {
		if *e != (mfa.Enrollment{}) {
			t.Errorf("fn got %+v", e)
		}
		return nil
	})
	if err != nil || m.Writes != 0 {
		t.Errorf("UpdateEnrollment = %v with %d writes", err, m.Writes)
	}
}

func TestUpdateEnrollment(t *testing.T) {
	r, m := newRecords()
	// Version is filled in.
	if err := r.UpdateEnrollment(t.Context(), "alice", become(mfa.Enrollment{UID: 7})); err != nil {
		t.Fatal(err)
	}
	if e, err := r.Enrollment(t.Context(), "alice"); err != nil || e != (mfa.Enrollment{Version: mfa.EnrollmentVersion, UID: 7}) {
		t.Errorf("Enrollment = %+v, %v", e, err)
	}
	// An edit sees what is there, and can be refused.
	refused := errors.New("refused")
	err := r.UpdateEnrollment(t.Context(), "alice", func(e *mfa.Enrollment) error {
		if e.UID != 7 {
			t.Errorf("fn got %+v", e)
		}
		e.UID = 8
		return refused
	})
	if !errors.Is(err, refused) || m.Writes != 1 {
		t.Errorf("UpdateEnrollment = %v with %d writes", err, m.Writes)
	}
	// Zero deletes.
	if err := r.UpdateEnrollment(t.Context(), "alice", become(mfa.Enrollment{})); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Enrollment(t.Context(), "alice"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Enrollment after deletion = %v", err)
	}
}

// An administrator's own writing stays as it is while nothing in it changes.
func TestUnchangedEnrollmentKeepsItsBytes(t *testing.T) {
	r, m := newRecords()
	const text = "# mine\nuid = 1000 # alice\nversion=1\nemail.address='alice@example.com'\n"
	put(t, r, "users/alice", text)
	m.Writes = 0
	if err := r.UpdateEnrollment(t.Context(), "alice", func(*mfa.Enrollment) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if got := stored(t, r, "users/alice"); got != text || m.Writes != 0 {
		t.Errorf("%d writes, file %q", m.Writes, got)
	}
}

// A record that could not be read again is not written.
func TestBadEnrollmentIsNotWritten(t *testing.T) {
	r, m := newRecords()
	bad := enrolled()
	bad.Email.Address = "alice"
	err := r.UpdateEnrollment(t.Context(), "alice", become(bad))
	if err == nil || m.Writes != 0 {
		t.Errorf("UpdateEnrollment = %v with %d writes", err, m.Writes)
	}
}

func TestHeaderHoldsAnyName(t *testing.T) {
	for _, name := range []string{"a\nuid = 0", "a\r", "\x00", "é", "\xff", `CORP\al`, `"`} {
		r, _ := newRecords()
		if err := r.UpdateEnrollment(t.Context(), name, become(enrolled())); err != nil {
			t.Fatal(err)
		}
		if e, err := r.Enrollment(t.Context(), name); err != nil || e.UID != 1000 {
			t.Errorf("Enrollment(%q) = %+v, %v", name, e, err)
		}
	}
}

// located is a store that says where it keeps things.
type located struct{ *storetest.Meddler }

func (located) Location(key string) string { return "/somewhere/" + key + ".toml" }

func TestBadEnrollment(t *testing.T) {
	for text, want := range map[string]string{
		"":                                   `line 1: version is missing`,
		"version = 1\n":                      `line 1: uid is missing`,
		"version = 2\nuid = 1\n[totp]\n":     `line 1: version 2 is not one this build reads (1 to 1)`,
		"uid = 1\nversion = 0\n":             `line 2: version 0 is not`,
		"version = 1\nuid = 1\nuid = 2\n":    `line 3 (last key "uid"): Key 'uid' has already been defined`,
		"version = 1\nuid = 1\n\nshell = 1":  `line 4: unknown key "shell"`,
		"version = 1\nuid = 1\n[fax]\nx = 1": `line 3: unknown key "fax"`,
		"version = 1\nuid = 1\n[sms]\naddress = '+1 789'\n":                `line 4: sms.address "+1 789" is not a number like "+17891234567"`,
		"version = 1\nuid = 1\n[sms]\naddress = '4155552671'\n":            `line 4: sms.address "4155552671" is not`,
		"version = 1\nuid = 1\n[email]\naddress = 'a@b.c'\nconfirm = true": `line 5: unknown key "email.confirm"`,
		"version = 1\nuid = 1\nemail = { address = 'a@b.c', x = 1 }":       `line 3: unknown key "email.x"`,
		"version = 1\nUID = 1\nuid = 2":                                    `line 2: unknown key "UID"`,
		"version = 1\nuid = 'alice'\n":                                     `line 2 (last key "uid"): incompatible types`,
		"version = 1\nuid = -1\n":                                          `line 2 (last key "uid"): -1 is out of range`,
		"version = 1\nuid = 4294967296\n":                                  `line 2 (last key "uid"): 4294967296 is out of range`,
		"version = 1\nuid = 1\nemail = 'a@b.c'\n":                          `line 3 (last key "email"): type mismatch`,
		"version = 1\nuid = 1\n[[email]]\naddress = 'a@b.c'\n":             `line 3 (last key "email"): type mismatch`,
		"version = 1\nuid = 1\n[email]\n":                                  `line 3: email.address "" is not an address`,
		"version = 1\nuid = 1\n[email]\n\naddress = 'alice'\n":             `line 5: email.address "alice" is not an address like "alice@example.com"`,
		"version = 1\nuid = 1\nemail.address = \"a@b.c\\nBcc: x@y.z\"\n":   `line 3: email.address "a@b.c\nBcc: x@y.z" is not`,
		"version = 1\nuid = 1\nemail.address = 'A <a@b.c>'\n":              `line 3: email.address "A <a@b.c>" is not`,
		"version = 1\nuid = 1\n[email]\nconfirmed = 'yesterday'\n":         `line 4 (last key "email.confirmed"): `,
		"version = 1\nuid = 1\n\na.b.c = 1\n":                              `line 4: unknown key "a`,
		"uid = 1\nversion.x.z = 1\nversion.y = 1":                          `line 2 (last key "version"): incompatible`,
		"version = 1\nuid = 1\nemail\n":                                    `line 3`,
		"\x00":                                                             `line 1`,
		"\xff":                                                             `line 1`,
	} {
		r := account.Records{S: located{new(storetest.Meddler)}}
		put(t, r, "users/alice", text)
		_, err := r.Enrollment(t.Context(), "alice")
		wantParseError(t, text, err, `parse "/somewhere/users/alice.toml" `+want)
		err = r.UpdateEnrollment(t.Context(), "alice", become(enrolled()))
		wantParseError(t, text, err, `parse "/somewhere/users/alice.toml" `+want)
		if got := stored(t, r, "users/alice"); got != text {
			t.Errorf("%q was replaced by %q", text, got)
		}
	}
}

// wantParseError checks an error about a record that is there.
func wantParseError(t *testing.T, text string, err error, want string) {
	t.Helper()
	if err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("%q: error %v\nwant %s", text, err, want)
	}
	if errors.Is(err, store.ErrNotFound) {
		t.Errorf("%q: %v counts as not found", text, err)
	}
}

// A store that does not say where it keeps things has the key named.
func TestBadEnrollmentWithoutLocation(t *testing.T) {
	r, _ := newRecords()
	put(t, r, "users/alice", "uid")
	_, err := r.Enrollment(t.Context(), "alice")
	wantParseError(t, "uid", err, `parse "users/alice" line 1`)
}

// full is a State with everything set.
func full() mfa.State {
	until := confirmed.Add(time.Hour)
	return mfa.State{
		UID: 1000, Failures: []time.Time{confirmed}, LockedUntil: &until, LockedHard: true,
		Sends: []time.Time{confirmed, until},
		Pending: []mfa.PendingCode{{
			Origin: "sshd|203.0.113.7|", Method: mfa.Email, To: "alice@example.com",
			Nonce: []byte{1, 2}, MAC: []byte{3, 4}, Sent: confirmed, Expires: until,
		}},
	}
}

func TestState(t *testing.T) {
	r, m := newRecords()
	set := func(st mfa.State) func(*mfa.State) error {
		return func(old *mfa.State) error { *old = st; return nil }
	}
	wantState := func(want mfa.State, writes int) {
		t.Helper()
		got, err := r.State(t.Context(), "alice")
		if err != nil || !reflect.DeepEqual(got, want) || m.Writes != writes {
			t.Errorf("State = %+v, %v with %d writes; want %+v with %d", got, err, m.Writes, want, writes)
		}
	}
	wantState(mfa.State{}, 0)
	for _, st := range []mfa.State{full(), full()} { // the second changes nothing
		if err := r.UpdateState(t.Context(), "alice", set(st)); err != nil {
			t.Fatal(err)
		}
		wantState(full(), 1)
	}
	refused := errors.New("refused")
	err := r.UpdateState(t.Context(), "alice", func(st *mfa.State) error {
		if !reflect.DeepEqual(*st, full()) {
			t.Errorf("fn got %+v", st)
		}
		*st = mfa.State{}
		return refused
	})
	if !errors.Is(err, refused) {
		t.Errorf("UpdateState = %v", err)
	}
	wantState(full(), 1)
	// A state that remembers nothing is not kept.
	if err := r.UpdateState(t.Context(), "alice", set(mfa.State{Failures: []time.Time{}})); err != nil {
		t.Fatal(err)
	}
	if _, err := r.S.Get(t.Context(), "state/alice"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Get = %v", err)
	}
}

func TestBadState(t *testing.T) {
	for _, text := range []string{"", "x", "{", `{"uid":-1}`, `{"uid":1,"later":true}`, `{"uid":1}{}`, `{"uid":1}]`, `[]`} {
		r := account.Records{S: located{new(storetest.Meddler)}}
		put(t, r, "state/alice", text)
		_, err := r.State(t.Context(), "alice")
		wantParseError(t, text, err, `parse "/somewhere/state/alice.toml": `)
		err = r.UpdateState(t.Context(), "alice", func(*mfa.State) error { return nil })
		wantParseError(t, text, err, `parse "/somewhere/state/alice.toml": `)
	}
}

// A store out of reach is an error everywhere, never an empty record.
func TestRecordsOfAStoreOutOfReach(t *testing.T) {
	r, m := newRecords()
	away := errors.New("away")
	m.Fail(away)
	_, err := r.Enrollment(t.Context(), "alice")
	_, stateErr := r.State(t.Context(), "alice")
	_, usersErr := r.Users(t.Context())
	for i, err := range []error{
		err, stateErr, usersErr,
		r.UpdateEnrollment(t.Context(), "alice", become(enrolled())),
		r.UpdateState(t.Context(), "alice", func(*mfa.State) error { return nil }),
		r.ResetUser(t.Context(), "alice", time.Unix(1, 0)),
	} {
		if !errors.Is(err, away) {
			t.Errorf("call %d: %v", i, err)
		}
	}
}

func TestResetUser(t *testing.T) {
	r, _ := newRecords()
	for _, key := range []string{"users/alice", "state/alice"} {
		put(t, r, key, "does not parse")
	}
	put(t, r, "users/bob", "x")
	put(t, r, "state/bob", "x")
	for range 2 { // a second time there is nothing left to do
		if err := r.ResetUser(t.Context(), "alice", time.Unix(1, 0)); err != nil {
			t.Fatal(err)
		}
	}
	keys, err := r.S.Keys(t.Context(), "")
	if err != nil || !slices.Equal(keys, []string{"state/alice", "state/bob", "users/bob"}) {
		t.Errorf("left %q, %v", keys, err)
	}
	// Nothing but that there was a reset, and another one, at the very same time.
	at := time.Unix(1, 0)
	st, err := r.State(t.Context(), "alice")
	if st.Since == nil || !st.Since.Equal(at) {
		t.Fatalf("codes count since %v", st.Since)
	}
	if st.Since = nil; err != nil || !reflect.DeepEqual(st, mfa.State{Epoch: 1e9 + 1}) {
		t.Errorf("state %+v, %v", st, err)
	}
	// It holds for whoever has the name, as the records did not say whose they were.
	if st, err := r.Account(alice).State(t.Context()); err != nil || st.Since == nil || !st.Since.Equal(at) {
		t.Errorf("alice: %+v, %v", st, err)
	}
	var kept *time.Time
	if err := r.Account(alice).Update(t.Context(), func(st *mfa.State) error { kept = st.Since; return nil }); err != nil || kept == nil {
		t.Errorf("alice: since %v, %v", kept, err)
	}
}

// A reset leaves, for the account alone that had the name, that all codes up
// to then are used.
func TestResetKeepsWhatWasSpent(t *testing.T) {
	at, made := time.Unix(2000, 0), time.Unix(1000, 0)
	used := mfa.BackupSet{ID: "x", Symbols: 8, Hashes: []string{"0", "1", "2"}, Made: made}
	for name, state := range map[string]mfa.State{
		"used codes":   {UID: alice.UID, TOTPStep: 9, BackupID: "x", BackupUsed: []int{1}},
		"nothing":      {},
		"floor before": {UID: alice.UID, Since: &made},
		"floor after":  {UID: alice.UID, Since: new(at.Add(time.Hour))},
	} {
		r, _ := newRecords()
		en := mfa.Enrollment{UID: alice.UID, Email: &mfa.Address{Address: "a@b.c"}, Backup: &used}
		if err := errors.Join(r.UpdateEnrollment(t.Context(), "alice", become(en)), r.UpdateState(t.Context(), "alice", func(st *mfa.State) error { *st = state; return nil }),
			r.ResetUser(t.Context(), "alice", at)); err != nil {
			t.Fatal(err)
		}
		st, err := r.Account(alice).State(t.Context())
		if err != nil || st.Since == nil || !st.Since.Equal(at) || st.UID != alice.UID || st.TOTPStep != 0 {
			t.Errorf("%s: %+v, %v", name, st, err)
		}
		// Which codes of the set were used is known if the set comes back; one of a store that
		// began anew after it was made stays void.
		if st.BackupID == "x" != (name == "used codes" || name == "nothing") || !slices.Equal(st.BackupUsed, state.BackupUsed) {
			t.Errorf("%s: used %v of %q", name, st.BackupUsed, st.BackupID)
		}
		if kept := len(st.SpentForeign) == 1 && slices.Equal(st.SpentForeign[0].Hashes, []string{"1"}); kept != (name == "used codes") {
			t.Errorf("%s: spent codes of another program %+v", name, st.SpentForeign)
		}
		if st, err := r.Account(mfa.Identity{Name: "alice", UID: 2}).State(t.Context()); err != nil || st.Since != nil || st.SpentForeign != nil {
			t.Errorf("%s: another account of the name: %+v, %v", name, st, err)
		}
	}
}

func TestUsers(t *testing.T) {
	r, _ := newRecords()
	for _, key := range []string{"users/bob", "users/alice", "state/carol", "meta/x"} {
		put(t, r, key, "x")
	}
	users, err := r.Users(t.Context())
	if err != nil || !slices.Equal(users, []string{"alice", "bob"}) {
		t.Errorf("Users = %q, %v", users, err)
	}
}

// Whatever is in the file, it is read as it was meant or refused with a line;
// and what was read can be written and read again.
func FuzzEnrollment(f *testing.F) {
	for _, s := range []string{
		"version = 1\nuid = 1000\n[email]\naddress = \"a@b.c\"\nconfirmed = 2030-05-17T09:30:00+02:00\n",
		"version = 1\nuid = 1\nemail.address = 'a@b.c'\nemail.confirmed = 2030-05-17", "version = 1\nuid = 1\n\"\" = {a=1}",
		"version=1\nuid=1\na.b.c=1", "[[email]]", "version=1\nuid=1\n[[a.b]]\nc=1",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, _ := newRecords()
		put(t, r, "users/alice", text)
		e, err := r.Enrollment(t.Context(), "alice")
		if err != nil {
			if !strings.HasPrefix(err.Error(), `parse "users/alice" line `) || errors.Is(err, store.ErrNotFound) {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		if err := r.UpdateEnrollment(t.Context(), "bob", become(e)); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		again, err := r.Enrollment(t.Context(), "bob")
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if e.Email != nil && !e.Email.Confirmed.Equal(again.Email.Confirmed) {
			t.Errorf("%q: confirmed %v became %v", text, e.Email.Confirmed, again.Email.Confirmed)
		}
	})
}

// Whatever is stored, it is refused, or it is written again as it was read.
func FuzzState(f *testing.F) {
	f.Add(`{"uid":1000,"failures":["2030-05-17T09:30:00Z"],"pending":[{"nonce":"AQI="}]}`)
	f.Add(`{"uid":1}{}`)
	f.Fuzz(func(t *testing.T, text string) {
		r, _ := newRecords()
		put(t, r, "state/alice", text)
		st, err := r.State(t.Context(), "alice")
		if err != nil {
			return
		}
		if err := r.UpdateState(t.Context(), "bob", func(s *mfa.State) error { *s = st; return nil }); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		again, err := r.State(t.Context(), "bob")
		if err != nil || len(again.Failures) != len(st.Failures) || len(again.Pending) != len(st.Pending) || again.UID != st.UID {
			t.Errorf("%q: %+v became %+v, %v", text, st, again, err)
		}
	})
}
