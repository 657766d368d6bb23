package offline

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"mfa/internal/host/file"
)

// A current is a file that says that what is kept has all that this host knows of the users:
// what it decided with etcd, and what it heard. Where that could not be written down the file
// is removed, which needs no room, and the next start believes nothing of what is kept before
// etcd was heard of. It may be used from many goroutines.
type current struct {
	path string

	mu     sync.Mutex // guards what follows
	is     bool       // the file is there
	before bool       // it was at the start, or all was written since
	failed bool       // the last try to remove it
}

// currentName is the name of the file, in the folder of the store of this host.
const currentName = "current"

// openCurrent looks for the file in a folder. Where nobody is kept yet, nothing is old.
func openCurrent(folder string, empty bool) (*current, error) {
	c := &current{path: filepath.Join(folder, currentName)}
	_, err := os.Lstat(c.path)
	if errors.Is(err, fs.ErrNotExist) {
		c.before = empty
		return c, nil
	}
	c.is, c.before = err == nil, err == nil
	return c, err
}

// isOld says whether a daemon before this one knew more than is kept.
func (c *current) isOld() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.before
}

// set makes the file if all is written down, which the function says.
func (c *current) set(all func() bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.is || !all() {
		return nil
	}
	c.before = true
	err := file.Place{}.Replace(c.path, nil)
	c.is = err == nil
	return err
}

// clear removes the file. It returns the first error of those in a row.
func (c *current) clear() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.is {
		return nil
	}
	err := Distrust(filepath.Dir(c.path))
	c.is = err != nil
	again := c.failed
	if c.failed = err != nil; again {
		return nil
	}
	return err
}

// Distrust has the next Open over that folder believe nothing of what is kept there before etcd
// was heard of. It is called where decisions go on that are not kept. It is no error if
// nothing is.
func Distrust(folder string) error {
	err := os.Remove(filepath.Join(folder, currentName))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	return file.SyncFolder(folder)
}
