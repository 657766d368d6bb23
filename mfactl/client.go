package main

import (
	"context"
	"errors"
	"net/http"
	"syscall"
	"time"

	"mfa/internal/host/doctor"
	"mfa/internal/wire"
)

// requestTimeout bounds one request to mfad, and the calls to systemd-logind: both
// answer at once or are stuck.
const requestTimeout = 30 * time.Second

// statusTimeout bounds the wait for a status: mfad looks at its own store for it, and in a
// fleet at etcd, and at nothing else. What else is only read may ask a directory of people,
// which has 10 seconds of its own: it has twice as long.
const statusTimeout = 10 * time.Second

// A client asks mfad. Its errors carry the exit code.
type client struct {
	daemon wire.Client
	short  time.Duration // statusTimeout
}

// status asks mfad how it is.
func (c *client) status(ctx context.Context) (st wire.Status, err error) {
	return st, c.within(ctx, c.short, wire.GetStatus.For(), nil, &st)
}

// read is call for a question that changes nothing, and that mfad answers soon or not at all.
func (c *client) read(ctx context.Context, to wire.Resource, in, out any) error {
	return c.within(ctx, 2*c.short, to, in, out)
}

// within is call with another bound.
func (c *client) within(ctx context.Context, most time.Duration, to wire.Resource, in, out any) error {
	daemon := c.daemon
	daemon.Timeout = most
	return exitFor(daemon.Call(ctx, to, in, out))
}

// call sends in, if it is not nil, and decodes the answer into out.
func (c *client) call(ctx context.Context, to wire.Resource, in, out any) error {
	return exitFor(c.daemon.Call(ctx, to, in, out))
}

// stream reads an answer that comes in lines; see wire.Stream.
func stream[T any](ctx context.Context, c *client, to wire.Resource, begin func(total int), item func(T) error) error {
	return exitFor(wire.Stream(ctx, &c.daemon, to, begin, item))
}

// exitFor gives an error of wire.Client its exit code and a hint.
func exitFor(err error) error {
	if err == nil {
		return nil
	}
	e := exitError{code: exitFailed, err: err}
	fault, answered := errors.AsType[*wire.Error](err)
	switch {
	case answered:
		return exitForFault(fault)
	case errors.Is(err, wire.ErrUnreachable) && errors.Is(err, syscall.EACCES):
		e.code, e.hint = exitNotAllowed, "The socket's folder is closed to you. Try it as root."
	case errors.Is(err, wire.ErrUnreachable) && errors.Is(err, wire.ErrStuck):
		e.code = exitUnreachable
		e.hint = "It accepts connections, but does not answer: it hangs, or has far too much to do. 'journalctl -u mfad'\n" +
			"may say why. The watchdog of systemd restarts it (WatchdogSec= of mfad.service); now: 'systemctl restart mfad'."
	case errors.Is(err, wire.ErrUnreachable):
		e.code = exitUnreachable
		e.hint = "Is it running? Try 'systemctl status mfad', and:\n" + doctor.StartAgain
	}
	return e
}

// exitForFault is exitFor for what mfad refused.
func exitForFault(fault *wire.Error) error {
	e := exitError{code: exitFailed, err: fault, status: fault.Status}
	switch fault.Status {
	case http.StatusBadRequest:
		e.code = exitUsage
	case http.StatusForbidden:
		e.code, e.hint = exitNotAllowed, "Try it as root, for example with sudo."
	case http.StatusNotFound:
		e.code = exitNotFound
	case http.StatusUnprocessableEntity:
		e.hint = "Until it is mended this user is kept out. Mend it, or clear it with 'mfactl reset USER'."
	case http.StatusInsufficientStorage:
		e.hint = "The disk is full. Nothing was changed."
	}
	return e
}
