package setup

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"mfa/internal/host/file"
)

// Folder is the folder of the backups, with a folder for each service, for root alone.
const Folder = "/var/backups/mfa"

// backupFolder is Folder outside of tests.
var backupFolder = Folder

// Names within the folder of a service.
const (
	manifestName = "manifest.json"
	pendingName  = "pending" // there until a login was proven
	guardName    = "guarded" // there once the guard watches
	lockName     = "lock"
)

// A Backup is the files of a service as they were before setup changed them.
type Backup struct {
	dir     string
	Service string
	Made    time.Time
	files   []backedUp
}

// A backedUp is one file of a backup.
type backedUp struct {
	Path   string `json:"path"`
	Before []byte `json:"before"` // nil: there was none
	After  []byte `json:"after"`
	Mode   uint32 `json:"mode,omitempty"`
	UID    int    `json:"uid,omitempty"`
	GID    int    `json:"gid,omitempty"`
}

// A manifest is a backup on the disk.
type manifest struct {
	Service string     `json:"service"`
	Made    time.Time  `json:"made"`
	Files   []backedUp `json:"files"`
}

// ErrNone means that there is no backup: mfactl setup did not change the service.
var ErrNone = errors.New("mfactl setup has changed nothing there")

// ErrTakenBack means that the change was undone meanwhile.
var ErrTakenBack = errors.New("it was taken back meanwhile")

// Keep makes the backup of a service for changes that are not written yet. It is on the
// disk when Keep returns. It fails if there is a backup already.
func Keep(service string, changes []Change, now time.Time) (*Backup, error) {
	b := &Backup{dir: filepath.Join(backupFolder, service), Service: service, Made: now}
	for _, c := range changes {
		k := backedUp{Path: c.Path, Before: c.Before, After: c.After, Mode: 0o644}
		info, err := os.Lstat(c.Path)
		switch {
		case errors.Is(err, fs.ErrNotExist) && c.Before == nil:
		case err != nil:
			return nil, fmt.Errorf("keep %q: %w", c.Path, err)
		case !info.Mode().IsRegular():
			return nil, fmt.Errorf("keep %q: it is not a plain file", c.Path)
		default:
			st := info.Sys().(*syscall.Stat_t)
			k.Mode, k.UID, k.GID = uint32(info.Mode().Perm()), int(st.Uid), int(st.Gid)
		}
		b.files = append(b.files, k)
	}
	if err := b.write(); err != nil {
		return nil, fmt.Errorf("keep what is there in %q: %w", b.dir, err)
	}
	return b, nil
}

func (b *Backup) write() error {
	if err := ownFolder(backupFolder); err != nil {
		return err
	}
	if err := os.Mkdir(b.dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if _, err := os.Lstat(b.path(manifestName)); err == nil {
		return errors.New("there is an earlier change; take that back first, with --undo")
	}
	_ = os.Remove(b.path(guardName))
	if err := replace(b.path(pendingName), []byte(b.Made.Format(time.RFC3339)+"\n"), 0o600, 0, 0); err != nil {
		return err
	}
	data, err := json.MarshalIndent(manifest{b.Service, b.Made, b.files}, "", "  ")
	if err != nil {
		return err
	}
	return replace(b.path(manifestName), data, 0o600, 0, 0)
}

// ownFolder makes a folder for root alone, and refuses one that others can change:
// what is put back from it decides about logins.
func ownFolder(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if st := info.Sys().(*syscall.Stat_t); !info.IsDir() || st.Uid != 0 || info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("%q is not a folder that only root can change", dir)
	}
	return nil
}

func (b *Backup) path(name string) string { return filepath.Join(b.dir, name) }

// Kept returns the services of which there is a backup.
func Kept() ([]string, error) {
	found, err := filepath.Glob(filepath.Join(backupFolder, "*", manifestName))
	for i, name := range found {
		found[i] = filepath.Base(filepath.Dir(name))
	}
	return found, err
}

// Find returns the backup of a service, or an error wrapping ErrNone.
func Find(service string) (*Backup, error) {
	b := &Backup{dir: filepath.Join(backupFolder, service)}
	data, err := os.ReadFile(b.path(manifestName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("find the change of %q: %w", service, ErrNone)
	}
	if err == nil {
		err = ownFolder(backupFolder)
	}
	var m manifest
	if err == nil {
		err = json.Unmarshal(data, &m)
	}
	if err != nil {
		return nil, fmt.Errorf("find the change of %q: %w", service, err)
	}
	b.Service, b.Made, b.files = m.Service, m.Made, m.Files
	return b, nil
}

// Pending reports whether the change is neither confirmed nor undone.
func (b *Backup) Pending() bool {
	_, err := os.Lstat(b.path(pendingName))
	return err == nil
}

// Apply writes the changes. If one cannot be written, all are undone, and the backup is
// gone.
func (b *Backup) Apply() error {
	for _, k := range b.files {
		if err := replace(k.Path, k.After, fs.FileMode(k.Mode), k.UID, k.GID); err != nil {
			_, back := b.Undo(true)
			return errors.Join(fmt.Errorf("write %q: %w", k.Path, err), back)
		}
	}
	return nil
}

// Confirm makes the change stay. The error wraps ErrTakenBack if it was undone before. It
// may race with Undo in another process.
func (b *Backup) Confirm() error {
	unlock, err := b.lock()
	if err != nil {
		return err
	}
	defer unlock()
	if err := os.Remove(b.path(pendingName)); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("confirm the change of %q: %w", b.Service, ErrTakenBack)
	} else if err != nil {
		return err
	}
	return file.SyncFolder(b.dir)
}

// A Foreign is an error that names files that were there before the change, and that somebody else
// changed since.
type Foreign struct{ Paths []string }

func (f Foreign) Error() string {
	return fmt.Sprintf("changed by somebody else since: %q", f.Paths)
}

// Back returns what Undo would change. It writes nothing. If somebody else changed a file
// since, the error is a Foreign.
func (b *Backup) Back() ([]Change, error) {
	foreign, err := b.foreign()
	if err != nil {
		return nil, err
	}
	if old := b.old(foreign); len(old) > 0 {
		return nil, Foreign{old}
	}
	var changes []Change
	for _, k := range b.files {
		now, err := os.ReadFile(k.Path)
		if err != nil && !isAbsent(err) {
			return nil, err
		}
		if !bytes.Equal(now, k.Before) {
			changes = append(changes, Change{k.Path, now, k.Before})
		}
	}
	return changes, nil
}

// Undo puts back the files as they were, and removes the backup. A file that the change made and
// that somebody else changed since, as doctor tells them to, is copied beside the backup and goes; kept
// has the paths of the copies. If they changed one that was there before, the error is a Foreign and
// nothing is changed, unless force is set: then that is copied, too. To undo twice is no error. It may
// race with Confirm in another process.
func (b *Backup) Undo(force bool) (kept []string, err error) {
	unlock, err := b.lock()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer unlock()
	if _, err := os.Lstat(b.path(manifestName)); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if kept, err = b.keepOthers(force); err != nil && !force {
		return kept, err
	}
	var errs []error
	for _, k := range b.files { // every one that can be, whatever becomes of the others
		if err := k.putBack(); err != nil {
			errs = append(errs, fmt.Errorf("put back %q: %w", k.Path, err))
		}
	}
	if len(errs) > 0 {
		return kept, errors.Join(errs...)
	}
	for _, name := range []string{manifestName, pendingName, guardName} {
		if err := os.Remove(b.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return kept, err
		}
	}
	return kept, file.SyncFolder(b.dir)
}

// keepOthers copies what others wrote to beside the backup, and returns the names of the copies.
// Without force it copies nothing if that is a file that was there before. The error is why not all is
// copied.
func (b *Backup) keepOthers(force bool) (kept []string, err error) {
	foreign, err := b.foreign()
	if err != nil {
		return nil, err
	}
	if old := b.old(foreign); len(old) > 0 && !force {
		return nil, Foreign{old}
	}
	if kept = b.setAside(foreign); len(kept) < len(foreign) {
		err = fmt.Errorf("what somebody else wrote cannot be kept in %q", b.dir)
	}
	return kept, err
}

// setAside copies files to beside the backup, as far as that can be done, and returns
// the names of the copies.
func (b *Backup) setAside(paths []string) (kept []string) {
	for _, path := range paths {
		aside := b.path(filepath.Base(path) + ".found")
		data, err := os.ReadFile(path)
		if err == nil {
			err = replace(aside, data, 0o600, 0, 0)
		}
		if err == nil {
			kept = append(kept, aside)
		}
	}
	return kept
}

// putBack puts one file back.
func (k backedUp) putBack() error {
	if k.Before != nil {
		return replace(k.Path, k.Before, fs.FileMode(k.Mode), k.UID, k.GID)
	}
	if err := os.Remove(k.Path); isAbsent(err) {
		return nil
	} else if err != nil {
		return err
	}
	return file.SyncFolder(filepath.Dir(k.Path))
}

// isAbsent reports whether an error means that there is no such file.
func isAbsent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// old returns those of paths that were there before the change.
func (b *Backup) old(paths []string) (old []string) {
	for _, k := range b.files {
		if k.Before != nil && slices.Contains(paths, k.Path) {
			old = append(old, k.Path)
		}
	}
	return old
}

// foreign returns the files that are neither as they were nor as we wrote them.
func (b *Backup) foreign() ([]string, error) {
	var found []string
	for _, k := range b.files {
		data, err := os.ReadFile(k.Path)
		if isAbsent(err) {
			data, err = nil, nil
		}
		if err != nil {
			return nil, err
		}
		if !bytes.Equal(data, k.After) && !bytes.Equal(data, k.Before) {
			found = append(found, k.Path)
		}
	}
	return found, nil
}

// lock waits for the lock of the backup and returns the function that releases it.
func (b *Backup) lock() (func(), error) {
	f, err := os.OpenFile(b.path(lockName), os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() { _ = f.Close() }, nil
}

// replace puts a file with that content at path, all of it or nothing, and synced.
// Its temporary name begins with a dot: no PAM service and no file of sshd_config.d
// has one.
func replace(path string, data []byte, mode fs.FileMode, uid, gid int) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	place := file.Place{Mode: mode, Owner: &file.Owner{UID: uid, GID: gid}, Prefix: ".mfa-setup-"}
	return place.Replace(path, data)
}
