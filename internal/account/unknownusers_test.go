package account_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"mfa/internal/account"
	"mfa/internal/audit"
	"mfa/internal/mfa"
	"mfa/internal/store"
)

// A name without an account is locked like one that has one, in the memory of the strangers,
// and nothing is stored under it.
func TestStrangerIsLocked(t *testing.T) {
	w := newHarness(t, strict())
	in := account.NewUnknownUsers()
	for i, left := range []int{2, 1, 0} { // each in a login of its own
		u := w.User(w.Records().UnknownAccount(in, "ghost"), home)
		if last := w.wrong(u, 1); last.Left != left {
			t.Errorf("%d left after %d wrong codes", last.Left, i+1)
		}
	}
	u := w.User(w.Records().UnknownAccount(in, "ghost"), home)
	st, err := u.Account.State(t.Context())
	if told, locked := u.Locked(st); err != nil || !locked || !strings.Contains(told, "locked for 10 minutes, after too many wrong codes") || !u.Account.IsUnknown() {
		t.Errorf("%v: locked %v, %q", err, locked, told)
	}
	if ev := w.event(audit.Locked); ev.User != "ghost" || ev.UID != nil {
		t.Errorf("audited: %+v", ev)
	}
	for _, other := range []*account.Account{w.Records().UnknownAccount(in, "Ghost"), w.Records().UnknownAccount(account.NewUnknownUsers(), "ghost"), w.Records().NewUnknownAccount("ghost")} {
		if st, err := other.State(t.Context()); err != nil || len(st.Failures) > 0 || st.LockedUntil != nil {
			t.Errorf("another remembers %+v, %v", st, err)
		}
	}
	for _, prefix := range []string{store.Users, store.States} {
		if keys, err := w.store.Keys(t.Context(), prefix); err != nil || len(keys) > 0 {
			t.Errorf("stored: %q, %v", keys, err)
		}
	}
	if mails := w.mail(); len(mails) > 0 {
		t.Errorf("sent: %+v", mails)
	}
}

// As much is read and written for a name without an account as for others, so that the time
// tells nobody who exists, and a store that is away fails both.
func TestStrangerReadsAndWritesAsOthersDo(t *testing.T) {
	w := newHarness(t, strict())
	w.has(mfa.Enrollment{}, mfa.State{})
	ghost := w.Records().UnknownAccount(account.NewUnknownUsers(), "ghost")
	count := func(st *mfa.State) error { st.Sends = append(st.Sends, confirmed); return nil }
	refused := errors.New("refused")
	for _, acct := range []*account.Account{ghost, w.Records().Account(alice)} {
		before := w.writes()
		if err := acct.Update(t.Context(), count); err != nil || w.writes() != before+1 {
			t.Errorf("%s: %v, %d writes", acct.ID.Name, err, w.writes()-before)
		}
		if err := acct.Update(t.Context(), func(*mfa.State) error { return nil }); err != nil || w.writes() != before+1 {
			t.Errorf("%s, nothing changed: %v, %d writes", acct.ID.Name, err, w.writes()-before)
		}
		if err := acct.Update(t.Context(), func(st *mfa.State) error { st.Sends = nil; return refused }); !errors.Is(err, refused) {
			t.Errorf("%s: %v", acct.ID.Name, err)
		}
		if st, err := acct.State(t.Context()); err != nil || len(st.Sends) != 1 {
			t.Errorf("%s: %+v, %v", acct.ID.Name, st, err)
		}
	}
	w.store.Fail(refused)
	for _, acct := range []*account.Account{ghost, w.Records().Account(alice)} {
		if _, err := acct.State(t.Context()); !errors.Is(err, refused) {
			t.Errorf("%s, a store out of reach: %v", acct.ID.Name, err)
		}
		if err := acct.Update(t.Context(), count); !errors.Is(err, refused) {
			t.Errorf("%s, a store out of reach: %v", acct.ID.Name, err)
		}
	}
}

// writes is how many writes the store took so far.
func (w *harness) writes() uint64 {
	w.t.Helper()
	it, err := w.store.Put(w.t.Context(), store.Item{Key: store.Meta + fmt.Sprint("probe", w.probes)})
	if err != nil {
		w.t.Fatal(err)
	}
	w.probes++
	return it.Rev - w.probes
}

// Names cost memory within a bound: the one that was not asked for longest goes.
func TestStrangersAreBounded(t *testing.T) {
	const most = 2048
	w := newHarness(t, strict())
	in := account.NewUnknownUsers()
	fail := func(name string) {
		w.update(w.User(w.Records().UnknownAccount(in, name), home), func(st *mfa.State) { st.Failures = append(st.Failures, w.now) })
	}
	failures := func(name string) int {
		st, err := w.Records().UnknownAccount(in, name).State(t.Context())
		if err != nil {
			t.Error(err)
		}
		return len(st.Failures)
	}
	fail("first")
	fail("second")
	for i := range most - 2 {
		fail(fmt.Sprint("flood", i))
	}
	fail("first")
	if failures("first") != 2 || failures("second") != 1 {
		t.Error("forgotten within the bound")
	}
	fail("one more")
	if failures("first") != 2 || failures("one more") != 1 || failures("second") != 0 {
		t.Errorf("left: first %d, newest %d, second %d", failures("first"), failures("one more"), failures("second"))
	}
}

// Times that a wrong clock stored of a stranger are believed no more than those of others.
func TestStrangerAndTheClock(t *testing.T) {
	w := newHarness(t, strict())
	records := w.Records()
	records.BoundTimes = func(st *mfa.State) { st.BoundTimes(w.now, w.Config().Lengths()) }
	ghost := w.User(records.UnknownAccount(account.NewUnknownUsers(), "ghost"), home)
	w.wrong(ghost, 1)
	w.now = w.now.AddDate(-1, 0, 0)
	if st, err := ghost.Account.State(t.Context()); err != nil || len(st.Failures) > 0 {
		t.Errorf("%+v, %v", st, err)
	}
	if last := w.wrong(ghost, 1); last.Left != 2 {
		t.Errorf("%d left", last.Left)
	}
}
