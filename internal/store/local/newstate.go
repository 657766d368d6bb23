package local

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"
	"golang.org/x/sys/unix"

	"mfa/internal/host/file"
	"mfa/internal/host/rights"
	"mfa/internal/seal"
	"mfa/internal/store/local/wal"
)

// stateFile is the database, and newStateFile marks that an administrator had it begin
// anew.
const (
	stateFile    = "state.db"
	newStateFile = "new-state"
)

// NewState makes the next Open of the store in dir begin a new database. The daemon that
// opens it must then count all codes from before as used (Store.BeginsAnew). The old
// database and its log are moved aside; aside is the new path of the database, empty if
// there was none. If the records had moved to etcd (Mark), they are here again. It fails while a
// daemon has the store open. All it makes belongs to the owner of dir.
func NewState(dir string, now time.Time) (aside string, err error) {
	info, err := os.Stat(dir)
	if err != nil {
		return "", fmt.Errorf("begin anew: %w", err)
	}
	if path := filepath.Join(dir, stateFile); flocked(path) && !inUse(dir) { // somebody removed the lock file of a daemon
		return "", fmt.Errorf("begin anew: %q is in use by another program; stop it first: systemctl stop mfad.socket mfad.service", path)
	}
	lock, err := lockFolder(dir)
	if errors.Is(err, errHeld) {
		return "", fmt.Errorf("begin anew: %w; stop it first: systemctl stop mfad.socket mfad.service", err)
	}
	if err != nil {
		return "", fmt.Errorf("begin anew: %w", err)
	}
	defer func() { err = errors.Join(err, lock.release()) }()
	marker, err := os.OpenFile(filepath.Join(dir, newStateFile), os.O_WRONLY|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return "", fmt.Errorf("begin anew: %w", err)
	}
	err = errors.Join(give(marker, info), marker.Sync(), marker.Close())
	if err == nil {
		err = file.SyncFolder(dir) // the marker is there before the database goes
	}
	if err == nil {
		aside, err = moveAside(dir, now)
	}
	if err == nil {
		err = unmark(dir) // wherever the records went, they count here again
	}
	if err == nil {
		err = file.SyncFolder(dir)
	}
	if err != nil {
		return "", fmt.Errorf("begin anew: %w", err)
	}
	return aside, nil
}

// give makes the owner of the folder the owner of f, if root made f and it is not.
func give(f *os.File, folder os.FileInfo) error {
	st, ok := folder.Sys().(*syscall.Stat_t)
	if !ok || os.Geteuid() != 0 {
		return nil
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	has, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !ok, has.Uid == st.Uid: // on a disk that takes no writes too
		return nil
	case has.Nlink != 1: // the owner of the folder may have linked a file of root's into it
		return fmt.Errorf("%q has %d names; there must be one", f.Name(), has.Nlink)
	}
	return f.Chown(int(st.Uid), int(st.Gid))
}

// moveAside moves the database to a name that is free, and its log with it: before it,
// because the database is refused without its log.
func moveAside(dir string, now time.Time) (aside string, err error) {
	suffix := ".until-" + now.UTC().Format("20060102-150405")
	path := filepath.Join(dir, stateFile)
	for n := 2; taken(path + suffix); n++ {
		suffix = fmt.Sprintf(".until-%s-%d", now.UTC().Format("20060102-150405"), n)
	}
	aside = path + suffix
	for _, name := range wal.Names {
		name = filepath.Join(dir, name)
		if err := os.Rename(name, name+suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			return "", err
		}
	}
	err = unix.Renameat2(unix.AT_FDCWD, path, unix.AT_FDCWD, aside, unix.RENAME_NOREPLACE)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return "", nil
	case err != nil:
		return "", &os.PathError{Op: "rename", Path: path, Err: err}
	}
	return aside, nil
}

// taken reports whether there is something at path.
func taken(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// BeginsAnew reports whether NewState was called and Begun was not since.
func (s *Store) BeginsAnew() (bool, error) { return BeginsAnew(s.dir) }

// BeginsAnew is Store.BeginsAnew for the store in dir, which need not be open.
func BeginsAnew(dir string) (bool, error) {
	_, err := os.Lstat(filepath.Join(dir, newStateFile))
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// Begun ends BeginsAnew, durably. It is called once the new state counts all codes from
// before as used.
func (s *Store) Begun() error {
	if err := os.Remove(filepath.Join(s.dir, newStateFile)); err != nil {
		return fmt.Errorf("begin anew: %w", err)
	}
	return file.SyncFolder(s.dir)
}

// mayBeNew reports whether the database may be made anew: nobody is enrolled, or NewState
// was called.
func (s *Store) mayBeNew() (bool, error) {
	anew, err := s.BeginsAnew()
	if anew || err != nil {
		return anew, err
	}
	users, err := s.files.names()
	return len(users) == 0, err
}

func (s *Store) usersDir() string { return filepath.Join(s.dir, "users") }

// checkUsers refuses a store with a database and without the folder of enrollments, which
// is made first. Otherwise everybody could set up a new second factor with the first
// factor alone.
func (s *Store) checkUsers() error {
	if anew, err := s.BeginsAnew(); anew || err != nil {
		return err
	}
	if _, err := os.Stat(s.usersDir()); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	info, err := os.Stat(filepath.Join(s.dir, stateFile))
	if errors.Is(err, os.ErrNotExist) || err == nil && info.Size() == 0 {
		return nil
	}
	return errors.Join(err, fmt.Errorf("the enrollments are gone: %q is missing and %q is there; mount or restore the folder, "+
		"or run mfad --new-state, after which everybody has to enroll again", s.usersDir(), stateFile))
}

// CheckState returns what keeps a daemon with the rights of this thread from opening the database
// of the store in dir, or nil. While a daemon has the store open it looks at the rights alone.
// Nothing is made or changed.
func CheckState(dir string) error {
	_, err := readContents(dir)
	return err
}

// readContents is CheckState, and returns what is in the database, if that was looked at.
func readContents(dir string) (found contents, err error) {
	path := filepath.Join(dir, stateFile)
	s := &Store{dir: dir, files: &files{dir: filepath.Join(dir, "users")}}
	if err := s.mayOpen(); err != nil {
		return found, err
	}
	if inUse(dir) {
		return found, nil
	}
	if err := s.checkUsers(); err != nil {
		return found, err
	}
	info, err := os.Stat(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return found, err
	}
	if err == nil && info.Size() > 0 {
		if found, err = checkWhole(path); err != nil {
			return found, describeOpen(path, damaged(err))
		}
		if empty, err := look(path); !empty || err != nil {
			return found, err
		}
	}
	if anew, _ := s.BeginsAnew(); anew || !Enrolled(dir) {
		return found, nil
	}
	return found, describeOpen(path, errNoState)
}

// mayOpen returns an error if this thread may not open what is there of the store, if others may
// change it, or if its lock is no file.
func (s *Store) mayOpen() error {
	const toUse, toChange = unix.R_OK | unix.W_OK | unix.X_OK, unix.R_OK | unix.W_OK
	err := rights.May(s.dir, toUse)
	if err != nil {
		return fmt.Errorf("%w; run chmod u=rwx %s", err, s.dir)
	}
	errs := []error{explain(s.dir, rights.May(s.usersDir(), toUse))}
	for _, name := range append([]string{"lock", stateFile}, wal.Names[:]...) {
		errs = append(errs, explain(s.dir, rights.May(filepath.Join(s.dir, name), toChange)))
	}
	self := rights.OwnerOf(s.dir)
	for _, path := range []string{s.dir, s.usersDir(), filepath.Join(s.dir, stateFile)} {
		if info, err := os.Stat(path); err == nil {
			errs = append(errs, checkOwnerOf(path, info.Sys().(*syscall.Stat_t).Uid, info.Mode().Perm(), self))
		}
	}
	lock, err := openToLock(filepath.Join(s.dir, "lock"), os.O_RDONLY)
	if err == nil {
		err = lock.Close()
	}
	if errors.Is(err, errNoLock) {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// Enrolled reports whether there is an enrollment in the store in dir. It is false, too,
// if the folder cannot be read.
func Enrolled(dir string) bool {
	entries, err := os.ReadDir(filepath.Join(dir, "users"))
	if err != nil {
		return false
	}
	return slices.ContainsFunc(entries, func(e os.DirEntry) bool {
		_, ok := userName(e.Name())
		return ok
	})
}

// Users returns the names of those who have an enrollment in the store in dir, sorted. It may
// be called beside a daemon; a store that is not there has none.
func Users(dir string) (names []string, err error) {
	entries, err := os.ReadDir(filepath.Join(dir, "users"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, e := range entries {
		if name, ok := userName(e.Name()); ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, err
}

// Verify is CheckState, and also verifies the records with the key. Key is as for Open.
func Verify(dir string, key func(known string) (*seal.Key, error)) error {
	path := filepath.Join(dir, stateFile)
	found, err := readContents(dir)
	if err != nil {
		return err
	}
	if info, err := os.Stat(path); err != nil || info.Size() == 0 || inUse(dir) {
		return nil
	}
	db, err := bolt.Open(path, 0o600, &bolt.Options{ReadOnly: true, Timeout: options.Timeout})
	if err != nil {
		return describeOpen(path, err)
	}
	l := newLedger(db, asUsual)
	l.found = found
	err = db.View(func(tx *bolt.Tx) error {
		if tx.Bucket(sumBucket) == nil {
			return errUnchanged // of the build before, or new: nothing vouches for it yet
		}
		return l.admit(tx, true, key)
	})
	err = errors.Join(err, db.Close())
	if errors.Is(err, errUnchanged) {
		return nil
	}
	return describeOpen(path, err)
}

// look reports whether nothing was ever written to the database at path, and returns what
// is wrong with its log.
func look(path string) (empty bool, err error) {
	db, err := bolt.Open(path, 0o600, &bolt.Options{ReadOnly: true, Timeout: options.Timeout})
	if err != nil {
		return false, describeOpen(path, err)
	}
	err = db.View(func(tx *bolt.Tx) error {
		empty = tx.Bucket(sumBucket) == nil && isEmpty(tx)
		_, err := newLedger(db, asUsual).readLog(tx)
		return err
	})
	if err != nil {
		err = describeOpen(path, err)
	}
	return empty, errors.Join(err, db.Close())
}

// inUse reports whether a daemon has the store in dir open.
func inUse(dir string) bool { return flocked(filepath.Join(dir, "lock")) }

// flocked reports whether a process has locked a file for itself, by flock(2).
func flocked(path string) bool {
	f, err := openToLock(path, os.O_RDONLY)
	if err != nil {
		return false
	}
	defer f.Close()
	return errors.Is(unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB), unix.EWOULDBLOCK)
}
