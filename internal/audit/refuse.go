package audit

import (
	"fmt"
	"time"

	"mfa/internal/mfa"
)

const (
	// foldEvery is how often a refusal that goes on and on gets a line.
	foldEvery = time.Minute
	// maxFolds bounds how many pairs of uid and kind are counted apart. Further ones are
	// counted together, except root's.
	maxFolds = 16
	// ownLines is how many refusals of one kind of root's have a line each, until there
	// was none for a minute.
	ownLines = 20
)

// A fold is a series of refusals of one uid and kind.
type fold struct {
	last  mfa.Event
	own   int // lines of their own so far
	more  int // since the last line
	timer *time.Timer
}

// everybody is the uid of the fold that others share: no process has it.
const everybody = 1<<32 - 1

// foldKey tells refusals apart.
type foldKey struct {
	uid  uint32 // who asked
	kind string
}

// Refuse records a refusal that the peer uid can cause any number of times. The first
// of a kind is recorded at once (root's first 20); those that follow within a minute make
// one line with their number. Kind must not hold what a peer chose: there are few. A nil
// Log records nothing.
func (l *Log) Refuse(uid uint32, kind string, ev mfa.Event) {
	if l == nil {
		return
	}
	if l.folded(foldKey{uid, kind}, ev) {
		return
	}
	l.Record(ev)
}

// folded counts a refusal that needs no line now, and remembers one that does.
func (l *Log) folded(key foldKey, ev mfa.Event) bool {
	l.foldMu.Lock()
	defer l.foldMu.Unlock()
	f := l.folds[key]
	if f == nil && key.uid != 0 && len(l.folds) >= maxFolds {
		key = foldKey{uid: everybody}
		f = l.folds[key]
	}
	if f != nil && key.uid == 0 && f.own < ownLines {
		f.own++
		return false
	}
	if f != nil {
		f.last = ev
		f.more++
		return true
	}
	if l.folds == nil {
		l.folds = map[foldKey]*fold{}
	}
	f = &fold{last: ev, own: 1}
	f.timer = time.AfterFunc(foldEvery, func() { l.unfold(key) })
	l.folds[key] = f
	return false
}

// unfold writes the line of what came since the last, or forgets the kind.
func (l *Log) unfold(key foldKey) {
	l.foldMu.Lock()
	f := l.folds[key]
	if f == nil {
		l.foldMu.Unlock()
		return
	}
	ev, more := f.last, f.more
	if f.more = 0; more == 0 {
		delete(l.folds, key)
	} else {
		f.timer.Reset(foldEvery)
	}
	l.foldMu.Unlock()
	if more > 0 {
		l.Record(counted(ev, more))
	}
}

// counted returns the event that stands for that many like ev.
func counted(ev mfa.Event, more int) mfa.Event {
	ev.Count = more
	ev.Reason = fmt.Sprintf("%d more like this one: %s", more, ev.Reason)
	return ev
}

// unfoldAll writes what is not written yet. It is called after the last Refuse.
func (l *Log) unfoldAll() {
	l.foldMu.Lock()
	folds := l.folds
	l.folds = nil
	l.foldMu.Unlock()
	for _, f := range folds {
		f.timer.Stop()
		if f.more > 0 {
			l.Record(counted(f.last, f.more))
		}
	}
}
