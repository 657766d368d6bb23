package sms

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"mfa/internal/deliver"
	"mfa/internal/mfa"
)

// A teller is a gateway that can say what became of a message it took. It may be
// used from many goroutines.
type teller interface {
	// fate asks once about m, which the gateway calls receipt. An error that
	// wraps ErrPermanent means that there is no use in asking again.
	fate(ctx context.Context, m mfa.Message, receipt string) (fate, error)
}

// A fate says whether a message arrived. The zero value: it is still on its way.
type fate struct {
	over   bool  // nothing will change any more
	failed error // why it did not arrive; nil: it did, or may yet
}

// maxWatched bounds the messages that are watched at once. Further ones are sent and not
// watched.
const maxWatched = 1024

// watchTimes is when a gateway is asked, counted from when it took the message.
// Most phones have the text before the first. A phone that is without a network for
// longer than the last is not reported.
var watchTimes = []time.Duration{5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute}

// A watch asks a gateway what became of the messages it took. It owns a
// goroutine for each, until close.
type watch struct {
	teller      teller
	undelivered func(m mfa.Message, receipt string, err error)
	log         *slog.Logger
	times       []time.Duration
	slots       chan struct{} // one inside for each message watched
	ctx         context.Context
	cancel      context.CancelFunc
	asking      sync.WaitGroup
}

func newWatch(t teller, undelivered func(mfa.Message, string, error), log *slog.Logger) *watch {
	ctx, cancel := context.WithCancel(context.Background())
	return &watch{
		teller: t, undelivered: undelivered, log: log, times: watchTimes,
		slots: make(chan struct{}, maxWatched), ctx: ctx, cancel: cancel,
	}
}

// add begins to ask after m. It must not be called once close is.
func (w *watch) add(m mfa.Message, receipt string) {
	m.Text, m.Code = "", "" // nobody needs the code any more
	select {
	case w.slots <- struct{}{}:
	default:
		w.log.Debug("too many text messages to ask what became of this one", "message", m.ID)
		return
	}
	w.asking.Go(func() {
		defer func() { <-w.slots }()
		w.follow(m, receipt)
	})
}

// follow asks after one message until its fate is known.
func (w *watch) follow(m mfa.Message, receipt string) {
	var last time.Duration
	for _, at := range w.times {
		if !deliver.Pause(w.ctx, at-last) {
			return
		}
		last = at
		f, err := w.teller.fate(w.ctx, m, receipt)
		switch {
		case errors.Is(err, deliver.ErrPermanent):
			w.log.Debug("what became of a text message cannot be asked", "message", m.ID, "receipt", receipt, "error", err)
			return
		case err != nil:
			continue // asked again at the next time
		case f.failed != nil:
			w.undelivered(m, receipt, f.failed)
			return
		case f.over:
			return
		}
	}
}

// close ends the asking and waits for it.
func (w *watch) close() {
	w.cancel()
	w.asking.Wait()
}
