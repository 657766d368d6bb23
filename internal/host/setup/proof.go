package setup

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"mfa/internal/audit"
	"mfa/internal/mfa"
)

// A Proof watches the audit file for a login. Close it.
type Proof struct {
	service string
	user    string
	tail    tail
}

// Watch begins to watch the audit file for logins of a user through a service; ""
// is any user. What is in it already counts for nothing.
func Watch(file, service, user string) (*Proof, error) {
	p := &Proof{service: service, user: user, tail: tail{path: file}}
	if err := p.tail.toEnd(); err != nil {
		return nil, fmt.Errorf("read audit.file: %w", err)
	}
	return p, nil
}

// Close ends the watching.
func (p *Proof) Close() { p.tail.close() }

// Await waits for a login, not before since, whose second factor was accepted, and
// returns it. A file that log rotation puts in its place is read too.
func (p *Proof) Await(ctx context.Context, since time.Time) (mfa.Event, error) {
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		lines, err := p.tail.next()
		if err != nil {
			return mfa.Event{}, fmt.Errorf("read audit.file: %w", err)
		}
		for _, line := range lines {
			var ev mfa.Event
			if json.Unmarshal(line, &ev) == nil && p.proves(ev, since) {
				return ev, nil
			}
		}
		select {
		case <-ctx.Done():
			return mfa.Event{}, context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// proves says whether an event is a login that went through the second factor.
func (p *Proof) proves(ev mfa.Event, since time.Time) bool {
	return ev.Event == audit.Login && ev.Service == p.service && (p.user == "" || ev.User == p.user) &&
		ev.Outcome == mfa.Accepted.String() && !ev.Time.Before(since)
}

// A tail reads whole lines of a file that grows.
type tail struct {
	path string
	f    *os.File
	rest []byte // of a line that is not whole yet
}

func (t *tail) close() {
	if t.f != nil {
		_ = t.f.Close() // it was only read
	}
}

// toEnd passes over what is there.
func (t *tail) toEnd() error {
	if err := t.follow(); err != nil || t.f == nil {
		return err
	}
	_, err := t.f.Seek(0, io.SeekEnd)
	return err
}

// next returns the lines that came since.
func (t *tail) next() ([][]byte, error) {
	if err := t.follow(); err != nil || t.f == nil {
		return nil, err
	}
	data, err := io.ReadAll(bufio.NewReader(t.f))
	if err != nil {
		return nil, err
	}
	lines := bytes.SplitAfter(append(t.rest, data...), []byte("\n"))
	t.rest = lines[len(lines)-1]
	return lines[:len(lines)-1], nil
}

// follow opens the file that is at the path, from its beginning.
func (t *tail) follow() error {
	there, err := os.Stat(t.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if t.f != nil {
		here, err := t.f.Stat()
		if err != nil || os.SameFile(here, there) {
			return err
		}
		t.close()
	}
	t.f, err = os.Open(t.path)
	t.rest = nil
	return err
}
