package history

import (
	"cmp"
	"maps"
	"slices"
)

// A Checker holds histories to the model. It goes through the calls and returns of a user in
// their order, and keeps what can have happened so far: at each return those ways go in
// which the operation that returned cannot have happened by then (Lowe, "Testing for
// linearizability", 2017). One goroutine at a time may use it.
type Checker struct {
	params Params
	users  map[string]*timeline
}

// NewChecker returns a Checker for users of whom nothing is known yet: nobody is enrolled.
func NewChecker(p Params) *Checker { return &Checker{params: p, users: map[string]*timeline{}} }

// Add checks what happened next: all operations of a Recorder's Take. It returns the first
// fault of each user, and looks no more at users of whom it has returned one.
func (c *Checker) Add(history []Operation) (faults []Fault) {
	byUser := map[string][]Operation{}
	for _, o := range history {
		byUser[o.User] = append(byUser[o.User], o)
	}
	for _, user := range slices.Sorted(maps.Keys(byUser)) {
		t := c.users[user]
		if t == nil {
			t = &timeline{params: c.params, ways: []way{{}}}
			c.users[user] = t
		}
		if f := t.add(byUser[user]); f != nil {
			faults = append(faults, *f)
		}
	}
	return faults
}

// A way is one that things can have gone so far: the user as they are now, and which of the
// operations that have not returned have happened.
type way struct {
	state
	done set
}

// A timeline is what can have happened to one user so far.
type timeline struct {
	params Params
	ways   []way
	open   []*Operation // that have not returned, each at its place; nil: the place is free
	past   []Operation  // that have returned, the last of them
	broken bool         // a fault was found: nothing is known any more
}

// maxPast is how many operations of a user are kept, for what a Fault tells.
const maxPast = 10000

// An event is the call or the return of an operation.
type event struct {
	at   int64
	op   *Operation
	ends bool
}

// add goes through some operations.
func (t *timeline) add(ops []Operation) *Fault {
	if t.broken {
		return nil
	}
	var events []event
	for i := range ops {
		events = append(events, event{ops[i].Call, &ops[i], false})
		if ops[i].Return != Never {
			events = append(events, event{ops[i].Return, &ops[i], true})
		}
	}
	slices.SortFunc(events, func(a, b event) int { return cmp.Compare(a.at, b.at) })
	places := map[*Operation]int{}
	for _, e := range events {
		if !e.ends {
			places[e.op] = t.call(e.op)
			continue
		}
		if f := t.end(places[e.op]); f != nil {
			t.broken = true
			return f
		}
	}
	return nil
}

// call gives an operation a place among those that are open.
func (t *timeline) call(o *Operation) (place int) {
	if place = slices.Index(t.open, nil); place < 0 {
		place, t.open = len(t.open), append(t.open, nil)
	}
	t.open[place] = o
	return place
}

// end keeps the ways in which the operation at a place has happened.
func (t *timeline) end(place int) *Fault {
	o := t.open[place]
	p := t.pending()
	var next []way
	seen := map[way]bool{}
	work := slices.Clone(t.ways)
	for len(work) > 0 {
		w := t.settle(work[len(work)-1], p.reads)
		work = work[:len(work)-1]
		if seen[w] {
			continue
		}
		seen[w] = true
		if w.done.has(place) || o.Outcome == Unknown {
			next = append(next, way{w.state, w.done.without(place)})
		}
		if !w.done.has(place) {
			work = append(work, t.branch(w, p.alike)...)
		}
	}
	t.open[place] = nil
	t.past = append(t.past, *o)
	if len(t.past) > maxPast {
		t.past = slices.Delete(t.past, 0, maxPast/2)
	}
	if len(next) == 0 {
		return t.fault(*o, slices.Collect(maps.Keys(seen)))
	}
	t.ways = prune(next, p.optional)
	return nil
}

// A pending is the operations that are open, by what can be done with them.
type pending struct {
	reads    []int   // that change nothing
	alike    [][]int // all others: those with one action and outcome, the one that returns first first
	optional set     // that may not have happened when they return
}

// pending sorts the operations that are open.
func (t *timeline) pending() (p pending) {
	type likeness struct {
		Action
		Outcome
	}
	group := map[likeness]int{}
	for place, o := range t.open {
		if o == nil {
			continue
		}
		if o.Outcome == Unknown {
			p.optional = p.optional.with(place)
		}
		like := likeness{o.Action, o.Outcome}
		n, ok := group[like]
		switch {
		case o.onlyReads():
			p.reads = append(p.reads, place)
		case ok:
			p.alike[n] = append(p.alike[n], place)
		default:
			group[like], p.alike = len(p.alike), append(p.alike, []int{place})
		}
	}
	for _, places := range p.alike {
		slices.SortFunc(places, func(a, b int) int { return cmp.Compare(t.open[a].Return, t.open[b].Return) })
	}
	return p
}

// settle has those of the reads happen that can. That closes no other way: what is yet to
// happen can as before.
func (t *timeline) settle(w way, reads []int) way {
	for _, place := range reads {
		if !w.done.has(place) && len(t.results(w.state, *t.open[place])) > 0 {
			w.done = w.done.with(place)
		}
	}
	return w
}

// branch returns the ways after one more operation has happened. Of operations that are
// alike only the first is tried: the others can take its turn as well as it theirs. One may
// have happened by half, and not be done.
func (t *timeline) branch(w way, alike [][]int) (all []way) {
	for _, places := range alike {
		n := slices.IndexFunc(places, func(place int) bool { return !w.done.has(place) })
		if n < 0 {
			continue
		}
		o := t.open[places[n]]
		for _, s := range t.results(w.state, *o) {
			all = append(all, way{s, w.done.with(places[n])})
		}
		if half := w.midway(o.Action); !t.params.whole && o.Outcome != Refused && half != w.state {
			all = append(all, way{half, w.done})
		}
	}
	return all
}

// onlyReads reports whether an operation that ended so changed nothing, in whatever state.
func (o Operation) onlyReads() bool {
	switch o.Outcome {
	case Used, Locked, Asked, Offered, Refused:
		return true
	}
	return o.Kind == Begin && o.Outcome != Unknown
}

// results returns the states in which an operation leaves a user, if it can happen in s.
func (t *timeline) results(s state, o Operation) (all []state) {
	for _, r := range t.params.decide(s, o.Action) {
		switch {
		case o.Outcome == Unknown && r.next != s, r.Outcome == o.Outcome:
			all = append(all, r.next)
		}
	}
	if o.Outcome == Refused {
		all = append(all, s)
	}
	return all
}

// prune drops ways from which nothing can happen that cannot from another one: with the same
// state, where something has happened that did not have to.
func prune(ways []way, optional set) (kept []way) {
	byState := map[state][]set{}
	for _, w := range ways {
		if !slices.ContainsFunc(byState[w.state], func(d set) bool { return d.within(w.done, optional) }) {
			byState[w.state] = append(slices.DeleteFunc(byState[w.state], func(d set) bool { return w.done.within(d, optional) }), w.done)
		}
	}
	for s, sets := range byState {
		for _, d := range sets {
			kept = append(kept, way{s, d})
		}
	}
	return kept
}
