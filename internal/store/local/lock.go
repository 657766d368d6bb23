package local

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// A folderLock keeps other daemons out of a folder. It is flock(2) on the file "lock" in it,
// which ends with the process, however that ends. The file stays. In it stand the pid of the
// last holder, for people to read, and a word that is of that holder alone: flock(2) can be
// lost, as when a lock server of NFS restarts, and then the word tells that another daemon took
// the folder.
type folderLock struct {
	*os.File
	holds atomic.Pointer[string] // what stands in the file while it is ours; nil, empty: that is not known
}

// lockFolder takes dir for this process, as far as flock(2) does; see claim. The file belongs to
// the owner of dir, whoever makes it: a daemon reads it before each write.
func lockFolder(dir string) (*folderLock, error) {
	folder, err := os.Stat(dir)
	if err != nil {
		return nil, err
	}
	name := filepath.Join(dir, "lock")
	f, err := openToLock(name, os.O_RDWR|os.O_CREATE)
	if errors.Is(err, unix.EROFS) {
		f, err = openToLock(name, os.O_RDONLY) // flock(2) asks for no more
	}
	if err != nil {
		return nil, explain(name, err)
	}
	if err := give(f, folder); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if err := flock(f); err != nil {
		return nil, errors.Join(describeLock(dir, f, err), f.Close())
	}
	return &folderLock{File: f}, nil
}

var errNoLock = errors.New("not a regular file: remove it, a start makes it")

// openToLock opens a file for flock(2). It waits for nobody, and refuses what is no file.
func openToLock(name string, flag int) (*os.File, error) {
	f, err := os.OpenFile(name, flag|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o600)
	if errors.Is(err, unix.ELOOP) || errors.Is(err, unix.EISDIR) || errors.Is(err, unix.ENXIO) {
		return nil, fmt.Errorf("%q is %w", name, errNoLock)
	}
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%q is %w", name, errNoLock)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// claim writes who holds the folder. It is called once the database is this process's, too:
// whoever only tried must not stop the daemon that has it. On a disk that takes no writes
// flock alone has to do.
func (l *folderLock) claim() (err error) {
	text := fmt.Sprintf("%d\n%s\n", os.Getpid(), rand.Text())
	if _, err := l.WriteAt([]byte(text), 0); err == nil {
		_ = l.Truncate(int64(len(text)))
	}
	text, err = readLock(l.Name())
	l.holds.Store(&text)
	return err
}

// maxLock is how much of the file is read, in bytes.
const maxLock = 100

// readLock returns what stands in the file, or os.ErrNotExist. It opens the file anew: NFS looks
// at the server then (nfs(5), "Close-to-open cache consistency").
func readLock(name string) (string, error) {
	fd, err := retry(func() (int, error) { return unix.Open(name, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0) })
	if err != nil {
		return "", &os.PathError{Op: "open", Path: name, Err: err}
	}
	defer unix.Close(fd)
	buf := make([]byte, maxLock)
	n, err := retry(func() (int, error) { return unix.Pread(fd, buf, 0) })
	if err != nil {
		return "", &os.PathError{Op: "read", Path: name, Err: err}
	}
	return string(buf[:n]), nil
}

// lost returns an error if another daemon took the folder since, or if that cannot be found
// out. A file that is gone, or new, says nothing. Any number of goroutines may call it.
func (l *folderLock) lost() error {
	holds := l.holds.Load()
	if holds == nil || *holds == "" {
		return nil
	}
	now, err := readLock(l.Name())
	switch {
	case errors.Is(err, os.ErrNotExist), err == nil && (now == "" || now == *holds): // nobody has claimed it
		return nil
	case err != nil:
		return fmt.Errorf("find out whether the store is still this daemon's: %w", err)
	}
	who := "it has ended"
	if pid, _, _ := strings.Cut(now, "\n"); pid != "" {
		who = "process " + pid + " of this or another host"
	}
	return fmt.Errorf("another daemon took the folder %q (%s), though this one has locked it; "+
		"this one decides nothing any more. Have one mfad alone use a folder, on a disk of its host, and restart it", filepath.Dir(l.Name()), who)
}

// release ends the lock. Closing alone would leave it with a child process that is between
// its fork and its exec.
func (l *folderLock) release() error {
	if l.holds.Load() != nil && l.lost() == nil {
		if _, err := l.WriteAt([]byte("\n"), 0); err == nil { // no pid, and no word of a former holder either
			_ = l.Truncate(1)
		}
	}
	return errors.Join(unix.Flock(int(l.Fd()), unix.LOCK_UN), l.Close())
}

// flock takes the lock without waiting.
func flock(f *os.File) error {
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

var errHeld = errors.New("in use by another daemon")

// describeLock returns err, or errHeld with the process that holds the lock.
func describeLock(dir string, f *os.File, err error) error {
	if !errors.Is(err, unix.EWOULDBLOCK) {
		return &os.PathError{Op: "lock", Path: f.Name(), Err: err}
	}
	text, _ := io.ReadAll(io.LimitReader(f, maxLock))
	pid, _, _ := strings.Cut(string(text), "\n")
	if _, err := strconv.ParseUint(pid, 10, 31); err == nil {
		return fmt.Errorf("folder %q is %w, process %s", dir, errHeld, pid)
	}
	return fmt.Errorf("folder %q is %w", dir, errHeld)
}
