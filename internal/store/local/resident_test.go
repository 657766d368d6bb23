package local

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"mfa/internal/store"
)

// Pages of a large database do not stay mapped into the daemon after a read, nor what was
// looked at when it was opened; and it can be read again.
func TestReadsAreGivenBack(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "mfa")
	s := openStore(t, dir)
	const items = 4096
	value := bytes.Repeat([]byte("x"), 3000)
	var writing sync.WaitGroup
	for i := range 64 {
		writing.Go(func() {
			for n := i; n < items; n += 64 {
				if _, err := s.Put(context.Background(), store.Item{Key: fmt.Sprintf("state/%05d", n), Value: value}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writing.Wait()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, dir)
	path := s.ledger.db.Path()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	opened := mapped(t, path)
	s.ledger.mapped.after = time.Nanosecond
	for n := range items {
		it, err := s.Get(t.Context(), fmt.Sprintf("state/%05d", n))
		if err != nil || !bytes.Equal(it.Value, value) {
			t.Fatalf("%q, %v", it.Value, err)
		}
	}
	// Nor do they stay, however long the time is, while all is listed and read.
	size, most := int(info.Size()>>10), 0
	s.ledger.mapped.after = time.Hour
	keys, err := s.Keys(t.Context(), "state/")
	if listed := mapped(t, path); err != nil || len(keys) != items || listed > size/8 {
		t.Errorf("%d keys, %v; of %d KiB, %d are mapped after listing them", len(keys), err, size, listed)
	}
	for n, key := range keys {
		if _, err := s.Get(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		if n%100 == 0 {
			most = max(most, mapped(t, path))
		}
	}
	if most > size/8 {
		t.Errorf("of %d KiB, %d were mapped while all was read", size, most)
	}
	s.ledger.mapped.after = time.Nanosecond
	if _, err := s.Get(t.Context(), keys[0]); err != nil {
		t.Fatal(err)
	}
	if size < 12<<10 || opened > size/8 {
		t.Errorf("of %d KiB, %d are mapped after opening", size, opened)
	}
	for late := time.Now().Add(time.Minute); mapped(t, path) > size/8; time.Sleep(time.Millisecond) {
		if time.Now().After(late) {
			t.Fatalf("of %d KiB, %d are mapped after reading all", size, mapped(t, path))
		}
	}
}

// mapped returns how much of the file at path is mapped into the test and resident, in KiB
// (proc_pid_smaps(5)).
func mapped(t *testing.T, path string) (kib int) {
	t.Helper()
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	within := false
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line := lines.Text()
		if key, _, _ := strings.Cut(line, " "); !strings.HasSuffix(key, ":") {
			within = strings.HasSuffix(line, path)
		}
		var rss int
		if n, _ := fmt.Sscanf(line, "Rss: %d kB", &rss); within && n == 1 {
			kib += rss
		}
	}
	return kib
}
