package setup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mfa/internal/audit"
	"mfa/internal/mfa"
)

// testTime is when changes are made.
var testTime = time.Date(2026, 3, 1, 14, 3, 5, 0, time.UTC)

// twoFiles returns a change of a file that is there, with a mode of its own, and of
// one that is not. Backups go to a folder of the test's.
func twoFiles(t *testing.T) (dir string, changes []Change) {
	t.Helper()
	if os.Geteuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("needs root")
		}
		t.Skip("needs root: files are root's")
	}
	dir = t.TempDir()
	backupFolder = filepath.Join(dir, "backups")
	t.Cleanup(func() { backupFolder = Folder })
	write(t, dir+"/old", "before\n")
	if err := errors.Join(os.Chmod(dir+"/old", 0o640), os.Chown(dir+"/old", 1, 2)); err != nil {
		t.Fatal(err)
	}
	return dir, []Change{
		{dir + "/old", []byte("before\n"), []byte("after\n")},
		{dir + "/new", nil, []byte("new\n")},
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// expect fails unless a file has that content; "" means that it is not there.
func expect(t *testing.T, path, want string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	if string(data) != want {
		t.Errorf("%s is %q, want %q", path, data, want)
	}
}

func mustKeep(t *testing.T, changes []Change) *Backup {
	t.Helper()
	b, err := Keep("sshd", changes, testTime)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func apply(t *testing.T, changes []Change) *Backup {
	t.Helper()
	b := mustKeep(t, changes)
	if err := b.Apply(); err != nil {
		t.Fatal(err)
	}
	return b
}

func TestUndoPutsBackBitByBit(t *testing.T) {
	dir, changes := twoFiles(t)
	apply(t, changes)
	expect(t, dir+"/old", "after\n")
	expect(t, dir+"/new", "new\n")

	b, err := Find("sshd")
	if err != nil || !b.Pending() || !b.Made.Equal(testTime) || len(b.Paths()) != 2 {
		t.Fatalf("found %+v, %v", b, err)
	}
	for range 2 { // twice is no error
		if kept, err := b.Undo(false); err != nil || kept != nil {
			t.Fatal(kept, err)
		}
		expect(t, dir+"/old", "before\n")
		expect(t, dir+"/new", "")
	}
	info, err := os.Stat(dir + "/old")
	if err != nil || info.Mode() != 0o640 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if out, _ := exec.CommandContext(t.Context(), "stat", "-c", "%u:%g", dir+"/old").Output(); string(out) != "1:2\n" {
		t.Errorf("owner %s", out)
	}
	if _, err := Find("sshd"); !errors.Is(err, ErrNone) {
		t.Errorf("still found: %v", err)
	}
	if left, _ := filepath.Glob(dir + "/.mfa-setup-*"); left != nil {
		t.Errorf("left behind: %v", left)
	}
}

func TestKeepRefuses(t *testing.T) {
	dir, changes := twoFiles(t)
	mustKeep(t, changes)
	if _, err := Keep("sshd", changes, testTime); err == nil {
		t.Error("an earlier backup was replaced")
	}
	if err := os.Symlink("old", dir+"/link"); err != nil {
		t.Fatal(err)
	}
	if _, err := Keep("su", []Change{{dir + "/link", []byte("before\n"), nil}}, testTime); err == nil {
		t.Error("a link was taken for a file")
	}
	if err := os.Chmod(backupFolder, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := Find("sshd"); err == nil {
		t.Error("a backup was read that others could have written")
	}
}

func TestApplyTakesBackWhatItWrote(t *testing.T) {
	dir, changes := twoFiles(t)
	write(t, dir+"/file", "")
	changes = append(changes, Change{dir + "/file/below", nil, []byte("x")})
	b, err := Keep("sshd", changes[:2], testTime)
	if err != nil {
		t.Fatal(err)
	}
	b.files = append(b.files, backedUp{Path: dir + "/file/below", After: []byte("x")})
	if err := b.Apply(); err == nil {
		t.Fatal("a file below a file was written")
	}
	expect(t, dir+"/old", "before\n")
	expect(t, dir+"/new", "")
}

func TestConfirmedOrTakenBack(t *testing.T) {
	_, changes := twoFiles(t)
	b := apply(t, changes)
	if err := b.Confirm(); err != nil || b.Pending() {
		t.Fatalf("confirmed: %v, pending %v", err, b.Pending())
	}
	if _, err := b.Undo(false); err != nil {
		t.Fatal(err)
	}
	b = apply(t, changes)
	if _, err := b.Undo(true); err != nil {
		t.Fatal(err)
	}
	if err := b.Confirm(); !errors.Is(err, ErrTakenBack) {
		t.Errorf("confirmed what was taken back: %v", err)
	}
}

func TestUndoAndWhatOthersWrote(t *testing.T) {
	dir, changes := twoFiles(t)
	b := apply(t, changes)
	write(t, dir+"/old", "mine\n")
	_, err := b.Undo(false)
	if foreign, ok := errors.AsType[Foreign](err); !ok || len(foreign.Paths) != 1 || foreign.Paths[0] != dir+"/old" {
		t.Fatalf("error %v", err)
	}
	expect(t, dir+"/old", "mine\n")
	expect(t, dir+"/new", "new\n")

	kept, err := b.Undo(true)
	if err != nil || len(kept) != 1 {
		t.Fatal(kept, err)
	}
	expect(t, kept[0], "mine\n")
	expect(t, dir+"/old", "before\n")
	expect(t, dir+"/new", "")
}

// A file that the change made goes, whatever others wrote to it since: that is kept beside the backup.
func TestUndoOfAFileThatWasMade(t *testing.T) {
	dir, changes := twoFiles(t)
	b := apply(t, changes)
	write(t, dir+"/new", "new\nmine\n")
	if back, err := b.Back(); err != nil || len(back) != 2 {
		t.Errorf("what would change: %v, %v", back, err)
	}
	kept, err := b.Undo(false)
	if err != nil || len(kept) != 1 {
		t.Fatal(kept, err)
	}
	expect(t, kept[0], "new\nmine\n")
	expect(t, dir+"/old", "before\n")
	expect(t, dir+"/new", "")
}

// sleeper is a process for a guard to watch.
func sleeper(t *testing.T) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sleep", "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return cmd
}

func TestGuard(t *testing.T) {
	never, atOnce := time.Now().Add(time.Hour), time.Now()
	for name, tc := range map[string]struct {
		until time.Time
		do    func(t *testing.T, b *Backup, watched *exec.Cmd, end func())
		back  bool
	}{
		"the process is killed": {never, func(_ *testing.T, _ *Backup, p *exec.Cmd, _ func()) { _ = p.Process.Kill() }, true},
		"time is up":            {atOnce, func(*testing.T, *Backup, *exec.Cmd, func()) {}, true},
		"the machine stops":     {never, func(_ *testing.T, _ *Backup, _ *exec.Cmd, end func()) { end() }, true},
		"confirmed": {never, func(t *testing.T, b *Backup, _ *exec.Cmd, _ func()) {
			if err := b.Confirm(); err != nil {
				t.Error(err)
			}
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			dir, changes := twoFiles(t)
			b := mustKeep(t, changes)
			p := sleeper(t)
			ctx, end := context.WithCancel(t.Context())
			defer end()
			told, done := false, make(chan error, 1)
			if err := b.Apply(); err != nil {
				t.Fatal(err)
			}
			go func() {
				done <- Guard(ctx, "sshd", p.Process.Pid, tc.until, func(*Backup, []string) error { told = true; return nil })
			}()
			if tc.until.Equal(never) {
				if err := b.Guarded(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			tc.do(t, b, p, end)
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			want := "after\n"
			if tc.back {
				want = "before\n"
			}
			expect(t, dir+"/old", want)
			if told != tc.back {
				t.Errorf("told that it is taken back: %v, want %v", told, tc.back)
			}
		})
	}
}

func TestGuardThatDoesNotComeUp(t *testing.T) {
	_, changes := twoFiles(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("too late"))
	if err := mustKeep(t, changes).Guarded(ctx); err == nil || !strings.Contains(err.Error(), "too late") {
		t.Errorf("error %v", err)
	}
}

// event is a line of the audit file.
func event(name, service, outcome string, at time.Time) string {
	return fmt.Sprintf(`{"time":%q,"event":%q,"service":%q,"outcome":%q,"user":"alice"}`+"\n", at.Format(time.RFC3339Nano), name, service, outcome)
}

func TestProof(t *testing.T) {
	good := event(audit.Login, "sshd", mfa.Accepted.String(), testTime)
	for name, tc := range map[string]struct {
		line  string
		count bool
	}{
		"a login":         {good, true},
		"refused":         {event(audit.Login, "sshd", mfa.WrongCode.String(), testTime), false},
		"exempt":          {event(audit.Login, "sshd", mfa.Exempt.String(), testTime), false},
		"another service": {event(audit.Login, "sudo", mfa.Accepted.String(), testTime), false},
		"no login":        {event(audit.Enrolled, "sshd", mfa.Accepted.String(), testTime), false},
		"too early":       {event(audit.Login, "sshd", mfa.Accepted.String(), testTime.Add(-time.Second)), false},
		"not whole":       {strings.TrimSuffix(good, "\n"), false},
		"not JSON":        {"accepted\n", false},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "audit.jsonl")
			write(t, file, good) // from before the change
			p, err := Watch(file, []string{"sshd"}, "")
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			write(t, file, good+tc.line)
			ctx, cancel := context.WithCancelCause(t.Context())
			cancel(errors.New("nobody came"))
			ev, err := p.Await(ctx, testTime)
			if (err == nil) != tc.count || tc.count && ev.User != "alice" {
				t.Errorf("%+v, %v", ev, err)
			}
		})
	}
}

// The file may be rotated away, and may not be there yet.
func TestProofAcrossRotation(t *testing.T) {
	file := filepath.Join(t.TempDir(), "audit.jsonl")
	p, err := Watch(file, []string{"sshd"}, "")
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("nobody came"))
	for _, name := range []string{"first", "second"} {
		write(t, file, event(audit.Login, "su", mfa.Accepted.String(), testTime))
		if _, err := p.Await(ctx, testTime); err == nil {
			t.Fatalf("%s: a login came of nothing", name)
		}
		if err := os.Rename(file, file+".1"); err != nil {
			t.Fatal(err)
		}
	}
	write(t, file, event(audit.Login, "sshd", mfa.Accepted.String(), testTime))
	if _, err := p.Await(ctx, testTime); err != nil {
		t.Error(err)
	}
}

// The file may be copied and cut down (logrotate(8), copytruncate), and have grown past
// its old length before it is looked at.
func TestProofAcrossCopytruncate(t *testing.T) {
	file := filepath.Join(t.TempDir(), "audit.jsonl")
	write(t, file, event(audit.Login, "su", mfa.Accepted.String(), testTime))
	p, err := Watch(file, []string{"sshd"}, "")
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	write(t, file, event(audit.Login, "sshd", mfa.Accepted.String(), testTime))
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("nobody came"))
	if _, err := p.Await(ctx, testTime); err != nil {
		t.Error(err)
	}
}
