package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
	"golang.org/x/sys/unix"

	"mfa/internal/seal"
	"mfa/internal/store"
)

// A writer is the database, with the one goroutine that writes it. Whoever wants
// to write queues; the goroutine takes all that wait into one transaction, so
// that 64 decisions cost one sync, and one decision alone waits for nothing.
type writer struct {
	db     *bolt.DB
	auth   *seal.Authenticator // vouches for every record
	opened os.FileInfo
	health health
	mapped residence
	wake   chan struct{} // something waits; closed by close
	ended  chan struct{} // closed when the writing goroutine is gone

	readOnly bool // nobody writes

	mu      sync.Mutex // guards waiting and closed, and sends on wake
	waiting []*request
	closed  bool
}

// A request is one write on its way: the swap of an item, and its result, which
// may be read when done is closed.
type request struct {
	bucket []byte
	name   string
	rev    uint64 // the item as the caller knows it
	value  []byte // nil: remove it

	newRev uint64
	err    error
	done   chan struct{}
}

// errNotDone is the result of a request until somebody carries it out.
var errNotDone = errors.New("not carried out")

// options of the database.
//
// Every commit is synced, data before meta page, and growth of the file too
// (NoSync and NoGrowSync stay off): what a login counted survives the plug. The
// list of free pages is not written at each commit but found again at Open by
// walking the pages in use: 3 ms of a start for every 10,000 users, and a page
// less to write in every commit. The map keeps the search for free pages
// short in a large file. The folder's lock keeps other daemons out; Timeout is
// for other programs that have the database open.
var options = bolt.Options{
	NoFreelistSync: true,
	FreelistType:   bolt.FreelistMapType,
	Timeout:        time.Second,
}

// openLedger opens the database at path, or makes it if it is new, and starts its
// writer. Key returns the key for a database that was written with the key of that
// name.
func openLedger(path string, isNew bool, key keyFunc) (*writer, error) {
	info, err := os.Stat(path)
	missing := errors.Is(err, os.ErrNotExist)
	if !isNew && (missing || err == nil && info.Size() == 0) {
		return nil, describeOpen(path, errNoState)
	}
	if err == nil && info.Size() > 0 {
		if err := checkOwner(path, info); err != nil {
			return nil, describeOpen(path, err)
		}
		if err := checkWhole(path); err != nil {
			return nil, describeOpen(path, damaged(err))
		}
	}
	db, err := bolt.Open(path, 0o600, &options)
	if err == nil {
		l := newLedger(db)
		if err = l.prepare(isNew, key); err == nil {
			go l.write()
			return l, nil
		}
		err = errors.Join(err, db.Close())
	}
	if missing { // a full disk may leave the beginning of a database
		if gone := os.Remove(path); !errors.Is(gone, os.ErrNotExist) {
			err = errors.Join(err, gone)
		}
	}
	return nil, describeOpen(path, err)
}

func newLedger(db *bolt.DB) *writer {
	return &writer{db: db, wake: make(chan struct{}, 1), ended: make(chan struct{})}
}

// damaged says what to do about a damaged database.
func damaged(err error) error {
	return fmt.Errorf("damaged: %w; restore a backup of it, or run mfad --new-state to begin anew", err)
}

// openToRead opens the database on a disk that takes no writes. Each write fails.
func openToRead(path string, key keyFunc) (*writer, error) {
	if err := checkWhole(path); err != nil {
		return nil, describeOpen(path, damaged(err))
	}
	db, err := bolt.Open(path, 0o600, &bolt.Options{ReadOnly: true, Timeout: options.Timeout})
	if err != nil {
		return nil, describeOpen(path, err)
	}
	l := newLedger(db)
	if l.opened, err = os.Stat(path); err == nil {
		err = checkOwner(path, l.opened)
	}
	if err == nil {
		err = db.View(func(tx *bolt.Tx) error { return l.admit(tx, false, key) })
	}
	if !errors.Is(err, errUnchanged) {
		return nil, errors.Join(describeOpen(path, err), db.Close())
	}
	close(l.ended) // there is no writer
	l.readOnly = true
	return l, nil
}

// describeOpen says what stands in the way of opening the database.
func describeOpen(path string, err error) error {
	if errors.Is(err, berrors.ErrTimeout) {
		return fmt.Errorf("%q is in use by another program", path)
	}
	return fmt.Errorf("open database %q: %w", path, explain(path, err))
}

// prepare checks the file and what is in it, and makes what is missing.
func (l *writer) prepare(isNew bool, key keyFunc) (err error) {
	if l.opened, err = os.Stat(l.db.Path()); err != nil {
		return err
	}
	if err := checkOwner(l.db.Path(), l.opened); err != nil {
		return err
	}
	err = l.db.Update(func(tx *bolt.Tx) error { return l.admit(tx, isNew, key) })
	if err == nil || errors.Is(err, errUnchanged) {
		drop(l.db) // every page was looked at
		return nil
	}
	return err
}

// probe writes and syncs a page, and changes nothing.
func (l *writer) probe() error {
	return l.db.Update(func(tx *bolt.Tx) error {
		b := tx.Bucket(bucketNames[0])
		return b.SetSequence(b.Sequence())
	})
}

// close carries out what waits, ends the writer and closes the database.
func (l *writer) close() error {
	l.mu.Lock()
	if !l.closed {
		l.closed = true
		close(l.wake)
	}
	l.mu.Unlock()
	<-l.ended
	return l.db.Close()
}

func (l *writer) present() error { return samePlace(l.db.Path(), l.opened) }

// swap queues r and waits for its result. When ctx ends before r is taken into
// a transaction, r is withdrawn; after that the result is waited for.
func (l *writer) swap(ctx context.Context, r *request) error {
	r.done = make(chan struct{})
	if err := l.enqueue(r); err != nil {
		return err
	}
	select {
	case <-r.done:
		return r.err
	case <-ctx.Done():
	}
	if l.withdraw(r) {
		return ctx.Err()
	}
	<-r.done
	return r.err
}

// enqueue adds r to what waits.
func (l *writer) enqueue(r *request) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return os.ErrClosed
	case l.readOnly:
		return explain(l.db.Path(), &os.PathError{Op: "write", Path: l.db.Path(), Err: unix.EROFS})
	}
	l.waiting = append(l.waiting, r)
	select {
	case l.wake <- struct{}{}:
	default: // the writer has yet to answer an earlier call
	}
	return nil
}

// withdraw removes r from what waits, and reports whether it still did.
func (l *writer) withdraw(r *request) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.Index(l.waiting, r)
	if i < 0 {
		return false
	}
	l.waiting = slices.Delete(l.waiting, i, i+1)
	return true
}

// take returns all that waits.
func (l *writer) take() []*request {
	l.mu.Lock()
	defer l.mu.Unlock()
	batch := l.waiting
	l.waiting = nil
	return batch
}

// write is the writer: it lives until close.
func (l *writer) write() {
	defer close(l.ended)
	for range l.wake {
		l.commit()
	}
}

// errUnchanged ends a transaction in which nothing is to be written.
var errUnchanged = errors.New("unchanged")

// commit carries out all that waits, in one transaction. A request that cannot
// be carried out gets its own error; if the transaction fails, all get that.
func (l *writer) commit() {
	var batch []*request
	begun := false
	err := l.db.Update(func(tx *bolt.Tx) error {
		begun = true
		batch = l.take() // as late as can be, so that as many as can be share the sync
		return l.applyAll(tx, batch)
	})
	if !begun { // then err says why, and those who wait must hear it
		batch = l.take()
	}
	if !errors.Is(err, errUnchanged) {
		l.health.wrote(err)
	}
	for _, r := range batch {
		if err != nil && !errors.Is(err, errUnchanged) {
			r.err = explain(l.db.Path(), err)
		}
		close(r.done)
	}
}

// applyAll carries out a batch within tx, or returns errUnchanged.
func (l *writer) applyAll(tx *bolt.Tx, batch []*request) error {
	sum, err := readSum(tx)
	if err != nil {
		return err
	}
	changed := false
	for _, r := range batch {
		b := tx.Bucket(r.bucket)
		was := b.Get([]byte(r.name))
		if r.err = check(revOf(was), r.rev, r.value == nil); r.err != nil {
			continue
		}
		sum.flip(r.bucket, r.name, was)
		if err := l.apply(b, r, &sum); err != nil {
			return err
		}
		changed = true
	}
	if !changed {
		return errUnchanged
	}
	return l.writeSum(tx, sum)
}

// apply writes the item. Revisions come from the bucket's sequence, so an item
// that is deleted and made again never has one it had before.
func (l *writer) apply(b *bolt.Bucket, r *request, sum *sum) (err error) {
	if r.value == nil {
		return b.Delete([]byte(r.name))
	}
	if r.newRev, err = b.NextSequence(); err != nil {
		return err
	}
	stored := l.pack(r.bucket, r.name, r.newRev, r.value)
	sum.flip(r.bucket, r.name, stored)
	return b.Put([]byte(r.name), stored)
}

// A bucket is one space of the database.
type bucket struct {
	*writer
	id []byte
}

func (b *bucket) location(name string) string {
	return fmt.Sprintf("%s:%s/%s", b.db.Path(), b.id, name)
}

// get returns the revision also of an item that cannot be trusted.
func (b *bucket) get(name string) (value []byte, rev uint64, err error) {
	defer b.mapped.read(b.db)
	err = b.db.View(func(tx *bolt.Tx) error {
		stored := tx.Bucket(b.id).Get([]byte(name))
		if rev = revOf(stored); rev == 0 {
			return store.ErrNotFound
		}
		trusted, _, err := b.unpack(b.id, name, stored)
		if err != nil {
			return fmt.Errorf("%s: %w", b.location(name), err)
		}
		value = append([]byte{}, trusted...) // trusted ends with tx
		return nil
	})
	return value, rev, err
}

func (b *bucket) swap(ctx context.Context, name string, rev uint64, value []byte) (uint64, error) {
	r := &request{bucket: b.id, name: name, rev: rev, value: value, err: errNotDone}
	err := b.writer.swap(ctx, r)
	return r.newRev, err
}

// names leaves out what the store itself keeps.
func (b *bucket) names() (names []string, err error) {
	err = b.db.View(func(tx *bolt.Tx) error {
		return tx.Bucket(b.id).ForEach(func(name, _ []byte) error {
			if isTagged(b.id, string(name)) {
				names = append(names, string(name))
			}
			return nil
		})
	})
	return names, err
}
