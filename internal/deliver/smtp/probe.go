package smtp

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Probe does as much of a sending as it can without a message: over SMTP it
// connects, encrypts and logs in; for sendmail it checks the program, for an
// outbox the folder. The error is the one that a message would get.
func (e *Email) Probe(ctx context.Context) error {
	switch h := e.hop.(type) {
	case *relay:
		return h.probe(ctx)
	case sendmail:
		if err := unix.Access(h.path, unix.X_OK); err != nil {
			return fmt.Errorf("run %q: %w", h.path, err)
		}
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

// probeFolder returns why a folder cannot be written to. A missing one is no error, as it
// is made with the first message.
func probeFolder(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil // made with the first message
	case err != nil:
		return fmt.Errorf("write outbox: %w", err)
	case !info.IsDir():
		return fmt.Errorf("write outbox: %q is not a folder", path)
	}
	if err := unix.Access(path, unix.W_OK|unix.X_OK); err != nil {
		return fmt.Errorf("write outbox %q: %w", path, err)
	}
	return nil
}
