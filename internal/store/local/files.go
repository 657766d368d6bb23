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
	"strings"
	"sync"
	"syscall"

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

	mu     sync.Mutex // guards closed, and all writing in dir
	closed bool
}

// openFiles opens the folder dir, makes it when missing, and removes what a
// write left that was cut short, if the disk lets it.
func openFiles(dir string) (*files, error) {
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
	return &files{dir: dir, opened: opened}, nil
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
	value, err := readFile(filepath.Join(f.dir, name))
	if errors.Is(err, os.ErrNotExist) {
		// A user without a file is not enrolled; without the folder, nobody knows.
		if err := f.present(); err != nil {
			return nil, 0, err
		}
		return nil, 0, store.ErrNotFound
	}
	if err != nil {
		return nil, 0, explain(filepath.Join(f.dir, name), err)
	}
	return value, contentRev(value), nil
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
	_, have, err := f.get(user)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return 0, err
	}
	if err := check(have, rev, value == nil); err != nil {
		return 0, err
	}
	path := f.location(user)
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

// contentRev is never zero, which stands for no item.
func contentRev(value []byte) uint64 {
	sum := sha256.Sum256(value)
	return max(1, binary.BigEndian.Uint64(sum[:8]))
}

// readFile reads a plain file that nobody but its owner may write. It follows
// no link and waits for no pipe.
func readFile(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, syscall.ELOOP) {
		return nil, fmt.Errorf("%q is a symbolic link, not a plain file", path)
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%q is not a plain file", path)
	}
	if err := checkOwner(path, info); err != nil {
		return nil, err
	}
	value, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(value) > maxFile {
		err = fmt.Errorf("%q has more than %d bytes", path, maxFile)
	}
	return value, err
}

// replaceFile puts a file with that content at path, mode 0600: all of it or
// nothing, whenever the power fails. The folder is the caller's to sync.
func replaceFile(path string, value []byte) error {
	return file.Place{Prefix: temporary}.Swap(path, func(w io.Writer) error {
		_, err := w.Write(value)
		return err
	})
}
