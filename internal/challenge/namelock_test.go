package challenge

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// A turn holds up nobody of another name, is waited for no longer than asked, and leaves
// nothing behind.
func TestTurns(t *testing.T) {
	var ts nameLocks
	leave, err := ts.lock(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	other, err := ts.lock(t.Context(), "bob")
	if err != nil {
		t.Fatal(err)
	}
	other()
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errAway)
	if _, err := ts.lock(ctx, "alice"); !errors.Is(err, errAway) {
		t.Errorf("taken twice: %v", err)
	}
	leave()
	if len(ts.queue) > 0 {
		t.Errorf("left: %v", ts.queue)
	}
	if leave, err = ts.lock(t.Context(), "alice"); err != nil {
		t.Errorf("not given back: %v", err)
	}
	leave()
}

// A turn that is given back goes to somebody who waits for it, and not before.
func TestTurnIsHandedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ts nameLocks
		leave, err := ts.lock(t.Context(), "alice")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var had bool
		go func() {
			next, err := ts.lock(ctx, "alice")
			if had = err == nil; had {
				next()
			}
		}()
		synctest.Wait()
		if had {
			t.Error("two have the turn")
		}
		leave()
		synctest.Wait()
		if !had || len(ts.queue) > 0 {
			t.Errorf("handed on: %v; left: %v", had, ts.queue)
		}
	})
}
