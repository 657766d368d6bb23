// Package login is one login from hello to verdict: who it is, what policy
// says, whether they are locked, which method, and the verdict.
//
// What to know before trusting it: Login reads top to bottom, and every path
// out of it that is not an explicit acceptance or exemption is a refusal. Package
// challenge asks for codes, counts and spends them. A name without an account gets the
// same prompts and as many writes as others, and is never let in.
package login

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"time"

	"mfa/internal/account"
	"mfa/internal/audit"
	"mfa/internal/challenge"
	"mfa/internal/host/nss"
	"mfa/internal/mfa"
	"mfa/internal/seal"
	"mfa/internal/store"
	"mfa/internal/text"
)

// A Prompter shows prompts and reads the answers.
type Prompter = mfa.Prompter

// An Enroller changes enrollments within a login; enroll.Service is one.
type Enroller interface {
	// Prefer makes m, which the user has, the method that is offered first.
	Prefer(ctx context.Context, u *account.User, m mfa.Method) error
	// Confirm notes that the user has what codes of m go to: that address, or the app
	// or token with that sealed secret.
	Confirm(ctx context.Context, u *account.User, m mfa.Method, of string) error
	// AtLogin has a user without a second factor set one up. The verdict is Accepted once
	// they have proven it, Exempt if they may go on without.
	AtLogin(ctx context.Context, c *challenge.Conversation, may mfa.EnrollOffer) (mfa.Verdict, error)
}

// Deps is what an Engine works with.
type Deps struct {
	Accounts *account.Accounts
	Asker    *challenge.Asker
	Enroll   Enroller
	Key      *seal.Key
	Audit    *audit.Log
	Log      *slog.Logger
	Lookup   Lookup           // nss.Lookup outside of tests
	Groups   Groups           // nss.Groups outside of tests
	Now      func() time.Time // the clock
	Aliases  *account.Aliases // outlives a reload; nil: one of the Engine's own
	// ChangesPassword reports whether the PAM stack of a service asks pam_mfa in its account
	// part, so that it can demand a new password; nil: every one does.
	ChangesPassword func(service string) bool

	UnknownUsers *account.UnknownUsers // outlives the Engine; nil: names without an account are remembered for one login

	// Current returns the Engine of the configuration that counts now; nil: this one.
	Current func() *Engine
}

// An Engine decides logins under one configuration; a reload makes a new one. Between
// logins it keeps only caches of NSS look-ups. It may be used from many goroutines.
type Engine struct {
	cfg  Config
	deps Deps

	unknownGroups sync.Map // names of groups that were said not to exist
	ruleUsers     sync.Map // names of users in rules, each to a ruleUser
}

// New returns an Engine.
func New(cfg Config, deps Deps) *Engine {
	if deps.Aliases == nil {
		deps.Aliases = &account.Aliases{Records: deps.Accounts.Records(), Now: deps.Now}
	}
	return &Engine{cfg: cfg, deps: deps}
}

// Login holds one login over p, audits it, and returns its verdict. The error is the
// cause of a refusal by a fault (store, NSS, conversation); the verdict counts either
// way. When ctx ends the login ends, refused.
func (e *Engine) Login(ctx context.Context, req mfa.Request, p Prompter) (mfa.Verdict, error) {
	ctx = store.WithKept(store.WithView(ctx))
	acct, err := e.account(ctx, req.User)
	far := newBufferedPrompter(req, p)
	l := e.attempt(e.conversation(acct, OriginOf(req), far), provenFactors(req))
	l.prompter, far.words = far, l.user.Words
	if !text.ShowsUTF8(req.TTY, req.Service) {
		l.user.OnlyASCII()
	}
	l.talk.Presence = presence(req)
	l.talk.Called(req.User)
	if req.UID != 0 {
		l.talk.CountApart()
	}
	ctx, done := l.user.Begin(ctx)
	defer done()
	var v mfa.Verdict
	if err != nil {
		v, err = l.unavailable(ctx, "account look-up failed", err)
	} else {
		v, err = l.decide(ctx)
	}
	if l.user.Account.IsUnknown() && (v.Outcome == mfa.Accepted || v.Outcome == mfa.Exempt) {
		v, err = l.unavailable(ctx, reasonNoAccount, nil)
	}
	v, err = l.talk.Close(ctx, v, err)
	v.Untried = v.Outcome == mfa.Exhausted && !l.talk.Guessed()
	if v.Outcome == mfa.Accepted {
		l.letIn()
		v = l.passwordChange(ctx, v)
	} else {
		l.talk.TellOfFailures(ctx)
	}
	v = far.finish(ctx, v)
	l.write(req, v, err)
	return v, err
}

// account returns the Account of a name from outside; with an error, that of a name
// without an account.
func (e *Engine) account(ctx context.Context, name string) (*account.Account, error) {
	id, err := e.deps.Lookup(ctx, name)
	switch {
	case err == nil:
		return e.deps.Accounts.Records().Account(id), nil
	case errors.Is(err, nss.ErrNoAccount) && e.deps.UnknownUsers != nil:
		return e.deps.Accounts.Records().UnknownAccount(e.deps.UnknownUsers, name), nil
	case errors.Is(err, nss.ErrNoAccount):
		err = nil
	}
	return e.deps.Accounts.Records().NewUnknownAccount(name), err
}

// An inquiry is what an Engine finds out about a login before anybody is asked.
type inquiry struct {
	engine  *Engine
	user    *account.User
	factors []string  // that were proven before we are asked
	policy  policy    // that counts; zero before findPolicy
	passed  []matcher // for each rule before the one that counts: what did not match
	gids    []uint32  // groups of the user; nil: not asked for yet
	missing error     // why the directory could not say where codes go; nil: it did, or was not asked
	dry     bool      // nothing is written
	someKey bool      // an SSH key was proven, and nobody says which
	early   bool      // no password was right yet: the directory is not asked
	unasked bool      // it may have an address, but was not asked
}

// inquire begins an inquiry.
func (e *Engine) inquire(u *account.User, factors []string) *inquiry {
	return &inquiry{engine: e, user: u, factors: factors}
}

// An attempt is one login under way.
type attempt struct {
	*inquiry
	talk             *challenge.Conversation // with the user
	prompter         *bufferedPrompter       // of a login; nil: of another conversation
	recovered        bool                    // a recovery code ended the lock
	wantsNewPassword bool                    // the user wants to change the password after the login
	newPreferred     mfa.Method              // asked for first from now on, if the user proves it
}

// attempt begins a login.
func (e *Engine) attempt(c *challenge.Conversation, factors []string) *attempt {
	return &attempt{inquiry: e.inquire(c.User, factors), talk: c}
}

// decide runs decideOnce, again when the user or the rules changed meanwhile; see
// challenge.Conversation.Repeat.
func (l *attempt) decide(ctx context.Context) (mfa.Verdict, error) {
	return l.talk.Repeat(ctx, l.decideOnce)
}

func (l *attempt) decideOnce(ctx context.Context) (mfa.Verdict, error) {
	l.engine, l.gids = l.engine.current(), nil
	if err := l.findPolicy(ctx); err != nil {
		return l.unavailable(ctx, "policy look-up failed", err)
	}
	if l.policy.Mode != ModeOff { // a way in that needs no store stays one
		if err := l.user.Account.StoreBoundTimes(ctx); err != nil {
			return l.talk.Failed(ctx, err)
		}
	}
	if l.user.Account.IsUnknown() {
		l.user.Pretend(l.decoy())
	}
	p, err := l.lookSurely(ctx)
	if err != nil {
		return l.failed(ctx, err)
	}
	switch p.decision {
	case exempt:
		return mfa.Verdict{Outcome: mfa.Exempt, Reason: p.reason}, nil
	case denyLocked:
		if l.oneLine() {
			return l.recoverBehind(ctx, p)
		}
		if v, err := l.talk.Recover(ctx, p.state); v.Outcome != mfa.Accepted {
			return v, err
		}
		l.recovered = true
		return l.decideOnce(ctx) // not locked any more
	case denyDisabled:
		return l.refuseDisabled(ctx)
	case denyUnknown:
		return l.unavailable(ctx, p.reason, nil)
	case askForCode:
		return l.ask(ctx, p)
	case acceptRemembered:
		return l.acceptSession(ctx, p)
	case leadToEnroll:
		return l.setUp(ctx, p)
	}
	l.talk.Say(ctx, mfa.Failure, l.talk.Words(textNotEnrolled))
	return mfa.Verdict{Outcome: mfa.MustEnroll, Reason: p.reason}, nil
}

// maxLooks bounds how often lookSurely looks.
const maxLooks = 5

// lookSurely is look, confirmed by the store. What was read may come from memory and be
// old (store.View). A login that asks for a code, or is remembered, ends with a write, which
// fails then. Any other plan lets in or refuses without a write, so the store is asked here
// whether all that was read is still stored so; if not, it looks again.
func (l *attempt) lookSurely(ctx context.Context) (plan, error) {
	for range maxLooks {
		p, err := l.look(ctx)
		if err != nil || p.decision == askForCode || p.decision == acceptRemembered {
			return p, err
		}
		if err := l.user.Confirm(ctx); !errors.Is(err, account.ErrChanged) {
			return p, err
		}
	}
	return plan{}, account.ErrChanged
}

// ask asks for the second factor, and then whether to remember the login. It does not
// remember one after a lock was ended or if the password is about to change: somebody
// else may know the password.
func (l *attempt) ask(ctx context.Context, p plan) (mfa.Verdict, error) {
	v, err := l.prove(ctx, p.enrollment, p.methods)
	if v.Outcome == mfa.Accepted && !l.user.IsOffline() && !l.recovered && !l.wantsNewPassword && !l.talk.MustChangePassword() {
		l.rememberLogin(ctx, p.enrollment, v.Method)
	}
	return v, err
}

// unavailable tells the person that nothing can be decided, and returns a refusal.
func (l *attempt) unavailable(ctx context.Context, reason string, err error) (mfa.Verdict, error) {
	l.talk.Say(ctx, mfa.Failure, l.talk.Words(challenge.TextUnavailable))
	return mfa.Verdict{Outcome: mfa.Unavailable, Reason: reason}, err
}

// refuseDisabled refuses somebody all of whose methods took too many wrong codes.
func (l *attempt) refuseDisabled(ctx context.Context) (mfa.Verdict, error) {
	l.talk.Say(ctx, mfa.Failure, l.talk.Words(textAllDisabled))
	return mfa.Verdict{Outcome: mfa.Exhausted, Reason: disabled}, nil
}

// enrollment returns what the user has set up; nothing, if it was for another account of
// this name. A name without an account seems to have an address (decoy), so that it is
// asked like others.
func (l *inquiry) enrollment(ctx context.Context) (mfa.Enrollment, error) {
	en, err := l.user.Account.Enrollment(ctx)
	if err != nil {
		return mfa.Enrollment{}, err
	}
	return l.ofThisAccount(ctx, en)
}

// ofThisAccount returns en if it is of this account; see enrollment.
func (l *inquiry) ofThisAccount(ctx context.Context, en mfa.Enrollment) (mfa.Enrollment, error) {
	switch {
	case l.user.Account.IsUnknown():
		return l.decoy(), nil
	case en.Version == 0: // there is none
		return mfa.Enrollment{}, l.newcomer(ctx)
	case en.UID != l.user.Account.ID.UID:
		l.engine.deps.Log.Warn("enrollment belongs to another account of this name; enroll the user anew",
			"user", l.user.Account.ID.Name, "uid", l.user.Account.ID.UID, "enrolled_uid", en.UID)
		return mfa.Enrollment{}, l.newcomer(ctx)
	}
	return en, nil
}

// counting returns the methods that count here. None does that was set up before
// everybody had to enroll anew.
func (l *inquiry) counting(en mfa.Enrollment) []mfa.Method {
	counting := usable(en, l.policy.Methods)
	if en.Generation < l.engine.cfg.Generation && !l.user.Account.IsUnknown() {
		theirs := fromDirectory(en) // which nobody enrolls
		counting = slices.DeleteFunc(counting, func(m mfa.Method) bool { return !slices.Contains(theirs, m) })
	}
	return l.engine.open(counting)
}

// open returns the methods without those of text messages and calls, if there are none and another
// method is left beside backup codes. A number that waits for a provider is no choice.
func (e *Engine) open(methods []mfa.Method) []mfa.Method {
	if e.cfg.TextMessages {
		return methods
	}
	others := slices.DeleteFunc(slices.Clone(methods), mfa.Method.Rings)
	if len(others) == 0 || others[0] == mfa.Backup {
		return methods
	}
	return others
}

// newcomer returns an error if the account has a record under another name. Otherwise an
// attacker with its password could set up a second factor of their own.
func (l *inquiry) newcomer(ctx context.Context) error {
	id := l.user.Account.ID
	others, err := l.engine.OtherNames(ctx, id)
	if err != nil || len(others) == 0 {
		return err
	}
	return fmt.Errorf("uid %d is %q, but has a record under the name %s: mfactl reset %s clears it; then enroll the user anew",
		id.UID, id.Name, list(quotedAll(others), "and"), id.Name)
}

func quotedAll(words []string) (all []string) {
	for _, w := range words {
		all = append(all, strconv.Quote(w))
	}
	return all
}

// OtherNames returns the names other than its own under which there is a record
// of the account.
func (e *Engine) OtherNames(ctx context.Context, id mfa.Identity) ([]string, error) {
	return e.deps.Aliases.Of(ctx, id)
}

// setUp has a user set up a second factor. They first prove one they have that does not
// count here.
func (l *attempt) setUp(ctx context.Context, p plan) (mfa.Verdict, error) {
	var proven mfa.Verdict
	if len(p.methods) > 0 {
		var err error
		if proven, err = l.prove(ctx, p.enrollment, p.methods); proven.Outcome != mfa.Accepted {
			return proven, err
		}
	}
	grace, err := l.grace(ctx)
	if err != nil {
		return l.talk.Failed(ctx, err)
	}
	optional := l.policy.Mode == ModeOptional
	if l.byTrustedProgram() || l.oneLine() {
		return l.notHere(ctx, proven, optional || grace > 0)
	}
	offer := l.offer()
	if err := l.suggest(ctx, &offer); err != nil {
		return l.failed(ctx, err)
	}
	// To have no second factor is chosen where somebody has passed a first one, or with
	// mfactl: not by whatever runs as the user.
	once := proven.Method != "" || l.user.Origin.UID != 0
	offer.Skip, offer.NotNow, offer.Later = optional && !once, optional && once, grace
	v, err := l.engine.deps.Enroll.AtLogin(ctx, l.talk, offer)
	if v.Outcome == mfa.Exempt && proven.Method != "" {
		proven.Reason += " of a method that does not count here; another was put off"
		return proven, nil
	}
	return v, err
}

// byTrustedProgram reports whether the peer is neither root nor the user: a program of
// server.trusted_users, which alone says that the user passed a first factor.
func (l *inquiry) byTrustedProgram() bool {
	return l.user.Origin.UID != 0 && (l.user.Account.IsUnknown() || l.user.Origin.UID != l.user.Account.ID.UID)
}

// notHere is setUp for a program of server.trusted_users, and for a login in one line, in
// which nothing can be asked. Nothing is set up and no choice is recorded: a trusted program
// that was taken over could otherwise set up the second factor of every user who has none.
// The user is let in where enrolling can be put off.
func (l *attempt) notHere(ctx context.Context, proven mfa.Verdict, putOff bool) (mfa.Verdict, error) {
	reason := "a program of server.trusted_users enrolls nobody"
	if l.oneLine() {
		reason = "nobody is enrolled in one line"
	}
	switch {
	case putOff && proven.Method != "":
		proven.Reason += " of a method that does not count here; " + reason
		return proven, nil
	case putOff:
		return mfa.Verdict{Outcome: mfa.Exempt, Reason: "not enrolled, and can put it off; " + reason}, nil
	}
	l.talk.Say(ctx, mfa.Failure, l.talk.Words(textElsewhere))
	return mfa.Verdict{Outcome: mfa.MustEnroll, Reason: reason}, nil
}

const textElsewhere = "No second factor is set up that counts here, and this program cannot set one up. Log in by ssh or at the console, or run: mfactl enroll"

// grace returns how much longer the user can put enrolling off. It counts from the first
// login that asked for it, which it stores.
func (l *inquiry) grace(ctx context.Context) (time.Duration, error) {
	if l.graceLeft(mfa.State{}) == 0 {
		return 0, nil
	}
	var left time.Duration
	err := l.user.Account.Update(ctx, func(st *mfa.State) error {
		if st.EnrollSince == nil {
			st.EnrollSince = new(l.engine.deps.Now())
		}
		left = l.graceLeft(*st)
		return nil
	})
	return left, err
}

// graceLeft returns how much longer a user with that state can put enrolling off.
func (l *inquiry) graceLeft(st mfa.State) time.Duration {
	if l.policy.Mode != ModeRequired {
		return 0
	}
	left := time.Duration(l.policy.EnrollGrace)
	if st.EnrollSince != nil {
		left = st.EnrollSince.Add(left).Sub(l.engine.deps.Now())
	}
	return max(0, left)
}

// write writes the one audit line of a login.
func (l *inquiry) write(req mfa.Request, v mfa.Verdict, err error) {
	ev := l.user.Event(audit.Login)
	ev.Outcome, ev.Reason, ev.Method = v.Outcome.String(), v.Reason, string(v.Method)
	ev.Rule, ev.TTY = l.policy.Rule, req.TTY
	if err != nil && (v.Outcome == mfa.Unavailable || v.Outcome == mfa.Broken) {
		ev.Reason += ": " + err.Error()
	}
	l.engine.deps.Audit.Record(ev)
}

// decoy returns the enrollment that a name without an account seems to have, always the
// same for a name. Nothing is sent to its address, and nobody knows its secret.
func (l *inquiry) decoy() mfa.Enrollment {
	id := l.user.Account.ID
	if slices.Contains(l.policy.Methods, mfa.Email) {
		mac := l.engine.deps.Key.MAC("decoy address", []byte(id.Name))
		letter := func(b byte) string { return string(rune('a' + b%26)) }
		return mfa.Enrollment{Email: &mfa.Address{Address: letter(mac[0]) + "x" + letter(mac[1]) + "@" + l.engine.cfg.MailDomain, Confirmed: time.Unix(1, 0)}}
	}
	if l.engine.cfg.TextMessages && slices.ContainsFunc(l.policy.Methods, mfa.Method.Rings) {
		mac := l.engine.deps.Key.MAC("decoy number", []byte(id.Name))
		return mfa.Enrollment{SMS: &mfa.Address{Address: fmt.Sprintf("+1789555%02d%02d", mac[0]%100, mac[1]%100)}}
	}
	if slices.Contains(l.policy.Methods, mfa.HOTP) && !slices.Contains(l.policy.Methods, mfa.TOTP) {
		return l.decoyToken()
	}
	return mfa.Enrollment{TOTP: &mfa.TOTPSecret{
		Secret:    l.engine.deps.Accounts.SealTOTP(id, l.engine.deps.Key.MAC("decoy secret", []byte(id.Name))),
		Algorithm: "SHA1", Digits: 6, Period: mfa.Duration(30 * time.Second),
	}}
}
