package account_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"mfa/internal/account"
	"mfa/internal/mfa"
	"mfa/internal/store"
	"mfa/internal/store/storetest"
)

func TestAliases(t *testing.T) {
	ctx, now := t.Context(), time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	s := &storetest.Memory{}
	records := account.Records{S: s}
	x := &account.Aliases{Records: records, Now: func() time.Time { return now }}
	jd := mfa.Identity{Name: "jd", UID: 8001}
	enroll := func(name string, uid uint32) {
		t.Helper()
		err := records.UpdateEnrollment(ctx, name, func(en *mfa.Enrollment) error {
			*en = mfa.Enrollment{UID: uid, Email: &mfa.Address{Address: "a@example.com"}}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	expect := func(id mfa.Identity, want ...string) {
		t.Helper()
		if got, err := x.Of(ctx, id); err != nil || !slices.Equal(got, want) {
			t.Errorf("%+v: %q %v, want %q", id, got, err, want)
		}
	}
	later := func() { now = now.Add(10 * time.Second) }

	enroll("jd", 8001)
	enroll("bob", 8002)
	expect(jd)
	enroll("jd.long", 8001)
	enroll("jd.longer", 8001)
	later()
	expect(jd, "jd.long", "jd.longer")
	expect(mfa.Identity{Name: "jd.long", UID: 8001}, "jd", "jd.longer")
	expect(mfa.Identity{Name: "jd", UID: 8003})

	// A record that went, or is another account's by now, counts no more at once.
	enroll("jd.longer", 8003)
	expect(jd, "jd.long")
	if err := records.ResetUser(ctx, "jd.long", now); err != nil {
		t.Fatal(err)
	}
	expect(jd)

	// A lock that is set now is as good as a record, of an account that is renamed afterwards.
	records.Locked = x.NoteLock
	lock := now.Add(time.Minute)
	err := records.UpdateState(ctx, "jd.renamed", func(st *mfa.State) error {
		*st = mfa.State{UID: 8001, LockedUntil: &lock}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	expect(jd, "jd.renamed")
	now = lock.Add(time.Second)
	expect(jd)
	err = records.UpdateState(ctx, "jd.renamed", func(st *mfa.State) error {
		*st = mfa.State{UID: 8005, LockedHard: true} // until unlocked
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	expect(mfa.Identity{Name: "jd", UID: 8005}, "jd.renamed")
	records.Locked = nil

	// A lock from before is as good as a record; one that is over is not.
	until := now.Add(time.Hour)
	err = records.UpdateState(ctx, "jd.old", func(st *mfa.State) error {
		*st = mfa.State{UID: 8001, LockedUntil: &until}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	expect(jd) // nobody locks by such a name any more
	x.Forget()
	expect(jd, "jd.old")
	now = until
	expect(jd)

	s.Fail(errors.New("disk on fire"))
	x.Forget()
	if got, err := x.Of(ctx, jd); err == nil {
		t.Errorf("with a store out of reach: %q", got)
	}
}

// One record that does not parse makes nobody unknown.
func TestAliasesPassOverWhatDoesNotParse(t *testing.T) {
	s := &storetest.Memory{}
	if _, err := s.Put(t.Context(), store.Item{Key: store.Users + "broken", Value: []byte("no toml")}); err != nil {
		t.Fatal(err)
	}
	x := &account.Aliases{Records: account.Records{S: s}}
	if got, err := x.Of(t.Context(), mfa.Identity{Name: "jd", UID: 8001}); err != nil || len(got) > 0 {
		t.Errorf("%q %v", got, err)
	}
}

// A newcomer's login reads no record of others that it has seen before.
func BenchmarkAliases(b *testing.B) {
	s := &storetest.Memory{}
	records := account.Records{S: s}
	for i := range 10_000 {
		err := records.UpdateEnrollment(b.Context(), fmt.Sprint("user", i), func(en *mfa.Enrollment) error {
			*en = mfa.Enrollment{UID: uint32(i), Email: &mfa.Address{Address: "a@example.com"}}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	x := &account.Aliases{Records: records, Now: time.Now}
	for b.Loop() {
		if _, err := x.Of(b.Context(), mfa.Identity{Name: "new", UID: 70000}); err != nil {
			b.Fatal(err)
		}
	}
}
