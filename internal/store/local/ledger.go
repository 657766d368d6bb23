package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
	"golang.org/x/sys/unix"

	"mfa/internal/host/file"
	"mfa/internal/seal"
	"mfa/internal/store"
	"mfa/internal/store/local/wal"
)

// A ledger is the database, with a log in front of it: a decision is on the disk by one
// write to the log, and many are folded into one transaction of the database later. In
// between they are in layers over it, the recent one and, while a fold is under way, an
// older one. Where there is no room for a log, each batch is a transaction.
type ledger struct {
	db     *bolt.DB
	folder wal.Folder
	setup  setup
	auth   *seal.Authenticator // vouches for every record
	health health
	mapped residence

	found    contents // of the database when it was opened
	readOnly bool     // nobody writes

	queue queue // of writes; only its leader uses the fields below

	log     *wal.Log // nil: there is none
	marked  bool     // the database says that a log counts
	broken  error    // why the log takes no more batches; nil: it takes them
	now     standing // with all layers
	folding bool     // a fold is under way: folded has its result
	unfold  error    // of the last fold; if not nil, the older layer is still there
	folded  chan error

	mu     sync.RWMutex // guards what follows; only the leader and a fold change the layers
	opened []place      // the database, and behind it the files of the log
	recent *layer       // never nil
	older  *layer       // nil: there is none
}

// A shape is how large a log is.
type shape struct {
	size    int64  // of a file, in bytes
	records int    // in a layer, at most
	room    uint64 // on the disk, in bytes, below which no log is made
}

// usual is the shape of a daemon's log. A layer costs about its bytes twice, in the file
// and in memory, and folding one takes as long as some syncs.
var usual = shape{size: 2 << 20, records: 1024, room: 32 << 20}

// A place is the path of an opened file, and the file as it was then.
type place struct {
	path string
	info os.FileInfo
}

// options of the database.
//
// Every commit is synced, data before meta page, and growth of the file too
// (NoSync and NoGrowSync stay off): what a login counted survives the plug. The
// list of free pages is written with each commit, so that Open need not find it by
// walking all pages; Open alone must not write it, which a full disk would refuse.
// The map keeps the search for free pages short in a large file. The
// folder's lock keeps other daemons out; Timeout is
// for other programs that have the database open.
var options = bolt.Options{
	NoFreelistSync: true,
	FreelistType:   bolt.FreelistMapType,
	Timeout:        time.Second,
}

// openLedger opens the database at path, or makes it if isNew, and reads the log. A log
// that cannot be begun is no error: the next write tries again.
func openLedger(path string, isNew bool, key keyFunc, setup setup) (*ledger, error) {
	var found contents
	info, err := os.Stat(path)
	missing := errors.Is(err, os.ErrNotExist)
	if !isNew && (missing || err == nil && info.Size() == 0) {
		return nil, describeOpen(path, errNoState)
	}
	if err == nil {
		err = checkOwner(path, info)
	}
	switch {
	case missing, err == nil && info.Size() == 0:
		err = makeDatabase(path)
	case err == nil:
		if found, err = checkWhole(path); err != nil {
			err = damaged(err)
		}
	}
	if err != nil {
		return nil, describeOpen(path, err)
	}
	db, err := bolt.Open(path, 0o600, &options)
	if err == nil {
		l := newLedger(db, setup)
		l.found = found
		db.NoFreelistSync = false // from the first commit on
		if err = setup.claim(); err == nil {
			err = l.prepare(isNew, key)
		}
		if err == nil {
			l.health.wrote(l.begin())
			return l, nil
		}
		err = errors.Join(err, db.Close())
	}
	return nil, describeOpen(path, err)
}

// makeDatabase makes an empty database, all of it or nothing: half of one, as a power failure
// leaves it, would be refused as damaged.
func makeDatabase(path string) error {
	half := filepath.Join(filepath.Dir(path), temporary+stateFile)
	if err := os.Remove(half); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err // of a start that was cut short
	}
	db, err := bolt.Open(half, 0o600, &options) // it syncs the file
	if err == nil {
		err = db.Close()
	}
	if err == nil {
		err = os.Rename(half, path)
	}
	if err != nil {
		if gone := os.Remove(half); !errors.Is(gone, os.ErrNotExist) {
			err = errors.Join(err, gone)
		}
		return err
	}
	return file.SyncFolder(filepath.Dir(path))
}

// A setup is where the log is, its shape, what runs folds and transactions, what says that the
// folder is this daemon's, and what tells that it is another one's now.
type setup struct {
	folder   func(dir string) wal.Folder
	shape    shape
	spawn    func(fold func())
	transact func(run func() error) error
	claim    func() error
	lost     func() error
}

// asUsual is the setup of a daemon.
var asUsual = setup{
	folder:   func(dir string) wal.Folder { return wal.Dir(dir) },
	shape:    usual,
	spawn:    func(fold func()) { go fold() }, // reap waits for it
	transact: func(run func() error) error { return run() },
	claim:    func() error { return nil },
	lost:     func() error { return nil }, // nobody else knows of the folder
}

func newLedger(db *bolt.DB, setup setup) *ledger {
	l := &ledger{
		db: db, folder: setup.folder(filepath.Dir(db.Path())), setup: setup,
		folded: make(chan error, 1), recent: newLayer(standing{}),
	}
	l.queue.idle.L = &l.queue.mu
	return l
}

// damaged says what to do about a damaged database. One that may not be read is not damaged.
func damaged(err error) error {
	if errors.Is(err, os.ErrPermission) {
		return err
	}
	return fmt.Errorf("damaged: %w; restore a backup of it, or run mfad --new-state to begin anew", err)
}

// damagedLog is damaged for a log that goes with the database. Without it what was
// decided last would be forgotten.
func damagedLog(err error) error {
	return fmt.Errorf("damaged: what was decided last is in its log, and %w; put %s and %s back as they were when the daemon ended, "+
		"or restore a backup of it, or run mfad --new-state to begin anew", err, wal.Names[0], wal.Names[1])
}

// openToRead opens the database on a disk that takes no writes. Each write fails.
func openToRead(path string, key keyFunc, setup setup) (*ledger, error) {
	found, err := checkWhole(path)
	if err != nil {
		return nil, describeOpen(path, damaged(err))
	}
	db, err := bolt.Open(path, 0o600, &bolt.Options{ReadOnly: true, Timeout: options.Timeout})
	if err != nil {
		return nil, describeOpen(path, err)
	}
	l := newLedger(db, setup)
	l.readOnly, l.found = true, found
	if err = l.note(path); err == nil {
		err = checkOwner(path, l.opened[0].info)
	}
	if err == nil {
		err = db.View(func(tx *bolt.Tx) error { return l.admit(tx, false, key) })
	}
	if !errors.Is(err, errUnchanged) {
		return nil, errors.Join(describeOpen(path, err), db.Close())
	}
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
func (l *ledger) prepare(isNew bool, key keyFunc) error {
	if err := l.note(l.db.Path()); err != nil {
		return err
	}
	if err := checkOwner(l.db.Path(), l.opened[0].info); err != nil {
		return err
	}
	err := l.db.Update(func(tx *bolt.Tx) error { return l.admit(tx, isNew, key) })
	if err == nil || errors.Is(err, errUnchanged) {
		drop(l.db) // every page was looked at
		return nil
	}
	return err
}

// errUnchanged ends a transaction in which nothing is to be written.
var errUnchanged = errors.New("unchanged")

// note stores which files are open.
func (l *ledger) note(paths ...string) error {
	var opened []place
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		opened = append(opened, place{path, info})
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.opened = opened
	return nil
}

// present returns an error unless the database is where it was opened.
func (l *ledger) present() error {
	l.mu.RLock()
	opened := l.opened
	l.mu.RUnlock()
	return samePlace(opened[0].path, opened[0].info)
}

// misplaced returns an error unless the files of the log are where they were opened, with
// the same size.
func (l *ledger) misplaced() error {
	l.mu.RLock()
	opened := l.opened
	l.mu.RUnlock()
	for _, p := range opened[1:] {
		info, err := os.Lstat(p.path)
		if err != nil {
			return err
		}
		if !os.SameFile(info, p.info) || info.Size() != p.info.Size() {
			return &os.PathError{Op: "find", Path: p.path, Err: errors.New("replaced while in use")}
		}
	}
	return nil
}

// close carries out the waiting writes, folds the log and closes the database. A fold that
// fails loses nothing: the next start reads the log. What another daemon took is left alone.
func (l *ledger) close() error {
	l.queue.shut()
	var errs []error
	if !l.readOnly && l.setup.lost() == nil {
		if err := l.finish(); err != nil && !l.marked && len(l.recent.records) > 0 {
			errs = append(errs, err)
		}
	}
	if l.log != nil {
		errs = append(errs, l.log.Close())
	}
	return errors.Join(append(errs, l.db.Close())...)
}

// overlaid returns what the layers have of a record, and whether they have any.
func (l *ledger) overlaid(at spot) (stored []byte, found bool) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if stored, found = l.recent.get(at); found {
		return stored, true
	}
	return l.older.get(at)
}

// view calls fn with a function that returns a record as it is stored, nil if there is
// none. The record is valid until fn returns. Only the leader may call view.
func (l *ledger) view(fn func(stored func(spot) []byte) error) error {
	l.mu.RLock()
	recent, older := l.recent, l.older // before the transaction: a fold may end meanwhile
	l.mu.RUnlock()
	return l.db.View(func(tx *bolt.Tx) error {
		return fn(func(at spot) []byte {
			for _, y := range []*layer{recent, older} {
				if stored, found := y.get(at); found {
					return stored
				}
			}
			if b := tx.Bucket(at.bucketName()); b != nil {
				return b.Get([]byte(at.name))
			}
			return nil // put refuses it
		})
	})
}

// A bucket is one space of the database.
type bucket struct {
	*ledger
	index uint8
}

func (b *bucket) location(name string) string {
	return fmt.Sprintf("%s:%s/%s", b.db.Path(), bucketNames[b.index], name)
}

// get returns the revision also of an item that cannot be trusted.
func (b *bucket) get(name string) (value []byte, rev uint64, err error) {
	at := spot{b.index, name}
	if stored, found := b.overlaid(at); found {
		return b.open(at, stored)
	}
	defer b.mapped.read(b.db)
	err = b.db.View(func(tx *bolt.Tx) (err error) {
		value, rev, err = b.open(at, tx.Bucket(at.bucketName()).Get([]byte(name)))
		return err
	})
	return value, rev, err
}

// open returns a copy of the value in what is stored.
func (b *bucket) open(at spot, stored []byte) (value []byte, rev uint64, err error) {
	if rev = revOf(stored); rev == 0 {
		return nil, 0, store.ErrNotFound
	}
	trusted, _, err := b.unpack(at.bucketName(), at.name, stored)
	if err != nil {
		return nil, rev, fmt.Errorf("%s: %w", b.location(at.name), err)
	}
	return append([]byte{}, trusted...), rev, nil
}

func (b *bucket) swap(ctx context.Context, name string, rev uint64, value []byte) (uint64, error) {
	if b.readOnly {
		return 0, explain(b.db.Path(), &os.PathError{Op: "write", Path: b.db.Path(), Err: unix.EROFS})
	}
	r := &request{at: spot{b.index, name}, rev: rev, value: value, err: errNotDone}
	err := b.do(ctx, r)
	return r.newRev, err
}

// names leaves out the record of the format.
func (b *bucket) names() (names []string, err error) {
	over := map[string]bool{} // whether the layers have a record of that name, or took it out
	b.mu.RLock()
	for _, y := range []*layer{b.older, b.recent} {
		if y == nil {
			continue
		}
		for at, stored := range y.records {
			if at.bucket == b.index {
				over[at.name] = stored != nil
			}
		}
	}
	b.mu.RUnlock()
	add := func(name string) {
		if isTagged(bucketNames[b.index], name) {
			names = append(names, name)
		}
	}
	err = b.db.View(func(tx *bolt.Tx) error {
		defer dropWithin(tx)
		walked := 0
		return tx.Bucket(bucketNames[b.index]).ForEach(func(name, _ []byte) error {
			if _, found := over[string(name)]; !found {
				add(string(name))
			}
			if walked++; walked%dropNames == 0 {
				dropWithin(tx)
			}
			return nil
		})
	})
	for name, there := range over {
		if there {
			add(name)
		}
	}
	return names, err
}
