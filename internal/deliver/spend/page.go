package spend

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// A page is one record.
type page struct {
	Counts  map[string]slotCounts `json:"counts"`
	Alerted map[int]alerted       `json:"alerted,omitempty"` // by level
}

// An alerted is when an alert was raised, and for what limit: a higher limit gets an alert
// of its own.
type alerted struct {
	Slot int64 `json:"slot"`
	Max  int   `json:"max"`
}

// A slotCounts is the number of messages in each slot that has any.
type slotCounts map[int64]int

// maxCount keeps the sum of a slotCounts within an int, whatever a record holds.
const maxCount = 10_000_000

// decodePage reads the record at key; data nil is an empty one. A record that
// does not parse is an error: taken for an empty one, it would lift the limits.
func decodePage(key string, data []byte) (page, error) {
	var p page
	if data == nil {
		return p, nil
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&p); err != nil {
		return page{}, fmt.Errorf("parse %q: %w", key, err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return page{}, fmt.Errorf("parse %q: more than one value", key)
	}
	for name, t := range p.Counts {
		for slot, n := range t {
			if n < 1 || n > maxCount {
				return page{}, fmt.Errorf("parse %q: %q has %d messages in slot %d", key, name, n, slot)
			}
		}
	}
	return p, nil
}

// encode returns the record, or nil for an empty one.
func (p page) encode() ([]byte, error) {
	if len(p.Counts) == 0 && len(p.Alerted) == 0 {
		return nil, nil
	}
	return json.Marshal(p)
}

// forgetOld drops what does not count in slot now.
func (p page) forgetOld(w window, now int64) {
	for name, t := range p.Counts {
		if p.Counts[name] = t.live(w, now); len(p.Counts[name]) == 0 {
			delete(p.Counts, name)
		}
	}
	maps.DeleteFunc(p.Alerted, func(_ int, a alerted) bool { return !w.live(a.Slot, now) })
}

// add counts one message.
func (p *page) add(name string, slot int64) {
	if p.Counts == nil {
		p.Counts = map[string]slotCounts{}
	}
	if p.Counts[name] == nil {
		p.Counts[name] = slotCounts{}
	}
	p.Counts[name][slot]++
}

// remove takes one message back.
func (p *page) remove(name string, slot int64) {
	t := p.Counts[name]
	if t[slot] == 0 {
		return // swept since
	}
	if t[slot]--; t[slot] == 0 {
		delete(t, slot)
	}
	if len(t) == 0 {
		delete(p.Counts, name)
	}
}

// merge takes over the counters of other; a counter is in one record only.
func (p *page) merge(other page) {
	if p.Counts == nil {
		p.Counts = map[string]slotCounts{}
	}
	maps.Copy(p.Counts, other.Counts)
}

// Levels of an alert, in percent of the limit.
const (
	nearLimit = 80
	atLimit   = 100
)

// raise returns the level of the alert that is due for used messages of limit, and notes
// it; 0 if none is due, or it was raised within the window.
func (p *page) raise(used, limit int, slot int64) (level int) {
	if limit <= 0 || used == 0 {
		return 0
	}
	for _, at := range []int{nearLimit, atLimit} {
		if used*100 < limit*at || p.Alerted[at].Max >= limit {
			continue
		}
		if p.Alerted == nil {
			p.Alerted = map[int]alerted{}
		}
		p.Alerted[at] = alerted{slot, limit}
		level = at
	}
	return level
}

// uses returns the counters whose names begin with kind, most used first.
func (p page) uses(kind string, limit int) []LimitUse {
	var uses []LimitUse
	for name, t := range p.Counts {
		if name, ok := strings.CutPrefix(name, kind); ok {
			uses = append(uses, LimitUse{Name: name, Used: t.sum(), Max: limit})
		}
	}
	slices.SortFunc(uses, func(a, b LimitUse) int {
		return cmp.Or(cmp.Compare(b.Used, a.Used), cmp.Compare(a.Name, b.Name))
	})
	return uses
}

// live returns the part of t that counts in slot now.
func (t slotCounts) live(w window, now int64) slotCounts {
	kept := maps.Clone(t)
	maps.DeleteFunc(kept, func(s int64, _ int) bool { return !w.live(s, now) })
	return kept
}

// sum returns how many messages t counts.
func (t slotCounts) sum() (n int) {
	for _, m := range t {
		n += m
	}
	return n
}

// roomAt returns when t, which holds limit messages or more, has room for one.
func (t slotCounts) roomAt(limit int, w window) time.Time {
	left := t.sum()
	var last int64
	for _, last = range slices.Sorted(maps.Keys(t)) {
		if left -= t[last]; left < limit {
			break
		}
	}
	return w.end(last)
}

// A window is the length of time of a limit, and that of the slots it is counted in.
type window struct{ length, slot time.Duration }

var (
	lastHour = window{time.Hour, 5 * time.Minute}
	lastDay  = window{24 * time.Hour, time.Hour}
)

// at returns the number of the slot that t is in.
func (w window) at(t time.Time) int64 { return t.Unix() / int64(w.slot/time.Second) }

// live reports whether slot s counts in slot now. The next slot does, as clocks differ
// between hosts. One further ahead was written by a wrong clock, and does not count.
func (w window) live(s, now int64) bool {
	slots := int64(w.length / w.slot)
	return now-slots <= s && s <= now+1
}

// end returns when slot s stops counting.
func (w window) end(s int64) time.Time {
	return time.Unix((s+1)*int64(w.slot/time.Second), 0).Add(w.length)
}
