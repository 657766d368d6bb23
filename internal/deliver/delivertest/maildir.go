package delivertest

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// ReadMaildir returns the messages in new of the maildir at path, oldest first;
// none if it does not exist yet.
func ReadMaildir(t testing.TB, path string) []Mail {
	t.Helper()
	type dated struct {
		raw string
		at  time.Time
	}
	var found []dated
	entries, err := os.ReadDir(filepath.Join(path, "new"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		raw, err := os.ReadFile(filepath.Join(path, "new", e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, dated{string(raw), info.ModTime()})
	}
	slices.SortStableFunc(found, func(a, b dated) int { return a.at.Compare(b.at) })
	mails := make([]Mail, 0, len(found))
	for _, f := range found {
		mails = append(mails, ParseMail(t, f.raw))
	}
	return mails
}

// WaitMaildir waits until the maildir at path holds n messages and returns
// them. The folder that path is in must exist. It fails the test after 30 s.
func WaitMaildir(t testing.TB, path string, n int) []Mail {
	t.Helper()
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		t.Fatalf("inotify: %v", err)
	}
	defer unix.Close(fd)
	deadline := time.Now().Add(30 * time.Second)
	for {
		// Watch first, look then: what arrives in between wakes us.
		watchMaildir(t, fd, path)
		if mails := ReadMaildir(t, path); len(mails) >= n {
			return mails
		}
		left := time.Until(deadline)
		if left <= 0 {
			t.Fatalf("maildir %q: fewer than %d messages after 30 s", path, n)
		}
		awaitEvent(t, fd, left)
	}
}

// watchMaildir watches what exists of the maildir, from the top down: what
// appears below the last folder watched shows as an event in it.
func watchMaildir(t testing.TB, fd int, path string) {
	t.Helper()
	for _, dir := range []string{filepath.Dir(path), path, filepath.Join(path, "new")} {
		_, err := unix.InotifyAddWatch(fd, dir, unix.IN_CREATE|unix.IN_MOVED_TO)
		if errors.Is(err, unix.ENOENT) && dir != filepath.Dir(path) {
			return
		}
		if err != nil {
			t.Fatalf("watch %q: %v", dir, err)
		}
	}
}

func awaitEvent(t testing.TB, fd int, limit time.Duration) {
	t.Helper()
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	_, err := unix.Poll(fds, int(limit/time.Millisecond)+1)
	if err != nil && !errors.Is(err, unix.EINTR) {
		t.Fatalf("poll: %v", err)
	}
	_, _ = unix.Read(fd, make([]byte, 4096)) // which event it was does not matter
}
