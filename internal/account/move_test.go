package account_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mfa/internal/account"
	"mfa/internal/mfa"
	"mfa/internal/seal"
	"mfa/internal/store"
	"mfa/internal/store/storetest"
)

// errDied is what a write gets after the daemon was killed.
var errDied = errors.New("killed")

// A life is of a process that writes into stores: it ends with one write, which may be
// done yet.
type life struct {
	mu     sync.Mutex // guards what follows
	left   int        // writes; negative: any number
	done   bool       // the last one is done
	writes int
}

// write says whether a write happens, and whether the process lives on.
func (l *life) write() (happens, lives bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.writes++
	if l.left < 0 {
		return true, true
	}
	l.left--
	switch {
	case l.left >= 0:
		return true, true
	case l.left == -1 && l.done:
		l.left = 0
		l.done = false
		return true, false
	}
	l.left = 0
	return false, false
}

// A mortal store belongs to a process that may die.
type mortal struct {
	store.Store
	of *life
}

func (m mortal) Put(ctx context.Context, it store.Item) (store.Item, error) {
	happens, lives := m.of.write()
	var err error
	if happens {
		it, err = m.Store.Put(ctx, it)
	}
	if !lives {
		err = errDied
	}
	return it, err
}

func (m mortal) Delete(ctx context.Context, it store.Item) error {
	happens, lives := m.of.write()
	var err error
	if happens {
		err = m.Store.Delete(ctx, it)
	}
	if !lives {
		err = errDied
	}
	return err
}

// A joining is a host whose records move to a fleet.
type joining struct {
	t           *testing.T
	host, fleet *storetest.Memory
	key         *seal.Key
	now         time.Time
}

func newJoining(t *testing.T) *joining {
	t.Helper()
	key, err := seal.Create(filepath.Join(t.TempDir(), "key"))
	if err != nil {
		t.Fatal(err)
	}
	j := &joining{t: t, host: &storetest.Memory{}, fleet: &storetest.Memory{}, key: key, now: minute(0)}
	j.has(j.local(), "alice", enrolledAs(1, "a@example.com", "set-a"), mfa.State{
		UID: 1, TOTPStep: 7, BackupID: "set-a", BackupUsed: []int{1}, Failures: times(-2, -1),
		Sessions: []mfa.Session{{ID: "kept"}, {ID: "revoked"}}, Pending: []mfa.PendingCode{{Origin: "sshd|192.0.2.1|", Nonce: []byte("n")}},
	})
	j.has(j.local(), "bob", enrolledAs(2, "b@example.com", "set-b"), mfa.State{UID: 2, TOTPStep: 9, LockedHard: true, LockedBy: "root"})
	j.has(j.local(), "carol", enrolledAs(3, "c@example.com", ""), mfa.State{})
	j.has(j.local(), "dave", enrolledAs(4, "d@example.com", ""), mfa.State{UID: 4, TOTPStep: 1})
	j.has(j.others(), "bob", enrolledAs(2, "bob@example.com", "set-f"), mfa.State{UID: 2, TOTPStep: 3})
	j.has(j.others(), "erin", mfa.Enrollment{}, mfa.State{UID: 5, Failures: times(-4, -3)})
	j.has(j.others(), "frank", enrolledAs(6, "f@example.com", ""), mfa.State{UID: 6, TOTPStep: 5})
	return j
}

func enrolledAs(uid uint32, address, set string) mfa.Enrollment {
	en := mfa.Enrollment{Version: 1, UID: uid, Email: &mfa.Address{Address: address}}
	if set != "" {
		en.Backup = &mfa.BackupSet{ID: set, Salt: "c2FsdA", Memory: 8, Time: 1, Threads: 1, Hashes: []string{"aGFzaA"}, Made: minute(-9)}
	}
	return en
}

func (j *joining) local() account.Records  { return account.Records{S: j.host} }
func (j *joining) others() account.Records { return account.Records{S: j.fleet, Host: "other"} }

// has stores the records of a user.
func (j *joining) has(r account.Records, user string, en mfa.Enrollment, st mfa.State) {
	j.t.Helper()
	err := r.UpdateEnrollment(j.t.Context(), user, func(old *mfa.Enrollment) error { *old = en; return nil })
	if err == nil {
		err = r.UpdateState(j.t.Context(), user, func(old *mfa.State) error { *old = st; return nil })
	}
	if err != nil {
		j.t.Fatal(err)
	}
}

// move runs a move by a process that may die, and returns what became of whom.
func (j *joining) move(of *life) (map[string]string, error) {
	notes := mortal{j.host, of}
	m := account.Move{
		From: j.local(), To: account.Records{S: mortal{j.fleet, of}, Host: "here"}, Notes: notes, ID: "one", Key: j.key, SessionHost: "here",
		Lockout: account.LockoutConfig{Failures: 5, Window: mfa.Duration(time.Hour), Duration: mfa.Duration(time.Hour)}, Now: func() time.Time { return j.now },
	}
	became := map[string]string{}
	err := m.Run(j.t.Context(), func(int) {}, func(u account.Migrated) {
		became[u.User] = u.Result
		if u.Problem != nil && !errors.Is(u.Problem, errDied) {
			j.t.Errorf("%s: %v", u.User, u.Problem)
		}
	})
	return became, err
}

// goOn is what people and an administrator do between the two steps.
func (j *joining) goOn() {
	j.t.Helper()
	j.has(j.local(), "alice", enrolledAs(1, "new@example.com", "set-a"), mfa.State{
		UID: 1, TOTPStep: 8, BackupID: "set-a", BackupUsed: []int{1, 0}, Sessions: []mfa.Session{{ID: "kept"}, {ID: "newer"}},
	})
	j.has(j.local(), "erin", enrolledAs(5, "e@example.com", ""), mfa.State{UID: 5, TOTPStep: 2, Failures: times(-3, -2, -1, 0)})
	if err := j.local().ResetUser(j.t.Context(), "dave", minute(1)); err != nil {
		j.t.Fatal(err)
	}
}

// found is what the fleet has of all users, for comparing.
func (j *joining) found() string {
	j.t.Helper()
	r := j.others()
	names, err := r.Known(j.t.Context())
	if err != nil {
		j.t.Fatal(err)
	}
	var b strings.Builder
	for _, name := range names {
		en, err := r.EnrollmentText(j.t.Context(), name)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			j.t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s: %s%s\n", name, en, written(j.t, j.state(name)))
	}
	return b.String()
}

func (j *joining) state(user string) mfa.State {
	j.t.Helper()
	st, err := j.others().StoredState(j.t.Context(), user)
	if err != nil {
		j.t.Fatal(err)
	}
	return st
}

func TestMoveIntoFleet(t *testing.T) {
	j := newJoining(t)
	forever := &life{left: -1}
	became, err := j.move(forever)
	if err != nil || became["alice"] != account.MovedCopied || became["bob"] != account.MovedKept || became["frank"] != "" {
		t.Fatalf("%v, %v", became, err)
	}
	if again, err := j.move(forever); err != nil || again["alice"] != account.MovedCopied {
		t.Errorf("again: %v, %v", again, err)
	}
	j.goOn()
	if became, err = j.move(forever); err != nil || became["dave"] != account.MovedRemoved || became["erin"] != account.MovedCopied {
		t.Errorf("what changed: %v, %v", became, err)
	}
	alice := j.state("alice")
	if alice.TOTPStep != 8 || !slices.Equal(alice.BackupUsed, []int{0, 1}) && !slices.Equal(alice.BackupUsed, []int{1, 0}) || len(alice.Failures) > 0 || len(alice.Pending) > 0 {
		t.Errorf("alice: %s", written(t, alice))
	}
	for _, s := range alice.Sessions {
		if s.ID == "revoked" || s.Host != "here" {
			t.Errorf("a remembered login: %+v", s)
		}
	}
	if erin := j.state("erin"); erin.LockedUntil == nil || erin.Failures != nil {
		t.Errorf("wrong codes that lock only together: %s", written(t, erin))
	}
	bob := j.state("bob")
	if bob.TOTPStep != 9 || !bob.LockedHard || bob.LockedBy != "root" || bob.BackupID != "set-f" {
		t.Errorf("bob: %s", written(t, bob))
	}
	for user, address := range map[string]string{"alice": "new@example.com", "bob": "bob@example.com", "carol": "c@example.com", "erin": "e@example.com"} {
		if en, err := j.others().Enrollment(t.Context(), user); err != nil || en.Email.Address != address {
			t.Errorf("%s: %+v, %v", user, en.Email, err)
		}
	}
	if _, err := j.others().Enrollment(t.Context(), "dave"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("dave was reset: %v", err)
	}
	before := forever.writes
	if _, err := j.move(forever); err != nil || forever.writes != before {
		t.Errorf("nothing changed, and %d writes, %v", forever.writes-before, err)
	}
}

// Whenever the process dies, the next run brings all to the same end; and whatever an
// administrator took away meanwhile does not come back.
func TestMoveDies(t *testing.T) {
	whole := newJoining(t)
	count := &life{left: -1}
	if _, err := whole.move(count); err != nil {
		t.Fatal(err)
	}
	first := count.writes
	whole.goOn()
	if _, err := whole.move(count); err != nil {
		t.Fatal(err)
	}
	second, want := count.writes-first, whole.found()
	for _, done := range []bool{false, true} {
		for n := range first {
			j := newJoining(t)
			if _, err := j.move(&life{left: n, done: done}); err == nil {
				t.Fatalf("step 1 lives on after write %d of %d", n, first)
			}
			j.goOn()
			if _, err := j.move(&life{left: -1}); err != nil {
				t.Fatalf("step 1 died at write %d: %v", n, err)
			}
			alice := j.state("alice")
			if alice.TOTPStep != 8 || len(alice.BackupUsed) != 2 || !j.state("bob").LockedHard ||
				slices.ContainsFunc(alice.Sessions, func(s mfa.Session) bool { return s.ID == "revoked" }) {
				t.Errorf("step 1 died at write %d (%v): %s", n, done, j.found())
			}
			if en, err := j.others().Enrollment(t.Context(), "alice"); err != nil || en.Email.Address != "new@example.com" {
				t.Errorf("step 1 died at write %d (%v): %+v, %v", n, done, en.Email, err)
			}
		}
		for n := range second {
			j := newJoining(t)
			if _, err := j.move(&life{left: -1}); err != nil {
				t.Fatal(err)
			}
			j.goOn()
			_, _ = j.move(&life{left: n, done: done})
			if _, err := j.move(&life{left: -1}); err != nil {
				t.Fatalf("step 2 died at write %d: %v", n, err)
			}
			if got := j.found(); got != want {
				t.Errorf("step 2 died at write %d (%v):\n got %s\nwant %s", n, done, got, want)
			}
		}
	}
}

// A spoiled store has a record that cannot be read.
type spoiled struct {
	store.Store
	key string
}

func (s spoiled) Get(ctx context.Context, key string) (store.Item, error) {
	if key == s.key {
		return store.Item{Key: key, Rev: 1}, store.Unreadable(errors.New("others may write to it"))
	}
	return s.Store.Get(ctx, key)
}

// A user whom a record keeps out that cannot be read is kept out in the fleet, too: there
// they must not count as "not enrolled".
func TestMoveOfWhatCannotBeRead(t *testing.T) {
	for _, key := range []string{"users/alice", "state/alice"} {
		j := newJoining(t)
		m := account.Move{
			From: account.Records{S: spoiled{j.host, key}}, To: account.Records{S: j.fleet, Host: "here"}, Notes: j.host, ID: "one", Key: j.key,
			Now: func() time.Time { return j.now },
		}
		became := map[string]string{}
		for range 2 {
			if err := m.Run(t.Context(), func(int) {}, func(u account.Migrated) { became[u.User] = u.Result }); err != nil {
				t.Fatal(err)
			}
		}
		_, err := j.others().Enrollment(t.Context(), "alice")
		out := j.state("alice").LockedHard
		if key == "users/alice" {
			out = errors.Is(err, store.ErrUnreadable) // an unlock must not make of it a user who is not enrolled
		}
		if !out || became["alice"] != account.MovedLocked {
			t.Errorf("%s: %v, %v, %s", key, became, err, written(t, j.state("alice")))
		}
	}
}

// Out of a fleet the store of this host becomes what the fleet has, without what belongs
// to other hosts.
func TestMoveOutOfFleet(t *testing.T) {
	j := newJoining(t)
	j.has(j.others(), "alice", enrolledAs(1, "fleet@example.com", "set-a"), mfa.State{
		UID: 1, TOTPStep: 20, Sessions: []mfa.Session{{ID: "mine", Host: "here"}, {ID: "other", Host: "other"}},
		Pending: []mfa.PendingCode{{Origin: "sshd|192.0.2.1||@here", Nonce: []byte("a")}, {Origin: "sshd|192.0.2.1||@other", Nonce: []byte("b")}},
	})
	m := account.Move{From: account.Records{S: j.fleet, Host: "here"}, To: j.local(), Key: j.key, Now: func() time.Time { return j.now }}
	for range 2 {
		if err := m.Run(t.Context(), func(int) {}, func(account.Migrated) {}); err != nil {
			t.Fatal(err)
		}
	}
	names, err := j.local().Known(t.Context())
	if err != nil || !slices.Equal(names, []string{"alice", "bob", "erin", "frank"}) {
		t.Errorf("%v, %v", names, err)
	}
	st, err := j.local().StoredState(t.Context(), "alice")
	if err != nil || st.TOTPStep != 20 || len(st.Sessions) != 1 || st.Sessions[0].Host != "" || len(st.Pending) != 1 || st.Pending[0].Origin != "sshd|192.0.2.1|" {
		t.Errorf("%v, %s", err, written(t, st))
	}
	if bob, err := j.local().Enrollment(t.Context(), "bob"); err != nil || bob.Email.Address != "bob@example.com" {
		t.Errorf("bob: %+v, %v", bob.Email, err)
	}
}
