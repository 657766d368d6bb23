package smtp

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"mfa/internal/host/rights"
)

// Probe does as much of a sending as it can without a message: over SMTP it
// connects, encrypts and logs in; for sendmail it checks the program, for an
// outbox the folder, with the rights on files of this thread (internal/host/rights). The error
// is the one that a message would get.
func (e *Email) Probe(ctx context.Context) error {
	switch h := e.hop.(type) {
	case *relay:
		return h.probe(ctx)
	case sendmail:
		return rights.MayRun(h.path)
	case outbox:
		return probeFolder(h.path)
	}
	return nil
}

// probe opens a session and ends it.
func (r *relay) probe(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, r.timeout, fmt.Errorf("no answer within %v", r.timeout))
	defer cancel()
	c, err := r.connect(ctx)
	if err != nil {
		return err
	}
	_ = c.nc.SetDeadline(time.Now().Add(r.timeout))
	_ = c.client.Quit() // it proved itself already
	_ = c.nc.Close()
	return nil
}

// probeFolder returns why no letter can be written to a maildir. What is missing of it is no
// error where it can be made, as it is with the first message.
func probeFolder(path string) error {
	for _, sub := range maildir {
		dir, missing := filepath.Join(path, sub), false
		info, err := os.Stat(dir)
		for errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
			dir, missing = filepath.Dir(dir), true
			info, err = os.Stat(dir)
		}
		switch {
		case err != nil:
		case !info.IsDir():
			return fmt.Errorf("write outbox: %q is not a folder", dir)
		case sub != "cur" || missing: // readers move letters there, nobody else writes to it
			err = unix.Faccessat(unix.AT_FDCWD, dir, unix.W_OK|unix.X_OK, unix.AT_EACCESS)
		}
		if pe, ok := errors.AsType[*fs.PathError](err); ok {
			err = pe.Err
		}
		if err != nil {
			return fmt.Errorf("write outbox: %q: %w", dir, err)
		}
	}
	return nil
}
