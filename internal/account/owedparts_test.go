package account

import (
	"context"
	"errors"
	"testing"
	"time"

	"mfa/internal/mfa"
)

// A wrong code of any kind is known as one, whatever else goes at the same time.
func TestCountsMore(t *testing.T) {
	old := time.Unix(1_900_000_000, 0)
	before := mfa.State{
		MethodFailures: map[mfa.Method]int{mfa.TOTP: 3, mfa.Backup: 2}, Recovery: &mfa.Recovery{Tries: 7},
		Apart: &mfa.FailureCounts{MethodFailures: map[mfa.Method]int{mfa.TOTP: 1}}, ShelfTries: []time.Time{old, old.Add(time.Hour)},
	}
	for what, c := range map[string]struct {
		wrong  bool
		change func(st *mfa.State)
	}{
		"nothing":                         {false, func(*mfa.State) {}},
		"a wrong code":                    {true, func(st *mfa.State) { st.MethodFailures[mfa.TOTP]++ }},
		"of a method that is new":         {true, func(st *mfa.State) { st.MethodFailures[mfa.Email] = 1 }},
		"while a recovery code goes":      {true, func(st *mfa.State) { st.MethodFailures[mfa.TOTP]++; st.Recovery = nil }},
		"while those of another go":       {true, func(st *mfa.State) { st.MethodFailures[mfa.TOTP]++; delete(st.MethodFailures, mfa.Backup) }},
		"counted apart":                   {true, func(st *mfa.State) { st.Apart.MethodFailures[mfa.TOTP]++ }},
		"a recovery code":                 {true, func(st *mfa.State) { st.Recovery.Tries++ }},
		"for a token":                     {true, func(st *mfa.State) { NoteShelfTry(st, old.Add(2*time.Hour)) }},
		"for a token, as an old one ends": {true, func(st *mfa.State) { NoteShelfTry(st, old.Add(24*time.Hour)) }},
		"a right code":                    {false, func(st *mfa.State) { delete(st.MethodFailures, mfa.TOTP); st.Failures = nil }},
		"an unlock":                       {false, func(st *mfa.State) { st.Unlock() }},
		"all is over":                     {false, func(st *mfa.State) { *st = mfa.State{} }},
	} {
		after := before.Clone()
		c.change(&after)
		if countsMore(before, after) != c.wrong {
			t.Errorf("%s: %v", what, !c.wrong)
		}
	}
	if !countsMore(mfa.State{}, mfa.State{Apart: before.Apart}) || countsMore(mfa.State{}, mfa.State{}) {
		t.Error("the first of all")
	}
}

// Of so many users something may be owed. Others wait until there is one less.
func TestOwedIsBounded(t *testing.T) {
	o := NewOwed(nil)
	o.most = 2
	var owing *owing
	for _, user := range []string{"alice", "bob", "alice"} {
		w, leave, err := o.enter(context.Background(), user)
		if err != nil {
			t.Fatal(user, err)
		}
		o.owe(w, mfa.State{}, mfa.State{UID: 1})
		owing = w // of alice, at the end
		leave()
	}
	if _, _, err := o.enter(context.Background(), "carol"); !errors.Is(err, errTooManyOwed) {
		t.Errorf("one too many: %v", err)
	}
	o.drop(owing)
	o.drop(owing) // nothing any more
	_, leave, err := o.enter(context.Background(), "carol")
	if err != nil {
		t.Fatal(err)
	}
	leave()
	if len(o.debtors()) != 1 || o.debts != 1 {
		t.Errorf("owed of %q, counted %d", o.debtors(), o.debts)
	}
	if _, is := o.users["carol"]; is {
		t.Error("carol is remembered, and owes nothing")
	}
}
