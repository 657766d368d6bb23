package login

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"mfa/internal/account"
	"mfa/internal/mfa"
	"mfa/internal/store"
	"mfa/internal/wire"
)

// Explain returns what a login would come to. It decides by the same code as Login, and
// asks the directory as that does, but shows no prompt, sends nothing and writes nothing.
// What could not be found out is in Problems.
func (e *Engine) Explain(ctx context.Context, v wire.Visit) wire.Explanation {
	x := e.explainLogin(ctx, v)
	if c, err := e.census(ctx); err == nil && c.Users > 0 { // what keeps it from counting, the rest says
		x.Census, x.Policy = &c, fmt.Sprintf("%v; whoever has no record is %s", c, e.cfg.Policy.NewcomersBut(e.cfg.TextMessages, e.deps.Accounts.Config().Contacts))
	}
	return x
}

// explainCensus bounds how long an explanation counts users.
const explainCensus = 2 * time.Second

// census counts how the policy treats all users with a readable enrollment.
func (e *Engine) census(ctx context.Context) (c wire.Census, err error) {
	ctx, cancel := context.WithTimeout(ctx, explainCensus)
	defer cancel()
	err = e.deps.Accounts.Records().EachEnrollment(ctx, func(user string, en mfa.Enrollment, err error) error {
		if err == nil { // who cannot be read is kept out, whatever the policy
			Count(ctx, &c, e.cfg, e.deps.Groups, user, en)
		}
		return nil
	})
	if ctx.Err() != nil {
		c.Partly, err = true, nil
	}
	return c, err
}

func (e *Engine) explainLogin(ctx context.Context, v wire.Visit) wire.Explanation {
	ctx = store.WithKept(ctx)
	req, key := requestOf(v)
	origin := OriginOf(req)
	origin.Key = key
	acct, err := e.account(ctx, v.User)
	l := e.inquire(e.deps.Accounts.User(acct, origin), provenFactors(req))
	l.dry, l.someKey = true, origin.Key == "" && slices.Contains(l.factors, "publickey")
	x := wire.Explanation{
		User: acct.ID.Name, Account: !acct.IsUnknown(), Service: origin.Service, Address: origin.Address, Key: origin.Key,
		FirstFactors: l.factors, Asks: []mfa.Method{}, Offers: []mfa.Method{}, Passed: []wire.Passed{},
		Enrolled: []mfa.Method{}, Sessions: []string{}, Problems: []string{},
	}
	if x.Account {
		x.UID = &acct.ID.UID
	}
	if err != nil {
		unavailable(&x, "account look-up failed", err)
		return x
	}
	err = l.findPolicy(ctx)
	for i, m := range l.passed {
		r := l.engine.cfg.Policy.Rules[i]
		x.Passed = append(x.Passed, wire.Passed{Rule: r.Label(i), Key: string(m), Why: l.why(ctx, r, m)})
	}
	if err != nil {
		unavailable(&x, "policy look-up failed", err)
		return x
	}
	x.Rule, x.Settings = l.policy.Rule, l.settings()
	st := l.facts(ctx, &x)
	if st.Offline != nil {
		x.Problems = append(x.Problems, store.ErrUnreachable.Error()+": this is by what this host has kept, and others may have it otherwise")
	}
	p, err := l.look(ctx)
	offer := l.offer()
	if err == nil && p.decision == leadToEnroll {
		err = l.suggest(ctx, &offer)
	}
	switch _, unsaid := errors.AsType[*account.DirectoryError](err); {
	case unsaid:
		unavailable(&x, "directory look-up failed", err)
	case err != nil:
		unavailable(&x, "record or store unusable", err)
	default:
		l.result(&x, p, st, offer)
		l.hindered(ctx, &x, p)
	}
	return x
}

// requestOf returns v as a PAM application would send it. The key is known only by its
// fingerprint, which is returned beside it.
func requestOf(v wire.Visit) (req mfa.Request, key string) {
	first := v.FirstFactor
	if first == "" && v.Key != "" {
		first = "publickey"
	}
	req = mfa.Request{Service: v.Service, User: v.User, RHost: v.RHost}
	if first != "" {
		req.SSHAuthInfo = first + "\n"
	}
	return req, v.Key
}

func unavailable(x *wire.Explanation, reason string, err error) {
	x.Result, x.PAM = wire.ResultUnavailable, "PAM_AUTHINFO_UNAVAIL"
	x.Text = "refused: " + reason
	if problem := err.Error(); !slices.Contains(x.Problems, problem) {
		x.Problems = append(x.Problems, problem)
	}
}

// facts fills in the records of the user, whether they count or not.
func (l *inquiry) facts(ctx context.Context, x *wire.Explanation) mfa.State {
	st, err := l.user.Account.State(ctx)
	if err != nil {
		x.Problems = append(x.Problems, err.Error())
	}
	_, hard, locked := st.Locked(l.engine.deps.Now())
	if x.Locked, x.Failures = locked, len(st.Failures); locked && !hard {
		x.LockedUntil = st.LockedUntil
	}
	if !x.Account {
		return st // what they seem to have is nothing to tell
	}
	en, err := l.enrollment(ctx)
	if err != nil && !slices.Contains(x.Problems, err.Error()) {
		x.Problems = append(x.Problems, err.Error())
	}
	en, known := l.directoryFacts(ctx, x, en, st)
	x.Enrolled = append(x.Enrolled, usable(en, possibleMethods(en))...)
	x.Directory = l.engine.deps.Accounts.DirectoryView(en, known)
	x.Preferred, x.Skipped = en.Preferred, en.Skipped
	return st
}

// directoryFacts returns en with what the directory says of the user, and st with what is
// known of that now. What comes in the way is a problem.
func (l *inquiry) directoryFacts(ctx context.Context, x *wire.Explanation, en mfa.Enrollment, st mfa.State) (mfa.Enrollment, mfa.State) {
	accounts := l.engine.deps.Accounts
	known, st, err := l.withDirectory(ctx, en, st)
	if wanted := accounts.Wanted(en, l.policy.Methods); err == nil && !accounts.Config().Contacts.Confirmed && len(wanted) > 0 {
		st, err = l.user.AskDirectory(ctx, st, wanted, directoryWait, true)
	}
	if err = cmp.Or(err, l.missing); err != nil && !slices.Contains(x.Problems, err.Error()) {
		x.Problems = append(x.Problems, err.Error())
	}
	return known, st
}

// result says what follows from p; offer is what can be set up.
func (l *inquiry) result(x *wire.Explanation, p plan, st mfa.State, offer mfa.EnrollOffer) {
	x.Asks = append(x.Asks, p.methods...)
	switch p.decision {
	case exempt:
		x.Result, x.PAM = wire.ResultLetIn, "PAM_IGNORE"
		x.Asks = []mfa.Method{}
		x.Text = "let in without a second factor: " + p.reason
	case denyLocked:
		x.Result, x.PAM = wire.ResultLocked, "PAM_MAXTRIES"
		x.Text = "refused: " + l.lockText(p.state)
	case denyDisabled:
		x.Result, x.PAM = wire.ResultDisabled, "PAM_MAXTRIES"
		x.Text = "refused: " + p.reason + ", until the user is enrolled anew"
	case askForCode:
		x.Result, x.PAM = wire.ResultAsk, "PAM_SUCCESS"
		x.Text = "a code is asked for: " + asked(p)
		if len(l.counting(p.enrollment)) == 0 {
			x.Text = "a code is asked for that does not count here, as they have no other: " + asked(p)
		}
		x.Text += l.notRemembered() + l.byKeyOnly(p)
	case acceptRemembered:
		x.Result, x.PAM = wire.ResultRemembered, "PAM_SUCCESS"
		x.Asks, x.Sessions = []mfa.Method{}, append(x.Sessions, p.session.ID)
		x.Text = fmt.Sprintf("let in without a code: remembered login %s, until %s", p.session.ID,
			l.engine.cfg.Session.expiry(p.session).Local().Format(time.DateTime))
	case leadToEnroll:
		x.Result, x.PAM = wire.ResultEnroll, "PAM_SUCCESS"
		x.Offers = append(x.Offers, offer.Methods...)
		x.Text = "led to a second factor"
		if len(p.methods) > 0 {
			x.Text = "a code is asked for that does not count here: " + asked(p) + "; then " + x.Text
		}
		if left := l.graceLeft(st); left > 0 {
			x.Text += "; can put it off for " + mfa.Span(left) + ", but has to be asked"
		}
		switch {
		case l.policy.Mode == ModeOptional && len(p.methods) > 0:
			x.Text += "; can put it off"
		case l.policy.Mode == ModeOptional:
			x.Text += "; can choose to have none, but has to be asked"
		}
		if len(offer.Choices()) == 0 {
			l.nothing(x, p, st)
		}
	case denyUnknown:
		x.Result, x.PAM = wire.ResultUnavailable, "PAM_AUTHINFO_UNAVAIL"
		x.Text = "refused: " + p.reason
	default:
		x.Result, x.PAM = wire.ResultKeepOut, "PAM_PERM_DENIED"
		x.Asks = []mfa.Method{}
		x.Text = "refused: " + p.reason
	}
}

// nothing is result for leadToEnroll where only administrators can set a method up.
func (l *inquiry) nothing(x *wire.Explanation, p plan, st mfa.State) {
	x.Offers = []mfa.Method{}
	x.Result, x.PAM = wire.ResultKeepOut, "PAM_PERM_DENIED"
	then := "refused: nothing can be set up by the user"
	switch {
	case l.mayPutOff(st) && len(p.methods) > 0:
		x.Result, x.PAM, then = wire.ResultAsk, "PAM_SUCCESS", "let in, as it could be put off, and nothing can be set up by the user"
	case l.mayPutOff(st):
		x.Result, x.PAM, then = wire.ResultLetIn, "PAM_IGNORE", "let in without a second factor: it could be put off, and nothing can be set up by the user"
	}
	if x.Text = then; len(p.methods) > 0 {
		x.Text = "a code is asked for that does not count here: " + asked(p) + "; then " + then
	}
}

// hindered is result for a user of whom a code is asked, where none can be asked for: no
// method of theirs can be sent, or limits allow no more of it for now.
func (l *inquiry) hindered(ctx context.Context, x *wire.Explanation, p plan) {
	if p.decision != askForCode && p.decision != leadToEnroll || len(p.methods) == 0 {
		return
	}
	refuse := func(result, pam, why string) {
		x.Result, x.PAM, x.Text = result, pam, "refused: "+why
		x.Asks, x.Offers = []mfa.Method{}, []mfa.Method{}
	}
	if l.noneSent(p.enrollment, p.methods) {
		refuse(wire.ResultUnavailable, "PAM_AUTHINFO_UNAVAIL", "a code would go by "+list(p.methods, "or")+", and no text messages are set up: sms.provider is empty")
		return
	}
	var first string
	for _, m := range p.methods {
		if !sends(m) {
			return
		}
		limit, wait, err := l.engine.deps.Asker.Forbids(ctx, l.user, p.state, l.targetOf(p.enrollment, m, p.methods))
		if err != nil {
			unavailable(x, "record or store unusable", err)
			return
		}
		if limit == "" {
			return
		}
		first = cmp.Or(first, fmt.Sprintf("no code can be sent by %s for %s: %s", m, mfa.Span(wait), limit))
	}
	refuse(wire.ResultExhausted, "PAM_MAXTRIES", first)
}

// notRemembered says why a right code from here is not remembered, where others are.
func (l *inquiry) notRemembered() string {
	if l.rememberMode() == RememberNever {
		return ""
	}
	from := l.user.Origin
	if l.someKey {
		from.Key = "some key"
	}
	if _, ok := l.engine.cfg.Session.binding(from); ok {
		return ""
	}
	if _, ok := l.user.Origin.Place(); !ok {
		return fmt.Sprintf("; not remembered: %q is no place that only this user comes from", l.user.Origin.Address)
	}
	return "; not remembered: there is nothing that session.bind could bind it to"
}

// byKeyOnly says so where a remembered login would let in, if the key were known to be its own.
func (l *inquiry) byKeyOnly(p plan) string {
	ofItsKey := func(s mfa.Session) bool {
		o := l.user.Origin
		o.Key = s.Key
		_, counts := remembered(p.state, l.engine.cfg.Session, o, p.enrollment, p.methods, l.engine.deps.Now())
		return counts && s.Key != "" && s.Key != mfa.Any
	}
	if !l.someKey || l.rememberMode() == RememberNever || !slices.ContainsFunc(p.state.Sessions, ofItsKey) {
		return ""
	}
	return "; a remembered login counts only for the key it was made with, and --key names none"
}

// lockText says how much longer the lock of st lasts, and what ends it.
func (l *inquiry) lockText(st mfa.State) string {
	text := "locked until an administrator unlocks"
	if left, hard, _ := st.Locked(l.engine.deps.Now()); !hard {
		text = "locked for " + mfa.Span(left)
	}
	if st.LockedBy != "" {
		text += ", by " + st.LockedBy
	}
	if l.user.Recoverable(st) {
		text += "; the recovery code that was mailed ends it"
	}
	return text
}

// asked says which methods are asked for, in which order.
func asked(p plan) string {
	first := firstMethod(p.enrollment, p.methods)
	if first == "" {
		return "a menu of " + list(p.methods, "and")
	}
	if len(p.methods) == 1 {
		return string(first)
	}
	return fmt.Sprintf("%s, or with m %s", first, list(p.methods[1:], "or"))
}

// settings returns what is told of the policy that counts.
func (l *inquiry) settings() *wire.Settings {
	p := l.policy
	return &wire.Settings{
		Mode: p.Mode, Methods: p.Methods, Remember: cmp.Or(p.Remember, l.engine.cfg.Session.Remember), OptOut: p.OptOut,
		EnrollAtLogin: p.EnrollAtLogin, EnrollGrace: p.EnrollGrace,
	}
}

// why says for people why r does not match.
func (l *inquiry) why(ctx context.Context, r Rule, m matcher) string {
	switch m {
	case matchServices:
		return fmt.Sprintf("the service is %s, not %s", l.user.Origin.Service, list(r.Services, "or"))
	case matchFirstFactor:
		return fmt.Sprintf("the first factor is %s, not %s", list(l.factors, "and"), r.FirstFactor)
	case matchNetworks:
		if _, err := netip.ParseAddr(l.user.Origin.Address); err != nil {
			return fmt.Sprintf("%q is no IP address, and only those are in networks", l.user.Origin.Address)
		}
		return fmt.Sprintf("%s is not in %s", l.user.Origin.Address, list(r.Networks, "or"))
	case matchUsers:
		return fmt.Sprintf("the user is %s, not %s", l.user.Account.ID.Name, list(r.Users, "or"))
	case matchGroups:
		return fmt.Sprintf("%s is not in group %s", l.user.Account.ID.Name, list(l.known(ctx, r.Groups), "or"))
	}
	return string(m)
}

// known returns the names, with a mark at those that NSS does not know.
func (l *inquiry) known(ctx context.Context, names []string) []string {
	var marked []string
	for _, name := range names {
		if _, err := l.engine.deps.Groups.ID(ctx, name); err != nil {
			name += " (which does not exist)"
		}
		marked = append(marked, name)
	}
	return marked
}

// list joins the first few of words for people: a, b or c.
func list[S any](words []S, last string) string {
	const most = 4
	var texts []string
	for _, w := range words[:min(len(words), most)] {
		texts = append(texts, fmt.Sprint(w))
	}
	if more := len(words) - most; more > 0 {
		texts = append(texts, fmt.Sprintf("%d more", more))
	}
	end := len(texts) - 1
	if end <= 0 {
		return strings.Join(texts, "")
	}
	return strings.Join(texts[:end], ", ") + " " + last + " " + texts[end]
}
