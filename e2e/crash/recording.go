package main

import (
	"compress/gzip"
	"encoding/gob"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
)

// A recording is what a run of a scenario did to the disk, and what was promised meanwhile.
type recording struct {
	mu       sync.Mutex // guards what follows
	Name     string
	Settings []string        // of mfa.toml
	Base     map[string]node // the folder before
	Ops      []op
	Facts    []fact
	Used     []used
	Seed     uint64 // of what was left to chance
	Random   int    // and how much was
	Now      int64  // when it ended, in nanoseconds since 1970

	fault error
}

// A node is a file or a folder before a run.
type node struct {
	Dir  bool
	Data []byte
	Mode os.FileMode
}

// add notes an operation.
func (r *recording) add(o op) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Ops = append(r.Ops, o)
	if o.Kind == strange {
		r.fault = errors.Join(r.fault, fmt.Errorf("%s: the model does not know %s of %s", r.Name, o.To, o.Path))
	}
}

// broken notes that the recording is worth nothing.
func (r *recording) broken(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fault = errors.Join(r.fault, err)
}

// problem returns why the recording is worth nothing, or nil.
func (r *recording) problem() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.fault
}

// len returns how many operations there are.
func (r *recording) len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.Ops)
}

// heard returns the place of what left the program last: somebody outside has it.
func (r *recording) heard() int {
	for i := len(r.Ops) - 1; i >= 0; i-- {
		if r.Ops[i].Kind == sent {
			return i
		}
	}
	return -1
}

// promise notes what was promised by what left the program last, until it is taken back.
func (r *recording) promise(facts ...fact) {
	r.mu.Lock()
	defer r.mu.Unlock()
	at := r.heard()
	for _, f := range facts {
		f.From, f.To = at, -1
		r.Facts = append(r.Facts, f)
	}
}

// spent notes that something was accepted that must never be accepted again.
func (r *recording) spent(u used) {
	r.mu.Lock()
	defer r.mu.Unlock()
	u.From = r.heard()
	r.Used = append(r.Used, u)
}

// promiseMail is promise for what a mail promised, which went out last.
func (r *recording) promiseMail(facts ...fact) {
	r.mu.Lock()
	defer r.mu.Unlock()
	at := len(r.Ops) - 1
	for at >= 0 && r.Ops[at].Path != outbox {
		at--
	}
	for _, f := range facts {
		f.From, f.To = at, -1
		r.Facts = append(r.Facts, f)
	}
}

// release takes back what was promised of a user: somebody asks for something else now.
func (r *recording) release(user string, whats ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.Facts {
		f := &r.Facts[i]
		for _, what := range whats {
			if f.To < 0 && f.User == user && f.What == what {
				f.To = len(r.Ops)
			}
		}
	}
}

// save writes a recording to a file, so that its points can be looked at again.
func (r *recording) save(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	z, err := gzip.NewWriterLevel(f, gzip.BestSpeed)
	if err == nil {
		err = errors.Join(gob.NewEncoder(z).Encode(r), z.Close())
	}
	return errors.Join(err, f.Close())
}

// load reads what save wrote.
func load(path string) (*recording, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	r := &recording{}
	if err := gob.NewDecoder(z).Decode(r); err != nil {
		return nil, fmt.Errorf("read the recording %q: %w", path, err)
	}
	return r, nil
}

// readTree returns what is in a folder.
func readTree(dir string) (map[string]node, error) {
	all := map[string]node{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		rel, in := under(dir, path)
		if err != nil || !in {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		n := node{Dir: d.IsDir(), Mode: info.Mode().Perm()}
		if !n.Dir && !d.Type().IsRegular() {
			return nil // a socket
		}
		if !n.Dir {
			if n.Data, err = os.ReadFile(path); err != nil {
				return err
			}
		}
		all[rel] = n
		return nil
	})
	return all, err
}
