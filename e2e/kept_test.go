package e2e

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// settle waits until the file was left alone for so long that the daemon may keep it.
func settle(t *testing.T, file string) {
	t.Helper()
	var st unix.Stat_t
	ok(t, unix.Stat(file, &st))
	time.Sleep(time.Until(time.Unix(st.Ctim.Unix()).Add(2100 * time.Millisecond)))
}

// The daemon has read a record for some logins, and nothing touched it for long. Then an
// administrator changes it, in ways that leave its name, length and time as they were:
// the next login goes by what is there.
func TestKeptRecordIsChanged(t *testing.T) {
	s, clock := inProcess(t)
	alice := newAccount(t, "alice")
	p, _ := s.enrollByApp(alice, clock)
	file := s.path("store/users/" + alice.name + ".toml")
	copied := s.path("copy.toml")
	ok(t, exec.Command("cp", "-p", file, copied).Run())
	record := s.record(alice)
	anothers := regexp.MustCompile(`(?m)^uid = \d(\d+)`).ReplaceAllString(record, "uid = 9$1")
	if len(anothers) != len(record) || anothers == record {
		t.Fatalf("record:\n%s", record)
	}
	for _, tc := range []struct {
		name   string
		change func() error
		next   string // what the next login is asked or told
	}{
		{"edited in place", func() error { return os.WriteFile(file, []byte(anothers), 0o600) }, choicePrompt},
		{"replaced", func() error {
			return errors.Join(os.WriteFile(file+"~", []byte(anothers), 0o600), os.Rename(file+"~", file))
		}, choicePrompt},
		{"edited by another of its names", func() error {
			other := s.path("other.toml")
			return errors.Join(os.Link(file, other), os.WriteFile(other, []byte(anothers), 0o600), os.Remove(other))
		}, choicePrompt},
		{"restored", func() error {
			was := s.path("was.toml")
			return errors.Join(os.WriteFile(was, []byte(anothers), 0o600), exec.Command("touch", "-r", file, was).Run(), exec.Command("cp", "-p", was, file).Run())
		}, choicePrompt},
		{"removed", func() error { return os.Remove(file) }, choicePrompt},
		{"chmod 666", func() error { return os.Chmod(file, 0o666) }, "cannot be checked"},
		{"chown", func() error { return os.Chown(file, 4711, -1) }, "cannot be checked"},
		{"a link", func() error { return errors.Join(os.Remove(file), os.Symlink(copied, file)) }, "cannot be checked"},
		{"its folder replaced", func() error {
			dir := filepath.Dir(file)
			return errors.Join(exec.Command("cp", "-a", dir, dir+".new").Run(), os.WriteFile(filepath.Join(dir+".new", filepath.Base(file)), []byte(anothers), 0o600),
				os.Rename(dir, dir+".old"), os.Rename(dir+".new", dir))
		}, "cannot be checked"}, // and the daemon wants to be started again
	} {
		t.Run(tc.name, func(t *testing.T) {
			_ = os.Remove(file)
			ok(t, exec.Command("cp", "-p", copied, file).Run())
			ok(t, os.Chown(file, 0, 0))
			var st unix.Stat_t
			ok(t, unix.Stat(file, &st))
			settle(t, file)
			for range 2 {
				clock.pass(p.period)
				s.loginByApp(alice, p, clock)
			}
			ok(t, tc.change())
			_ = os.Chtimes(file, time.Time{}, time.Unix(st.Mtim.Unix()))
			c := s.begin(alice)
			c.expect(t, tc.next)
			c.close()
		})
	}
}
