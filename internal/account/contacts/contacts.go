// Package contacts looks up where a user's codes can go: in an LDAP directory, in the
// user records of systemd, or by a program.
//
// What to know before trusting it: what cannot be looked up is an error, and never
// "none"; so is a user with more than one entry. What comes from there goes through the
// shape checks that all addresses and numbers go through. A look-up ends in time,
// whatever the other end does, and an answer is taken for a few seconds for all who ask.
package contacts

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"mfa/internal/account"
	"mfa/internal/deliver"
	"mfa/internal/mfa"
)

const (
	// lookTime bounds one look-up, over all servers.
	lookTime = 10 * time.Second
	// recent is how long an answer is taken again, whichever it was: one login asks more
	// than once, and a directory that is down must not hold up each.
	recent = 10 * time.Second
	// maxRecent bounds how many answers are kept, and maxAtOnce look-ups under way.
	maxRecent, maxAtOnce = 4096, 32
)

// A source is where it is looked up. Look returns the values as they are there. It
// ends when ctx does. An error that wraps errDown is not about the user.
type source interface {
	look(ctx context.Context, id mfa.Identity) (values, error)
}

// values are those of one entry; none of either is an answer.
type values struct{ emails, phones []string }

// errDown means that the directory does not answer, whoever is looked up.
var errDown = errors.New("the directory does not answer")

// A down is an error that is one errDown, in its own words.
type down struct{ error }

// Is makes it one.
func (down) Is(target error) bool { return target == errDown }

// Unwrap returns the error itself.
func (d down) Unwrap() error { return d.error }

// Options are what the surroundings give a Directory.
type Options struct {
	Regions []string // sms.regions
	Log     *slog.Logger
	Now     func() time.Time
}

// A Directory implements account.Directory over a source. Close it.
type Directory struct {
	name   string
	source source
	opts   Options
	room   chan struct{}

	looking sync.WaitGroup // look-ups, which outlive whoever asked

	mu     sync.Mutex         // guards what follows
	said   map[string]*answer // by user
	down   *answer            // the last that nobody could have got; nil: none
	closed bool
}

// An answer is one look-up, under way or over.
type answer struct {
	over  chan struct{} // closed when it is
	found account.Found // read after over, as the rest
	err   error
	at    time.Time
}

// New returns the Directory that cfg chose, nil if it chose none. An error begins with
// the key.
func New(cfg account.ContactsConfig, opts Options) (*Directory, error) {
	var s source
	var err error
	switch cfg.Source {
	case "":
		return nil, nil
	case account.SourceLDAP:
		s, err = newLDAP(cfg.LDAP, opts)
	case account.SourceUserDB:
		s = newUserDB()
	case account.SourceCommand:
		s, err = newCommand(cfg.Command)
	default:
		err = fmt.Errorf("contacts.source: %q is unknown", cfg.Source)
	}
	if err != nil {
		return nil, err
	}
	return over(cfg.Source, s, opts), nil
}

// over returns a Directory over s.
func over(name string, s source, opts Options) *Directory {
	return &Directory{name: name, source: s, opts: opts, room: make(chan struct{}, maxAtOnce), said: map[string]*answer{}}
}

// Close waits for the look-ups that are under way. A login that began before a reload may
// ask all the same, and waits itself.
func (d *Directory) Close() {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	d.looking.Wait()
}

// Look implements account.Directory. When ctx ends first, the look-up goes on, for
// whoever asks next.
func (d *Directory) Look(ctx context.Context, id mfa.Identity) (account.Found, error) {
	a, begin := d.ask(id)
	if begin != nil {
		begin()
	}
	select {
	case <-a.over:
		return a.found, a.err
	case <-ctx.Done():
		return account.Found{}, context.Cause(ctx)
	}
}

// Try asks anew for a user whom most directories do not have, and says what comes in
// the way of an answer.
func (d *Directory) Try(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, lookTime, errSlow)
	defer cancel()
	_, err := d.source.look(ctx, mfa.Identity{Name: "root"})
	return err
}

var errSlow = fmt.Errorf("no answer within %v", lookTime)

// ask returns an answer that is recent, or under way; else it begins one. Begin is what
// the caller does for it, if not nil.
func (d *Directory) ask(id mfa.Identity) (a *answer, begin func()) {
	key := fmt.Sprintf("%d %s", id.UID, id.Name)
	d.mu.Lock()
	defer d.mu.Unlock()
	if a := d.said[key]; a != nil && !d.old(a) {
		return a, nil
	}
	if d.down != nil && !d.old(d.down) {
		return d.down, nil
	}
	if len(d.said) >= maxRecent {
		for key, a := range d.said {
			if a.isOver() {
				delete(d.said, key)
			}
		}
	}
	a = &answer{over: make(chan struct{})}
	d.said[key] = a
	if d.closed {
		return a, func() { d.look(a, id) }
	}
	d.looking.Go(func() { d.look(a, id) })
	return a, nil
}

func (a *answer) isOver() bool {
	select {
	case <-a.over:
		return true
	default:
		return false
	}
}

// old says whether an answer is not to be taken again.
func (d *Directory) old(a *answer) bool {
	if !a.isOver() {
		return false
	}
	age := d.opts.Now().Sub(a.at)
	return age < 0 || age >= recent
}

// look fills in the answer for a user.
func (d *Directory) look(a *answer, id mfa.Identity) {
	defer close(a.over)
	ctx, cancel := context.WithTimeoutCause(context.Background(), lookTime, errSlow)
	defer cancel()
	var v values
	select {
	case d.room <- struct{}{}:
		v, a.err = d.source.look(ctx, id)
		<-d.room
	case <-ctx.Done():
		a.err = context.Cause(ctx)
	}
	a.at = d.opts.Now()
	if a.err == nil {
		a.found, a.err = d.shaped(v)
		a.found.At = a.at
	}
	if a.err != nil {
		d.opts.Log.Error("directory look-up failed", "source", d.name, "user", id.Name, "error", a.err)
	}
	for m, err := range a.found.Unusable {
		d.opts.Log.Warn("the directory has something that no code can be sent to", "source", d.name, "user", id.Name, "method", m, "error", err)
	}
	if errors.Is(a.err, errDown) {
		d.mu.Lock()
		d.down = a
		d.mu.Unlock()
	}
}

// shaped returns what can be used of v, in its one form.
func (d *Directory) shaped(v values) (account.Found, error) {
	f := account.Found{Unusable: map[mfa.Method]error{}}
	f.Emails = usable(&f, mfa.Email, v.emails, func(s string) (string, error) {
		if !mfa.IsAddress(s) {
			return "", errors.New("that is not an address like alice@example.com")
		}
		return s, nil
	})
	f.Phones = usable(&f, mfa.SMS, v.phones, func(s string) (string, error) { return deliver.ParsePhone(plain(s), d.opts.Regions) })
	return f, nil
}

// usable returns those of all that read takes. If it takes none of them, f says why.
func usable(f *account.Found, m mfa.Method, all []string, read func(string) (string, error)) (good []string) {
	var why error
	for _, s := range all {
		if s = strings.TrimSpace(s); s == "" {
			continue
		}
		if is, err := read(s); err == nil {
			good = append(good, is)
		} else if why == nil {
			why = fmt.Errorf("what it has for %s: %w", m, err)
		}
	}
	if len(good) == 0 && why != nil {
		f.Unusable[m] = why
	}
	return good
}

// trunk is how people write the zero that is left out behind a country code.
const trunk = "(0)"

// plain returns a number without what people put between its digits (ITU-T E.123). It
// adds nothing: one without its plus is somebody's guess.
func plain(number string) string {
	number = strings.ReplaceAll(number, trunk, "")
	return strings.Map(func(r rune) rune {
		switch {
		case strings.ContainsRune("-./()", r), r >= '\u2010' && r <= '\u2015', r == '\u2212':
			return ' '
		}
		return r
	}, number)
}
