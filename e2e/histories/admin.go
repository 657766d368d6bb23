package main

import (
	"context"
	"errors"

	"mfa/e2e/history"
	"mfa/internal/wire"
)

// administers does to users what administrators do, until ctx ends.
func (c *client) administers(ctx context.Context) {
	socket := &wire.Client{Socket: c.run.daemon.path("run/control.sock"), Timeout: patience}
	for c.rest(ctx) {
		c.does(ctx, func() error { return c.change(ctx, socket) })
	}
}

// change makes one change.
func (c *client) change(ctx context.Context, socket *wire.Client) error {
	o := c.run.owners[c.rand.IntN(len(c.run.owners))]
	ctx = context.WithoutCancel(ctx)
	switch n := c.rand.IntN(100); {
	case n < 66:
		return c.asks(o, history.Action{Kind: history.Unlock}, func() error {
			return socket.Call(ctx, wire.PostUnlock.For(o.name), nil, nil)
		})
	case n < 75:
		return c.asks(o, history.Action{Kind: history.Lock}, func() error {
			return socket.Call(ctx, wire.PostLock.For(o.name), wire.LockRequest{}, nil)
		})
	case n < 82:
		return c.asks(o, history.Action{Kind: history.Reset}, func() error {
			return socket.Call(ctx, wire.PostReset.For(o.name), nil, nil)
		})
	case n < 96:
		return c.asks(o, history.Action{Kind: history.Revoke}, func() error {
			return socket.Call(ctx, wire.DeleteUserSessions.For(o.name), nil, nil)
		})
	case n < 99:
		return c.setsUp(ctx, socket, o)
	}
	return c.rotates(ctx, socket)
}

// asks asks mfad for a change. A refusal may come when a part of it is made, or before it is.
func (c *client) asks(o *owner, a history.Action, call func() error) error {
	op := c.begin(o, a)
	err := call()
	if errors.Is(err, wire.ErrUnreachable) {
		return c.lost(op, err)
	}
	if err != nil {
		op.Lost()
		return nil
	}
	op.End(history.Done)
	return nil
}

// setsUp gives a user a new app.
func (c *client) setsUp(ctx context.Context, socket *wire.Client, o *owner) error {
	name := o.next("app")
	return c.asks(o, history.Action{Kind: history.SetUp, Of: name}, func() error {
		var made wire.NewApp
		if err := socket.Call(ctx, wire.PostApp.For(o.name), nil, &made); err != nil {
			return err
		}
		secret, err := secretIn(made.Text)
		if err == nil {
			o.sees(secret, name)
		}
		return err
	})
}

// rotates changes the key, which changes nothing of a user.
func (c *client) rotates(ctx context.Context, socket *wire.Client) error {
	err := wire.Stream(ctx, socket, wire.PostRotate.For(), func(int) {}, func(wire.Resealed) error { return nil })
	if err == nil {
		c.run.rotations.Add(1)
	}
	return nil // mfad may be gone
}
