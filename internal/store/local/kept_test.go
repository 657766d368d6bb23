package local

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mfa/internal/host/file"
	"mfa/internal/store"
)

const alice = store.Users + "alice"

// later has s go by a clock that is so far ahead of the kernel's: whatever was written
// was left alone for so long.
func later(s *Store, by time.Duration) {
	s.files.kept.now = func() file.Moment {
		now := file.Now()
		return file.Moment{Wall: now.Wall + by, Steady: now.Steady + by}
	}
}

// settledFile returns a store that keeps the file of alice, which holds text.
func settledFile(t *testing.T, text string) (s *Store, path string) {
	t.Helper()
	s = newStore(t)
	enroll(t, s, "alice", text)
	later(s, time.Hour)
	reads(t, s, text)
	path = s.Location(alice)
	if !s.keeps(path) {
		t.Fatal("the file is not kept")
	}
	reads(t, s, text)
	return s, path
}

func (s *Store) keeps(path string) bool {
	s.files.kept.mu.RLock()
	defer s.files.kept.mu.RUnlock()
	_, is := s.files.kept.files[path]
	return is
}

// reads checks what Get returns for alice.
func reads(t *testing.T, s *Store, want string) {
	t.Helper()
	if it, err := s.Get(t.Context(), alice); err != nil || string(it.Value) != want {
		t.Errorf("Get = %q, %v; want %q", it.Value, err, want)
	}
}

// run runs a program as an administrator would.
func run(name string, arg ...string) error {
	if out, err := exec.Command(name, arg...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s %q: %w: %s", name, arg, err, out)
	}
	return nil
}

// overwrite changes the bytes of the file in place.
func overwrite(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt([]byte(text), 0)
	return errors.Join(err, f.Close())
}

// timesOf returns how to put the times of a file back.
func timesOf(path string) (putBack func() error, err error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return nil, err
	}
	return func() error { return unix.UtimesNanoAt(unix.AT_FDCWD, path, []unix.Timespec{st.Atim, st.Mtim}, 0) }, nil
}

// However a file that is kept comes to hold something else, that counts at once.
func TestEveryChangeOfAKeptFileCounts(t *testing.T) {
	for name, change := range map[string]func(path string) error{
		"edited in place, of the same size": func(path string) error { return overwrite(path, "two") },
		"and its time put back": func(path string) error {
			putBack, err := timesOf(path)
			if err != nil {
				return err
			}
			return errors.Join(overwrite(path, "two"), putBack())
		},
		"replaced": func(path string) error {
			return errors.Join(os.WriteFile(path+"~", []byte("two"), 0o600), os.Rename(path+"~", path))
		},
		"replaced by a copy of the same time": func(path string) error {
			other := filepath.Join(filepath.Dir(path), "copy")
			return errors.Join(run("cp", "-p", path, other), overwrite(other, "two"), run("touch", "-r", path, other), os.Rename(other, path))
		},
		"restored by cp -p": func(path string) error {
			backup := filepath.Join(filepath.Dir(path), "backup")
			return errors.Join(os.WriteFile(backup, []byte("two"), 0o600), run("touch", "-r", path, backup), run("cp", "-p", backup, path))
		},
		"restored by tar": func(path string) error {
			dir := filepath.Join(filepath.Dir(path), "x")
			tar := filepath.Join(filepath.Dir(path), "x.tar")
			return errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(filepath.Join(dir, "alice.toml"), []byte("two"), 0o600),
				run("touch", "-r", path, filepath.Join(dir, "alice.toml")),
				run("tar", "-C", dir, "-cf", tar, "alice.toml"), run("tar", "-C", filepath.Dir(path), "-xpf", tar))
		},
		"changed by another of its names": func(path string) error {
			other := filepath.Join(filepath.Dir(path), "link")
			putBack, err := timesOf(path)
			if err != nil {
				return err
			}
			return errors.Join(os.Link(path, other), overwrite(other, "two"), putBack(), os.Remove(other))
		},
		"its folder replaced": func(path string) error {
			dir := filepath.Dir(path)
			return errors.Join(run("cp", "-a", dir, dir+".new"), overwrite(filepath.Join(dir+".new", "alice.toml"), "two"),
				run("touch", "-r", path, filepath.Join(dir+".new", "alice.toml")), os.Rename(dir, dir+".old"), os.Rename(dir+".new", dir))
		},
		"sed": func(path string) error { return run("sed", "-i", "s/one/two/", path) },
	} {
		t.Run(name, func(t *testing.T) {
			s, path := settledFile(t, "one")
			it, err := s.Get(t.Context(), alice)
			if err != nil {
				t.Fatal(err)
			}
			if err := change(path); err != nil {
				t.Fatal(err)
			}
			reads(t, s, "two")
			reads(t, s, "two")
			if _, err := s.Put(t.Context(), it); !errors.Is(err, store.ErrConflict) {
				t.Errorf("Put by what was kept: %v", err)
			}
		})
	}
}

// A file that is kept and cannot be trusted any more is refused at once.
func TestKeptFileIsRefusedAtOnce(t *testing.T) {
	for name, test := range map[string]struct {
		change func(path string) error
		want   string
	}{
		"chmod 666": {func(path string) error { return os.Chmod(path, 0o666) }, "chmod go-w"},
		"chmod 620": {func(path string) error { return os.Chmod(path, 0o620) }, "chmod go-w"},
		"a link to itself": {func(path string) error {
			return errors.Join(os.Rename(path, path+".away"), os.Symlink(path+".away", path))
		}, "symbolic link"},
		"a folder": {func(path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o700)) }, "plain file"},
	} {
		t.Run(name, func(t *testing.T) {
			s, path := settledFile(t, "one")
			if err := test.change(path); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				_, err := s.Get(t.Context(), alice)
				wantText(t, err, test.want, path)
			}
		})
	}
}

func TestKeptFileOfAnotherOwnerIsRefused(t *testing.T) {
	needRoot(t, "only root can give a file away")
	s, path := settledFile(t, "one")
	if err := os.Chown(path, 12345, -1); err != nil {
		t.Fatal(err)
	}
	_, err := s.Get(t.Context(), alice)
	wantText(t, err, "belongs to uid 12345")
	if err := os.Chown(path, 0, -1); err != nil {
		t.Fatal(err)
	}
	reads(t, s, "one")
}

func TestKeptFileThatIsGone(t *testing.T) {
	s, path := settledFile(t, "one")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(t.Context(), alice); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Get of a removed file: %v", err)
	}
	s, path = settledFile(t, "one")
	if err := os.Rename(filepath.Dir(path), filepath.Dir(path)+".away"); err != nil {
		t.Fatal(err)
	}
	_, err := s.Get(t.Context(), alice)
	if wantText(t, err, filepath.Dir(path)); errors.Is(err, store.ErrNotFound) {
		t.Errorf("%v counts as not found", err)
	}
}

// forge has the store keep text for the file as it is now: as if a change had left all
// that the kernel says of the file as it was.
func forge(t *testing.T, s *Store, path, text string) {
	t.Helper()
	k := s.files.kept
	f, has := k.files[path]
	if !has {
		t.Fatal("the file is not kept")
	}
	f.value, f.rev = []byte(text), contentRev([]byte(text))
	k.files[path] = f
}

// A file that is replaced is looked at itself, not what was kept of it.
func TestReplacedFileIsLookedAtItself(t *testing.T) {
	s, path := settledFile(t, "one")
	forge(t, s, path, "forged")
	it, err := s.Get(t.Context(), alice)
	if err != nil || string(it.Value) != "forged" {
		t.Fatalf("Get = %q, %v", it.Value, err)
	}
	if _, err := s.Put(t.Context(), it); !errors.Is(err, store.ErrConflict) {
		t.Errorf("Put: %v", err)
	}
	reads(t, s, "one")
}

// A Mark that does not count any more has the file read anew.
func TestKeptFileDoesNotCountForLong(t *testing.T) {
	s, path := settledFile(t, "one")
	forge(t, s, path, "forged")
	reads(t, s, "forged")
	later(s, time.Hour+file.MarkedFor)
	reads(t, s, "one")
}

// Written, read, written again with as many bytes, all at once: by the real clocks.
func TestEditsWithinOneSecond(t *testing.T) {
	s := newStore(t)
	enroll(t, s, "alice", "000000")
	path := s.Location(alice)
	for i := range 300 {
		text := fmt.Sprintf("%06d", i)
		if err := overwrite(path, text); err != nil {
			t.Fatal(err)
		}
		reads(t, s, text)
		if s.keeps(path) {
			t.Fatal("a file is kept that was just written")
		}
	}
}

// A server's kernel may know of a change that ours does not.
func TestFileOfAnotherMachineIsNotKept(t *testing.T) {
	s := newStore(t)
	later(s, time.Hour)
	fd, err := unix.Open("/proc/self/status", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if s.files.kept.put("x", fd, &unix.Stat_t{}, s.files.kept.now(), nil, 1); s.keeps("x") {
		t.Error("kept")
	}
}

func TestKeptValueIsNobodysToChange(t *testing.T) {
	s, _ := settledFile(t, "one")
	for range 3 {
		it, err := s.Get(t.Context(), alice)
		if err != nil || string(it.Value) != "one" {
			t.Fatalf("Get = %q, %v", it.Value, err)
		}
		copy(it.Value, "two")
	}
}

func TestKeptFilesAreBounded(t *testing.T) {
	s, path := settledFile(t, "one")
	k := s.files.kept
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	for i := range maxKept + 10 {
		k.put(fmt.Sprint(i), fd, &unix.Stat_t{}, k.now(), nil, 1)
	}
	if len(k.files) != maxKept {
		t.Errorf("%d files are kept, want %d", len(k.files), maxKept)
	}
	if k.put("big", fd, &unix.Stat_t{}, k.now(), make([]byte, maxKeptSize+1), 1); s.keeps("big") {
		t.Error("a big file is kept")
	}
}

// Nobody reads, while others write, what was replaced before. Each write is
// longer than the last, so that the kernel's clock, which ticks, tells them apart.
func TestKeptFileIsNeverBehind(t *testing.T) {
	s, path := settledFile(t, "x")
	var wrote atomic.Int64
	wrote.Store(1)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				least := wrote.Load()
				it, err := s.Get(t.Context(), alice)
				if err != nil || int64(len(it.Value)) < least {
					t.Errorf("Get = %d bytes, %v; %d were there before", len(it.Value), err, least)
					return
				}
			}
		})
	}
	for n := int64(2); n < 500; n++ {
		text := bytes.Repeat([]byte("x"), int(n))
		var err error
		switch n % 3 {
		case 0: // as the daemon does
			var it store.Item
			if it, err = s.Get(t.Context(), alice); err == nil {
				it.Value = text
				_, err = s.Put(t.Context(), it)
			}
		case 1: // as an editor does
			err = errors.Join(os.WriteFile(path+"~", text, 0o600), os.Rename(path+"~", path))
		default: // by appending
			err = overwrite(path, string(text))
		}
		if err != nil {
			t.Fatal(err)
		}
		wrote.Store(n)
	}
	close(stop)
	wg.Wait()
}

func BenchmarkGetEnrollment(b *testing.B) {
	for name, ahead := range map[string]time.Duration{"anew": -time.Hour, "kept": time.Hour} {
		b.Run(name, func(b *testing.B) {
			f, err := openFiles(filepath.Join(b.TempDir(), "users"), asUsual.lost)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := f.swap(b.Context(), "alice", 0, bytes.Repeat([]byte("x"), 400)); err != nil {
				b.Fatal(err)
			}
			f.kept.now = func() file.Moment {
				now := file.Now()
				return file.Moment{Wall: now.Wall + ahead, Steady: now.Steady}
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := f.get("alice"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
