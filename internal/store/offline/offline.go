// Package offline lets the store of a fleet be away for a while: it keeps on this host what
// logins here need of their users, decides by that while etcd cannot be reached, and brings
// what was decided to the fleet when it can.
//
// What to know before trusting it: there are two regimes, and a decision belongs to one. With
// etcd in reach all goes to the fleet's store, and what is kept follows behind. Without, a
// login (store.WithKept) of a user who is kept reads the enrollment and the state as they
// were last seen, and writes the state here, durably, by compare-and-swap; nothing else is
// written at all. Whatever is not kept is store.ErrUnreachable, never store.ErrNotFound.
// Revisions of what is kept have a bit that those of the fleet have not, so nothing that was
// read in one regime can be written in the other. The regime ends only when all that was
// decided here is in the fleet's store.
//
// # What another host may have done meanwhile
//
// A code of an app that was used elsewhere before etcd was heard of last does not count here:
// the state that is served says when that was (mfa.State.Offline). What others do after that
// is not known here. So one code can be used once on each side of a cut; the merge finds
// that where both are the newest, and tells.
//
// # An outcome that nobody knows
//
// A write that was sent to etcd and got no answer refuses its login, which is not decided
// here in its place. It may have happened: then a code is spent that let nobody in, and may be
// typed again here. It lets in once.
package offline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"mfa/internal/seal"
	"mfa/internal/store"
)

// Here is the store of this host alone, in which records are kept; local.Store is one.
type Here interface {
	store.Store
	// Retag writes the tags anew that were made with a former key.
	Retag(ctx context.Context) error
	Close() error
}

// Users knows what the records of a user say. It may be used from many goroutines.
type Users interface {
	// Worth says whether a login could be decided by that enrollment while etcd is away.
	Worth(user string, enrollment []byte) bool
	// Serve returns state as a login gets it while etcd is away, that was heard of last at
	// that time. The result for what Serve or such a login made of it differs in that time only.
	Serve(user string, state []byte, heard time.Time) ([]byte, error)
	// Merge returns the state that the fleet has with what was decided here. Tell is called
	// once it is stored. An error is about that user alone.
	Merge(m Merging) (merged []byte, tell func(), err error)
	// Bears says whether there has the mark of this host.
	Bears(user, mark string, there []byte) (bool, error)
}

// A Merging is what was decided here of a user, and what the fleet has.
type Merging struct {
	User, Mark string // the result bears the mark
	Base, Here []byte // the state before, and now
	There      []byte // the state that the fleet has; nil: none
	Enrollment []byte // that Here was decided by
	Enrolled   []byte // the enrollment that the fleet has; nil: none
}

// Options are what a Store is made of.
type Options struct {
	Fleet store.Cacher
	Here  Here
	// Folder is that of Here. A file is put there; see current.
	Folder string
	Key    *seal.Key // seals what is kept
	Users  Users
	For    time.Duration    // how long logins are decided here after etcd was heard of last
	Now    func() time.Time // the clock by which codes are checked
	Log    *slog.Logger
}

// A Store is a fleet's store that may be away. It implements store.Cacher and
// store.Locator. Its methods may be called from many goroutines.
type Store struct {
	store.Cacher // the fleet's
	opts         Options
	kept         *kept
	current      *current
	contact      contact

	mu   sync.RWMutex // guards away; held for reading while something is written here
	away *absence     // nil: etcd is in reach

	returning sync.Mutex    // held while what was decided here is merged; guards failed
	failed    int           // so often that failed in a row
	doubts    chan struct{} // has a value while somebody got no answer
	begin     func()        // has what follows run, once
	end       context.CancelFunc
	running   sync.WaitGroup
}

// An absence is a time without etcd.
type absence struct {
	since time.Time // by Options.Now
	why   error
}

// Open returns the Store, which is away until Return, and asks nothing before that. The caller
// must Close it.
func Open(ctx context.Context, opts Options) (*Store, error) {
	s := &Store{Cacher: opts.Fleet, opts: opts, doubts: make(chan struct{}, 1), away: &absence{since: opts.Now(), why: errNotAsked}}
	s.contact.now = opts.Now
	var err error
	if s.kept, err = openKept(ctx, opts); err == nil {
		s.current, err = openCurrent(opts.Folder, s.kept.count() == 0)
	}
	if err == nil {
		err = s.contact.read(ctx, opts.Here)
	}
	if err != nil {
		return nil, fmt.Errorf("open what is kept for the time without etcd: %w", err)
	}
	if s.current.isOld() {
		opts.Log.Warn("no user is let in without etcd before it was heard of: the daemon before this one could not write down all that it knew")
	}
	ctx, s.end = context.WithCancel(context.Background())
	s.begin = sync.OnceFunc(func() {
		s.running.Go(func() { s.watchOver(ctx) })
		s.running.Go(func() { s.keep(ctx) })
	})
	return s, nil
}

var errNotAsked = fmt.Errorf("%w: it was not asked yet", store.ErrUnreachable)

// lastNews is how long Close may take to write down what was heard.
const lastNews = 2 * time.Second

// Close ends what runs, and writes down what was heard and when etcd was heard of last. It
// closes Options.Here.
func (s *Store) Close() error {
	s.end()
	s.running.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), lastNews)
	defer cancel()
	s.settleAll(ctx)
	return errors.Join(s.contact.note(context.Background(), s.opts.Here, true), s.opts.Here.Close())
}

// keptBit is the bit of a revision of what is kept. Etcd counts in 63 bits, and a local store
// does not come so far.
const keptBit = 1 << 63

// errKept is the error about what is kept and cannot be used.
func errKept(do, key, why string) error {
	return fmt.Errorf("%s %q: %w, and %s", do, key, store.ErrUnreachable, why)
}

// isAway says whether etcd is away.
func (s *Store) isAway() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.away != nil
}

// goAway ends the time with etcd, because of err.
func (s *Store) goAway(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away != nil {
		return
	}
	s.away = &absence{since: s.opts.Now(), why: err}
	s.opts.Log.Warn("etcd cannot be reached: logins of users who are kept here are decided on this host, by app or backup code only",
		"until", s.contact.trueAt().Add(s.opts.For).Format(time.RFC3339), "kept", s.kept.count(), "error", err)
}

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, key string) (store.Item, error) {
	may := store.MayUseKept(ctx)
	if !may || !s.isAway() {
		it, err := s.Cacher.Get(ctx, key)
		switch {
		case !errors.Is(err, store.ErrUnreachable):
			if err == nil && may && s.kept.isStuck(owner(key)) {
				return store.Item{}, errKept("get", key, "what was decided here without it is not merged yet")
			}
			return it, err
		case !may:
			s.doubt()
			return it, err
		}
		s.goAway(err)
	}
	return s.getKept(ctx, key)
}

// owner returns the user whose record key is; empty: it is no user's.
func owner(key string) string {
	for _, head := range []string{store.Users, store.States} {
		if name, is := strings.CutPrefix(key, head); is {
			return name
		}
	}
	return ""
}

// getKept is Get without etcd.
func (s *Store) getKept(ctx context.Context, key string) (store.Item, error) {
	heard, err := s.believable(key)
	if err != nil {
		return store.Item{}, err
	}
	r, rev, err := s.find(ctx, "get", key)
	if err != nil {
		return store.Item{}, err
	}
	it := store.Item{Key: key, Value: r.Enrollment, Rev: keptBit | r.EnrollmentRev}
	if strings.HasPrefix(key, store.States) {
		it.Rev = keptBit | rev
		if it.Value, err = s.opts.Users.Serve(owner(key), r.newest(), heard); err != nil {
			return store.Item{}, err
		}
	}
	if view := store.ViewOf(ctx); view != nil {
		view.Saw(key, it.Rev, false)
	}
	return it, nil
}

// find returns what is kept of the owner of key, as new as this host knows it.
func (s *Store) find(ctx context.Context, do, key string) (r record, rev uint64, err error) {
	user := owner(key)
	if user == "" || !s.kept.has(user) {
		return r, 0, errKept(do, key, "it is not kept on this host")
	}
	if s.kept.isBusy(user) {
		return r, 0, errKept(do, key, "it is written there just now")
	}
	if err := s.settle(ctx, user); err != nil {
		return r, 0, fmt.Errorf("%s %q: %w: %w", do, key, store.ErrUnreachable, err)
	}
	r, rev, err = s.kept.load(ctx, user)
	if errors.Is(err, store.ErrNotFound) {
		err = errKept(do, key, "it is not kept on this host any more")
	}
	return r, rev, err
}

// believable returns when etcd was heard of last, or why nothing that is kept counts now.
func (s *Store) believable(key string) (heard time.Time, err error) {
	now := s.opts.Now()
	heard, known := s.contact.last()
	switch trueAt, wrong := s.contact.trueAt(), s.contact.distrusted(); {
	case wrong != nil:
		return heard, fmt.Errorf("get %q: %w", key, wrong)
	case !known:
		return heard, errKept("get", key, "this host never was in its fleet")
	case s.current.isOld():
		return heard, errKept("get", key, "what this host knew of its users could not all be written down")
	case now.Before(trueAt), s.contact.isBefore(now):
		return heard, errKept("get", key, "the clock of this host stands before the time when it was in reach")
	case !now.Before(trueAt.Add(s.opts.For)):
		return heard, errKept("get", key, "store.etcd.offline_for is over")
	}
	return heard, nil
}

// Put implements store.Store.
func (s *Store) Put(ctx context.Context, it store.Item) (store.Item, error) {
	s.mu.RLock()
	if s.away != nil {
		defer s.mu.RUnlock()
		return s.putKept(ctx, it)
	}
	leave := s.kept.enter(owner(it.Key))
	s.mu.RUnlock()
	if it.Rev&keptBit != 0 {
		leave(nil)
		return store.Item{}, fmt.Errorf("put %q: %w", it.Key, store.ErrConflict)
	}
	put, err := s.Cacher.Put(ctx, it)
	if err == nil {
		s.decided(ctx, leave, put)
	} else {
		leave(nil)
	}
	if errors.Is(err, store.ErrUnreachable) {
		s.doubt()
	}
	return put, err
}

// decided writes down here what was just written to etcd, before anybody is told of it: a
// restart without etcd has to know of it. Leave is that of kept.enter.
func (s *Store) decided(ctx context.Context, leave func(*store.Item), it store.Item) {
	leave(&it)
	if user := owner(it.Key); user != "" {
		_ = s.settle(context.WithoutCancel(ctx), user) // it stays news, and keep tells
	}
}

// putKept is Put without etcd. s.mu is held for reading.
func (s *Store) putKept(ctx context.Context, it store.Item) (store.Item, error) {
	switch {
	case !store.MayUseKept(ctx), !strings.HasPrefix(it.Key, store.States):
		return store.Item{}, errKept("put", it.Key, "this is not written without it")
	case it.Rev&keptBit == 0:
		return store.Item{}, fmt.Errorf("put %q: %w", it.Key, store.ErrConflict)
	}
	if _, err := s.believable(it.Key); err != nil {
		return store.Item{}, err
	}
	if err := s.confirmKept(ctx, it.Key); err != nil {
		return store.Item{}, fmt.Errorf("put %q: %w", it.Key, err)
	}
	r, rev, err := s.find(ctx, "put", it.Key)
	if err == nil && keptBit|rev != it.Rev {
		err = store.ErrConflict
	}
	if err != nil {
		return store.Item{}, fmt.Errorf("put %q: %w", it.Key, err)
	}
	r.Here = it.Value
	if rev, err = s.kept.save(context.WithoutCancel(ctx), owner(it.Key), r, rev); err != nil {
		return store.Item{}, err
	}
	it.Rev = keptBit | rev
	if view := store.ViewOf(ctx); view != nil {
		view.Saw(it.Key, it.Rev, false)
	}
	return it, nil
}

// Delete implements store.Store. Without etcd nothing is deleted.
func (s *Store) Delete(ctx context.Context, it store.Item) error {
	s.mu.RLock()
	if s.away != nil {
		s.mu.RUnlock()
		return errKept("delete", it.Key, "this is not deleted without it")
	}
	leave := s.kept.enter(owner(it.Key))
	s.mu.RUnlock()
	err := s.Cacher.Delete(ctx, it)
	if err == nil {
		s.decided(ctx, leave, store.Item{Key: it.Key, Rev: it.Rev + 1}) // or later: it is gone
	} else {
		leave(nil)
	}
	if errors.Is(err, store.ErrUnreachable) {
		s.doubt()
	}
	return err
}

// Confirm implements store.Cacher.
func (s *Store) Confirm(ctx context.Context) error {
	may := store.MayUseKept(ctx)
	if !may || !s.isAway() {
		err := s.Cacher.Confirm(ctx)
		if !errors.Is(err, store.ErrUnreachable) || !may {
			return err
		}
		s.goAway(err)
	}
	if err := s.confirmKept(ctx, ""); err != nil {
		return fmt.Errorf("confirm what was read: %w", err)
	}
	return nil
}

// confirmKept is Confirm without etcd, but for the key own. What was read in the time with
// etcd is not so any more: it has to be read again, as it is kept.
func (s *Store) confirmKept(ctx context.Context, own string) error {
	view := store.ViewOf(ctx)
	if view == nil {
		return nil
	}
	for key, seen := range view.Seen() {
		switch {
		case key == own:
			continue
		case seen.Stale:
			return fmt.Errorf("%q: %w", key, store.ErrStale)
		case seen.Rev&keptBit == 0:
			view.Spoil(key)
			return fmt.Errorf("%q: %w", key, store.ErrStale)
		}
		r, rev, err := s.find(ctx, "get", key)
		if err != nil {
			return err
		}
		if strings.HasPrefix(key, store.Users) {
			rev = r.EnrollmentRev
		}
		if seen.Rev != keptBit|rev {
			view.Spoil(key)
			return fmt.Errorf("%q: %w", key, store.ErrConflict)
		}
	}
	return nil
}

// Location implements store.Locator.
func (s *Store) Location(key string) string {
	if l, is := s.Cacher.(store.Locator); is {
		return l.Location(key)
	}
	return key
}

// LetIn notes that a user was let in here: from now on they are kept.
func (s *Store) LetIn(user string) {
	if !s.isAway() {
		s.kept.want(user)
	}
}

// NoteGeneration notes how often everybody had to enroll anew, which counts for logins that
// are decided here.
func (s *Store) NoteGeneration(ctx context.Context, n int) error {
	s.contact.setGeneration(n)
	return s.contact.note(ctx, s.opts.Here, false)
}

// Generation returns what NoteGeneration noted last, also before this start.
func (s *Store) Generation() int { return s.contact.generation() }

// Unmerged returns of how many users something was decided here that the fleet does not know.
func (s *Store) Unmerged() int { return len(s.kept.toMerge(true)) }

// A Report is how a Store stands.
type Report struct {
	Away  bool
	Old   bool      // nothing that is kept counts before etcd was heard of
	Since time.Time // that it is away
	Until time.Time // logins are decided here, where it is away
	Kept  int       // users
	True  bool      // all that this host has heard of them is written down
	Why   error     // it is away
}

// Report returns how the Store stands.
func (s *Store) Report() Report {
	r := Report{Old: s.current.isOld(), Kept: s.kept.count(), True: s.kept.isQuiet(), Until: s.contact.trueAt().Add(s.opts.For)}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.away != nil {
		r.Away, r.Since, r.Why = true, s.away.since, s.away.why
	}
	return r
}

// Retag seals anew what needs a former key.
func (s *Store) Retag(ctx context.Context) error {
	err := s.kept.reseal(ctx)
	if err == nil {
		err = s.opts.Here.Retag(ctx)
	}
	if err != nil {
		return fmt.Errorf("seal what is kept anew: %w", err)
	}
	return nil
}
