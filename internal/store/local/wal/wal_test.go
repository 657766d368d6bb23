package wal_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"mfa/internal/store/local/wal"
	"mfa/internal/store/local/wal/waltest"
)

const (
	block    = wal.BlockSize
	testSize = 16 * block
)

var testID = wal.ID{1, 2, 3}

// seq returns the sequence of the last batch.
func seq(l *wal.Log) uint64 { return l.Next().Seq - 1 }

// payload returns the payload of the batch n, of any length.
func payload(n uint64) []byte {
	chance := rand.New(rand.NewPCG(n, 0))
	b := make([]byte, chance.IntN(3*block))
	for i := range b {
		b[i] = byte(chance.Uint32())
	}
	return b
}

// begin makes a log of testSize.
func begin(t testing.TB, dir wal.Folder) *wal.Log {
	t.Helper()
	l, err := wal.Create(dir, testID, testSize)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// wantBatches checks that the batches after a mark are those up to last.
func wantBatches(t *testing.T, dir wal.Folder, from wal.Mark, last uint64) {
	t.Helper()
	got, err := wal.Read(dir, from)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != int(last-from.Seq) {
		t.Fatalf("%d batches after %d, want up to %d", len(got), from.Seq, last)
	}
	for i, b := range got {
		if n := from.Seq + 1 + uint64(i); b.At.Seq != n || !bytes.Equal(b.Payload, payload(n)) {
			t.Fatalf("batch %d is %d, of %d bytes", n, b.At.Seq, len(b.Payload))
		}
	}
}

// A log gives back what was appended, over changes of the file, from any mark that
// counts.
func TestLog(t *testing.T) {
	for name, dir := range map[string]wal.Folder{"disk": wal.Dir(t.TempDir()), "memory": &waltest.Disk{}} {
		t.Run(name, func(t *testing.T) {
			l := begin(t, dir)
			from := wal.Mark{ID: testID, Epoch: 1}
			wantBatches(t, dir, from, 0)
			for range 100 {
				p := payload(l.Next().Seq)
				if now, ever := l.Fits(len(p)); !now && ever {
					wantBatches(t, dir, from, seq(l))
					if err := l.Append(p); !errors.Is(err, wal.ErrFull) {
						t.Fatal(err)
					}
					mark, err := l.Switch()
					if err != nil {
						t.Fatal(err)
					}
					wantBatches(t, dir, from, seq(l))
					wantBatches(t, dir, mark, seq(l))
					if _, err := l.Switch(); err == nil {
						t.Fatal("a file that counts is written over")
					}
					l.Release()
					from = mark
				}
				if err := l.Append(p); err != nil {
					t.Fatal(err)
				}
			}
			wantBatches(t, dir, from, 100)
			if now, ever := l.Fits(testSize); now || ever {
				t.Error("a batch fits that is longer than the file")
			}
			if err := l.Close(); err != nil {
				t.Error(err)
			}
			if err := l.Append(nil); err == nil {
				t.Error("Append goes on after Close")
			}
		})
	}
}

// work appends, switches and releases until the disk fails, and returns what was
// acknowledged and from which mark on.
func work(d *waltest.Disk) (from wal.Mark, last uint64, begun bool) {
	from = wal.Mark{ID: testID, Epoch: 1}
	mark := from
	l, err := wal.Create(d, testID, testSize)
	if err != nil {
		return from, 0, false
	}
	for seq(l) < 60 {
		p := payload(l.Next().Seq)
		if now, _ := l.Fits(len(p)); !now {
			if mark, err = l.Switch(); err != nil {
				return from, last, true
			}
			if mark.Seq%2 == 0 { // kept before the next batch, or behind it
				from = mark
				l.Release()
			}
		}
		if err := l.Append(p); err != nil {
			return from, last, true
		}
		last = seq(l)
		if seq(l) == mark.Seq+1 && from != mark {
			from = mark
			l.Release()
		}
	}
	return from, last, true
}

// The power fails at each write and each sync, and of what was not synced any sectors
// are there: no batch that was acknowledged is missing, none is there in part.
// "go test -run TestPowerFails/N" replays the cut at the operation N.
func TestPowerFails(t *testing.T) {
	whole := &waltest.Disk{}
	if _, last, _ := work(whole); last != 60 {
		t.Fatalf("%d batches", last)
	}
	for cut := 1; cut <= whole.Ops; cut++ {
		t.Run(fmt.Sprint(cut), func(t *testing.T) {
			d := &waltest.Disk{}
			d.FailAt = cut
			from, last, begun := work(d)
			if !begun {
				return // nothing says that there is a log
			}
			for seed := range uint64(32) {
				after := d.After(rand.New(rand.NewPCG(seed, uint64(cut))))
				got, err := wal.Read(after, from)
				if err != nil {
					t.Fatalf("cut %d, seed %d: %v", cut, seed, err)
				}
				n := from.Seq + uint64(len(got))
				if n != last && n != last+1 {
					t.Fatalf("cut %d, seed %d: %d batches, %d were acknowledged", cut, seed, n, last)
				}
				wantBatches(t, after, from, n)
			}
		})
	}
}

// After a write or a sync that failed nothing more is written.
func TestFailureIsForGood(t *testing.T) {
	for failAt := 7; failAt < 40; failAt++ { // Create has six operations
		d := &waltest.Disk{}
		l := begin(t, d)
		d.FailAt = failAt
		var first error
		for first == nil {
			if first = l.Append(nil); errors.Is(first, wal.ErrFull) {
				if _, first = l.Switch(); first == nil {
					l.Release()
				}
			}
		}
		d.FailAt = 0 // the disk is well again
		ops := d.Ops
		_, switched := l.Switch()
		if err := l.Append(nil); !errors.Is(first, waltest.ErrFailed) || !errors.Is(err, waltest.ErrFailed) || !errors.Is(switched, waltest.ErrFailed) ||
			!errors.Is(l.Err(), waltest.ErrFailed) || d.Ops != ops {
			t.Fatalf("failing at %d: %v, then %v, %v, and %d operations", failAt, first, err, switched, d.Ops-ops)
		}
	}
}

// Each bit that flips in what counts is found, or changes nothing; only the last batch
// cannot be told from one whose writing was cut short.
func TestFlippedBits(t *testing.T) {
	d := &waltest.Disk{}
	l := begin(t, d)
	for l.Next().Epoch < 2 || seq(l)%4 != 0 {
		if err := l.Append(payload(l.Next().Seq)); errors.Is(err, wal.ErrFull) {
			if _, err := l.Switch(); err != nil {
				t.Fatal(err)
			}
		} else if err != nil {
			t.Fatal(err)
		}
	}
	from := wal.Mark{ID: testID, Epoch: 1}
	found, lost, same := 0, 0, 0
	for i, name := range wal.Names {
		data, err := d.Read(name)
		if err != nil {
			t.Fatal(err)
		}
		d.Put(name, data)
		for at := 0; at < len(data); at++ {
			if at%block > 64 { // of what is no head, some
				at = min(at+60, len(data)-1)
			}
			bit := byte(1) << (at % 8)
			data[at] ^= bit
			got, err := wal.Read(d, from)
			switch {
			case err != nil:
				found++
			case len(got) == int(seq(l)):
				wantBatches(t, d, from, seq(l))
				same++
			case len(got) == int(seq(l))-1 && i == int(l.Next().Epoch%2):
				wantBatches(t, d, from, seq(l)-1)
				lost++
			default:
				t.Fatalf("byte %d of %s: %d of %d batches", at, name, len(got), seq(l))
			}
			data[at] ^= bit
		}
	}
	t.Logf("%d found, %d cost the last batch, %d changed nothing", found, lost, same)
	if found == 0 || same == 0 || lost == 0 || lost > found/4 {
		t.Error("the test tests nothing")
	}
}

// Files that are gone, cut, empty, exchanged, of another log or of another moment are
// no log that was left so.
func TestForeignFiles(t *testing.T) {
	type change = func(dir wal.Dir) error
	rename := func(dir wal.Dir, from, to string) error { return os.Rename(path(dir, from), path(dir, to)) }
	for name, test := range map[string]struct {
		change change
		want   string
	}{
		"gone":  {func(dir wal.Dir) error { return os.Remove(path(dir, wal.Names[1])) }, "state-1.log is missing"},
		"cut":   {func(dir wal.Dir) error { return os.Truncate(path(dir, wal.Names[1]), testSize-block) }, "has 61440 of 65536 bytes"},
		"empty": {func(dir wal.Dir) error { return os.Truncate(path(dir, wal.Names[0]), 0) }, "first block of state-0.log is bad"},
		"zeros": {func(dir wal.Dir) error { return dir.Make(wal.Names[1], testSize) }, "first block of state-1.log is bad"},
		"link": {func(dir wal.Dir) error {
			return errors.Join(rename(dir, wal.Names[0], "else"), os.Symlink("else", path(dir, wal.Names[0])))
		}, "too many levels of symbolic links"},
		"exchanged": {func(dir wal.Dir) error {
			return errors.Join(rename(dir, wal.Names[0], "x"), rename(dir, wal.Names[1], wal.Names[0]), rename(dir, "x", wal.Names[1]))
		}, "behind one that is lost or bad"},
		"another's": {func(dir wal.Dir) error {
			l, err := wal.Create(dir, wal.ID{9}, testSize)
			return errors.Join(err, l.Close())
		}, "is of another log"},
		"one older": {func(dir wal.Dir) error { return put(dir, wal.Names[1], "older") }, "behind one that is lost or bad"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := wal.Dir(t.TempDir())
			l := begin(t, dir)
			for n := range 3 {
				if n == 2 {
					older, err := dir.Read(wal.Names[1])
					if err := errors.Join(err, os.WriteFile(path(dir, "older"), older, 0o600)); err != nil {
						t.Fatal(err)
					}
				}
				if err := l.Append(payload(l.Next().Seq)); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := l.Switch(); err != nil {
				t.Fatal(err)
			}
			if err := l.Append(payload(l.Next().Seq)); err != nil {
				t.Fatal(err)
			}
			from := wal.Mark{ID: testID, Epoch: 1}
			wantBatches(t, dir, from, 4)
			if err := test.change(dir); err != nil {
				t.Fatal(err)
			}
			if got, err := wal.Read(dir, from); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%d batches, %v; want %s", len(got), err, test.want)
			}
		})
	}
}

func path(dir wal.Dir, name string) string { return filepath.Join(string(dir), name) }

// put puts a copy of one file in the place of another.
func put(dir wal.Dir, name, from string) error {
	data, err := os.ReadFile(path(dir, from))
	return errors.Join(err, os.WriteFile(path(dir, name), data, 0o600))
}

// An error says why the files cannot be written, and a file that could not be made
// whole is not left.
func TestNoRoom(t *testing.T) {
	dir := wal.Dir(t.TempDir())
	var was unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &was); err != nil {
		t.Fatal(err)
	}
	small := unix.Rlimit{Cur: testSize / 2, Max: was.Max}
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &small); err != nil {
		t.Fatal(err)
	}
	_, err := wal.Create(dir, testID, testSize)
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &was); err != nil {
		t.Fatal(err)
	}
	left, _ := filepath.Glob(path(dir, "*"))
	if !errors.Is(err, unix.EFBIG) || len(left) > 0 {
		t.Errorf("%v, and %q are left", err, left)
	}
	if _, err := wal.Create(dir, testID, block); err == nil {
		t.Error("a size without room for a batch is taken")
	}
	begin(t, dir)
}

// Whatever is in a file, reading it ends, and gives batches in order or an error.
func FuzzRead(f *testing.F) {
	d := &waltest.Disk{}
	l := begin(f, d)
	for range 3 {
		if err := l.Append(payload(l.Next().Seq)); err != nil {
			f.Fatal(err)
		}
	}
	one, err := d.Read(wal.Names[0])
	other, err2 := d.Read(wal.Names[1])
	if err := errors.Join(err, err2); err != nil {
		f.Fatal(err)
	}
	f.Add(one, other)
	f.Add([]byte{}, []byte("MFABATCH"))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		for _, file := range []*[]byte{&a, &b} { // checksums that chance would not find
			*file = slices.Clone(*file)
			for at := 0; at+block <= len(*file); at += block {
				heal((*file)[at:], at == 0)
			}
		}
		d := &waltest.Disk{}
		d.Put(wal.Names[0], a)
		d.Put(wal.Names[1], b)
		from := wal.Mark{ID: testID, Epoch: 1}
		got, err := wal.Read(d, from)
		for i, batch := range got {
			if err != nil || batch.At.Seq != uint64(i)+1 || batch.At.ID != testID || batch.At.Epoch != 1 && batch.At.Epoch != 2 {
				t.Errorf("batch %d is %+v, %v", i+1, batch.At, err)
			}
		}
	})
}

// heal gives a block the checksum that it claims to have, as docs/state-log.md says.
func heal(b []byte, first bool) {
	end := 36
	if !first || !bytes.HasPrefix(b, []byte("MFALOG1\n")) {
		end = 48 + int(min(binary.BigEndian.Uint32(b[12:]), uint32(len(b))))
	}
	if end <= len(b) {
		binary.BigEndian.PutUint32(b[8:], crc32.Checksum(b[12:end], crc32.MakeTable(crc32.Castagnoli)))
	}
}

func BenchmarkAppend(b *testing.B) {
	for _, kib := range []int{2, 128} {
		b.Run(fmt.Sprintf("%dKiB", kib), func(b *testing.B) {
			l, err := wal.Create(wal.Dir(b.TempDir()), testID, 1024*block)
			if err != nil {
				b.Fatal(err)
			}
			defer l.Close()
			p := make([]byte, kib<<10)
			b.ReportAllocs()
			for b.Loop() {
				if now, _ := l.Fits(len(p)); !now {
					if _, err := l.Switch(); err != nil {
						b.Fatal(err)
					}
					l.Release()
				}
				if err := l.Append(p); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
