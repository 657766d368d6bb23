package wal

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"mfa/internal/host/file"
)

// maxSize bounds a file that is read, in bytes.
const maxSize = 256 << 20

// A Dir is a Folder on a disk, by its path.
type Dir string

// Read implements Folder. It follows no link and refuses what is no plain file.
func (d Dir) Read(name string) ([]byte, error) {
	f, err := os.OpenFile(d.path(name), os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxSize {
		return nil, fmt.Errorf("%q is no file of a log", f.Name())
	}
	data := make([]byte, info.Size())
	n, err := io.ReadFull(f, data)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return data[:n], err
}

// Make implements Folder. The zeros are written: blocks that are only set aside would
// have their file's description written too, at each first write.
func (d Dir) Make(name string, size int64) (err error) {
	path := d.path(name)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, io.LimitReader(zeros{}, size))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return file.SyncFolder(string(d))
}

// Open implements Folder. A write is on the disk when it returns (O_DIRECT and O_DSYNC of
// open(2)); on a file system without such writes Sync syncs. tmpfs accepts the flags and
// ignores them, so they are not used there.
func (d Dir) Open(name string, size int64) (File, error) {
	const flags = os.O_RDWR | unix.O_NOFOLLOW
	info, err := os.Lstat(d.path(name))
	if err == nil && (!info.Mode().IsRegular() || info.Size() != size) {
		err = &os.PathError{Op: "open", Path: d.path(name), Err: os.ErrNotExist}
	}
	if err != nil {
		return nil, err
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(string(d), &fs); err == nil && fs.Type != unix.TMPFS_MAGIC {
		if f, err := os.OpenFile(d.path(name), flags|unix.O_DIRECT|unix.O_DSYNC, 0); err == nil {
			if _, err := f.ReadAt(aligned(BlockSize), 0); err == nil {
				return direct{f}, nil
			}
			_ = f.Close() // nothing was written
		}
	}
	f, err := os.OpenFile(d.path(name), flags, 0)
	if err != nil {
		return nil, err
	}
	return cached{f}, nil
}

func (d Dir) path(name string) string { return filepath.Join(string(d), name) }

// A direct file is synced by each write.
type direct struct{ *os.File }

// Sync implements File.
func (direct) Sync() error { return nil }

// A cached file is one whose writes go to the kernel's cache first.
type cached struct{ *os.File }

// Sync implements File.
func (c cached) Sync() error {
	if err := unix.Fdatasync(int(c.Fd())); err != nil {
		return &os.PathError{Op: "sync", Path: c.Name(), Err: err}
	}
	return nil
}

// zeros is a reader of them, without end.
type zeros struct{}

// Read implements io.Reader.
func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}
