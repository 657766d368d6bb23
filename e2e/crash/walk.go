package main

import (
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// A walk goes through all that a crash can leave of one recording.
type walk struct {
	rec     *recording
	scratch string // a folder in memory
	random  int    // cuts by chance at each place
	seed    uint64
	share   int    // one of so many points is looked at
	only    string // the point to look at; empty: all
	lie     string // what the disk does not do, to see that it is found

	probes *probes
	list   func(line string) // is told each point

	jobs    chan job
	digests []string // of what programs see behind k operations

	mu     sync.Mutex // guards what follows
	tally  tally
	failed []string
}

// A tally counts points.
type tally struct{ kills, cuts, logins int }

// A job is one point: a folder to look at.
type job struct {
	id    string
	all   map[string]node
	k     int // operations before it
	low   int // what is there is not older than behind so many operations
	high  int // and not newer
	power bool
	probe prober // nil: only records are looked at
}

// place is where in a recording a disk stands: behind k operations, and, if during, while
// the next one writes.
type place struct {
	k      int
	during bool
}

// number returns one number for a place.
func (p place) number() int {
	if p.during {
		return 2*p.k + 1
	}
	return 2 * p.k
}

// each carries out all operations, and calls visit at each place.
func (w *walk) each(visit func(d *disk, at place) error) error {
	d := newDisk(w.rec.Base)
	for k := 0; ; k++ {
		if err := visit(d, place{k, false}); err != nil || k == len(w.rec.Ops) {
			return err
		}
		o := w.rec.Ops[k]
		if w.lies(&o) {
			continue
		}
		if o.Kind == write && o.Synced {
			half := o
			half.Synced = false
			d.apply(half)
			if err := visit(d, place{k, true}); err != nil {
				return err
			}
			o.Kind = datasync // its own bytes, and what they lie over: nothing else is open there
		}
		d.apply(o)
	}
}

// Lies of a disk.
const (
	lieData  = "data"  // no file is ever synced
	lieNames = "names" // no folder is
	lieLog   = "log"   // no synced write is
	lieEarly = "early" // all is, but mfad says what it decided before
)

// early has all that was promised be promised before the last synced write before it.
func (r *recording) early() {
	for i := range r.Facts {
		f := &r.Facts[i]
		for f.From >= 0 && !r.Ops[f.From].Synced {
			f.From--
		}
		f.From--
	}
}

// lies reports whether the disk does not do what it says.
func (w *walk) lies(o *op) bool {
	if w.lie == lieLog {
		o.Synced = false
	}
	return w.lie == lieData && (o.Kind == fsync || o.Kind == datasync) || w.lie == lieNames && o.Kind == syncDir
}

// heardBy returns how many operations there were before the last that somebody heard of.
func (w *walk) heardBy(k int) int {
	for i := k - 1; i >= 0; i-- {
		if w.rec.Ops[i].Kind == sent {
			return i
		}
	}
	return 0
}

// kills looks at what SIGKILL leaves behind each operation.
func (w *walk) kills() error {
	w.digests = make([]string, len(w.rec.Ops)+1)
	var last *snapshot
	return w.each(func(d *disk, at place) error {
		if at.during {
			return nil
		}
		k := at.k
		var o op
		if k > 0 {
			o = w.rec.Ops[k-1]
			w.digests[k] = w.digests[k-1]
		}
		j := job{id: w.id(at, 0), k: k, high: k}
		var err error
		switch o.Kind {
		case fsync, datasync, syncDir:
			return nil // nothing changed that programs see
		case sent:
			if last != nil {
				err = w.facts(last, j)
			}
		default:
			j.all = d.after(everything())
			if last, err = w.look(filepath.Join(w.scratch, "k"), j); last != nil {
				w.digests[k] = last.digest()
			}
		}
		if w.wants(j.id) {
			w.note(j, err)
			w.list(fmt.Sprintf("%s killed behind %d operations, the last %v", j.id, k, o))
		}
		return nil
	})
}

// id returns the number by which a point is looked at again.
func (w *walk) id(at place, v int) string {
	return fmt.Sprintf("%s/%d/%d", w.rec.Name, at.number(), v)
}

// wants reports whether a point is to be looked at.
func (w *walk) wants(id string) bool { return w.only == "" || w.only == id }

// powers looks at what a power failure leaves at each place.
func (w *walk) powers() error {
	w.jobs = make(chan job, 2)
	var looking sync.WaitGroup
	for n := range 2 {
		looking.Go(func() {
			for j := range w.jobs {
				_, err := w.look(filepath.Join(w.scratch, fmt.Sprint("p", n)), j)
				w.note(j, err)
			}
		})
	}
	seen, n := map[uint64]bool{}, 0
	seed := maphash.MakeSeed()
	err := w.each(func(d *disk, at place) error {
		low := w.heardBy(at.k)
		high := at.k
		if at.during {
			high++
		}
		for v, c := range cuts(d, w.random, w.seed, at.number()) {
			j := job{id: w.id(at, v+1), k: at.k, low: low, high: high, power: true}
			if n++; !w.wants(j.id) || n%w.share != 0 && w.only == "" {
				continue
			}
			j.all = d.after(c.choice)
			key := hashOf(seed, j.all, low)
			if seen[key] {
				continue
			}
			seen[key] = true
			j.probe = w.probes.next()
			w.list(fmt.Sprintf("%s power cut behind %d operations: %s", j.id, at.k, c.name))
			w.jobs <- j
		}
		return nil
	})
	close(w.jobs)
	looking.Wait()
	return err
}

// hashOf returns a number that tells one folder from another.
func hashOf(seed maphash.Seed, all map[string]node, low int) uint64 {
	var h maphash.Hash
	h.SetSeed(seed)
	for _, path := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(&h, "%s %v %d:", path, all[path].Mode, len(all[path].Data))
		_, _ = h.Write(all[path].Data) // it never fails
	}
	fmt.Fprint(&h, low)
	return h.Sum64()
}

// look lays a folder and looks at it.
func (w *walk) look(dir string, j job) (*snapshot, error) {
	if err := relay(dir, j.all); err != nil {
		return nil, err
	}
	snap, err := open(filepath.Join(dir, "disk"), j.power)
	if err != nil {
		return nil, err
	}
	err = w.facts(snap, j)
	if j.power {
		err = errors.Join(err, w.inOrder(snap.digest(), j))
	}
	if err != nil || j.probe == nil {
		return snap, err
	}
	if err := relay(dir, j.all); err != nil {
		return snap, err
	}
	return snap, j.probe.try(dir, w.rec, j, snap)
}

// facts returns an error if something is forgotten that was promised before a point.
func (w *walk) facts(snap *snapshot, j job) error {
	var errs []error
	for _, f := range w.rec.Facts {
		if f.stands(j.k, j.high) {
			errs = append(errs, f.holds(snap, j.power))
		}
	}
	return errors.Join(errs...)
}

// relay lays a folder in the place of one that was looked at.
func relay(dir string, all map[string]node) error {
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(filepath.Join(dir, "disk"), 0o700)); err != nil {
		return err
	}
	return lay(filepath.Join(dir, "disk"), all)
}

// inOrder returns an error unless all records are as they were at one moment, not before
// the last that somebody heard of.
func (w *walk) inOrder(digest string, j job) error {
	if slices.Contains(w.digests[j.low:min(j.high, len(w.rec.Ops))+1], digest) {
		return nil
	}
	for k, d := range w.digests {
		if d == digest {
			return fmt.Errorf("the records are those behind %d operations; somebody heard of the one behind %d", k, j.low)
		}
	}
	return fmt.Errorf("the records are of no moment: %s", difference(w.digests[j.low], digest))
}

// difference returns the first line in which two texts differ.
func difference(a, b string) string {
	as, bs := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range min(len(as), len(bs)) {
		if as[i] != bs[i] {
			return fmt.Sprintf("%.600q, and %.600q", as[i], bs[i])
		}
	}
	return fmt.Sprintf("%d lines, and %d", len(as), len(bs))
}

// note notes how a point was.
func (w *walk) note(j job, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if j.power {
		w.tally.cuts++
	} else {
		w.tally.kills++
	}
	if j.probe != nil {
		w.tally.logins++
	}
	if err != nil {
		w.failed = append(w.failed, fmt.Sprintf("%s: %v", j.id, err))
	}
}
