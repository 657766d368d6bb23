package offline

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"mfa/internal/store"
)

// The pace at which etcd is asked, in seconds.
const (
	askSeldom = 10 // at most, while it is away
	silent    = 3  // without a word of it, it is asked whether it is there
	often     = int(noteEvery / time.Second)
)

// doubt has etcd asked whether it is there.
func (s *Store) doubt() {
	select {
	case s.doubts <- struct{}{}:
	default:
	}
}

// watchOver finds out when etcd goes and comes, until ctx ends.
func (s *Store) watchOver(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	quiet, wait, next := 0, 1, 1 // seconds without a word of etcd, and between two questions while it is away
	for n := 1; ; {
		select {
		case <-ctx.Done():
			return
		case <-s.doubts:
			s.ask(ctx)
			continue
		case <-tick.C:
			n++
		}
		if quiet++; !s.contact.silent() {
			quiet = 0
		}
		switch away := s.isAway(); {
		case away && n >= next:
			s.note(ctx)
			if wait = min(2*wait, askSeldom); s.Return(ctx) == nil {
				wait = 1
			}
			next = n + wait
		case !away && quiet >= silent:
			s.ask(ctx)
		}
		if n%often == 0 {
			s.eachMinute(ctx)
		}
	}
}

// eachMinute notes when etcd was heard of, and tries once more to merge what was not.
func (s *Store) eachMinute(ctx context.Context) {
	s.note(ctx)
	if !s.isAway() {
		s.returning.Lock()
		defer s.returning.Unlock()
		if merged, _ := s.mergeAll(ctx, true); merged > 0 { // it logs
			s.kept.readAnew() // what was told of them meanwhile was left out
		}
	}
}

// note notes when etcd was heard of last.
func (s *Store) note(ctx context.Context) {
	if err := s.contact.note(ctx, s.opts.Here, false); err != nil && ctx.Err() == nil {
		s.opts.Log.Error("users are not kept for the time without etcd", "error", err)
	}
}

// ask asks etcd whether it is there. If it is not, the time without it begins.
func (s *Store) ask(ctx context.Context) {
	if s.isAway() {
		return
	}
	if err := s.reach(ctx); errors.Is(err, store.ErrUnreachable) && ctx.Err() == nil {
		s.goAway(err)
	}
}

// reach returns nil if etcd answers.
func (s *Store) reach(ctx context.Context) error {
	_, err := s.Cacher.Get(store.WithoutView(ctx), contactKey) // which is never there
	if errors.Is(err, store.ErrNotFound) {
		err = nil
	}
	return err
}

// Return ends the time without etcd, if it answers: once all that was decided here is in the
// fleet's store. Otherwise it returns why not. From the first call on that is tried again and
// again.
func (s *Store) Return(ctx context.Context) error {
	s.begin()
	s.returning.Lock()
	defer s.returning.Unlock()
	if !s.isAway() {
		return nil
	}
	if err := s.reach(ctx); err != nil {
		if errors.Is(err, store.ErrForgot) {
			s.contact.distrust(err)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.away.why = err
		return err
	}
	merged, err := s.mergeAll(ctx, true) // logins go on, and may add to it
	if err != nil {
		if s.failed++; s.failed%askSeldom == 1 {
			s.opts.Log.Error("etcd answers, but what was decided here without it is not merged yet", "error", err)
		}
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	rest, err := s.mergeAll(ctx, false) // nothing is decided meanwhile
	if err != nil {
		return err
	}
	if since := s.away.since; !errors.Is(s.away.why, errNotAsked) || merged+rest > 0 {
		s.opts.Log.Warn("etcd is in reach again: logins are decided by it", "away_since", since.Format(time.RFC3339), "merged", merged+rest)
	}
	s.away, s.failed = nil, 0
	s.kept.readAnew()
	return nil
}

// errUser is wrapped by errors of a merge that are about its user alone.
var errUser = errors.New("what was decided here without etcd is not merged")

// mergeAll brings all that was decided here to the fleet. What fails for a reason that lies
// with its user is left for another time, and that user waits; again tries those, too.
func (s *Store) mergeAll(ctx context.Context, again bool) (merged int, err error) {
	for _, user := range s.kept.toMerge(again) {
		switch err := s.merge(ctx, user); {
		case err == nil:
			merged++
		case errors.Is(err, errUser):
			if s.kept.stick(user) {
				s.opts.Log.Error("a user is refused on this host for now", "user", user, "error", err)
			}
		default:
			return merged, err
		}
	}
	return merged, nil
}

// merge brings what was decided here of a user to the fleet. If it is cut short, it is
// found out by the mark whether it happened; so nothing is counted twice.
func (s *Store) merge(ctx context.Context, user string) error {
	for {
		err := s.mergeOnce(ctx, user)
		if !errors.Is(err, store.ErrConflict) {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

func (s *Store) mergeOnce(ctx context.Context, user string) error {
	r, rev, err := s.kept.load(ctx, user)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return s.kept.drop(ctx, user)
	case err != nil:
		return ofUser(err)
	case r.isMerged():
		s.kept.note(user, false)
		return nil
	}
	there, enrolled, err := s.theirs(ctx, user)
	if errors.Is(err, store.ErrNotFound) {
		return s.kept.drop(ctx, user) // the user is gone, with all that there was
	}
	if err != nil {
		return ofUser(err)
	}
	if r.Sent != nil {
		happened, err := s.opts.Users.Bears(user, r.Mark, there.Value)
		if err != nil {
			return fmt.Errorf("%w: %w", errUser, err)
		}
		if happened {
			return s.wasMerged(ctx, user, r, rev, there)
		}
	}
	r.Sent, r.Mark = r.Here, rand.Text()
	if rev, err = s.kept.save(ctx, user, r, rev); err != nil {
		return ofDisk(err)
	}
	merged, tell, err := s.opts.Users.Merge(Merging{
		User: user, Mark: r.Mark, Base: r.State, Here: r.Here, There: there.Value, Enrollment: r.Enrollment, Enrolled: enrolled,
	})
	if err != nil {
		return fmt.Errorf("%w: %w", errUser, err)
	}
	there.Value = merged
	if there, err = s.Cacher.Put(store.WithoutView(ctx), there); err != nil {
		return err
	}
	tell()
	return s.wasMerged(ctx, user, r, rev, there)
}

// ofDisk returns an error of kept.save as one about the user, unless it is a conflict: a disk
// that takes no writes keeps those away of whom something is to be merged, and nobody else.
func ofDisk(err error) error {
	if errors.Is(err, store.ErrConflict) {
		return err
	}
	return fmt.Errorf("%w: %w", errUser, err)
}

// ofUser returns err as one about the user, if a record cannot be read.
func ofUser(err error) error {
	if errors.Is(err, store.ErrUnreadable) {
		return fmt.Errorf("%w: %w", errUser, err)
	}
	return err
}

// theirs returns the state and the enrollment that the fleet has of a user, without a value if
// there is none. The error wraps store.ErrNotFound if there is neither.
func (s *Store) theirs(ctx context.Context, user string) (st store.Item, enrolled []byte, err error) {
	ctx = store.WithoutView(ctx)
	en, err := s.Cacher.Get(ctx, store.Users+user)
	gone := errors.Is(err, store.ErrNotFound)
	if err == nil || gone {
		st, err = s.Cacher.Get(ctx, store.States+user)
	}
	if errors.Is(err, store.ErrNotFound) && !gone {
		st, err = store.Item{Key: store.States + user}, nil
	}
	if err != nil {
		err = fmt.Errorf("merge what was decided of %q: %w", user, err)
	}
	return st, en.Value, err
}

// wasMerged notes that the fleet knows r.Sent, and that its state is there.
func (s *Store) wasMerged(ctx context.Context, user string, r record, rev uint64, there store.Item) error {
	since := record{Enrollment: r.Enrollment, EnrollmentRev: r.EnrollmentRev, State: there.Value, StateRev: there.Rev}
	if string(r.Here) != string(r.Sent) { // there were decisions since
		since.State, since.StateRev, since.Here = r.Sent, 0, r.Here
	}
	if _, err := s.kept.save(ctx, user, since, rev); err != nil {
		return ofDisk(err)
	}
	if since.Here != nil {
		return store.ErrConflict // with what is kept: once more
	}
	return nil
}
