package account

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"mfa/internal/account/record"
	"mfa/internal/mfa"
	"mfa/internal/seal"
	"mfa/internal/store"
)

// A Move copies what is known of all users from one store to another, record by record, and
// reads each back. Logins may go on in From meanwhile; Run again then copies what changed.
// It can be cut short anywhere, and be run again, with the same result.
//
// Into a fleet (To.Host is set) what the fleet knows stays: a user's enrollment there is
// not replaced by another one, and states are merged (MergeStates). So that a second Run
// can tell what From changed since from what the fleet has of its own, Notes holds what
// was copied. Out of a fleet, To becomes what the fleet has.
type Move struct {
	From, To    Records     // one of them is a fleet's: its Host names this machine
	Notes       store.Store // the store of this host, for a move into a fleet
	ID          string      // of the move: notes of another one do not count
	Key         *seal.Key   // that both stores have
	Lockout     LockoutConfig
	SessionHost string // the host on which remembered logins are to count; empty: on all
	Now         func() time.Time
}

// A Migrated is a user whose records were copied, or the Problem with that.
type Migrated struct {
	User    string
	Result  string // one of the words below
	Problem error
}

// The words of Migrated.Result.
const (
	MovedCopied  = "copied"  // what To has now is as in From
	MovedSame    = "same"    // it was so before
	MovedKept    = "kept"    // the fleet has another enrollment, which counts; the states were merged
	MovedLocked  = "locked"  // a record cannot be read, or the token is another's: kept out there until an administrator mends it
	MovedRemoved = "removed" // From has none any more
)

// lockedByMove is who locked a user whose records could not be copied as they are.
const lockedByMove = "mfactl migrate"

// moving is how many users are copied at once: the stores take them into one write.
const moving = 32

// Run copies everything. It calls begin with the number of users, and fn after each, from
// one goroutine at a time. It goes on after a Problem, and returns an error that says how
// many there were, or why it could not go on.
func (m *Move) Run(ctx context.Context, begin func(total int), fn func(Migrated)) error {
	names, err := m.names(ctx)
	if err != nil {
		return err
	}
	there, err := m.sums(ctx)
	if err == nil {
		err = m.policy(ctx)
	}
	if err == nil {
		err = m.tokens(ctx)
	}
	if err != nil {
		return err
	}
	begin(len(names))
	var mu sync.Mutex // guards what follows, and fn
	problems := 0
	next := make(chan string)
	var workers sync.WaitGroup
	for range moving {
		workers.Go(func() {
			for name := range next {
				is, err := m.user(ctx, name, there)
				mu.Lock()
				if fn(Migrated{User: name, Result: is, Problem: err}); err != nil {
					problems++
				}
				mu.Unlock()
			}
		})
	}
	for _, name := range names {
		if ctx.Err() != nil {
			break
		}
		next <- name
	}
	close(next)
	workers.Wait()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case problems > 0:
		return fmt.Errorf("the records of %d of %d users were not copied", problems, len(names))
	}
	return nil
}

// intoFleet says whether To is a fleet's.
func (m *Move) intoFleet() bool { return m.To.Host != "" }

// names returns all users of whom anything is to be copied, or removed.
func (m *Move) names(ctx context.Context) ([]string, error) {
	names, err := m.From.Known(ctx)
	if err != nil {
		return nil, err
	}
	var others []string
	if m.intoFleet() {
		others, err = m.Notes.Keys(ctx, moveKeys)
		for i, key := range others {
			others[i] = strings.TrimPrefix(key, moveKeys)
		}
	} else {
		others, err = m.To.Known(ctx)
	}
	names = slices.Concat(names, others)
	slices.Sort(names)
	return slices.Compact(names), err
}

// A sum stands for the content of an item.
type sum [sha256.Size]byte

// sums returns what a fleet has of all users, by key.
func (m *Move) sums(ctx context.Context) (map[string]sum, error) {
	all := map[string]sum{}
	if !m.intoFleet() {
		return all, nil
	}
	for _, space := range []string{store.Users, store.States} {
		err := store.Each(ctx, m.To.S, space, func(it store.Item, err error) error {
			if err == nil {
				all[it.Key] = sha256.Sum256(it.Value)
			}
			return nil // it is looked at again, by itself
		})
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// A userRecords is what a store has of a user.
type userRecords struct {
	text   []byte // the enrollment as it is stored; nil: there is none
	en     mfa.Enrollment
	known  bool // text could be parsed
	lost   bool // the enrollment cannot be read; text is in its place
	state  []byte
	st     mfa.State
	broken bool // state cannot be read
}

// lostEnrollment takes the place of an enrollment that cannot be read. It cannot be parsed,
// so it keeps its user out, and does not count as "not enrolled".
const lostEnrollment = "# this enrollment could not be read when it was to be moved; mfactl reset ends that\n"

// read returns what From has of a user, for To.
func (m *Move) read(ctx context.Context, user string) (h userRecords, err error) {
	for range tries {
		it, err := m.From.get(ctx, store.Users+user)
		if h.lost = errors.Is(err, store.ErrUnreadable); h.lost {
			it.Value = []byte(lostEnrollment)
		} else if err != nil {
			return h, err
		}
		st, err := m.From.get(ctx, store.States+user)
		if h.broken = errors.Is(err, store.ErrUnreadable); err != nil && !h.broken {
			return h, err
		}
		again, err := m.From.get(ctx, store.Users+user)
		if err != nil && !h.lost {
			return h, err
		}
		if again.Rev == it.Rev {
			h.text, h.state = it.Value, st.Value
			return m.fit(user, h)
		}
	}
	return h, fmt.Errorf("copy %q: %w %d times in a row", user, store.ErrConflict, tries)
}

// fit parses h and makes of it what To is to have.
func (m *Move) fit(user string, h userRecords) (userRecords, error) {
	before, after, err := m.fitEnrollment(user, &h)
	if err != nil {
		return h, err
	}
	m.fitState(user, &h)
	m.host(&h.st)
	for i := range h.st.Sessions {
		if h.st.Sessions[i].Enrollment == before {
			h.st.Sessions[i].Enrollment = after
		}
	}
	if e := h.st.Enrolling; e != nil && e.Secret != "" {
		if secret, err := m.Key.Reseal(e.Secret, user, fieldOf(e.Method)); err == nil {
			e.Secret = secret
		}
	}
	return h, nil
}

// fitState parses the state of h, whose enrollment was parsed. One that cannot be read
// becomes a lock.
func (m *Move) fitState(user string, h *userRecords) {
	sinceCounts := m.From.Since != nil || m.To.Since != nil // what no record means depends on the store
	switch {
	case len(h.state) > 0 && !h.broken:
		var err error
		h.st, err = record.DecodeState(m.From.location(store.States+user), h.state)
		h.broken = err != nil
	case sinceCounts:
		h.st.Since = m.From.Since
	}
	if h.broken {
		h.st = mfa.State{Since: new(m.Now().UTC()), LockedHard: true, LockedBy: lockedByMove}
	}
	if h.st.UID == 0 && (len(h.state) > 0 || h.broken || sinceCounts) {
		h.st.UID = h.en.UID
	}
}

// fitEnrollment parses the enrollment of h, and seals its secrets as To is to have them. It
// returns the fingerprints of before and after; empty if it cannot be parsed.
func (m *Move) fitEnrollment(user string, h *userRecords) (before, after string, err error) {
	if len(h.text) == 0 {
		return "", "", nil
	}
	en, err := record.DecodeEnrollment(m.From.location(store.Users+user), h.text)
	if h.known = err == nil; !h.known {
		return "", "", nil
	}
	before = en.Fingerprint()
	if m.reseal(user, &en) {
		if h.text, err = record.EncodeEnrollment(user, en); err != nil {
			return "", "", err
		}
	}
	h.en = en
	return before, en.Fingerprint(), nil
}

// reseal seals the secrets of en anew that need a former key, and says whether any did.
// One that no key opens stays as it is: it lets nobody in.
func (m *Move) reseal(user string, en *mfa.Enrollment) (changed bool) {
	seal := func(secret *string, field string) {
		if next, err := m.Key.Reseal(*secret, user, field); err == nil && next != *secret {
			*secret, changed = next, true
		}
	}
	if en.TOTP != nil {
		seal(&en.TOTP.Secret, totpField)
	}
	if en.HOTP != nil {
		seal(&en.HOTP.Secret, hotpField)
	}
	return changed
}

// host makes what belongs to this host belong to it in To, too. Codes that other hosts
// sent, and logins remembered for them, stay with them.
func (m *Move) host(st *mfa.State) {
	mine := func(origin string) (string, bool) {
		if m.intoFleet() {
			return origin + "|@" + m.To.Host, true
		}
		return strings.CutSuffix(origin, "|@"+m.From.Host)
	}
	var is bool
	st.Pending = slices.DeleteFunc(st.Pending, func(p mfa.PendingCode) bool { _, is := mine(p.Origin); return !is })
	for i := range st.Pending {
		st.Pending[i].Origin, _ = mine(st.Pending[i].Origin)
	}
	st.Ended = slices.DeleteFunc(st.Ended, func(e mfa.EndedCode) bool { _, is := mine(e.Origin); return !is })
	for i := range st.Ended {
		st.Ended[i].Origin, _ = mine(st.Ended[i].Origin)
	}
	if e := st.Enrolling; e != nil {
		if e.Origin, is = mine(e.Origin); !is {
			st.Enrolling = nil
		}
	}
	st.Sessions = slices.DeleteFunc(st.Sessions, func(s mfa.Session) bool {
		return !m.intoFleet() && s.Host != "" && s.Host != m.From.Host
	})
	for i := range st.Sessions {
		st.Sessions[i].Host = m.SessionHost
	}
}

// moveKeys begin the keys of what a move has copied; the name of the user follows.
const moveKeys = store.Meta + "move/"

// A moveNote is what a move into a fleet has copied of a user, or is about to.
type moveNote struct {
	Move   string `json:"move"`             // its ID
	Copied []byte `json:"copied,omitempty"` // the enrollment that the fleet had from here; nil: none
	Base   []byte `json:"base,omitempty"`   // the state that was merged into that of the fleet

	Trying     bool   `json:"trying,omitempty"` // what follows may have been written, too
	Enrollment []byte `json:"enrollment,omitempty"`
	State      []byte `json:"state,omitempty"`

	Result string `json:"result,omitempty"`
	From   sum    `json:"from"` // of what From had
	Users  sum    `json:"users"`
	States sum    `json:"states"` // of what the fleet had then; zero: nothing
}

// note returns what was copied of a user.
func (m *Move) note(ctx context.Context, user string) (n moveNote, err error) {
	if !m.intoFleet() {
		return moveNote{Move: m.ID}, nil
	}
	it, err := m.Notes.Get(ctx, moveKeys+user)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return moveNote{Move: m.ID}, nil
	case err != nil:
		return n, err
	}
	if err := json.Unmarshal(it.Value, &n); err != nil {
		return n, fmt.Errorf("parse %q: %w", moveKeys+user, err)
	}
	if n.Move != m.ID {
		n = moveNote{Move: m.ID}
	}
	return n, nil
}

func (m *Move) putNote(ctx context.Context, user string, n moveNote) error {
	if !m.intoFleet() {
		return nil
	}
	return store.Update(ctx, m.Notes, moveKeys+user, func([]byte) ([]byte, error) { return json.Marshal(n) })
}

// Forget removes the notes.
func (m *Move) Forget(ctx context.Context) error {
	keys, err := m.Notes.Keys(ctx, moveKeys)
	next := make(chan string)
	errs := make([]error, moving)
	var workers sync.WaitGroup
	for i := range moving {
		workers.Go(func() {
			for key := range next {
				errs[i] = errors.Join(errs[i], remove(ctx, m.Notes, key))
			}
		})
	}
	for _, key := range keys {
		next <- key
	}
	close(next)
	workers.Wait()
	return errors.Join(append(errs, err)...)
}

// moveTries bounds how often a user is copied anew because another host of the fleet
// changed them at the same time.
const moveTries = 5

// user copies what From has of a user. There is what To had of all.
func (m *Move) user(ctx context.Context, user string, there map[string]sum) (result string, err error) {
	for range moveTries {
		if result, err = m.copyUser(ctx, user, there); !errors.Is(err, errNotAsWritten) {
			break
		}
	}
	return result, err
}

// isDone says whether a former run copied all that From has of a user, and nothing changed
// on either side since.
func (n moveNote) isDone(user string, from sum, there map[string]sum) bool {
	return n.Result != "" && !n.Trying && n.From == from && n.Users == there[store.Users+user] && n.States == there[store.States+user]
}

func (m *Move) copyUser(ctx context.Context, user string, there map[string]sum) (string, error) {
	here, err := m.read(ctx, user)
	if err != nil {
		return "", err
	}
	n, err := m.note(ctx, user)
	if err != nil {
		return "", err
	}
	from := sha256.Sum256(slices.Concat(here.text, []byte{0}, here.state))
	if n.isDone(user, from, there) {
		return n.Result, nil
	}
	c, err := m.choose(ctx, user, here, n)
	if err != nil {
		return "", err
	}
	if n, c.base, err = m.begin(ctx, user, n, c, from); err != nil {
		return "", err
	}
	if c.result == MovedKept && c.wins.known && here.known {
		c.base, c.here.st = FitState(c.base, here.en, c.wins.en), FitState(c.here.st, here.en, c.wins.en)
	}
	if err := m.write(ctx, c); err != nil {
		return "", err
	}
	if n.Users, n.States, err = m.check(ctx, c); err != nil {
		return "", err
	}
	n.Result, n.Trying, n.Base, n.State = c.result, false, n.State, nil
	if c.copies {
		n.Copied, n.Enrollment = n.Enrollment, nil
	}
	return c.result, m.putNote(ctx, user, n)
}
