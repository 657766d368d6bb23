package login

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"time"

	"mfa/internal/account"
	"mfa/internal/audit"
	"mfa/internal/mfa"
	"mfa/internal/text"
)

// Words of SessionConfig.Remember and SessionConfig.Bind.
const (
	RememberNever  = "never"  // everybody is asked each time
	RememberAsk    = "ask"    // the person is asked, after a right code
	RememberAlways = "always" // every login with a right code is remembered

	BindAddress = "address" // the network the login comes from
	BindKey     = "key"     // the SSH key that was the first factor, or that there was none

	ScopeHost  = "host"  // a login is remembered on the host where the code was typed
	ScopeFleet = "fleet" // on every host with the same store
)

// SessionConfig is the table [session]: which logins are remembered, and what
// the next one must have in common with them.
type SessionConfig struct {
	Remember   string       `toml:"remember"`
	Scope      string       `toml:"scope"`       // ScopeHost or ScopeFleet
	Lifetime   mfa.Duration `toml:"lifetime"`    // from the right code on; not prolonged by use
	Bind       []string     `toml:"bind"`        // beside user and service
	IPv4Prefix int          `toml:"ipv4_prefix"` // bits of an address that have to be the same
	IPv6Prefix int          `toml:"ipv6_prefix"`
}

const (
	// maxSessions is how many sessions a user has at most; the least recently used goes
	// first.
	maxSessions = 32
	clockSlack  = mfa.ClockSlack
)

// binding returns a session with only the fields that one from origin is bound to. It
// is false if logins from there are never remembered: if the address counts and
// mfa.Origin.Place is false for it, or if only the key counts and there is none.
func (c SessionConfig) binding(o mfa.Origin) (mfa.Session, bool) {
	s := mfa.Session{Service: o.Service, Address: mfa.Any, Key: mfa.Any, UID: o.UID}
	if c.Scope == ScopeHost {
		s.Host = o.Host
	}
	if slices.Contains(c.Bind, BindKey) {
		s.Key = o.Key
	}
	if !slices.Contains(c.Bind, BindAddress) {
		return s, s.Key != mfa.Any && s.Key != ""
	}
	network, ok := c.network(o)
	s.Address = network
	return s, ok
}

// network returns the part of an origin's address that counts, as "203.0.113.7/32".
func (c SessionConfig) network(o mfa.Origin) (string, bool) {
	a, ok := o.Place()
	if !ok {
		return "", false
	}
	bits := c.IPv6Prefix
	if a.Is4() {
		bits = c.IPv4Prefix
	}
	p, err := a.Prefix(bits)
	return p.String(), err == nil
}

// expiry returns when a session ends. A lifetime that was shortened counts at once.
func (c SessionConfig) expiry(s mfa.Session) time.Time {
	if t := s.Created.Add(time.Duration(c.Lifetime)); t.Before(s.Expires) {
		return t
	}
	return s.Expires
}

// ended returns why a session does not count at the time now for an enrollment
// with that fingerprint; "" if it does.
func (c SessionConfig) ended(s mfa.Session, fingerprint string, now time.Time) string {
	switch {
	case !now.Before(c.expiry(s)):
		return "expired"
	case now.Add(clockSlack).Before(s.LastUsed):
		return "used at a time that has not come yet" // or a wrong clock would make it last for years
	case s.Enrollment == "" || s.Enrollment != fingerprint:
		return "the enrollment changed"
	}
	return ""
}

// remembered returns the session in st that accepts a login from o by a user with the
// enrollment en, who could be asked for one of methods.
func remembered(st mfa.State, c SessionConfig, o mfa.Origin, en mfa.Enrollment, methods []mfa.Method, now time.Time) (mfa.Session, bool) {
	place, ok := c.binding(o)
	if !ok || len(st.Sessions) == 0 || st.MustChangePassword {
		return mfa.Session{}, false
	}
	fingerprint := en.Fingerprint()
	for _, s := range st.Sessions {
		if s.SamePlace(place) && slices.Contains(methods, s.Method) && !st.Disabled(s.Method) && c.ended(s, fingerprint, now) == "" {
			return s, true
		}
	}
	return mfa.Session{}, false
}

// remember adds s to st. It replaces a session of the same place, and drops expired
// sessions and those beyond maxSessions.
func remember(st *mfa.State, s mfa.Session) {
	dropExpired(st, s.Created)
	st.Sessions = slices.DeleteFunc(st.Sessions, s.SamePlace)
	st.Sessions = append(st.Sessions, s)
	if over := len(st.Sessions) - maxSessions; over > 0 {
		slices.SortStableFunc(st.Sessions, func(a, b mfa.Session) int { return a.LastUsed.Compare(b.LastUsed) })
		st.Sessions = st.Sessions[over:]
	}
}

func dropExpired(st *mfa.State, now time.Time) {
	st.Sessions = slices.DeleteFunc(st.Sessions, func(s mfa.Session) bool { return !now.Before(s.Expires) })
	if len(st.Sessions) == 0 {
		st.Sessions = nil
	}
}

// rememberMode returns the mode for this login; RememberNever for a name without an
// account.
func (l *inquiry) rememberMode() string {
	if l.user.Account.IsUnknown() {
		return RememberNever
	}
	return cmp.Or(l.policy.Remember, l.engine.cfg.Session.Remember)
}

// remembered returns the session in st that accepts this login, which has the plan p.
func (l *inquiry) remembered(st mfa.State, p plan) (mfa.Session, bool) {
	if l.someKey && slices.Contains(l.engine.cfg.Session.Bind, BindKey) {
		return mfa.Session{}, false // which is bound to a key, or to there being none
	}
	switch l.rememberMode() {
	case RememberAsk, RememberAlways:
		return remembered(st, l.engine.cfg.Session, l.user.Origin, p.enrollment, p.methods, l.engine.deps.Now())
	}
	return mfa.Session{}, false
}

// acceptSession accepts a login that is remembered. The update that notes the use of the session
// checks once more that it is there and that the user did not change; it is durable
// before the verdict. If the session is gone the user is asked.
func (l *attempt) acceptSession(ctx context.Context, p plan) (mfa.Verdict, error) {
	var found mfa.Session
	var ok bool
	err := l.user.Account.Update(ctx, func(st *mfa.State) error {
		now := l.engine.deps.Now()
		if err := l.user.CheckState(*st); err != nil {
			return err
		}
		if found, ok = l.remembered(*st, p); !ok {
			return nil
		}
		if err := account.Online(*st); err != nil {
			return err
		}
		for i := range st.Sessions {
			if s := &st.Sessions[i]; s.ID == found.ID && now.After(s.LastUsed) {
				s.LastUsed = now.UTC().Truncate(time.Second)
			}
		}
		dropExpired(st, now)
		return nil
	})
	switch {
	case err != nil:
		return l.talk.Failed(ctx, err)
	case !ok:
		return l.ask(ctx, p)
	}
	return mfa.Verdict{Outcome: mfa.Accepted, Reason: "remembered login " + found.ID}, nil
}

// rememberLogin remembers a login whose code was right, if the configuration and the person want
// that. A login by a backup code is never remembered: it is often made at a machine of
// somebody else. A failure to store it does not refuse the login; a prompt that gets no
// answer does, in challenge.Conversation.Close.
func (l *attempt) rememberLogin(ctx context.Context, en mfa.Enrollment, m mfa.Method) {
	mode := l.rememberMode()
	s, ok := l.engine.cfg.Session.binding(l.user.Origin)
	switch {
	case !ok || m == mfa.Backup:
		return
	case mode == RememberAsk && !l.oneLine() && l.wantsToBeRemembered(ctx, s), mode == RememberAlways:
	default:
		return
	}
	now := l.engine.deps.Now().UTC().Truncate(time.Second)
	s.ID, s.Method, s.Enrollment = newSessionID(), m, en.Fingerprint()
	s.Created, s.LastUsed, s.Expires = now, now, now.Add(time.Duration(l.engine.cfg.Session.Lifetime))
	err := l.user.Account.Update(ctx, func(st *mfa.State) error {
		if err := cmp.Or(l.user.CheckState(*st), account.Online(*st)); err != nil {
			return err
		}
		remember(st, s)
		return nil
	})
	if err != nil {
		l.engine.deps.Log.Error("login not remembered", "user", l.user.Account.ID.Name, "error", err)
		l.talk.Say(ctx, mfa.Info, l.talk.Words("This login could not be remembered."))
		return
	}
	ev := l.user.Event(audit.Remembered)
	ev.Method = string(m)
	ev.Reason = fmt.Sprintf("session %s until %s, address %s", s.ID, s.Expires.Format(time.RFC3339), s.Address)
	l.engine.deps.Audit.Record(ev)
}

// newSessionID returns 50 random bits in base32.
func newSessionID() string { return strings.ToLower(rand.Text()[:10]) }

// wantsToBeRemembered asks the person. No answer counts as no.
func (l *attempt) wantsToBeRemembered(ctx context.Context, s mfa.Session) bool {
	answer, err := l.talk.Line(ctx, mfa.Ask, textRemember(l.user.Words(), s, time.Duration(l.engine.cfg.Session.Lifetime)))
	answer = text.Key(answer)
	return err == nil && (answer == "y" || answer == "yes")
}

// endRemember is how the prompt ends. Programs wait for it, so the span is in English.
const endRemember = "Remember this login for %s? [y/N]: "

// textRemember is the prompt, which says what y means; in another language than English also
// what its end asks.
func textRemember(w *text.Printer, s mfa.Session, lifetime time.Duration) string {
	end := fmt.Sprintf(endRemember, mfa.Span(lifetime))
	if asked := w.Say("Remember this login for %s?", text.SpanOf(lifetime)); !strings.HasPrefix(end, asked) {
		end = asked + "\n" + end
	}
	from, key := strings.TrimSuffix(strings.TrimSuffix(s.Address, "/32"), "/128"), s.Key != mfa.Any && s.Key != ""
	what := w.Say("y: no code is asked for.")
	switch {
	case s.Address != mfa.Any && key:
		what = w.Say("y: no code is asked for from %s with this key.", from)
	case s.Address != mfa.Any:
		what = w.Say("y: no code is asked for from %s.", from)
	case key:
		what = w.Say("y: no code is asked for with this key.")
	}
	return what + "\n" + end
}
