package local

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
	"golang.org/x/sys/unix"

	"mfa/internal/store"
)

// A ledger is the database, with one goroutine that writes it. Whoever wants
// to write queues; the goroutine takes all that wait into one transaction, so
// that 64 decisions cost one sync, and one decision alone waits for nothing.
type ledger struct {
	db     *bolt.DB
	opened os.FileInfo
	health health
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

// openLedger opens the database at path, or makes it, and starts its writer.
func openLedger(path string) (*ledger, error) {
	info, err := os.Stat(path)
	missing := errors.Is(err, os.ErrNotExist)
	if err == nil && info.Size() > 0 {
		if err := checkWhole(path, info.Size()); err != nil {
			return nil, describeOpen(path, err)
		}
	}
	db, err := bolt.Open(path, 0o600, &options)
	if err != nil {
		if missing { // a full disk may leave the beginning of a database
			err = errors.Join(err, os.Remove(path))
		}
		return nil, describeOpen(path, err)
	}
	l := newLedger(db)
	if err := l.prepare(); err != nil {
		return nil, errors.Join(describeOpen(path, err), db.Close())
	}
	go l.write()
	return l, nil
}

func newLedger(db *bolt.DB) *ledger {
	return &ledger{db: db, wake: make(chan struct{}, 1), ended: make(chan struct{})}
}

// checkWhole refuses a database of size bytes that has pages beyond its end:
// bbolt maps the file into memory, and reading such a page kills the process.
func checkWhole(path string, size int64) error {
	db, err := bolt.Open(path, 0o600, &bolt.Options{ReadOnly: true, Timeout: options.Timeout})
	if err != nil {
		return err
	}
	err = db.View(func(tx *bolt.Tx) error {
		if tx.Size() > size {
			return fmt.Errorf("cut short, %d of %d bytes are left", size, tx.Size())
		}
		return nil
	})
	return errors.Join(err, db.Close())
}

// openToRead opens the database on a disk that takes no writes. Each write fails.
func openToRead(path string) (*ledger, error) {
	db, err := bolt.Open(path, 0o600, &bolt.Options{ReadOnly: true, Timeout: options.Timeout})
	if err != nil {
		return nil, describeOpen(path, err)
	}
	l := newLedger(db)
	if l.opened, err = os.Stat(path); err == nil {
		err = checkOwner(path, l.opened)
	}
	if err == nil && !l.isPrepared() {
		err = berrors.ErrBucketNotFound
	}
	if err != nil {
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

// prepare checks the file and makes the buckets.
func (l *ledger) prepare() (err error) {
	if l.opened, err = os.Stat(l.db.Path()); err != nil {
		return err
	}
	if err := checkOwner(l.db.Path(), l.opened); err != nil {
		return err
	}
	if l.isPrepared() {
		return nil // a start writes nothing that is there
	}
	return l.db.Update(func(tx *bolt.Tx) error {
		for _, name := range buckets {
			if _, err := tx.CreateBucketIfNotExists([]byte(name)); err != nil {
				return err
			}
		}
		return nil
	})
}

// buckets are those of the database.
var buckets = []string{"state", "meta"}

// isPrepared says whether all buckets are there.
func (l *ledger) isPrepared() bool {
	return l.db.View(func(tx *bolt.Tx) error {
		for _, name := range buckets {
			if tx.Bucket([]byte(name)) == nil {
				return berrors.ErrBucketNotFound
			}
		}
		return nil
	}) == nil
}

// probe writes and syncs a page, and changes nothing.
func (l *ledger) probe() error {
	return l.db.Update(func(tx *bolt.Tx) error {
		b := tx.Bucket([]byte(buckets[0]))
		return b.SetSequence(b.Sequence())
	})
}

// close carries out what waits, ends the writer and closes the database.
func (l *ledger) close() error {
	l.mu.Lock()
	if !l.closed {
		l.closed = true
		close(l.wake)
	}
	l.mu.Unlock()
	<-l.ended
	return l.db.Close()
}

func (l *ledger) present() error { return samePlace(l.db.Path(), l.opened) }

// swap queues r and waits for its result. When ctx ends before r is taken into
// a transaction, r is withdrawn; after that the result is waited for.
func (l *ledger) swap(ctx context.Context, r *request) error {
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
func (l *ledger) enqueue(r *request) error {
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
func (l *ledger) withdraw(r *request) bool {
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
func (l *ledger) take() []*request {
	l.mu.Lock()
	defer l.mu.Unlock()
	batch := l.waiting
	l.waiting = nil
	return batch
}

// write is the writer: it lives until close.
func (l *ledger) write() {
	defer close(l.ended)
	for range l.wake {
		l.commit()
	}
}

// errUnchanged ends a transaction in which nothing is to be written.
var errUnchanged = errors.New("unchanged")

// commit carries out all that waits, in one transaction. A request that cannot
// be carried out gets its own error; if the transaction fails, all get that.
func (l *ledger) commit() {
	var batch []*request
	begun := false
	err := l.db.Update(func(tx *bolt.Tx) error {
		begun = true
		batch = l.take() // as late as can be, so that as many as can be share the sync
		return applyAll(tx, batch)
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
func applyAll(tx *bolt.Tx, batch []*request) error {
	changed := false
	for _, r := range batch {
		b := tx.Bucket(r.bucket)
		if r.err = r.check(b); r.err != nil {
			continue
		}
		if err := r.apply(b); err != nil {
			return err
		}
		changed = true
	}
	if !changed {
		return errUnchanged
	}
	return nil
}

// check says whether the item may be written.
func (r *request) check(b *bolt.Bucket) error {
	_, have, err := unpack(b.Get([]byte(r.name)))
	if err != nil {
		return err
	}
	return check(have, r.rev, r.value == nil)
}

// apply writes the item. Revisions come from the bucket's sequence, so an item
// that is deleted and made again never has one it had before.
func (r *request) apply(b *bolt.Bucket) (err error) {
	if r.value == nil {
		return b.Delete([]byte(r.name))
	}
	if r.newRev, err = b.NextSequence(); err != nil {
		return err
	}
	return b.Put([]byte(r.name), pack(r.newRev, r.value))
}

// revSize is the length of the revision before each value.
const revSize = 8

// pack returns what is stored for a value: its revision, big-endian, and itself.
func pack(rev uint64, value []byte) []byte {
	b := make([]byte, 0, revSize+len(value))
	return append(binary.BigEndian.AppendUint64(b, rev), value...)
}

// unpack returns the value in what pack made, and its revision: zero for nil.
func unpack(stored []byte) ([]byte, uint64, error) {
	if stored == nil {
		return nil, 0, nil
	}
	if len(stored) < revSize {
		return nil, 0, fmt.Errorf("damaged: %d bytes are less than %d", len(stored), revSize)
	}
	return stored[revSize:], binary.BigEndian.Uint64(stored), nil
}

// A bucket is one space of the ledger.
type bucket struct {
	*ledger
	id []byte
}

func (b *bucket) location(name string) string {
	return fmt.Sprintf("%s:%s/%s", b.db.Path(), b.id, name)
}

func (b *bucket) get(name string) (value []byte, rev uint64, err error) {
	err = b.db.View(func(tx *bolt.Tx) error {
		stored, r, err := unpack(tx.Bucket(b.id).Get([]byte(name)))
		if err != nil {
			return err
		}
		if r == 0 {
			return store.ErrNotFound
		}
		value, rev = append([]byte{}, stored...), r // stored ends with tx
		return nil
	})
	return value, rev, err
}

func (b *bucket) swap(ctx context.Context, name string, rev uint64, value []byte) (uint64, error) {
	r := &request{bucket: b.id, name: name, rev: rev, value: value, err: errNotDone}
	err := b.ledger.swap(ctx, r)
	return r.newRev, err
}

func (b *bucket) names() (names []string, err error) {
	err = b.db.View(func(tx *bolt.Tx) error {
		return tx.Bucket(b.id).ForEach(func(name, _ []byte) error {
			names = append(names, string(name))
			return nil
		})
	})
	return names, err
}
