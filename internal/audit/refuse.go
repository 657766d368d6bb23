package audit

import (
	"fmt"
	"time"

	"mfa/internal/mfa"
)

const (
	// foldEvery is how often a refusal that goes on and on gets a line.
	foldEvery = time.Minute
	// maxFolds bounds how many kinds of refusals are counted apart. What finds no
	// place is counted together; root's always find one.
	maxFolds = 16
	// ownLines is how many refusals of root's within a minute have a line each.
	ownLines = 20
)

// A fold is refusals that are the same but for what was asked.
type fold struct {
	last  mfa.Event
	own   int // lines of their own so far
	more  int // since the last line
	timer *time.Timer
}

// everybody is the uid of a fold of many: no process has it.
const everybody = 1<<32 - 1

// foldKey tells refusals apart.
type foldKey struct {
	uid  uint32 // who asked
	kind string
}

// Refuse records a refusal of which the caller uid can cause any number. The
// first of a kind gets its line at once (root's first few), those that follow one
// line a minute with their number. Kinds are few: no kind holds what a caller chose. A nil Log
// records nothing.
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

// counted is the event that stands for so many like ev.
func counted(ev mfa.Event, more int) mfa.Event {
	ev.Count = more
	ev.Reason = fmt.Sprintf("%d more like this one: %s", more, ev.Reason)
	return ev
}

// unfoldAll writes what is not written yet, once nobody refuses any more.
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
