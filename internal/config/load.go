package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// maxSize bounds the file, in bytes.
const maxSize = 1 << 20

// Load reads the mfa.toml at path and parses it with Parse. It refuses a file that
// anybody but root and the user of this process could have written, and a missing file.
// The same holds for the files that it names and decides by, and for the folders above
// all of them. Within the service, systemd's credentials become paths; elsewhere
// Credentials lists them.
func Load(path string) (Config, error) {
	data, err := read(path)
	if err != nil {
		return Config{}, err
	}
	c, err := Parse(path, data)
	if err == nil {
		err = c.resolve(os.Getenv(credentials))
	}
	if err == nil {
		err = c.checkDeciding()
	}
	if err != nil {
		return Config{}, err
	}
	return c, nil
}

func read(path string) ([]byte, error) {
	// O_NONBLOCK: a FIFO in the place of the file must not hold the start up.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read config: %w; copy mfa.toml.example there and adapt it", err)
	}
	if errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Errorf("read config: %w; mfad, which is not root, must be able to read it: run chmod a+r %s, and chmod a+x on the folders above it", err, path)
	}
	if err != nil {
		return nil, fmt.Errorf("read config: %w", err)
	}
	defer f.Close()
	// Of the open file, not of the path, which can change in between.
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("read config: %w", err)
	}
	if err := checkTrust(path, info.Mode(), info.Sys().(*syscall.Stat_t).Uid, uint32(os.Geteuid())); err != nil {
		return nil, err
	}
	if err := (trustees{0, uint32(os.Geteuid())}).check(path); err != nil {
		return nil, fmt.Errorf("read config: %w", err)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err != nil {
		return nil, fmt.Errorf("read config: %w", err)
	}
	if len(data) > maxSize {
		return nil, fmt.Errorf("read config %q: it is larger than %d bytes; is it the right file?", path, maxSize)
	}
	return data, nil
}

// checkTrust returns an error if somebody other than root and self could change the file.
func checkTrust(path string, mode fs.FileMode, owner, self uint32) error {
	switch {
	case !mode.IsRegular():
		return fmt.Errorf("read config %q: it is not a regular file; put a file there, or a link to one", path)
	case owner != 0 && owner != self:
		return fmt.Errorf("read config %q: it belongs to uid %d, who could change it; mend it with: chown root %q", path, owner, path)
	case mode.Perm()&0o022 != 0:
		return fmt.Errorf("read config %q: group or others may write it (mode %04o); mend it with: chmod go-w %q", path, mode.Perm(), path)
	}
	return nil
}
