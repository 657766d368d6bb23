package deliver

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"mfa/internal/mfa"
)

// senderFunc is a Sender in a test.
type senderFunc func(context.Context, mfa.Message) error

func (f senderFunc) Send(ctx context.Context, m mfa.Message) error { return f(ctx, m) }

func TestQueueDoesNotWaitForTheRelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		q := NewQueue(senderFunc(func(ctx context.Context, _ mfa.Message) error {
			<-release
			SetReceipt(ctx, "SM1")
			return nil
		}), time.Minute)
		var order []string
		s := q.Send(mfa.Message{ID: "1"}, func(receipt string, _ error) { order = append(order, "after "+receipt) })
		order = append(order, "returned")
		if s.Err() != nil {
			t.Error("an error while under way")
		}
		close(release)
		<-s.Done()
		if len(order) != 2 || order[0] != "returned" || order[1] != "after SM1" || s.Err() != nil {
			t.Errorf("order %v, err %v", order, s.Err())
		}
		q.Close(t.Context())
	})
}

func TestQueueGivesUpAfterItsTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := NewQueue(senderFunc(func(ctx context.Context, _ mfa.Message) error {
			<-ctx.Done()
			return ctx.Err()
		}), time.Minute)
		start := time.Now()
		s := q.Send(mfa.Message{}, nil)
		<-s.Done()
		if !errors.Is(s.Err(), context.DeadlineExceeded) || time.Since(start) != time.Minute {
			t.Errorf("%v after %v", s.Err(), time.Since(start))
		}
		q.Close(t.Context())
	})
}

func TestQueueCloseWaitsThenGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := NewQueue(senderFunc(func(ctx context.Context, m mfa.Message) error {
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-time.After(10 * time.Second):
				if m.ID == "slow" {
					<-ctx.Done()
					return context.Cause(ctx)
				}
				return nil
			}
		}), time.Hour)
		quick, slow := q.Send(mfa.Message{ID: "quick"}, nil), q.Send(mfa.Message{ID: "slow"}, nil)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		q.Close(ctx)
		if quick.Err() != nil || !errors.Is(slow.Err(), ErrClosed) {
			t.Errorf("quick %v, slow %v", quick.Err(), slow.Err())
		}
		if late := q.Send(mfa.Message{}, nil); !errors.Is(late.Err(), ErrClosed) {
			t.Errorf("after Close: %v", late.Err())
		}
	})
}

// A text message is given up while the person still waits, so that its code can go by email.
func TestQueueHurriesTexts(t *testing.T) {
	for carrier, want := range map[mfa.Method]time.Duration{mfa.Email: time.Minute, mfa.SMS: 15 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			q := NewQueue(senderFunc(func(ctx context.Context, _ mfa.Message) error {
				<-ctx.Done()
				return ctx.Err()
			}), time.Minute)
			start := time.Now()
			<-q.Send(mfa.Message{Carrier: carrier}, nil).Done()
			if took := time.Since(start); took != want {
				t.Errorf("%s: given up after %v", carrier, took)
			}
			q.Close(t.Context())
		})
	}
}
