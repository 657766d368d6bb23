package local

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"mfa/internal/store"
)

// inChild names the folder to use, in a test binary that another one started.
const inChild = "MFA_TEST_STORE_CHILD"

// child returns the command that runs the test of that name in a process of its
// own, with dir as its folder.
func child(t *testing.T, name, dir string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+name+"$", "-test.v")
	cmd.Env = append(os.Environ(), inChild+"="+dir)
	return cmd
}

// needRoot skips a test that only root can run; where tests must run, it fails.
func needRoot(t *testing.T, why string) {
	t.Helper()
	switch {
	case os.Geteuid() == 0:
	case os.Getenv("CI") == "true":
		t.Fatal(why)
	default:
		t.Skip(why)
	}
}

// A daemon that is killed loses nothing it acknowledged, and its lock with it.
func TestKilledDaemonLosesNothing(t *testing.T) {
	if dir := os.Getenv(inChild); dir != "" {
		putUntilKilled(t, dir)
	}
	dir := filepath.Join(t.TempDir(), "mfa")
	cmd := child(t, t.Name(), dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var acknowledged []string
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if key, ok := strings.CutPrefix(lines.Text(), "acknowledged "); ok {
			acknowledged = append(acknowledged, key)
		}
		if len(acknowledged) == 100 {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil || len(acknowledged) < 100 {
		t.Fatalf("child: %v after %d writes", err, len(acknowledged))
	}
	s := openStore(t, dir)
	for _, key := range acknowledged {
		if it, err := s.Get(t.Context(), key); err != nil || string(it.Value) != key {
			t.Errorf("Get(%q) = %q, %v", key, it.Value, err)
		}
	}
}

// putUntilKilled writes items and says which are written, without end.
func putUntilKilled(t *testing.T, dir string) {
	s, err := Open(dir, aKey)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; ; i++ {
		key := fmt.Sprintf("state/user%d", i)
		if i%2 == 1 {
			key = fmt.Sprintf("users/user%d", i)
		}
		if _, err := s.Put(t.Context(), store.Item{Key: key, Value: []byte(key)}); err != nil {
			t.Fatal(err)
		}
		fmt.Println("acknowledged", key)
	}
}

// mounting runs test, which mounts a file system on the folder that it gets, in a process
// with a mount namespace of its own: the mounts end with it.
func mounting(t *testing.T, test func(t *testing.T, dir string)) {
	t.Helper()
	if dir := os.Getenv(inChild); dir != "" {
		test(t, dir)
		return
	}
	needRoot(t, "only root can mount a file system")
	cmd := child(t, t.Name(), t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// On a full file system writes fail and say which file system it is, what was
// there stays, and with room again all goes on.
func TestFullDisk(t *testing.T) {
	mounting(t, fillDisk)
}

// fillDisk runs in the namespace.
func fillDisk(t *testing.T, dir string) {
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=2m,mode=0700"); err != nil {
		t.Fatal(err)
	}
	s := openStore(t, dir)
	state, err := s.Put(t.Context(), store.Item{Key: "state/alice", Value: []byte("state of alice")})
	if err != nil {
		t.Fatal(err)
	}
	enrollment := enroll(t, s, "alice", "enrollment of alice")
	filler := fill(t, dir)

	wantFull(t, s.Check(t.Context()), dir)
	refuseAll(t, s, dir)
	_, err = s.Put(t.Context(), store.Item{Key: enrollment.Key, Value: make([]byte, 32<<10), Rev: enrollment.Rev})
	wantFull(t, err, s.Location(enrollment.Key))
	wantStored(t, s, state, enrollment)

	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
	state.Value = make([]byte, 32<<10)
	if state, err = s.Put(t.Context(), state); err != nil {
		t.Fatal(err)
	}
	enrollment.Value = make([]byte, 32<<10)
	if enrollment, err = s.Put(t.Context(), enrollment); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, dir)
	wantStored(t, s, state, enrollment)
	keys, err := s.Keys(t.Context(), "")
	if err != nil || len(keys) != 2 {
		t.Errorf("Keys = %q, %v", keys, err)
	}
}

// fill takes all room that is left in dir.
func fill(t *testing.T, dir string) (filler string) {
	t.Helper()
	filler = filepath.Join(dir, "filler")
	f, err := os.OpenFile(filler, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() // what could not be written is the point
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	return filler
}

// refuseAll has many writers at once try what there is no room for.
func refuseAll(t *testing.T, s *Store, dir string) {
	t.Helper()
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			it := store.Item{Key: fmt.Sprintf("state/user%d", i), Value: make([]byte, 32<<10)}
			_, err := s.Put(t.Context(), it)
			wantFull(t, err, filepath.Join(dir, "state.db"))
		})
	}
	wg.Wait()
}

// wantFull checks that err says that the file system of path is full.
func wantFull(t *testing.T, err error, path string) {
	t.Helper()
	wantText(t, err, fmt.Sprintf("the file system of %q is full", path))
	if !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("%v does not wrap its cause", err)
	}
}

// wantStored checks that s holds items.
func wantStored(t *testing.T, s *Store, items ...store.Item) {
	t.Helper()
	for _, want := range items {
		got, err := s.Get(t.Context(), want.Key)
		if err != nil || got.Rev != want.Rev || string(got.Value) != string(want.Value) {
			t.Errorf("Get(%q) = revision %d, %d bytes, %v; want revision %d, %d bytes",
				want.Key, got.Rev, len(got.Value), err, want.Rev, len(want.Value))
		}
	}
}

// A database whose making was cut short by a full disk is not left behind.
func TestFullDiskAtFirstStart(t *testing.T) {
	if dir := os.Getenv(inChild); dir != "" {
		if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64k,mode=0700"); err != nil {
			t.Fatal(err)
		}
		filler := fill(t, dir)
		if err := os.Truncate(filler, 48<<10); err != nil { // room for some pages, not for all
			t.Fatal(err)
		}
		s, err := Open(dir, aKey)
		wantFull(t, err, filepath.Join(dir, "state.db"))
		if s != nil {
			t.Fatal("Open went through")
		}
		if err := os.Remove(filler); err != nil {
			t.Fatal(err)
		}
		openStore(t, dir)
		return
	}
	needRoot(t, "only root can mount a file system")
	cmd := child(t, t.Name(), t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// On a disk that gets full under a log, writes go on while the log has room, and then fail
// and say why; what was acknowledged stays, and with room again all goes on.
func TestFullDiskUnderALog(t *testing.T) {
	mounting(t, fillDiskUnderALog)
}

// fillDiskUnderALog runs in the namespace.
func fillDiskUnderALog(t *testing.T, dir string) {
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=40m,mode=0700"); err != nil {
		t.Fatal(err)
	}
	s := openStore(t, dir)
	filler := fill(t, dir)
	wantFull(t, s.Check(t.Context()), dir)
	var kept []store.Item
	var err error
	for n := 0; err == nil; n++ {
		var it store.Item
		if it, err = s.Put(t.Context(), store.Item{Key: fmt.Sprintf("state/user%d", n), Value: make([]byte, 20<<10)}); err == nil {
			kept = append(kept, it)
		}
	}
	wantFull(t, err, filepath.Join(dir, "state.db"))
	if len(kept) < 50 {
		t.Errorf("%d writes", len(kept))
	}
	wantStored(t, s, kept...)
	_, err = s.Put(t.Context(), store.Item{Key: "state/more", Value: make([]byte, 20<<10)})
	wantFull(t, err, filepath.Join(dir, "state.db"))
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	if kept[0], err = s.Put(t.Context(), kept[0]); err != nil {
		t.Fatal(err)
	}
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, dir)
	wantStored(t, s, kept...)
	if _, err := s.Get(t.Context(), "state/more"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("what was refused: %v", err)
	}
}

// A daemon that is killed while many write and the log is folded loses no count, and makes
// none up.
func TestKilledWhileFolding(t *testing.T) {
	const users = 16
	if dir := os.Getenv(inChild); dir != "" {
		countUntilKilled(t, dir, users)
	}
	dir := filepath.Join(t.TempDir(), "mfa")
	acknowledged := map[string]int{}
	for round := range 3 {
		cmd := child(t, t.Name(), dir)
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for lines := bufio.NewScanner(out); lines.Scan(); n++ {
			var user string
			var count int
			if _, err := fmt.Sscanf(lines.Text(), "counted %s %d", &user, &count); err == nil {
				acknowledged[user] = max(acknowledged[user], count)
			}
			if n == 1000+100*round {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := cmd.Wait(); err == nil || n < 1000 {
			t.Fatalf("child: %v after %d counts", err, n)
		}
	}
	s := openStore(t, dir)
	for user, count := range acknowledged {
		it, err := s.Get(t.Context(), "state/"+user)
		if have, _, _ := strings.Cut(string(it.Value), " "); err != nil || have != fmt.Sprint(count) && have != fmt.Sprint(count+1) {
			t.Errorf("%s has %s, %v; %d were counted", user, have, err, count)
		}
	}
	if len(acknowledged) != users {
		t.Errorf("%d users", len(acknowledged))
	}
}

// countUntilKilled has users count at once, without end, in a store whose log is folded all
// the time.
func countUntilKilled(t *testing.T, dir string, users int) {
	setup := asUsual
	setup.shape = shape{size: 64 << 10, records: 12}
	s, err := openWith(dir, aKey, setup)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for user := range users {
		all.Go(func() {
			for {
				var n int
				err := store.Update(t.Context(), s, fmt.Sprintf("state/user%d", user), func(old []byte) ([]byte, error) {
					_, _ = fmt.Sscanf(string(old), "%d", &n) // none at first
					n++
					return fmt.Appendf(nil, "%d %s", n, strings.Repeat("x", 900)), nil
				})
				if err != nil {
					t.Error(err)
					return
				}
				fmt.Printf("counted user%d %d\n", user, n)
			}
		})
	}
	all.Wait()
}
