package local

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"mfa/internal/host/file"
	"mfa/internal/store"
)

// maxFile bounds an enrollment, in bytes.
const maxFile = 64 << 10

// temporary is how the names of files begin that are not yet in place.
const temporary = ".new-"

// files is the folder of enrollments, one file a user. The revision of a file
// is a hash of its content, so an edit by hand changes it like any write.
//
// An editor does not know of mu: an edit saved within the fraction of a
// millisecond between a swap's look at the old file and its rename is lost.
type files struct {
	dir    string
	opened os.FileInfo // of dir
	health health
	kept   *kept
	lost   func() error // of a folderLock

	mu     sync.Mutex // guards closed, and all writing in dir
	closed bool
}

// openFiles opens the folder dir, makes it when missing, and removes the files of
// writes that were cut short, if the disk takes writes. Lost tells, before each write, that the
// folder is another daemon's now.
func openFiles(dir string, lost func() error) (*files, error) {
	if err := makeFolder(dir); err != nil {
		return nil, err
	}
	opened, err := os.Stat(dir)
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), temporary) {
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil && !errors.Is(err, syscall.EROFS) {
				return nil, err
			}
		}
	}
	return &files{dir: dir, opened: opened, kept: newKept(), lost: lost}, nil
}

// close refuses further writes, after the one under way.
func (f *files) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
}

func (f *files) present() error { return samePlace(f.dir, f.opened) }

func (f *files) location(user string) string {
	name, err := escapedName(user)
	if err != nil {
		return store.Users + user
	}
	return filepath.Join(f.dir, name)
}

func (f *files) get(user string) ([]byte, uint64, error) {
	name, err := escapedName(user)
	if err != nil {
		return nil, 0, err
	}
	path := filepath.Join(f.dir, name)
	if value, rev, ok := f.kept.get(path); ok {
		return value, rev, nil
	}
	value, rev, err := f.read(path)
	if errors.Is(err, os.ErrNotExist) {
		// A user without a file is not enrolled; without the folder, nobody knows.
		if err := f.present(); err != nil {
			return nil, 0, err
		}
		return nil, 0, store.ErrNotFound
	}
	if err != nil {
		return nil, 0, explain(path, err)
	}
	return value, rev, nil
}

// read reads the file at path, and keeps what it read.
func (f *files) read(path string) (value []byte, rev uint64, err error) {
	now := f.kept.now() // before the file is looked at
	err = withFile(path, func(fd int, st *unix.Stat_t) error {
		if value, err = readAll(path, fd, st.Size); err != nil {
			return err
		}
		rev = contentRev(value)
		f.kept.put(path, fd, st, now, value, rev)
		return nil
	})
	return value, rev, err
}

func (f *files) swap(ctx context.Context, user string, rev uint64, value []byte) (uint64, error) {
	if len(value) > maxFile {
		return 0, fmt.Errorf("%d bytes are more than %d", len(value), maxFile)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return 0, os.ErrClosed
	}
	if err := ctx.Err(); err != nil { // mu may have been long in coming
		return 0, err
	}
	if err := f.lost(); err != nil {
		return 0, err
	}
	path := f.location(user)
	f.kept.drop(path) // what is replaced is looked at itself
	_, have, err := f.get(user)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return 0, err
	}
	if err := check(have, rev, value == nil); err != nil {
		return 0, err
	}
	if value == nil {
		err = os.Remove(path)
	} else {
		err = replaceFile(path, value)
	}
	if err == nil {
		err = file.SyncFolder(f.dir)
	}
	f.health.wrote(err)
	if err != nil {
		return 0, explain(path, err)
	}
	return contentRev(value), nil
}

// probe writes a file and removes it.
func (f *files) probe() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	name := filepath.Join(f.dir, temporary+"probe")
	if err := replaceFile(name, []byte("probe\n")); err != nil {
		return err
	}
	return errors.Join(os.Remove(name), file.SyncFolder(f.dir))
}

func (f *files) names() ([]string, error) {
	if err := f.present(); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		return nil, err
	}
	var users []string
	for _, e := range entries {
		if user, ok := userName(e.Name()); ok {
			users = append(users, user)
		}
	}
	return users, nil
}

// contentRev returns the revision of a content. It is never zero, which stands for no item.
func contentRev(value []byte) uint64 {
	sum := sha256.Sum256(value)
	return max(1, binary.BigEndian.Uint64(sum[:8]))
}

// withFile opens a plain file that only its owner, this user or root, may write, and calls
// fn. It follows no link and waits for no pipe.
func withFile(path string, fn func(fd int, st *unix.Stat_t) error) error {
	fd, err := retry(func() (int, error) {
		return unix.Open(path, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	})
	if errors.Is(err, unix.ELOOP) {
		return fmt.Errorf("%q is a symbolic link, not a plain file", path)
	}
	if err != nil {
		return &os.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return &os.PathError{Op: "stat", Path: path, Err: err}
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return fmt.Errorf("%q is not a plain file", path)
	}
	if err := checkOwnerOf(path, st.Uid, os.FileMode(st.Mode).Perm(), os.Geteuid()); err != nil {
		return err
	}
	return fn(fd, &st)
}

// readAll reads the rest of an open file, that was size long.
func readAll(path string, fd int, size int64) ([]byte, error) {
	value := make([]byte, 0, min(size, maxFile)+1) // with room to see the end
	for len(value) <= maxFile {
		value = slices.Grow(value, 1)
		n, err := retry(func() (int, error) { return unix.Read(fd, value[len(value):cap(value)]) })
		if err != nil {
			return nil, &os.PathError{Op: "read", Path: path, Err: err}
		}
		if n == 0 {
			return value, nil
		}
		value = value[:len(value)+n]
	}
	return nil, fmt.Errorf("%q has more than %d bytes", path, maxFile)
}

// retry calls fn until no signal interrupts it.
func retry(fn func() (int, error)) (int, error) {
	for {
		n, err := fn()
		if !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}

// replaceFile puts a file with that content at path, mode 0600: all of it or
// nothing, even if the power fails. The caller must sync the folder.
func replaceFile(path string, value []byte) error {
	return file.Place{Prefix: temporary}.Swap(path, func(w io.Writer) error {
		_, err := w.Write(value)
		return err
	})
}
