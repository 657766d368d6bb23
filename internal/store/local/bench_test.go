package local

import (
	"fmt"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"

	"mfa/internal/store"
)

// count increments a counter of user, as a decision does.
func count(b *testing.B, s *Store, user int) {
	err := store.Update(b.Context(), s, fmt.Sprintf("state/user%d", user), func(old []byte) ([]byte, error) {
		n, _ := strconv.Atoi(string(old))
		return strconv.AppendInt(nil, int64(n+1), 10), nil
	})
	if err != nil {
		b.Error(err)
	}
}

// BenchmarkUpdate is one decision after another.
func BenchmarkUpdate(b *testing.B) {
	s := newStore(b)
	before, folds := commits(b, s)
	for b.Loop() {
		count(b, s, 0)
	}
	batches, transactions := commits(b, s)
	b.ReportMetric(float64(batches-before)/float64(b.N), "batches/op")
	b.ReportMetric(float64(transactions-folds)/float64(b.N), "transactions/op")
}

// BenchmarkUpdate64 is the decisions of 64 users at once.
func BenchmarkUpdate64(b *testing.B) {
	s := newStore(b)
	before, folds := commits(b, s)
	var users atomic.Int64
	b.SetParallelism(max(1, 64/runtime.GOMAXPROCS(0)))
	b.RunParallel(func(pb *testing.PB) {
		user := int(users.Add(1))
		for pb.Next() {
			count(b, s, user)
		}
	})
	batches, transactions := commits(b, s)
	b.ReportMetric(float64(batches-before)/float64(b.N), "batches/op")
	b.ReportMetric(float64(transactions-folds)/float64(b.N), "transactions/op")
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
