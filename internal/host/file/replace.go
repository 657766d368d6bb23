// Package file replaces a file so that it is there whole or not at all, even if the power
// fails; follows a file through log rotation; reads a secret file without following links;
// and tells whether a file that was read is surely still the same (Mark).
package file

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// A Place says how to put a file into place. The zero Place makes a file of mode 0600
// that belongs to this process, and replaces one that is there.
type Place struct {
	Mode   fs.FileMode // 0: 0600
	Owner  *Owner      // nil: this process
	Folder string      // of the temporary file, on the same file system; "": where the file goes
	Prefix string      // of the name of the temporary file; "": a dot
	New    bool        // if a file is there it stays, and the error wraps fs.ErrExist
}

// An Owner is the user and the group that a file belongs to.
type Owner struct{ UID, GID int }

// Replace puts a file with the content data at path. File and name are on the disk when
// it returns nil. After an error the file is as it was, unless only the folder could not
// be synced.
func (p Place) Replace(path string, data []byte) error {
	return p.Write(path, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// Write is Replace with the content that fill writes. If fill fails the file at path stays.
func (p Place) Write(path string, fill func(io.Writer) error) error {
	if err := p.Swap(path, fill); err != nil {
		return err
	}
	return SyncFolder(filepath.Dir(path))
}

// Swap is Write for a caller that calls SyncFolder itself: until that returns a power
// failure may bring back the file that was there before.
func (p Place) Swap(path string, fill func(io.Writer) error) error {
	dir, prefix := p.Folder, p.Prefix
	if dir == "" {
		dir = filepath.Dir(path)
	}
	if prefix == "" {
		prefix = "."
	}
	f, err := os.CreateTemp(dir, prefix+"*") // mode 0600
	if err != nil {
		return err
	}
	err = errors.Join(p.fill(f, fill), f.Close())
	if err == nil {
		err = p.move(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, remove(f.Name()))
	}
	return nil
}

// fill writes the content and the mode, and syncs them.
func (p Place) fill(f *os.File, fill func(io.Writer) error) error {
	if err := fill(f); err != nil {
		return err
	}
	if p.Mode != 0 {
		if err := f.Chmod(p.Mode); err != nil {
			return err
		}
	}
	if p.Owner != nil {
		if err := f.Chown(p.Owner.UID, p.Owner.GID); err != nil {
			return err
		}
	}
	return f.Sync()
}

// move gives the temporary file its name. A link fails if the name is taken; a
// rename would overwrite what has it.
func (p Place) move(tmp, path string) error {
	if !p.New {
		return os.Rename(tmp, path)
	}
	if err := os.Link(tmp, path); err != nil {
		return err
	}
	return remove(tmp)
}

// remove removes a file that may be gone.
func remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// SyncFolder writes the names in a folder to the disk, so that files that were made,
// renamed or removed in it stay so (fsync(2)).
func SyncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
