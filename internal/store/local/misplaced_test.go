package local

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"mfa/internal/store"
	"mfa/internal/store/local/wal"
)

// copyOf returns a copy of a folder whose daemon runs, as it is after the daemon is killed.
func copyOf(t *testing.T, dir string) string {
	t.Helper()
	copied := filepath.Join(inMemory(t), "mfa")
	if out, err := exec.Command("cp", "-a", dir, copied).CombinedOutput(); err != nil {
		t.Fatal(string(out))
	}
	return copied
}

// Whatever becomes of the files of the log while a daemon runs, by a restore, sed -i or a
// cleaner of logs: what is acknowledged after it is there after a kill, and so is what was
// acknowledged before once the store was looked at.
func TestLogIsReplacedInUse(t *testing.T) {
	each := func(do func(path string) error) func(dir string) error {
		return func(dir string) error {
			return errors.Join(do(filepath.Join(dir, wal.Names[0])), do(filepath.Join(dir, wal.Names[1])))
		}
	}
	for name, harm := range map[string]func(dir string) error{
		"by copies": each(func(path string) error {
			data, err := os.ReadFile(path)
			return errors.Join(err, os.WriteFile(path+".new", data, 0o600), os.Rename(path+".new", path))
		}),
		"one of them": func(dir string) error {
			path := filepath.Join(dir, wal.Names[1])
			data, err := os.ReadFile(path)
			return errors.Join(err, os.WriteFile(path+".new", data, 0o600), os.Rename(path+".new", path))
		},
		"cut":     each(func(path string) error { return os.Truncate(path, 0) }),
		"removed": each(os.Remove),
		"moved":   each(func(path string) error { return os.Rename(path, path+".1") }),
	} {
		for _, looked := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				s := newStore(t)
				put := func(key, value string) {
					t.Helper()
					it, err := s.Get(t.Context(), key)
					if it.Key, it.Value = key, []byte(value); err != nil {
						it.Rev = 0
					}
					if _, err := s.Put(t.Context(), it); err != nil {
						t.Fatal(err)
					}
				}
				put("state/bob", "before")
				put("state/alice", "good")
				if err := harm(s.dir); err != nil {
					t.Fatal(err)
				}
				if looked {
					if err := s.Check(t.Context()); err != nil {
						t.Fatal(err)
					}
				} else {
					put("state/alice", "spent")
				}
				killed := openStore(t, copyOf(t, s.dir))
				if it, err := killed.Get(t.Context(), "state/bob"); err != nil || string(it.Value) != "before" {
					t.Errorf("%q, %v", it.Value, err)
				}
				if looked {
					return
				}
				wantSpent(t, killed, "spent")
			})
		}
	}
}

// Files of the log may have holes: tar -S, rsync -S and backup programs make them of zeros.
// On a full disk such a log cannot be written, and the database, which has free pages, can.
func TestLogWithHolesOnAFullDisk(t *testing.T) {
	mounting(t, holes)
}

func holes(t *testing.T, dir string) {
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=48m,mode=0700"); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Unmount(dir, 0) }()
	s := openStore(t, dir)
	it := store.Item{Key: "state/alice", Value: []byte("1")}
	write := func(times int) {
		t.Helper()
		for range times {
			var err error
			if it, err = s.Put(t.Context(), it); err != nil {
				t.Fatal(err)
			}
		}
	}
	write(20)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range wal.Names {
		path := filepath.Join(dir, name)
		head, err := os.ReadFile(path)
		if err = errors.Join(err, os.WriteFile(path, head[:wal.BlockSize], 0o600), os.Truncate(path, usual.size)); err != nil {
			t.Fatal(err)
		}
	}
	fill(t, dir)
	s = openStore(t, dir)
	if next, err := s.Put(t.Context(), it); err == nil { // the log may take one where it has no hole
		it = next
	}
	write(20)
	if err := s.Check(t.Context()); err != nil && !errors.Is(err, syscall.ENOSPC) {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// asNobody runs the test again as another user, with a copy of dir that is theirs but for
// the files of the log.
func asNobody(t *testing.T, dir string) {
	t.Helper()
	needRoot(t, "only root can give files away")
	top := inMemory(t)
	copied := filepath.Join(top, "mfa")
	script := "cp -a $1 $2/mfa && cp $0 $2/test && chmod 755 $2 $2/test && chown -R 65534:65534 $2/mfa && chown 0:0 $2/mfa/state-*.log && chmod 600 $2/mfa/state-*.log"
	if out, err := exec.Command("sh", "-c", script, os.Args[0], dir, top).CombinedOutput(); err != nil {
		t.Fatal(string(out))
	}
	cmd := child(t, t.Name(), copied)
	cmd.Path, cmd.Dir = filepath.Join(top, "test"), "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// After a clean stop nothing in the files of the log counts, so it does no harm that they
// cannot be opened.
func TestLogOfRootAfterACleanStop(t *testing.T) {
	if dir := os.Getenv(inChild); dir != "" {
		s := openStore(t, dir)
		for _, key := range []string{"state/bob", "state/carol"} {
			if _, err := s.Put(t.Context(), store.Item{Key: key}); err != nil {
				t.Error(err)
			}
		}
		return
	}
	s := newStore(t)
	if _, err := s.Put(t.Context(), store.Item{Key: "state/alice", Value: []byte("1")}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	asNobody(t, s.dir)
}

// After a kill they count. That they cannot be read is no damage: the words must not lead to
// mfad --new-state, which forgets all locks.
func TestLogOfRootAfterAKill(t *testing.T) {
	if dir := os.Getenv(inChild); dir != "" {
		_, err := Open(dir, aKey)
		if err == nil || strings.Contains(err.Error(), "damaged") || !strings.Contains(err.Error(), "chown --reference="+dir+" "+filepath.Join(dir, wal.Names[0])) {
			t.Errorf("%v", err)
		}
		return
	}
	asNobody(t, killed(t))
}
