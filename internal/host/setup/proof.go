package setup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"mfa/internal/audit"
	"mfa/internal/host/file"
	"mfa/internal/mfa"
)

// A Proof watches the audit file for a login. Close it.
type Proof struct {
	services []string
	user     string
	tail     *file.Tail
}

// Watch begins to watch the audit file at path for logins of a user through one of services; ""
// is any user. Events that are in it already do not count. The file may be missing yet.
func Watch(path string, services []string, user string) (*Proof, error) {
	tail, err := file.ExpectTail(path)
	if err == nil {
		err = tail.Skip()
	}
	if err != nil {
		return nil, fmt.Errorf("read audit.file: %w", err)
	}
	return &Proof{services: services, user: user, tail: tail}, nil
}

// Close ends the watching.
func (p *Proof) Close() { p.tail.Close() }

// errProven ends the reading of the audit file.
var errProven = errors.New("proven")

// Await waits for a login, not before since, whose second factor was accepted, and
// returns its event. It follows log rotation. The error is the cause of ctx when that
// ends.
func (p *Proof) Await(ctx context.Context, since time.Time) (mfa.Event, error) {
	var ev mfa.Event
	err := p.tail.Follow(ctx, func(line string) error {
		ev = mfa.Event{}
		if json.Unmarshal([]byte(line), &ev) == nil && p.proves(ev, since) {
			return errProven
		}
		return nil
	})
	switch {
	case errors.Is(err, errProven):
		return ev, nil
	case err != nil:
		return mfa.Event{}, fmt.Errorf("read audit.file: %w", err)
	}
	return mfa.Event{}, context.Cause(ctx)
}

// proves reports whether an event is a login whose second factor was accepted.
func (p *Proof) proves(ev mfa.Event, since time.Time) bool {
	return ev.Event == audit.Login && slices.Contains(p.services, ev.Service) && (p.user == "" || ev.User == p.user) &&
		ev.Outcome == mfa.Accepted.String() && !ev.Time.Before(since)
}
