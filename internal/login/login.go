// Package login is one login from hello to verdict: who it is, what policy
// says, whether they are locked, which method, and the verdict.
//
// What to know before trusting it: Login reads top to bottom, and every path
// out of it that is not an explicit acceptance is a refusal. How a code is asked
// for, counted and spent is package challenge's. Who is not an account goes
// through the same prompts and the same writes as who is.
package login

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"mfa/internal/audit"
	"mfa/internal/challenge"
	"mfa/internal/mfa"
	"mfa/internal/seal"
	"mfa/internal/store"
)

// A Prompter is the far end of the conversation.
type Prompter = mfa.Prompter

// An Enroller changes enrollments within a login; enroll.Service is one.
type Enroller interface {
	// Prefer makes m, which the user has, the method that is offered first.
	Prefer(ctx context.Context, c *challenge.Conversation, m mfa.Method) error
	// AtLogin leads somebody who has no second factor to one. Its verdict is
	// Accepted once they have proven what they set up.
	AtLogin(ctx context.Context, c *challenge.Conversation, may mfa.EnrollOffer) (mfa.Verdict, error)
}

// Deps is what an Engine works with.
type Deps struct {
	Records store.Records
	Asker   *challenge.Asker
	Enroll  Enroller
	Key     *seal.Key
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
}

// New returns an Engine.
func New(cfg Config, deps Deps) *Engine { return &Engine{cfg: cfg, deps: deps} }

// Login holds one login over p and returns its verdict. The error is the cause
// of a verdict that was nobody's choice (store, NSS, conversation); the verdict
// is to be obeyed either way. When ctx ends the login ends, refused.
func (e *Engine) Login(ctx context.Context, req mfa.Request, p Prompter) (mfa.Verdict, error) {
	origin := OriginOf(req)
	id, err := e.deps.Lookup(req.User)
	acct := e.deps.Records.Account(id)
	if err != nil {
		acct = e.deps.Records.Nobody(req.User)
	}
	l := &attempt{Engine: e, Conversation: e.deps.Asker.Converse(acct, origin, p), remembers: true}
	var v mfa.Verdict
	if err != nil && !errors.Is(err, ErrNoAccount) {
		v = mfa.Verdict{Outcome: mfa.Unavailable, Reason: "account look-up failed"}
		l.Say(ctx, mfa.Failure, challenge.TextUnavailable)
	} else {
		v, err = l.decide(ctx)
	}
	l.record(req, v, err)
	return v, err
}

// An attempt is one login under way.
type attempt struct {
	*Engine
	*challenge.Conversation

	remembers bool // sessions count, and may be made; not before a change of one's enrollment
}

func (l *attempt) decide(ctx context.Context) (mfa.Verdict, error) {
	if l.cfg.Policy.Mode == ModeOff {
		return mfa.Verdict{Outcome: mfa.Exempt, Reason: "policy.mode is off"}, nil
	}
	en, v, err := l.proveIfEnrolled(ctx)
	if v.Outcome == mfa.MustEnroll {
		return l.notEnrolled(ctx, en)
	}
	return v, err
}

// proveIfEnrolled asks for what the user has; MustEnroll says that it is nothing.
func (l *attempt) proveIfEnrolled(ctx context.Context) (mfa.Enrollment, mfa.Verdict, error) {
	refuse := func(v mfa.Verdict, err error) (mfa.Enrollment, mfa.Verdict, error) { return mfa.Enrollment{}, v, err }
	st, err := l.Account.State(ctx)
	if err != nil {
		return refuse(l.Failed(ctx, err))
	}
	if left, _, locked := st.Locked(l.deps.Now()); locked {
		l.Say(ctx, mfa.Failure, challenge.TextLocked(left))
		return refuse(mfa.Verdict{Outcome: mfa.Exhausted, Reason: "locked"}, nil)
	}
	en, err := l.enrollment(ctx)
	if err != nil {
		return refuse(l.Failed(ctx, err))
	}
	methods := l.usable(en)
	if len(methods) == 0 {
		return en, mfa.Verdict{Outcome: mfa.MustEnroll}, nil
	}
	if v, err := l.recall(ctx, st, en, methods); v.Outcome == mfa.Accepted || err != nil {
		return en, v, err
	}
	v, err := l.prove(ctx, en, methods)
	return en, v, err
}

// Converse begins a conversation with the account id about its own enrollment.
func (e *Engine) Converse(id mfa.Identity, origin mfa.Origin, p Prompter) *challenge.Conversation {
	return e.deps.Asker.Converse(e.deps.Records.Account(id), origin, p)
}

// Prove asks for a second factor that the account has, before anything of it is
// changed. Who has none is asked for nothing. Only Accepted lets them go on.
func (e *Engine) Prove(ctx context.Context, c *challenge.Conversation) (mfa.Verdict, error) {
	l := &attempt{Engine: e, Conversation: c}
	_, v, err := l.proveIfEnrolled(ctx)
	if v.Outcome == mfa.MustEnroll {
		return mfa.Verdict{Outcome: mfa.Accepted, Reason: "has none"}, nil
	}
	return v, err
}

// Offer is what users may set up themselves.
func (e *Engine) Offer() mfa.EnrollOffer {
	return mfa.EnrollOffer{Methods: e.cfg.Policy.Methods, SelfContacts: e.cfg.Policy.SelfContacts}
}

// MayOptOut says whether users may choose to have no second factor.
func (e *Engine) MayOptOut() bool { return e.cfg.Policy.Mode == ModeOptional && e.cfg.Policy.OptOut }

// enrollment returns what the user has set up; nothing, if it was for another
// account of this name or before everybody had to enroll anew. Who is no account
// has an address too, so that they are asked like others.
func (l *attempt) enrollment(ctx context.Context) (mfa.Enrollment, error) {
	if l.Account.IsNobody() {
		return l.decoy(), nil
	}
	en, err := l.deps.Records.Enrollment(ctx, l.Account.ID.Name)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return mfa.Enrollment{}, nil
	case err != nil:
		return mfa.Enrollment{}, err
	case en.UID != l.Account.ID.UID:
		l.deps.Log.Warn("enrollment belongs to another account of this name; enroll the user anew",
			"user", l.Account.ID.Name, "uid", l.Account.ID.UID, "enrolled_uid", en.UID)
		return mfa.Enrollment{}, nil
	case en.Generation < l.cfg.Generation:
		l.deps.Log.Info("enrollment is from before policy.mode was off, and everybody enrolls anew",
			"user", l.Account.ID.Name)
		return mfa.Enrollment{}, nil
	}
	return en, nil
}

// notEnrolled decides about a user who has no second factor.
func (l *attempt) notEnrolled(ctx context.Context, en mfa.Enrollment) (mfa.Verdict, error) {
	p := l.cfg.Policy
	optional := p.Mode == ModeOptional
	switch {
	case l.Account.IsNobody():
		l.Say(ctx, mfa.Failure, textNotEnrolled)
		return mfa.Verdict{Outcome: mfa.MustEnroll, Reason: "no such account"}, nil
	case optional && !p.OptOut:
		return mfa.Verdict{Outcome: mfa.Exempt, Reason: "not enrolled, and policy.mode is optional"}, nil
	case optional && en.Skipped != nil:
		return mfa.Verdict{Outcome: mfa.Exempt, Reason: "the user chose to skip it"}, nil
	case optional && !p.EnrollAtLogin:
		return mfa.Verdict{Outcome: mfa.Exempt, Reason: "not enrolled, policy.mode is optional, and policy.enroll_at_login is off"}, nil
	case !p.EnrollAtLogin:
		l.Say(ctx, mfa.Failure, textNotEnrolled)
		return mfa.Verdict{Outcome: mfa.MustEnroll, Reason: "not enrolled, and policy.mode is required"}, nil
	}
	grace, err := l.grace(ctx)
	if err != nil {
		return l.Failed(ctx, err)
	}
	offer := l.Offer()
	offer.Skip, offer.Later = optional, grace
	v, err := l.deps.Enroll.AtLogin(ctx, l.Conversation, offer)
	if v.Outcome == mfa.NoConversation && (optional || grace > 0) {
		// Who need not enroll yet need not be able to answer.
		return mfa.Verdict{Outcome: mfa.Exempt, Reason: "not enrolled, need not be yet, and cannot be asked"}, nil
	}
	return v, err
}

// grace returns for how long yet the user can put enrolling off, from the first
// login that asked for it on.
func (l *attempt) grace(ctx context.Context) (time.Duration, error) {
	allowed := time.Duration(l.cfg.Policy.EnrollGrace)
	if allowed == 0 || l.cfg.Policy.Mode != ModeRequired {
		return 0, nil
	}
	var left time.Duration
	err := l.Account.Update(ctx, func(st *mfa.State) error {
		now := l.deps.Now()
		if st.EnrollSince == nil {
			st.EnrollSince = &now
		}
		left = st.EnrollSince.Add(allowed).Sub(now)
		return nil
	})
	return max(0, left), err
}

// record writes the one audit line and the one log line of a login.
func (l *attempt) record(req mfa.Request, v mfa.Verdict, err error) {
	ev := l.Event(audit.Login)
	ev.Outcome, ev.Reason, ev.Method = v.Outcome.String(), v.Reason, string(v.Method)
	attrs := []any{
		"outcome", ev.Outcome, "reason", v.Reason, "method", v.Method, "user", ev.User,
		"service", ev.Service, "address", ev.Address, "tty", req.TTY,
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

// decoy is what somebody who is no account seems to have: always the same for a
// name. Nothing is sent to the address, and nobody knows the secret.
func (l *attempt) decoy() mfa.Enrollment {
	id := l.Account.ID
	if slices.Contains(l.cfg.Policy.Methods, mfa.Email) {
		mac := l.deps.Key.MAC("decoy address", []byte(id.Name))
		letter := func(b byte) string { return string(rune('a' + b%26)) }
		return mfa.Enrollment{Email: &mfa.Address{Address: letter(mac[0]) + "x" + letter(mac[1]) + "@" + l.cfg.MailDomain}}
	}
	return mfa.Enrollment{TOTP: &mfa.TOTPSecret{
		Secret:    l.SealTOTP(id, l.deps.Key.MAC("decoy secret", []byte(id.Name))),
		Algorithm: "SHA1", Digits: 6, Period: mfa.Duration(30 * time.Second),
	}}
}
