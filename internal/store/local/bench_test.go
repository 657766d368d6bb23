package local

import (
	"bytes"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mfa/internal/store"
)

// stateSize is about what a state takes that has all there is in it, in bytes.
const stateSize = 2 << 10

// filled returns a store that has that many states of stateSize.
func filled(b *testing.B, states int) *Store { return populate(b, newStore(b), states) }

func populate(b *testing.B, s *Store, states int) *Store {
	b.Helper()
	for from := 0; from < states; from += 5000 {
		err := s.ledger.alone(b.Context(), func() error {
			ch := newLayer(s.ledger.now)
			for n := from; n < min(from+5000, states); n++ {
				r := &request{at: spot{0, fmt.Sprintf("user%06d", n)}, value: state(n)}
				ch.change(r.at, nil, s.ledger.give(ch, r))
			}
			return s.ledger.settle(ch)
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	return s
}

// state returns a state that has counted to n.
func state(n int) []byte {
	return append(strconv.AppendInt(nil, int64(n), 10), bytes.Repeat([]byte(" "), stateSize)...)
}

// count increments a counter of user, as a decision does.
func count(b *testing.B, s *Store, user int) {
	err := store.Update(b.Context(), s, fmt.Sprintf("state/user%06d", user), func(old []byte) ([]byte, error) {
		text, _, _ := bytes.Cut(old, []byte(" "))
		n, err := strconv.Atoi(string(text))
		return state(n + 1), err
	})
	if err != nil {
		b.Error(err)
	}
}

// waits are how long updates took.
type waits struct {
	mu  sync.Mutex // guards all
	all []time.Duration
}

// time calls fn and notes how long it took.
func (w *waits) time(fn func()) {
	began := time.Now()
	fn()
	took := time.Since(began)
	w.mu.Lock()
	w.all = append(w.all, took)
	w.mu.Unlock()
}

// report reports how long the middle one took, one in a hundred, and the worst.
func (w *waits) report(b *testing.B) {
	slices.Sort(w.all)
	last := len(w.all) - 1
	for unit, at := range map[string]int{"p50-µs": last / 2, "p99-µs": last * 99 / 100, "worst-µs": last} {
		b.ReportMetric(float64(w.all[at].Microseconds()), unit)
	}
}

// perUpdate reports what was written for each update since.
func perUpdate(b *testing.B, s *Store, batches, transactions int) {
	after, folds := commits(b, s)
	b.ReportMetric(float64(after-batches)/float64(b.N), "batches/op")
	b.ReportMetric(float64(folds-transactions)/float64(b.N), "transactions/op")
}

// BenchmarkUpdate is one decision after another, each of another user.
func BenchmarkUpdate(b *testing.B) {
	for _, states := range []int{100, 100_000} {
		b.Run(fmt.Sprintf("states=%d", states), func(b *testing.B) {
			s := filled(b, states)
			batches, transactions := commits(b, s)
			b.ReportAllocs()
			var took waits
			n := 0
			for b.Loop() {
				n += 7919 // a prime: all users in turn, none beside the last
				took.time(func() { count(b, s, n%states) })
			}
			took.report(b)
			perUpdate(b, s, batches, transactions)
		})
	}
}

// BenchmarkUpdate64 is the decisions of 64 users at once.
func BenchmarkUpdate64(b *testing.B) {
	for _, states := range []int{100, 100_000} {
		b.Run(fmt.Sprintf("states=%d", states), func(b *testing.B) {
			s := filled(b, states)
			batches, transactions := commits(b, s)
			var next atomic.Int64
			var took waits
			b.ReportAllocs()
			b.SetParallelism(max(1, 64/runtime.GOMAXPROCS(0)))
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					took.time(func() { count(b, s, int(next.Add(7919))%states) })
				}
			})
			took.report(b)
			perUpdate(b, s, batches, transactions)
		})
	}
}

// BenchmarkFold is one decision after another with logs of several sizes: a small one is
// folded often, and a large one takes memory and a longer fold. A fold delays the worst
// decision by so many of the usual ones, each of which is one synced write.
func BenchmarkFold(b *testing.B) {
	for _, records := range []int{128, 256, 512, 1024, 2048, 4096} {
		b.Run(fmt.Sprintf("records=%d", records), func(b *testing.B) {
			const states = 20_000
			setup := asUsual
			setup.shape.size, setup.shape.records = int64(records)*stateSize, records
			dir := filepath.Join(b.TempDir(), "mfa")
			s, err := openWith(dir, aKey, setup)
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { _ = s.Close() })
			populate(b, s, states)
			batches, transactions := commits(b, s)
			var took waits
			n := 0
			for b.Loop() {
				n += 7919
				took.time(func() { count(b, s, n%states) })
			}
			took.report(b)
			middle := took.all[len(took.all)/2]
			b.ReportMetric(float64(took.all[len(took.all)-1])/float64(middle), "worst/p50")
			b.ReportMetric(float64(took.all[len(took.all)*999/1000])/float64(middle), "p99.9/p50")
			perUpdate(b, s, batches, transactions)
		})
	}
}

// BenchmarkOpen is a start with 100,000 states, from the kernel's cache and
// from the disk.
func BenchmarkOpen(b *testing.B) {
	s := filled(b, 100_000)
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	for _, cold := range []bool{false, true} {
		b.Run(fmt.Sprintf("cold=%v", cold), func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				if cold {
					forget(b, filepath.Join(s.dir, stateFile))
				}
				b.StartTimer()
				again, err := Open(s.dir, aKey)
				if err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				if err := again.Close(); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
		})
	}
}

// forget has the kernel drop a file from its cache.
func forget(b *testing.B, path string) {
	b.Helper()
	fd, err := unix.Open(path, unix.O_RDONLY, 0)
	if err == nil {
		err = unix.Fsync(fd)
	}
	if err == nil {
		err = unix.Fadvise(fd, 0, 0, unix.FADV_DONTNEED)
	}
	if err != nil {
		b.Fatal(err)
	}
	_ = unix.Close(fd)
}

// BenchmarkPutEnrollment is one enrollment after another.
func BenchmarkPutEnrollment(b *testing.B) {
	s := newStore(b)
	it := store.Item{Key: "users/alice"}
	for b.Loop() {
		it.Value = strconv.AppendUint(nil, it.Rev, 10) // never the same twice running
		var err error
		if it, err = s.Put(b.Context(), it); err != nil {
			b.Fatal(err)
		}
	}
}
