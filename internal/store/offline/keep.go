package offline

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"mfa/internal/store"
)

// News are what this host has heard of a user, and not written down yet.
type news struct {
	enrollment *store.Item // without Value: it is gone
	state      *store.Item
	unreadable bool // one of them
}

// A turn is held while the news of a user are written.
type turn struct {
	sync.Mutex
	waiting int // goroutines that have it or want it; guarded by kept.mu
}

// want has a user kept from now on.
func (k *kept) want(user string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	_, is := k.users[user]
	if !is && len(k.users) >= k.most && !k.makeRoom() {
		return
	}
	if k.users[user] = true; !is { // else the watch tells of what is new
		k.add(user, k.news[user])
	}
}

// makeRoom forgets somebody who was not let in since the start, or else anybody. k.mu is held.
func (k *kept) makeRoom() bool {
	victim := ""
	for user, recent := range k.users {
		if k.unmerged[user] {
			continue
		}
		victim = user
		if !recent {
			break
		}
	}
	if victim == "" {
		return false
	}
	delete(k.users, victim) // what is on the disk goes when it is that user's turn
	k.add(victim, news{})
	return true
}

// add adds news. k.mu is held.
func (k *kept) add(user string, n news) {
	k.news[user] = n
	k.poke()
}

// poke wakes whoever writes news down.
func (k *kept) poke() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// changed takes in that a record of a user is so in the fleet now, or cannot be read there.
func (k *kept) changed(it store.Item, unreadable bool) {
	user := owner(it.Key)
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, is := k.users[user]; !is {
		return
	}
	n := k.news[user]
	n.unreadable = n.unreadable || unreadable
	at := &n.enrollment
	if strings.HasPrefix(it.Key, store.States) {
		at = &n.state
	}
	if *at == nil || (*at).Rev < it.Rev {
		*at = &it
	}
	k.add(user, n)
}

// enter says that a write of a user's record is under way to etcd, until leave, which takes
// what was written; nil: it may not have been.
func (k *kept) enter(user string) (leave func(written *store.Item)) {
	if user == "" {
		return func(*store.Item) {}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.busy[user]++
	return func(written *store.Item) {
		if written != nil {
			it := *written
			it.Value = bytes.Clone(it.Value)
			k.changed(it, false)
		}
		k.mu.Lock()
		defer k.mu.Unlock()
		if k.busy[user]--; k.busy[user] == 0 {
			delete(k.busy, user)
		}
	}
}

func (k *kept) isBusy(user string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.busy[user] > 0
}

// isQuiet says whether all that this host heard is written down.
func (k *kept) isQuiet() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.news) == 0 && len(k.turns) == 0 && k.reading == nil
}

// begin waits for the turn of a user and takes the news of them. End has to be called.
func (k *kept) begin(user string) (n news, has bool, end func()) {
	k.mu.Lock()
	t := k.turns[user]
	if t == nil {
		t = &turn{}
		k.turns[user] = t
	}
	t.waiting++
	k.mu.Unlock()
	t.Lock()
	k.mu.Lock()
	defer k.mu.Unlock()
	n, has = k.news[user]
	delete(k.news, user)
	return n, has, func() {
		t.Unlock()
		k.mu.Lock()
		defer k.mu.Unlock()
		if t.waiting--; t.waiting == 0 {
			delete(k.turns, user)
		}
	}
}

// giveBack keeps news for another time that could not be written.
func (k *kept) giveBack(user string, n news) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.news[user]
	n.unreadable = n.unreadable || now.unreadable
	if now.enrollment != nil {
		n.enrollment = now.enrollment
	}
	if now.state != nil {
		n.state = now.state
	}
	k.news[user] = n
}

// next returns a user with news.
func (k *kept) next() (user string, has bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for user := range k.news {
		return user, true
	}
	return "", false
}

// withNews returns the users with news.
func (k *kept) withNews() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Collect(maps.Keys(k.news))
}

// readAnew has everybody read who is kept: something may have been missed.
func (k *kept) readAnew() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.reading = make(map[string]struct{}, len(k.users))
	for user := range k.users {
		k.reading[user] = struct{}{}
	}
	if len(k.reading) == 0 {
		k.reading = nil
	}
	k.round++
	k.poke()
}

// nextToRead returns a user who has to be read anew, and in which round.
func (k *kept) nextToRead() (user string, round int, has bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for user := range k.reading {
		return user, k.round, true
	}
	return "", 0, false
}

// wasRead notes that a user was read anew in a round. It is nothing if another has begun.
func (k *kept) wasRead(user string, round int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if round != k.round {
		return
	}
	if delete(k.reading, user); len(k.reading) == 0 {
		k.reading = nil
	}
}

// The pace at which users are read anew, so that hosts that come back at once ask etcd no more than
// it answers.
const (
	readFast  = 64 // so many at once
	readPause = 50 * time.Millisecond

	keepAgain  = time.Second // after it failed
	keepSeldom = time.Minute // where there is nothing to do
	sayAgain   = 60          // the log says so each time that it failed so often
)

// keep writes down what this host hears of users who are kept, until ctx ends. While etcd is
// away a login does that for its user.
func (s *Store) keep(ctx context.Context) {
	fast, failed := readFast, 0
	for ctx.Err() == nil {
		wait, err := keepAgain, error(nil)
		if !s.isAway() {
			wait, err = s.keepNext(ctx, &fast)
		}
		if err == nil || errors.Is(err, store.ErrUnreachable) || ctx.Err() != nil {
			failed = 0
		} else if failed++; failed%sayAgain == 1 {
			s.opts.Log.Error("users are not kept for the time without etcd", "error", err)
		}
		if wait == 0 {
			continue
		}
		select {
		case <-s.kept.wake:
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// keepNext writes down what this host has heard of one user, and returns how long to wait
// before the next. Fast is how many may be read anew without a pause.
func (s *Store) keepNext(ctx context.Context, fast *int) (wait time.Duration, err error) {
	if user, has := s.kept.next(); has {
		if err := s.settle(ctx, user); err != nil {
			return keepAgain, err
		}
		return 0, nil
	}
	user, round, has := s.kept.nextToRead()
	if !has {
		*fast = readFast
		return keepSeldom, s.current.set(s.kept.isQuiet)
	}
	if err := s.readAnew(ctx, user); err != nil {
		return keepAgain, err
	}
	s.kept.wasRead(user, round)
	if *fast--; *fast > 0 {
		return 0, nil
	}
	return readPause, nil
}

// readAnew reads a user anew who is kept.
func (s *Store) readAnew(ctx context.Context, user string) error {
	n, has, end := s.kept.begin(user)
	defer end()
	err := s.write(ctx, user, n, true)
	if err != nil && has {
		s.kept.giveBack(user, n)
	}
	s.afterWrite(ctx, err)
	return err
}

// settle writes down what this host has heard of a user, if it has.
func (s *Store) settle(ctx context.Context, user string) error {
	n, has, end := s.kept.begin(user)
	defer end()
	if !has {
		return nil
	}
	err := s.write(ctx, user, n, false)
	if err != nil {
		s.kept.giveBack(user, n)
	}
	s.afterWrite(ctx, err)
	return err
}

// afterWrite has the next start believe nothing that is kept, where err says that what is on
// the disk stayed older than what this host knows. What ended with ctx is tried again.
func (s *Store) afterWrite(ctx context.Context, err error) {
	if ctx.Err() != nil || !staysOld(err) {
		return
	}
	if err := s.current.clear(); err != nil {
		s.opts.Log.Error("what was decided with etcd is forgotten if this host starts anew without it", "error", err)
	}
}

// staysOld says whether write left a record that is older than its news. Nothing was kept
// where etcd had to be asked.
func staysOld(err error) bool { return err != nil && !errors.Is(err, store.ErrUnreachable) }

// settleAll settles for the last time, until ctx ends.
func (s *Store) settleAll(ctx context.Context) {
	old := false
	for _, user := range s.kept.withNews() {
		old = staysOld(s.settle(ctx, user)) || old
	}
	if old {
		s.afterWrite(context.Background(), errLate)
	}
}

var errLate = errors.New("not all that was heard is written down")

// write is settle for the news n. With anew it reads what the fleet has, as it does of whom
// nothing is kept yet.
func (s *Store) write(ctx context.Context, user string, n news, anew bool) error {
	for {
		was, rev, err := s.kept.load(ctx, user)
		gone := errors.Is(err, store.ErrNotFound)
		switch {
		case n.unreadable, !s.kept.has(user): // or there was no room for them
			return s.kept.drop(ctx, user)
		case errors.Is(err, store.ErrUnreadable):
			if s.kept.isUnmerged(user) {
				return nil // the merge tells, and nobody is let in by it
			}
			return s.kept.drop(ctx, user)
		case err != nil && !gone:
			return err
		case !was.isMerged():
			return nil // after the merge they are read anew
		}
		now, worth, err := s.newest(ctx, user, was, n, anew || gone)
		switch {
		case err != nil:
			return err
		case !worth:
			return s.kept.drop(ctx, user)
		case !gone && now.same(was):
			return nil
		}
		if _, err = s.kept.save(ctx, user, now, rev); !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
}

// newest returns what is to be kept of a user, where that was; anew: nothing, or not known.
// Worth is false if that is nothing.
func (s *Store) newest(ctx context.Context, user string, was record, n news, anew bool) (now record, worth bool, err error) {
	if now = was; anew {
		now, err = s.readUser(ctx, user)
		if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrUnreadable) {
			return now, false, nil
		}
	}
	if err != nil {
		return now, false, err
	}
	worth = now.take(n) && s.opts.Users.Worth(user, now.Enrollment)
	return now, worth, nil
}

// readUser reads what the fleet has of a user, from memory where this host follows.
func (s *Store) readUser(ctx context.Context, user string) (r record, err error) {
	ctx = store.WithView(store.WithoutView(ctx))
	st, err := s.Cacher.Get(ctx, store.States+user)
	if err != nil {
		return r, err
	}
	en, err := s.Cacher.Get(ctx, store.Users+user)
	return record{Enrollment: en.Value, EnrollmentRev: en.Rev, State: st.Value, StateRev: st.Rev}, err
}

// take takes in the news that are newer, and says whether there still is an enrollment.
func (r *record) take(n news) (is bool) {
	if n.enrollment != nil && n.enrollment.Rev > r.EnrollmentRev {
		r.Enrollment, r.EnrollmentRev = n.enrollment.Value, n.enrollment.Rev
	}
	if n.state != nil && n.state.Rev > r.StateRev {
		r.State, r.StateRev = n.state.Value, n.state.Rev
	}
	return r.Enrollment != nil && r.State != nil
}
