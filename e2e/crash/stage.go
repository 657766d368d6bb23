package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// A stage is a scenario with the folder that it begins with.
type stage struct {
	scenario
	programs string
	dir      string
	base     map[string]node   // of the folder disk
	props    map[string]node   // other files, as a backup
	owners   map[string]*owner // as they are at the beginning
}

// newStage prepares a scenario. The folder is on a disk, whose way of writing counts.
func newStage(s scenario, programs string) (_ *stage, err error) {
	st := &stage{scenario: s, programs: programs}
	if st.dir, err = os.MkdirTemp("/var/tmp", "mfa-crash-"); err != nil {
		return nil, err
	}
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("prepare: %v", r)
		}
		if err != nil {
			st.strike()
		}
	}()
	w := &world{dir: filepath.Join(st.dir, "prepare"), programs: programs, settings: s.settings}
	must(os.Mkdir(w.dir, 0o700))
	defer w.kill()
	s.prepare(w)
	if st.base, err = readTree(w.path("disk")); err != nil {
		return nil, err
	}
	delete(st.base, "store/lock")
	if st.props, err = readTree(w.dir); err != nil {
		return nil, err
	}
	maps.DeleteFunc(st.props, func(path string, n node) bool { return n.Dir || filepath.Dir(path) != "." })
	st.owners = w.owners
	return st, nil
}

// strike removes all that was made.
func (st *stage) strike() { _ = os.RemoveAll(st.dir) }

// world returns the folder as it is at the beginning.
func (st *stage) world(name string) (*world, error) {
	w := &world{dir: filepath.Join(st.dir, name), programs: st.programs, settings: st.settings, owners: map[string]*owner{}}
	w.rec = &recording{Name: st.name, Base: st.base, Settings: st.settings}
	for name, o := range st.owners {
		c := *o
		w.owners[name] = &c
	}
	if err := os.RemoveAll(w.dir); err != nil {
		return nil, err
	}
	return w, errors.Join(os.MkdirAll(w.path("disk"), 0o700), lay(w.path("disk"), st.base), lay(w.dir, st.props))
}

// play runs the scenario. The error is that of its end.
func (st *stage) play(w *world) (err error) {
	defer func() {
		if r := recover(); r != nil {
			var is bool
			if err, is = r.(error); !is {
				panic(r)
			}
		}
		w.kill()
	}()
	st.run(w)
	return nil
}

// record runs the scenario to its end, and returns what it did.
func (st *stage) record() (*recording, error) {
	w, err := st.world("record")
	if err != nil {
		return nil, err
	}
	if err := errors.Join(st.play(w), w.rec.problem()); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, w.log())
	}
	w.rec.Now = time.Now().UnixNano()
	there, err := readTree(w.path("disk"))
	if err != nil {
		return nil, err
	}
	return w.rec, w.rec.proves(there)
}

// proves returns an error unless what was noted leads to what is there.
func (r *recording) proves(there map[string]node) error {
	d := newDisk(r.Base)
	for _, o := range r.Ops {
		d.apply(o)
	}
	noted := d.after(everything())
	for path := range there {
		if _, ok := noted[path]; !ok {
			return fmt.Errorf("%s is there, and nobody noted it", path)
		}
	}
	for path, n := range noted {
		if is := there[path]; n.Dir != is.Dir || n.Mode != is.Mode || !slices.Equal(n.Data, is.Data) {
			return fmt.Errorf("%s is not as it was noted: %d bytes, mode %v, and %d bytes, mode %v", path, len(n.Data), n.Mode, len(is.Data), is.Mode)
		}
	}
	return nil
}

// writes returns how many operations changed or synced something.
func (r *recording) writes() (n int) {
	for _, o := range r.Ops {
		if o.Kind != sent {
			n++
		}
	}
	return n
}

// killed runs the scenario with a daemon that is killed before operation n, and looks at
// what is left: the records, and then logins in a real daemon.
func (st *stage) killed(n int, o *options) error {
	w, err := st.world("kill")
	if err != nil {
		return err
	}
	w.killAt = n
	if err := st.play(w); err != nil && !errors.Is(err, errGone) && w.rec.len() < n {
		return fmt.Errorf("%w\n%s", err, w.log())
	}
	if err := w.rec.problem(); err != nil && !errors.Is(err, unix.ESRCH) {
		return err
	}
	w.rec.Now = time.Now().UnixNano()
	left, err := readTree(w.path("disk"))
	if err != nil {
		return err
	}
	walk, err := o.walk(w.rec, func(string) {})
	if err != nil {
		return err
	}
	defer walk.close()
	_, err = walk.look(filepath.Join(walk.scratch, "x"), job{all: left, k: w.rec.len() + 1, high: w.rec.len() + 1, probe: asProcess{st.programs}})
	return err
}
