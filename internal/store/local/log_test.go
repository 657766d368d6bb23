package local

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
	"golang.org/x/sys/unix"

	"mfa/internal/seal"
	"mfa/internal/store"
	"mfa/internal/store/local/wal"
	"mfa/internal/store/storetest"
)

// Stores whose log is folded all the time, and ones without a log, are stores.
func TestConformanceOfShapes(t *testing.T) {
	shapes := map[string]shape{
		"folded often": tiny,
		"each record":  {size: 12 * wal.BlockSize, records: 1},
		"no room":      {size: usual.size, records: usual.records, room: 1 << 62},
	}
	for name, shape := range shapes {
		t.Run(name, func(t *testing.T) {
			setup := asUsual
			setup.shape = shape
			at := func(t *testing.T, dir string) *Store {
				t.Helper()
				s, err := openWith(dir, aKey, setup)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = s.Close() })
				if (s.ledger.log == nil) != (name == "no room") {
					t.Fatal("a log of another shape")
				}
				return s
			}
			storetest.Run(t,
				func(t *testing.T) store.Store { return at(t, filepath.Join(inMemory(t), "mfa")) },
				func(t *testing.T, s store.Store) store.Store {
					if err := s.(*Store).Close(); err != nil {
						t.Fatal(err)
					}
					return at(t, s.(*Store).dir)
				})
		})
	}
}

// killed returns a copy of a store's folder as a daemon leaves it that is killed after
// alice has spent something.
func killed(t *testing.T) (dir string) {
	t.Helper()
	setup := asUsual
	setup.shape = tiny
	s, err := openWith(filepath.Join(inMemory(t), "mfa"), aKey, setup)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	enroll(t, s, "alice", "x")
	for i := range 5 {
		err := store.Update(t.Context(), s, "state/alice", func([]byte) ([]byte, error) { return fmt.Appendf(nil, "spent %d", i), nil })
		if err != nil {
			t.Fatal(err)
		}
	}
	dir = filepath.Join(inMemory(t), "mfa")
	if err := os.CopyFS(dir, os.DirFS(s.dir)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Chmod(dir, 0o700), os.Chmod(filepath.Join(dir, "users"), 0o700), os.Truncate(filepath.Join(dir, "lock"), 0)); err != nil {
		t.Fatal(err)
	}
	for _, name := range append(wal.Names[:], stateFile, "users/alice.toml") {
		if err := os.Chmod(filepath.Join(dir, name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// wantSpent checks what the store in dir says that alice spent last.
func wantSpent(t *testing.T, s *Store, want string) {
	t.Helper()
	if it, err := s.Get(t.Context(), "state/alice"); err != nil || string(it.Value) != want {
		t.Errorf("alice: %q, %v; want %q", it.Value, err, want)
	}
}

// The log that a killed daemon leaves is a part of its store: without it, or with one that
// is not as it was left, neither a daemon nor a check takes the database for the truth.
func TestLogGoesWithTheDatabase(t *testing.T) {
	first := func(dir string) string { return filepath.Join(dir, wal.Names[0]) }
	second := func(dir string) string { return filepath.Join(dir, wal.Names[1]) }
	for name, test := range map[string]struct {
		change func(dir string) error
		want   string
	}{
		"gone":  {func(dir string) error { return errors.Join(os.Remove(first(dir)), os.Remove(second(dir))) }, "state-0.log is missing"},
		"cut":   {func(dir string) error { return os.Truncate(second(dir), 4096) }, "has 4096 of "},
		"empty": {func(dir string) error { return os.Truncate(second(dir), 0) }, "first block of state-1.log"},
		"exchanged": {func(dir string) error {
			x := filepath.Join(dir, "x")
			return errors.Join(os.Rename(first(dir), x), os.Rename(second(dir), first(dir)), os.Rename(x, second(dir)))
		}, "behind one that is lost or bad"},
		"of another store": {func(dir string) error {
			data, err := os.ReadFile(second(killed(t)))
			return errors.Join(err, os.WriteFile(second(dir), data, 0o600))
		}, "is of another log"},
		"a batch gone": {func(dir string) error {
			f, err := os.OpenFile(second(dir), os.O_WRONLY, 0)
			_, err2 := f.WriteAt(make([]byte, wal.BlockSize), 2*wal.BlockSize)
			return errors.Join(err, err2, f.Close())
		}, "behind one that is lost or bad"},
		"a folder in its place": {func(dir string) error { return errors.Join(os.Remove(first(dir)), os.Mkdir(first(dir), 0o700)) }, "state-0.log"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := killed(t)
			if err := test.change(dir); err != nil {
				t.Fatal(err)
			}
			_, err := Open(dir, aKey)
			wantText(t, err, "damaged", test.want, "state-0.log and state-1.log back", "mfad --new-state")
			wantText(t, CheckState(dir), test.want, "mfad --new-state")
			wantText(t, Verify(dir, aKey), test.want, "mfad --new-state")
			if _, err := NewState(dir, time.Unix(1e9, 0)); err != nil {
				t.Fatal(err)
			}
			openStore(t, dir)
		})
	}
}

// Somebody who changes the log and mends its checksums is found as one who changes the
// database.
func TestEditedLog(t *testing.T) {
	dir := killed(t)
	path := filepath.Join(dir, wal.Names[1])
	image, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.LastIndex(image, []byte("spent 4"))
	for name, change := range map[string]func(b []byte){
		"value":    func(b []byte) { b[at+6] = '3' },
		"revision": func(b []byte) { b[at-headLen+revSize-1]-- },
		"name":     func(b []byte) { copy(b[at-headLen-6:], "alicf") },
		"tag":      func(b []byte) { b[at-1]++ },
	} {
		b := bytes.Clone(image)
		change(b)
		if bytes.Equal(b, image) {
			t.Fatal("nothing is changed")
		}
		healBatch(b[at/wal.BlockSize*wal.BlockSize:])
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Open(dir, aKey)
		wantText(t, err, "not as mfad wrote it", "mfad --new-state")
		wantText(t, Verify(dir, aKey), "not as mfad wrote it")
		if t.Failed() {
			t.Fatal(name)
		}
	}
	if err := os.WriteFile(path, image, 0o600); err != nil {
		t.Fatal(err)
	}
	wantSpent(t, openStore(t, dir), "spent 4")
}

// healBatch gives the batch that b begins with the checksum that it needs.
func healBatch(b []byte) {
	end := 48 + binary.BigEndian.Uint32(b[12:])
	binary.BigEndian.PutUint32(b[8:], crc32.Checksum(b[12:end], crc32.MakeTable(crc32.Castagnoli)))
}

// Whichever bit of the log flips, what was spent stays spent. Only the last batch cannot be
// told from one whose writing was cut short.
func TestNoBitOfTheLogBringsBackWhatWasSpent(t *testing.T) {
	dir := killed(t)
	image, err := os.ReadFile(filepath.Join(dir, stateFile))
	if err != nil {
		t.Fatal(err)
	}
	chance := rand.New(rand.NewPCG(4, 4))
	refused, lost, same := 0, 0, 0
	for i, name := range wal.Names {
		log, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		for range 200 {
			at := chance.IntN(7)*wal.BlockSize + chance.IntN(256)
			log[at] ^= 1 << (at % 8)
			err := errors.Join(os.WriteFile(filepath.Join(dir, name), log, 0o600), os.WriteFile(filepath.Join(dir, stateFile), image, 0o600))
			if err != nil {
				t.Fatal(err)
			}
			s, err := openToRead(filepath.Join(dir, stateFile), aKey, asUsual)
			log[at] ^= 1 << (at % 8)
			if err != nil {
				refused++
				continue
			}
			value, _, err := (&bucket{s, 0}).get("alice")
			switch {
			case err == nil && string(value) == "spent 4":
				same++
			case err == nil && string(value) == "spent 3" && i == 1 && at/wal.BlockSize == 5:
				lost++
			default:
				t.Errorf("byte %d of %s: %q, %v", at, name, value, err)
			}
			if err := s.close(); err != nil {
				t.Error(err)
			}
		}
		if err := os.WriteFile(filepath.Join(dir, name), log, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d refused, %d cost the last batch, %d changed nothing", refused, lost, same)
	if refused == 0 || lost == 0 || same == 0 {
		t.Error("the test tests nothing")
	}
}

// An older build refuses a database whose log counts, and opens it after a clean end.
func TestOlderBuilds(t *testing.T) {
	dir := killed(t)
	wantText(t, olderBuild(dir), "a newer mfad has written the store, in format 3")
	s := openStore(t, dir)
	wantSpent(t, s, "spent 4")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := olderBuild(dir); err != nil {
		t.Error(err)
	}
	for _, name := range wal.Names { // they are not needed any more
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
	wantSpent(t, openStore(t, dir), "spent 4")
}

// olderBuild opens a database as the build before logs did, and looks at all it looked at.
func olderBuild(dir string) error {
	found, err := checkWhole(filepath.Join(dir, stateFile))
	if err != nil {
		return err
	}
	db, err := bolt.Open(filepath.Join(dir, stateFile), 0o600, &bolt.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	defer db.Close()
	return db.View(func(tx *bolt.Tx) error {
		format := tx.Bucket([]byte("meta")).Get([]byte(formatName))
		if n, err := strconv.Atoi(string(format[revSize:])); err != nil || n > 2 {
			return fmt.Errorf("a newer mfad has written the store, in format %d", n)
		}
		l := &ledger{auth: theKey.Authenticator(purpose), found: found}
		sums := 0
		err := tx.Bucket(sumBucket).ForEach(func(_, _ []byte) error { sums++; return nil })
		if err != nil || sums != 1 {
			return fmt.Errorf("%d records in the bucket sum, %w", sums, err)
		}
		return l.verify(tx)
	})
}

// On a disk that takes no writes the log is read.
func TestReadsTheLogOfAReadOnlyDisk(t *testing.T) {
	dir := killed(t)
	before, err := os.ReadFile(filepath.Join(dir, stateFile))
	if err != nil {
		t.Fatal(err)
	}
	l, err := openToRead(filepath.Join(dir, stateFile), aKey, asUsual)
	if err != nil {
		t.Fatal(err)
	}
	b := &bucket{l, 0}
	if value, _, err := b.get("alice"); err != nil || string(value) != "spent 4" {
		t.Errorf("%q, %v", value, err)
	}
	if names, err := b.names(); err != nil || len(names) != 1 {
		t.Errorf("%q, %v", names, err)
	}
	if _, err := b.swap(t.Context(), "alice", 0, nil); !errors.Is(err, unix.EROFS) {
		t.Error(err)
	}
	if err := l.close(); err != nil {
		t.Error(err)
	}
	after, err := os.ReadFile(filepath.Join(dir, stateFile))
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("the database was changed, %v", err)
	}
}

// A copy that was taken while the daemon ran opens as the store was at one moment between
// the first file and the last, or is refused.
func TestCopyOfARunningStore(t *testing.T) {
	dir := filepath.Join(inMemory(t), "mfa")
	setup := asUsual
	setup.shape = tiny
	s, err := openWith(dir, aKey, setup)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	files := append(wal.Names[:], stateFile)
	const moments = 40
	var images [moments]map[string][]byte
	it := store.Item{Key: "state/alice"}
	for n := range moments {
		it.Value = fmt.Appendf(nil, "%d %s", n, strings.Repeat("x", 3000*(n%3)))
		if it, err = s.Put(t.Context(), it); err != nil {
			t.Fatal(err)
		}
		if err := s.ledger.alone(t.Context(), func() error { s.ledger.reap(true); return nil }); err != nil {
			t.Fatal(err)
		}
		images[n] = map[string][]byte{}
		for _, name := range files {
			if images[n][name], err = os.ReadFile(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	chance := rand.New(rand.NewPCG(5, 5))
	opened, refused := 0, 0
	for range 400 {
		first, last := moments, 0
		copied := filepath.Join(inMemory(t), "mfa")
		if err := os.MkdirAll(filepath.Join(copied, "users"), 0o700); err != nil {
			t.Fatal(err)
		}
		base := chance.IntN(moments)
		for _, name := range files {
			n := min(moments-1, base+chance.IntN(12))
			first, last = min(first, n), max(last, n)
			if err := os.WriteFile(filepath.Join(copied, name), images[n][name], 0o600); err != nil {
				t.Fatal(err)
			}
		}
		l, err := openToRead(filepath.Join(copied, stateFile), aKey, setup)
		if err != nil {
			refused++
			wantText(t, err, "mfad --new-state")
			continue
		}
		opened++
		value, _, err := (&bucket{l, 0}).get("alice")
		text, _, _ := strings.Cut(string(value), " ")
		if n, err2 := strconv.Atoi(text); err != nil || err2 != nil || n < first || n > last {
			t.Errorf("a copy of the moments %d to %d says %q, %v", first, last, text, err)
		}
		if err := l.close(); err != nil {
			t.Error(err)
		}
	}
	t.Logf("%d opened, %d refused", opened, refused)
	if opened == 0 || refused == 0 {
		t.Error("the test tests nothing")
	}
}

// Of a log that somebody takes away from a running daemon a clean stop loses nothing.
func TestLogIsTakenAway(t *testing.T) {
	s := newStore(t)
	if _, err := s.Put(t.Context(), store.Item{Key: "state/alice", Value: []byte("spent")}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(s.dir, wal.Names[1])
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, s.dir)
	wantSpent(t, s, "spent")
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

// A log that cannot be begun keeps nobody from reading: writes fail and say why, until it can.
func TestLogCannotBeBegun(t *testing.T) {
	s := newStore(t)
	if _, err := s.Put(t.Context(), store.Item{Key: "state/alice", Value: []byte("spent")}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(s.dir, wal.Names[0])
	inTheWay := filepath.Join(path, "x")
	if err := errors.Join(os.Remove(path), os.Mkdir(path, 0o700), os.WriteFile(inTheWay, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, s.dir)
	wantSpent(t, s, "spent")
	for range 2 {
		_, err := s.Put(t.Context(), store.Item{Key: "state/bob"})
		wantText(t, err, path)
		wantText(t, s.Check(t.Context()), "the last write failed", path)
	}
	if err := os.Remove(inTheWay); err != nil {
		t.Fatal(err)
	}
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := s.Put(t.Context(), store.Item{Key: "state/bob"}); err != nil || s.ledger.log == nil {
		t.Error(err)
	}
}

// The new key vouches after Retag for what a former one vouched for in the log, also
// if the daemon is killed then.
func TestRetagTheLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	fresh, err := seal.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	was := theKey
	defer func() { theKey = was }()
	theKey = fresh
	s := newStore(t)
	for i := range 20 {
		if _, err := s.Put(t.Context(), store.Item{Key: fmt.Sprintf("state/user%d", i), Value: []byte("x")}); err != nil {
			t.Fatal(err)
		}
	}
	if err := fresh.Rotate(path); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(t.Context(), store.Item{Key: "state/between"}); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Retag(t.Context()), fresh.Forget(path)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(t.Context(), store.Item{Key: "state/after"}); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "mfa")
	if err := errors.Join(os.CopyFS(dir, os.DirFS(s.dir)), os.Truncate(filepath.Join(dir, "lock"), 0), os.Chmod(dir, 0o700),
		os.Chmod(filepath.Join(dir, "users"), 0o700), os.Chmod(filepath.Join(dir, stateFile), 0o600)); err != nil {
		t.Fatal(err)
	}
	copied := openStore(t, dir)
	for _, name := range []string{"user0", "user19", "between", "after"} {
		if _, err := copied.Get(t.Context(), "state/"+name); err != nil {
			t.Error(err)
		}
	}
}

// Whatever stands in a batch, decoding it ends, and what the daemon wrote is read as it was.
func FuzzDecode(f *testing.F) {
	l := &ledger{auth: theKey.Authenticator(purpose)}
	ch := newLayer(standing{})
	ch.change(spot{0, "alice"}, nil, l.pack([]byte("state"), "alice", 7, []byte("value")))
	ch.change(spot{1, "policy"}, []byte("was"), nil)
	at := wal.Mark{Epoch: 1, Seq: 1}
	f.Add(l.encode(at, ch))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, payload []byte) {
		got, err := decode(payload)
		if err != nil {
			return
		}
		again, err := decode(l.encode(at, got))
		if err != nil || len(again.records) != len(got.records) || again.after != got.after {
			t.Fatalf("%d records are %d, %v", len(got.records), len(again.records), err)
		}
		for spot, stored := range got.records {
			if now, found := again.get(spot); !found || (now == nil) != (stored == nil) || !bytes.Equal(now, stored) {
				t.Errorf("%v: %q is %q", spot, stored, now)
			}
		}
	})
}
