package local

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"mfa/internal/store"
	"mfa/internal/store/local/wal"
	"mfa/internal/store/local/wal/waltest"
)

// tiny is the shape of a log that is folded after some batches.
var tiny = shape{size: 12 * wal.BlockSize, records: 16}

// A machine is a store whose disk and whose transactions a test has in its hand. The
// database is a file, at rest whenever the log is written.
type machine struct {
	t    *testing.T
	dir  string
	disk *waltest.Disk
	late bool   // folds come after the next batch, not before
	fold func() // one that is due

	// transact, if not nil, is called for each transaction with what carries it out.
	transact func(run func() error) error

	truth  map[string]*fate
	newest uint64 // revision that was given
	store  *Store
}

// A fate is what became of an item: the last value that was acknowledged, and those that
// were tried after it and may be there.
type fate struct {
	item  store.Item // Rev 0: none
	maybe []string   // "": removed
}

// inMemory returns a folder that ends with the test, in memory if the machine has such a
// place: what fails is told to the test, so that nothing is won by waiting for a disk.
func inMemory(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "mfa-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func newMachine(t *testing.T) *machine {
	return &machine{t: t, dir: filepath.Join(inMemory(t), "mfa"), disk: &waltest.Disk{}, truth: map[string]*fate{}}
}

func (m *machine) setup() setup {
	return setup{
		folder: func(string) wal.Folder { return m.disk },
		shape:  tiny,
		spawn: func(fold func()) {
			if m.fold = fold; !m.late {
				m.foldNow()
			}
		},
		transact: func(run func() error) error {
			if m.transact == nil {
				return run()
			}
			return m.transact(run)
		},
	}
}

func (m *machine) foldNow() {
	if m.fold != nil {
		m.fold()
		m.fold = nil
	}
}

func (m *machine) start() {
	m.t.Helper()
	var err error
	if m.store, err = openWith(m.dir, aKey, m.setup()); err != nil {
		m.t.Fatal(err)
	}
}

// write carries out some writes as one batch, and returns whether they are durable.
func (m *machine) write(chance *rand.Rand) bool {
	var batch []*request
	var keys []string
	for range 1 + chance.IntN(3) {
		key := fmt.Sprintf("state/user%d", chance.IntN(12))
		if slices.Contains(keys, key) {
			continue
		}
		f := m.truth[key]
		if f == nil {
			f = &fate{item: store.Item{Key: key}}
			m.truth[key] = f
		}
		if len(f.maybe) > 0 {
			continue // it is not known what is there
		}
		r := &request{at: spot{0, key[len("state/"):]}, rev: f.item.Rev, err: errNotDone}
		if f.item.Rev == 0 || chance.IntN(4) > 0 {
			r.value = fmt.Appendf(nil, "%d %s", chance.Uint64(), bytes.Repeat([]byte("x"), chance.IntN(5000)))
		}
		batch, keys = append(batch, r), append(keys, key)
	}
	if len(batch) == 0 {
		return true
	}
	if err := m.store.ledger.alone(m.t.Context(), func() error { m.store.ledger.commit(batch); return nil }); err != nil {
		m.t.Fatal(err)
	}
	defer m.foldNow()
	good := true
	for i, r := range batch {
		f := m.truth[keys[i]]
		switch {
		case r.err == nil && r.value != nil:
			if r.newRev <= m.newest {
				m.t.Fatalf("revision %d after %d", r.newRev, m.newest)
			}
			m.newest = r.newRev
			*f = fate{item: store.Item{Key: keys[i], Value: r.value, Rev: r.newRev}}
		case r.err == nil:
			*f = fate{item: store.Item{Key: keys[i]}}
		default:
			good = false
			f.maybe = append(f.maybe, string(r.value))
		}
	}
	return good
}

// holds checks that a store has all that was acknowledged, and of what was tried all or
// nothing.
func (m *machine) holds(t *testing.T, s *Store) (tried, done int) {
	t.Helper()
	for key, f := range m.truth {
		it, err := s.Get(t.Context(), key)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			t.Fatal(err)
		}
		same := it.Rev == f.item.Rev && bytes.Equal(it.Value, f.item.Value)
		tried += len(f.maybe)
		if same {
			continue
		}
		if !slices.Contains(f.maybe, string(it.Value)) {
			t.Fatalf("%s has revision %d, %d bytes; revision %d, %d bytes were acknowledged",
				key, it.Rev, len(it.Value), f.item.Rev, len(f.item.Value))
		}
		done++
	}
	return tried, done
}

// reopened checks a folder in which a daemon ended so: what it held is there, a new write
// gets a new revision, an old revision is refused, and after a clean end the database
// alone is the truth.
func (m *machine) reopened(t *testing.T, image []byte, disk *waltest.Disk) {
	t.Helper()
	dir := filepath.Join(inMemory(t), "mfa")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"users", stateFile} {
		var err error
		if name == stateFile {
			err = os.WriteFile(filepath.Join(dir, name), image, 0o600)
		} else {
			err = os.Mkdir(filepath.Join(dir, name), 0o700)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	now := asUsual
	now.shape = tiny
	for round := range 2 {
		now.folder = func(string) wal.Folder { return disk }
		s, err := openWith(dir, aKey, now)
		if err != nil {
			t.Fatal(err)
		}
		if tried, done := m.holds(t, s); done != 0 && done != tried {
			t.Fatalf("%d of %d writes of one batch are there", done, tried)
		}
		it, err := s.Put(t.Context(), store.Item{Key: fmt.Sprintf("state/new%d", round), Value: []byte("x")})
		if err != nil || it.Rev <= m.newest {
			t.Fatalf("revision %d after %d, %v", it.Rev, m.newest, err)
		}
		for key, f := range m.truth {
			if _, err := s.Put(t.Context(), store.Item{Key: key, Rev: f.item.Rev + m.newest + 100}); !errors.Is(err, store.ErrConflict) {
				t.Fatalf("a revision that nobody had: %v", err)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		disk = &waltest.Disk{} // the log does not count any more
	}
}

// steps is how many batches a run has, over several folds.
const steps = 40

// run writes until the disk fails, and returns the database as it was then.
func (m *machine) run(seed uint64) (image []byte) {
	path := filepath.Join(m.dir, stateFile)
	m.disk.AtFail = func() {
		var err error
		if image, err = os.ReadFile(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			m.t.Error(err)
		}
	}
	m.start()
	chance := rand.New(rand.NewPCG(seed, 0))
	for range steps {
		if !m.write(chance) {
			break
		}
	}
	return image
}

// The power fails at each write and each sync of the log, from the first start on. What was
// not synced is there in part, in sectors. "go test -run TestPowerFailsAtTheLog/N" replays
// the cut at operation N.
func TestPowerFailsAtTheLog(t *testing.T) {
	whole := newMachine(t)
	whole.run(1)
	folds := int(whole.store.ledger.log.Next().Epoch)
	if err := whole.store.Close(); err != nil {
		t.Fatal(err)
	}
	if folds < 5 {
		t.Fatalf("%d folds", folds)
	}
	for cut := 1; cut <= whole.disk.Ops; cut++ {
		t.Run(fmt.Sprint(cut), func(t *testing.T) {
			m := newMachine(t)
			m.late = cut%2 == 0
			m.disk.FailAt = cut
			image := m.run(1)
			for seed := range uint64(3) {
				m.reopened(t, image, m.disk.After(rand.New(rand.NewPCG(seed, uint64(cut)))))
			}
			m.disk.FailAt = 0
			_ = m.store.Close() // its disk is of no interest any more
		})
	}
}

// The power fails in each transaction of the database: of the pages that it writes any are
// there, or all and it counts. The log does not forget before the database knows.
func TestPowerFailsInATransaction(t *testing.T) {
	for _, late := range []bool{false, true} {
		m := newMachine(t)
		m.late = late
		n := 0
		m.transact = func(run func() error) error {
			path := filepath.Join(m.dir, stateFile)
			before, err := os.ReadFile(path)
			err = errors.Join(err, run())
			after, err2 := os.ReadFile(path)
			if err = errors.Join(err, err2); err != nil {
				return err
			}
			n++
			t.Run(fmt.Sprintf("%v/%d", late, n), func(t *testing.T) {
				m.reopened(t, after, m.disk.After(nil))
				for seed := range uint64(3) {
					m.reopened(t, somePages(before, after, rand.New(rand.NewPCG(seed, uint64(n)))), m.disk.After(nil))
				}
			})
			return nil
		}
		m.run(2)
		if err := m.store.Close(); err != nil {
			t.Fatal(err)
		}
		if n < 6 {
			t.Errorf("%d transactions", n)
		}
	}
}

// somePages returns the file before with some of the pages that changed, but for those that
// make the change count.
func somePages(before, after []byte, chance *rand.Rand) []byte {
	image := slices.Clone(before)
	page := os.Getpagesize()
	for at := 2 * page; at < len(after); at += page {
		if at >= len(image) {
			if chance.IntN(8) == 0 {
				break // the file had not grown yet
			}
			image = append(image, make([]byte, page)...)
		}
		if chance.IntN(2) == 0 {
			copy(image[at:at+page], after[at:at+page])
		}
	}
	return image
}

// One write or sync of the log fails, and then the disk is well again: what was refused may
// be tried again, all goes on, and nothing that was acknowledged is lost, at once or after
// a restart.
func TestLogFailsOnce(t *testing.T) {
	for failAt := 1; failAt < 80; failAt++ {
		m := newMachine(t)
		m.disk.FailAt, m.disk.Once = failAt, true
		m.late = failAt%2 == 0
		m.goesOn(fmt.Sprint("operation ", failAt))
	}
}

// A transaction fails once, before it counts or when it shows already and only the last
// sync failed.
func TestTransactionFailsOnce(t *testing.T) {
	for failAt := 1; failAt < 16; failAt++ {
		for _, shown := range []bool{false, true} {
			m := newMachine(t)
			m.late = failAt%2 == 0
			n := 0
			m.transact = func(run func() error) error {
				if n++; n != failAt {
					return run()
				}
				if shown {
					return errors.Join(run(), waltest.ErrFailed)
				}
				return waltest.ErrFailed
			}
			m.goesOn(fmt.Sprint("transaction ", failAt, shown))
		}
	}
}

// goesOn runs over one failure, a check and a restart.
func (m *machine) goesOn(where string) {
	m.t.Helper()
	m.start()
	chance := rand.New(rand.NewPCG(3, 0))
	failed := 0
	for range steps {
		if !m.write(chance) {
			failed++
			for key, f := range m.truth { // look, as one who tries again does
				if it, err := m.store.Get(m.t.Context(), key); err == nil {
					*f = fate{item: it}
				} else if errors.Is(err, store.ErrNotFound) {
					*f = fate{item: store.Item{Key: key}}
				} else {
					m.t.Fatalf("%s: %v", where, err)
				}
			}
		}
	}
	m.holds(m.t, m.store)
	if err := m.store.Check(m.t.Context()); err != nil {
		m.t.Errorf("%s: %v", where, err)
	}
	if failed > 1 {
		m.t.Errorf("%s: %d batches failed", where, failed)
	}
	if err := m.store.Close(); err != nil {
		m.t.Errorf("%s: %v", where, err)
	}
	image, err := os.ReadFile(filepath.Join(m.dir, stateFile))
	if err != nil {
		m.t.Fatal(err)
	}
	m.reopened(m.t, image, m.disk.After(nil))
}
