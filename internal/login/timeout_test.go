package login

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mfa/internal/mfa"
)

// idle is a person who reads and types nothing.
type idle struct{ said []string }

func (p *idle) Prompt(ctx context.Context, q mfa.Prompt) (string, error) {
	p.said = append(p.said, q.Text)
	if q.Kind != mfa.Ask {
		return "", nil
	}
	<-ctx.Done()
	return "", context.Cause(ctx)
}

func TestEntryTimeoutIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newHarness(t)
		began := time.Now()
		var p idle
		v, err := d.engine.Login(t.Context(), request("alice"), &p)
		if v.Outcome != mfa.NoConversation || err == nil {
			t.Fatalf("%+v %v", v, err)
		}
		if waited := time.Since(began); waited != 90*time.Second+15*time.Millisecond {
			t.Errorf("waited %v, want code.entry_timeout", waited)
		}
		if !strings.Contains(p.said[len(p.said)-1], "No code was entered in time") {
			t.Errorf("said %q", p.said)
		}
	})
}

func TestDisconnectEndsTheLoginAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newHarness(t)
		gone := errors.New("the client is gone")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(gone) })
		began := time.Now()
		var p idle
		v, err := d.engine.Login(ctx, request("alice"), &p)
		if v.Outcome != mfa.NoConversation || !errors.Is(err, gone) || time.Since(began) != time.Second {
			t.Fatalf("%+v %v after %v", v, err, time.Since(began))
		}
		if st := d.state("alice"); len(st.Failures) != 0 || len(st.Pending) != 1 {
			t.Errorf("state %+v", st)
		}
	})
}
