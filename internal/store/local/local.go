// Package local keeps enrollments and states in one folder of one host:
// enrollments as users/NAME.toml, readable and editable by an administrator,
// everything else in the bbolt database state.db, behind a log (docs/state-log.md).
//
// What to know before trusting it: the folder belongs to one daemon at a time,
// held by a lock that the kernel drops when the daemon dies; it must not be
// writable by anybody else. An enrollment that changed is read anew, so an edit
// counts at once. A write is on the disk, synced, when it returns nil. If it
// returns an error the old item stays, with one exception that no file system
// lets us rule out: when a sync fails after the new content was put in place,
// either may be there. Every record of the database but its format has a MAC over its
// name, revision and value, and one more MAC covers the set of all records: a change by
// anything but the daemon is an error, and such a record is not used.
package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"mfa/internal/host/file"
	"mfa/internal/seal"
	"mfa/internal/store"
)

// maxName bounds a name, in bytes, well within what bbolt takes as a key.
const maxName = 1024

// A space keeps the items of one key space, by the name that follows in the key.
// Revisions and errors are those of store.Store.
type space interface {
	get(name string) (value []byte, rev uint64, err error)
	// swap replaces the item that has rev by value, or removes it if value is
	// nil, and returns the new revision.
	swap(ctx context.Context, name string, rev uint64, value []byte) (uint64, error)
	names() ([]string, error)
	location(name string) string
}

// Store is an open folder. It implements store.Store and store.Locator. Its methods may
// be called from many goroutines.
type Store struct {
	dir   string
	lock  *folderLock
	close func() error // runs once

	files *files
	key   keyFunc
	setup setup

	mu     sync.RWMutex // guards what follows
	ledger *ledger
	spaces map[string]space
	closed bool
}

// Open opens the store in dir and makes what is missing of it. It fails if another
// daemon has it open, or if anybody but this user and root may write there. It also fails
// if there are enrollments without a state, or a state without the folder of enrollments,
// unless NewState was called. On a disk that is mounted read-only it opens what is there:
// reads work, writes fail until the disk takes them again. Key returns the key that
// records are tagged with: the one with the ID known (seal.Key.ID), or, if known is empty,
// any one, for a new store.
func Open(dir string, key func(known string) (*seal.Key, error)) (*Store, error) {
	return openWith(dir, key, asUsual)
}

// openWith is Open with a log elsewhere or of another shape.
func openWith(dir string, key keyFunc, setup setup) (_ *Store, err error) {
	dir, err = filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	s := &Store{dir: dir, key: key, setup: setup}
	s.close = sync.OnceValue(s.release)
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("open store: %w", err), s.Close())
		}
	}()
	if err := checkUser(dir); err != nil {
		return nil, err
	}
	if err := makeFolder(dir); err != nil {
		return nil, err
	}
	if s.lock, err = lockFolder(dir); err != nil {
		return nil, err
	}
	s.setup.claim, s.setup.lost = s.lock.claim, s.lock.lost
	if err := s.checkUsers(); err != nil {
		return nil, err
	}
	if s.files, err = openFiles(s.usersDir(), s.lock.lost); err != nil {
		return nil, err
	}
	open := s.openToWrite
	if errors.Is(s.writable(), unix.EROFS) {
		open = s.openToRead
	}
	if err := s.use(open); err != nil {
		return nil, err
	}
	return s, file.SyncFolder(dir)
}

// use opens the database and makes the spaces of it. The caller holds mu, or has
// the store for itself.
func (s *Store) use(open func(path string) (*ledger, error)) error {
	l, err := open(filepath.Join(s.dir, stateFile))
	if err != nil {
		return err
	}
	s.ledger = l
	s.spaces = map[string]space{
		store.Users:  s.files,
		store.States: &bucket{l, 0},
		store.Meta:   &bucket{l, inMeta},
	}
	return nil
}

func (s *Store) openToRead(path string) (*ledger, error) { return openToRead(path, s.key, s.setup) }

func (s *Store) openToWrite(path string) (*ledger, error) {
	mayBeNew, err := s.mayBeNew()
	if err != nil {
		return nil, err
	}
	return openLedger(path, mayBeNew, s.key, s.setup)
}

// revive opens a database for writing that was opened read-only, if the disk takes writes
// again. A read that is under way may fail then.
func (s *Store) revive() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ledger.readOnly || s.closed || s.writable() != nil {
		return nil
	}
	if err := s.ledger.close(); err != nil {
		return err
	}
	err := s.use(s.openToWrite)
	if err != nil {
		err = errors.Join(err, s.use(s.openToRead))
	}
	return err
}

// isReadOnly reports whether the database was opened read-only.
func (s *Store) isReadOnly() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.ledger.readOnly
}

// Close waits for the writes under way and releases the folder. Later calls
// of Put and Delete fail with os.ErrClosed. Closing twice is harmless.
func (s *Store) Close() error { return s.close() }

// release closes what is open, the lock last.
func (s *Store) release() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	var errs []error
	if s.files != nil {
		s.files.close()
	}
	if s.ledger != nil {
		errs = append(errs, s.ledger.close())
	}
	if s.lock != nil {
		errs = append(errs, s.lock.release())
	}
	return errors.Join(errs...)
}

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, key string) (store.Item, error) {
	sp, name, err := s.find(ctx, key)
	if err != nil {
		return store.Item{}, fmt.Errorf("get %q: %w", key, err)
	}
	value, rev, err := sp.get(name)
	if err != nil {
		return store.Item{Key: key, Rev: rev}, fmt.Errorf("get %q: %w", key, err)
	}
	return store.Item{Key: key, Value: value, Rev: rev}, nil
}

// Put implements store.Store. If ctx ends while the write waits for its turn, nothing is
// written; after that Put waits for the outcome even if ctx ends, so that its error is
// true.
func (s *Store) Put(ctx context.Context, it store.Item) (store.Item, error) {
	sp, name, err := s.findToWrite(ctx, it.Key)
	if err != nil {
		return store.Item{}, fmt.Errorf("put %q: %w", it.Key, err)
	}
	value := append([]byte{}, it.Value...) // never nil, and not shared
	if it.Rev, err = sp.swap(ctx, name, it.Rev, value); err != nil {
		return store.Item{}, fmt.Errorf("put %q: %w", it.Key, err)
	}
	return it, nil
}

// Delete implements store.Store. If ctx ends it behaves as Put does.
func (s *Store) Delete(ctx context.Context, it store.Item) error {
	sp, name, err := s.findToWrite(ctx, it.Key)
	if err != nil {
		return fmt.Errorf("delete %q: %w", it.Key, err)
	}
	if _, err := sp.swap(ctx, name, it.Rev, nil); err != nil {
		return fmt.Errorf("delete %q: %w", it.Key, err)
	}
	return nil
}

// Keys implements store.Store.
func (s *Store) Keys(ctx context.Context, prefix string) ([]string, error) {
	s.mu.RLock()
	spaces := s.spaces
	s.mu.RUnlock()
	var keys []string
	for head, sp := range spaces {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("list %q: %w", prefix, err)
		}
		if !strings.HasPrefix(head, prefix) && !strings.HasPrefix(prefix, head) {
			continue
		}
		names, err := sp.names()
		if err != nil {
			return nil, fmt.Errorf("list %q: %w", prefix, err)
		}
		for _, name := range names {
			if key := head + name; strings.HasPrefix(key, prefix) {
				keys = append(keys, key)
			}
		}
	}
	slices.Sort(keys)
	return keys, nil
}

// Location implements store.Locator: the path of an enrollment, or that of the
// database with the key.
func (s *Store) Location(key string) string {
	sp, name, err := s.find(context.Background(), key)
	if err != nil {
		return key
	}
	return sp.location(name)
}

// Check returns why the store cannot be read or written, or nil: the folder is gone or
// replaced, the file system is read-only or full, or the last write failed. A disk that
// fails may still be mounted for writing, so the last write counts. After a write that
// failed Check writes once more, to see whether that works again.
func (s *Store) Check(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("check store: %w", err)
	}
	if s.isReadOnly() {
		if err := s.revive(); err != nil {
			return fmt.Errorf("check store: %w", err)
		}
	}
	s.mu.RLock()
	l := s.ledger
	s.mu.RUnlock()
	for _, check := range []func() error{
		s.files.present, l.present, s.hasSpace,
		func() error { return s.files.health.check(s.files.probe) },
		func() error { return l.health.check(func() error { return l.alone(ctx, l.probe) }) },
		func() error { return l.inOrder(ctx) },
	} {
		if err := check(); err != nil {
			return fmt.Errorf("check store: %w", err)
		}
	}
	return nil
}

// writable reports whether the mount of the folder takes writes.
func (s *Store) writable() error {
	if err := unix.Access(s.dir, unix.W_OK); err != nil {
		return explain(s.dir, &os.PathError{Op: "write", Path: s.dir, Err: err})
	}
	return nil
}

// hasSpace reports whether the file system takes writes.
func (s *Store) hasSpace() error {
	if err := s.writable(); err != nil {
		return err
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(s.dir, &fs); err != nil {
		return &os.PathError{Op: "statfs", Path: s.dir, Err: err}
	}
	if fs.Blocks > 0 && fs.Bavail == 0 {
		return explain(s.dir, &os.PathError{Op: "write", Path: s.dir, Err: unix.ENOSPC})
	}
	return nil
}

// findToWrite is find for a write; it calls revive if the store is read-only.
func (s *Store) findToWrite(ctx context.Context, key string) (space, string, error) {
	if s.isReadOnly() {
		if err := s.revive(); err != nil {
			return nil, "", err
		}
	}
	return s.find(ctx, key)
}

// find returns the space of key and the name in it.
func (s *Store) find(ctx context.Context, key string) (space, string, error) {
	if err := ctx.Err(); err != nil {
		return nil, "", err
	}
	head, name, _ := strings.Cut(key, "/")
	s.mu.RLock()
	sp := s.spaces[head+"/"]
	s.mu.RUnlock()
	switch {
	case sp == nil:
		return nil, "", errors.New("no such key space")
	case name == "":
		return nil, "", errors.New("the name is empty")
	case len(name) > maxName:
		return nil, "", fmt.Errorf("the name has %d bytes, more than %d", len(name), maxName)
	}
	return sp, name, nil
}

// check returns nil if an item with the revision have may be replaced or removed by a
// caller that names the revision want. Zero stands for no item.
func check(have, want uint64, remove bool) error {
	switch {
	case remove && have == 0:
		return store.ErrNotFound
	case have != want:
		return store.ErrConflict
	}
	return nil
}
