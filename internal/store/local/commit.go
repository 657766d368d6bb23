package local

import (
	"context"
	"errors"
)

// errNotDone is the result of a request until it is carried out.
var errNotDone = errors.New("not carried out")

// do carries out r: with all that waits if it comes to lead (see queue), or by waiting for
// the leader. If ctx ends before r is taken, r is withdrawn and never written; after that
// do waits for the result.
func (l *ledger) do(ctx context.Context, r *request) error {
	leads, err := l.queue.wait(ctx, r)
	if err != nil {
		return err
	}
	if leads {
		batch := l.queue.take() // r is the first
		switch err := l.setup.lost(); {
		case err != nil:
			l.refuse(batch, err)
		case r.job != nil:
			r.err = explain(l.db.Path(), r.job())
		default:
			l.commit(batch)
		}
		l.queue.handOver(batch, r)
	}
	return r.err
}

// alone calls fn with no write under way.
func (l *ledger) alone(ctx context.Context, fn func() error) error {
	return l.do(ctx, &request{job: fn, err: errNotDone})
}

// commit carries out a batch. A request that cannot be carried out gets its own error; if
// the batch cannot be made durable, all get that error. A log that failed is begun anew
// before.
func (l *ledger) commit(batch []*request) {
	var ch *layer
	err := l.mend()
	if err == nil {
		ch, err = l.decide(batch)
	}
	if err == nil && len(ch.records) > 0 {
		if err = l.keep(ch); err == nil && l.unfold == nil {
			l.health.wrote(nil)
		}
	}
	if err != nil {
		l.refuse(batch, err)
	}
}

// refuse gives all of a batch the error.
func (l *ledger) refuse(batch []*request, err error) {
	l.health.wrote(err)
	for _, r := range batch {
		r.err = explain(l.db.Path(), err)
	}
}

// mend begins the log anew if it failed, or if its files were replaced: what was
// acknowledged must be where the next start looks.
func (l *ledger) mend() error {
	l.reap(false)
	if l.broken == nil && l.log != nil {
		l.broken = l.misplaced()
	}
	if l.broken == nil {
		return nil
	}
	return l.begin()
}

// decide returns what a batch changes. Each request is checked against the durable records
// and those before it in the batch.
func (l *ledger) decide(batch []*request) (*layer, error) {
	ch := newLayer(l.now)
	err := l.view(func(stored func(spot) []byte) error {
		for _, r := range batch {
			was, found := ch.get(r.at)
			if !found {
				was = stored(r.at)
			}
			if r.err = check(revOf(was), r.rev, r.value == nil); r.err == nil {
				ch.change(r.at, was, l.give(ch, r))
			}
		}
		return nil
	})
	return ch, err
}

// give returns what is to be stored for r. Revisions are counted for each bucket, so an
// item that is deleted and made again never has one it had before.
func (l *ledger) give(ch *layer, r *request) []byte {
	if r.value == nil {
		return nil
	}
	ch.after.revs[r.at.bucket]++
	r.newRev = ch.after.revs[r.at.bucket]
	return l.pack(r.at.bucketName(), r.at.name, r.newRev, r.value)
}

// keep makes a batch durable and shows it to readers.
func (l *ledger) keep(ch *layer) error {
	if l.log == nil {
		return l.settle(ch)
	}
	payload := l.encode(l.log.Next(), ch)
	now, ever := l.log.Fits(len(payload))
	if !ever {
		return l.settle(ch)
	}
	if !now || len(l.recent.records) > 0 && len(l.recent.records)+len(ch.records) > l.setup.shape.records {
		if err := l.change(); err != nil {
			return err
		}
		payload = l.encode(l.log.Next(), ch) // it is elsewhere now
	}
	if err := l.log.Append(payload); err != nil {
		l.broken = err
		return err
	}
	l.show(ch)
	return nil
}

// show makes a batch visible to readers.
func (l *ledger) show(ch *layer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.recent.add(ch)
	l.now = ch.after
}
