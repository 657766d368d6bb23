// Package login is one login from hello to verdict: who it is, what policy
// says, whether they are locked, the challenge and the answer.
//
// What to know before trusting it: Login reads top to bottom, and every path
// out of it that is not an explicit acceptance is a refusal. A code is stored
// before it is sent. An answer is counted, checked, spent and, on the fifth
// failure, locked in one compare-and-swap that is durable before the verdict is
// spoken, so parallel guesses, restarts and other hosts give nobody a free try.
// Who is not an account goes through the same prompts and the same writes as
// who is.
package login

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"mfa/internal/audit"
	"mfa/internal/deliver"
	"mfa/internal/mfa"
	"mfa/internal/seal"
	"mfa/internal/store"
)

// A Prompter is the far end of the conversation: a PAM application, or a script
// in a test. Prompt shows p and, if p asks, returns the line typed; else "". Its
// error wraps mfa.ErrNoConversation, mfa.ErrPasswordTyped or the cause why the
// connection ended. It is used by one login, from one goroutine.
type Prompter interface {
	Prompt(ctx context.Context, p mfa.Prompt) (answer string, err error)
}

// Deps is what an Engine works with.
type Deps struct {
	Records store.Records
	Key     *seal.Key
	Mail    *deliver.Queue
	Audit   *audit.Log
	Log     *slog.Logger
	Lookup  Lookup           // LookupNSS outside of tests
	Now     func() time.Time // the clock
}

// An Engine decides logins. It keeps nothing between them but what is in the
// store, so a reload makes a new one. It may be used from many goroutines.
type Engine struct {
	cfg  Config
	deps Deps
	rand io.Reader
}

// New returns an Engine.
func New(cfg Config, deps Deps) *Engine {
	return &Engine{cfg: cfg, deps: deps, rand: rand.Reader}
}

const (
	maxTries   = 3  // wrong codes in one conversation; sshd's MaxAuthTries does not see them
	maxIdle    = 3  // answers in a row that are no attempt
	maxPrompts = 12 // whatever is answered
)

// Login holds one login over p and returns its verdict. The error is the cause
// of a verdict that was nobody's choice (store, NSS, conversation); the verdict
// is to be obeyed either way. When ctx ends the login ends, refused.
func (e *Engine) Login(ctx context.Context, req mfa.Request, p Prompter) (mfa.Verdict, error) {
	l := &attempt{Engine: e, req: req, p: p, origin: OriginOf(req), id: mfa.Identity{Name: req.User}}
	v, err := l.decide(ctx)
	l.record(v, err)
	return v, err
}

// An attempt is one login under way.
type attempt struct {
	*Engine
	req    mfa.Request
	p      Prompter
	origin mfa.Origin
	id     mfa.Identity
	nobody *mfa.State // set when the user is no account: their state, never stored
	wrong  int        // wrong codes typed in this conversation
}

func (l *attempt) decide(ctx context.Context) (mfa.Verdict, error) {
	id, err := l.deps.Lookup(l.req.User)
	switch {
	case errors.Is(err, ErrNoAccount):
		l.nobody = &mfa.State{}
	case err != nil:
		l.say(ctx, mfa.Failure, textUnavailable)
		return mfa.Verdict{Outcome: mfa.Unavailable, Reason: "account look-up failed"}, err
	default:
		l.id = id
	}

	if l.cfg.Policy.Mode == ModeOff {
		return mfa.Verdict{Outcome: mfa.Exempt, Reason: "policy.mode is off"}, nil
	}

	st, err := l.state(ctx)
	if err != nil {
		return l.storeFailed(ctx, err)
	}
	if left, _, locked := st.Locked(l.deps.Now()); locked {
		l.say(ctx, mfa.Failure, textLocked(left))
		return mfa.Verdict{Outcome: mfa.Exhausted, Reason: "locked"}, nil
	}

	address, enrolled, err := l.address(ctx)
	switch {
	case err != nil:
		return l.storeFailed(ctx, err)
	case enrolled:
		return l.askCode(ctx, address)
	case l.cfg.Policy.Mode == ModeOptional:
		return mfa.Verdict{Outcome: mfa.Exempt, Reason: "not enrolled, and policy.mode is optional"}, nil
	}
	l.say(ctx, mfa.Failure, textNotEnrolled)
	return mfa.Verdict{Outcome: mfa.MustEnroll, Reason: "not enrolled, and policy.mode is required"}, nil
}

// address returns where the user's codes go, and whether they are enrolled.
// Who is no account has an address too, so that they are asked like others.
func (l *attempt) address(ctx context.Context) (mfa.Address, bool, error) {
	if l.nobody != nil {
		return l.decoyAddress(), true, nil
	}
	en, err := l.deps.Records.Enrollment(ctx, l.id.Name)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return mfa.Address{}, false, nil
	case err != nil:
		return mfa.Address{}, false, err
	case en.UID != l.id.UID:
		l.deps.Log.Warn("enrollment belongs to another account of this name; enroll the user anew",
			"user", l.id.Name, "uid", l.id.UID, "enrolled_uid", en.UID)
		return mfa.Address{}, false, nil
	case en.Email == nil:
		return mfa.Address{}, false, nil
	}
	return *en.Email, true, nil
}

// say shows a text that wants no answer. Who is not there to read it loses
// nothing: the verdict does not depend on it.
func (l *attempt) say(ctx context.Context, kind mfa.PromptKind, text string) {
	_, _ = l.p.Prompt(ctx, mfa.Prompt{Kind: kind, Text: text})
}

// ask shows text and waits for a line, at most code.entry_timeout.
func (l *attempt) ask(ctx context.Context, text string) (string, error) {
	kind := mfa.AskHidden
	if l.cfg.Prompt.Echo {
		kind = mfa.Ask
	}
	ctx, cancel := context.WithTimeoutCause(ctx, time.Duration(l.cfg.Code.EntryTimeout), errNoEntry)
	defer cancel()
	answer, err := l.p.Prompt(ctx, mfa.Prompt{Kind: kind, Text: text})
	if err != nil && errors.Is(context.Cause(ctx), errNoEntry) {
		return "", errNoEntry
	}
	return answer, err
}

// errNoEntry: nobody typed within code.entry_timeout.
var errNoEntry = errors.New("no answer within code.entry_timeout")

// storeFailed ends a login whose records cannot be read or written. That is
// never "not enrolled".
func (l *attempt) storeFailed(ctx context.Context, err error) (mfa.Verdict, error) {
	l.say(ctx, mfa.Failure, textUnavailable)
	return mfa.Verdict{Outcome: mfa.Unavailable, Reason: "record or store unusable"}, err
}

// noAnswer ends a login in which a prompt got no answer.
func (l *attempt) noAnswer(ctx context.Context, err error) (mfa.Verdict, error) {
	v := mfa.Verdict{Outcome: mfa.NoConversation, Reason: "no answer", Method: mfa.Email}
	switch {
	case errors.Is(err, errNoEntry), errors.Is(context.Cause(ctx), context.DeadlineExceeded):
		l.say(ctx, mfa.Failure, textTooSlow)
		v.Reason = "no code was typed in time"
	case ctx.Err() != nil:
		v.Reason = fmt.Sprintf("login ended: %v", context.Cause(ctx))
	case errors.Is(err, mfa.ErrNoConversation):
		v.Reason = "the client cannot be asked, or gave up"
		l.advise("the client cannot be asked, or gave up; nothing was counted")
	}
	if l.wrong > 0 {
		v.Outcome = mfa.WrongCode
	}
	return v, err
}

// advise logs what happened, and what to do about clients of sshd that cannot be
// asked: its password method answers hidden prompts with the password and
// refuses visible ones, and BatchMode refuses all.
func (l *attempt) advise(what string) {
	if l.origin.Service == "sshd" {
		what += ". For ssh, use keyboard-interactive: KbdInteractiveAuthentication yes and PasswordAuthentication no in sshd_config"
	}
	l.deps.Log.Warn(what, "user", l.id.Name, "service", l.origin.Service, "address", l.origin.Address)
}

// record writes the one audit line and the one log line of a login.
func (l *attempt) record(v mfa.Verdict, err error) {
	ev := l.event(audit.Login)
	ev.Outcome, ev.Reason, ev.Method = v.Outcome.String(), v.Reason, string(v.Method)
	attrs := []any{
		"outcome", ev.Outcome, "reason", v.Reason, "method", v.Method, "user", l.id.Name,
		"service", l.origin.Service, "address", l.origin.Address, "tty", l.req.TTY,
	}
	level := slog.LevelInfo
	if v.Outcome != mfa.Accepted && v.Outcome != mfa.Exempt {
		level = slog.LevelWarn
	}
	if err != nil {
		attrs = append(attrs, "error", err)
		if v.Outcome == mfa.Unavailable || v.Outcome == mfa.Broken {
			level = slog.LevelError
			ev.Reason += ": " + err.Error()
		}
	}
	l.deps.Audit.Record(ev)
	l.deps.Log.Log(context.Background(), level, "login", attrs...)
}

// event returns an audit event with all that is known of who and whence.
func (l *attempt) event(name string) audit.Event {
	ev := audit.Event{
		Time: l.deps.Now(), Event: name, User: l.id.Name,
		Service: l.origin.Service, Address: l.origin.Address, Key: l.origin.Key,
	}
	if l.nobody == nil {
		ev.UID = &l.id.UID
	}
	return ev
}
