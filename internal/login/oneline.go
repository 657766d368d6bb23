package login

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"mfa/internal/challenge"
	"mfa/internal/deliver"
	"mfa/internal/factor"
	"mfa/internal/mfa"
	"mfa/internal/store"
)

// In a login in one line the code stands behind the password, and nothing is asked. The
// module asks twice: before the password is checked, what may stand behind it; and for
// the login itself, once the password was right.

// sendWords are typed behind a comma to have a code sent.
var sendWords = []struct {
	word   string
	method mfa.Method
}{{"email", mfa.Email}, {"text", mfa.SMS}, {"call", mfa.Call}}

// endingsTake is how long the answer to Endings takes at least, whoever is asked about. A
// look-up that takes longer shows.
const endingsTake = 5 * time.Millisecond

// Endings says what may stand behind the password of the login that req asks for, in the
// order in which it is to be looked for; nothing, if all of the line is the password. It
// asks nobody, the directory neither, writes nothing down and counts nothing: no password
// was right yet. Through a program of root what is answered is seen by nobody who has not the
// password. A peer of server.trusted_users can ask about anybody, and hears what those who
// log in there can type: whether they have an app, and whether a code was sent.
func (e *Engine) Endings(ctx context.Context, req mfa.Request) []mfa.Ending {
	ctx = store.WithKept(store.WithView(ctx))
	taken := time.NewTimer(endingsTake)
	defer taken.Stop()
	all, err := e.endings(ctx, req)
	if err != nil {
		e.deps.Log.Warn("what stands behind a password cannot be told for sure", "user", req.User, "service", req.Service, "error", err)
		all = endingsOf([]int{usualDigits}, nil)
	}
	select {
	case <-taken.C:
	case <-ctx.Done():
	}
	return all
}

// usualDigits is the length of the codes of most apps, and of ours.
const usualDigits = 6

func (e *Engine) endings(ctx context.Context, req mfa.Request) ([]mfa.Ending, error) {
	acct, err := e.account(ctx, req.User)
	if err != nil {
		return nil, err
	}
	l := e.inquire(e.deps.Accounts.User(acct, OriginOf(req)), provenFactors(req))
	l.early = true
	if req.UID != 0 {
		l.user.CountApart()
	}
	if err := l.findPolicy(ctx); err != nil {
		return nil, err
	}
	p, err := l.look(ctx)
	if err != nil {
		return nil, err
	}
	var more []mfa.Ending
	if p.decision == denyLocked {
		st := p.state
		en, err := l.enrollment(ctx)
		if err != nil {
			return nil, err
		}
		if en, st, err = l.withDirectory(ctx, en, st); err != nil {
			return nil, err
		}
		p = l.lookAtMethods(en, st)
		p.state, p.enrollment, more = st, en, factor.RecoveryEndings()
	}
	if p.decision == denyDisabled { // which is told once the password was right
		p.methods = usable(p.enrollment, possibleMethods(p.enrollment))
	}
	if len(p.methods) == 0 && !l.unasked {
		return nil, nil
	}
	if en := p.enrollment; slices.Contains(p.methods, mfa.Backup) && en.Backup != nil {
		more = append(more, factor.Endings(*en.Backup)...)
	}
	return endingsOf(l.digits(p), more), nil
}

// digits returns the lengths of the codes of digits that can be right in a login that goes
// by p: those of an app or a token, and of what was sent for this origin and is still good. While
// none was sent, digits at the end are the password's.
func (l *inquiry) digits(p plan) (all []int) {
	all = ownDigits(p.enrollment, p.methods)
	now := l.engine.deps.Now()
	for _, c := range p.state.Pending {
		may := l.unasked || slices.Contains(p.methods, c.Method) // a code can outlive what is remembered of the directory
		if c.Origin == l.user.Origin.String() && now.Before(c.Expires) && may {
			all = append(all, cmp.Or(c.Digits, usualDigits))
		}
	}
	return all
}

// ownDigits returns the lengths of the codes that en has and shows by itself.
func ownDigits(en mfa.Enrollment, methods []mfa.Method) (all []int) {
	if en.TOTP != nil && slices.Contains(methods, mfa.TOTP) {
		all = append(all, en.TOTP.Digits)
	}
	if en.HOTP != nil && slices.Contains(methods, mfa.HOTP) {
		all = append(all, en.HOTP.Digits)
	}
	return all
}

// endingsOf puts endings in order. Of digits the longest come first; codes without
// dashes, which digits may be the end of, come last. Where there are several lengths of
// digits, a password that ends in some makes a shorter code look like a longer one: then a
// comma may stand before them, and the password ends there.
func endingsOf(digits []int, codes []mfa.Ending) (all []mfa.Ending) {
	for _, w := range sendWords {
		all = append(all, mfa.Ending{Word: w.word})
	}
	first := func(e mfa.Ending) bool { return e.Grouped || strings.Trim(e.Of, "0123456789") == "" }
	for _, e := range codes {
		if first(e) {
			all = append(all, e)
		}
	}
	slices.Sort(digits)
	digits = slices.Compact(digits)
	for _, comma := range []bool{true, false} {
		for _, n := range slices.Backward(digits) {
			e := mfa.Digits(n)
			if e.Comma = comma; !comma || len(digits) > 1 {
				all = append(all, e)
			}
		}
	}
	for _, e := range codes {
		if !first(e) {
			all = append(all, e)
		}
	}
	return all
}

// A heldLine is the part of a bufferedPrompter that a login in one line needs.
type heldLine struct {
	held   bool   // the module has an answer
	answer string // of the module, once it was asked
	lent   bool   // the answer is the next prompt's
}

// lend answers a prompt: by what was lent to it, or not at all.
func (o *heldLine) lend() (string, error) {
	if !o.lent {
		return "", fmt.Errorf("%w: it has the password in one line", mfa.ErrNoConversation)
	}
	o.lent = false
	return o.answer, nil
}

// behind returns what stood behind the password; "" if nothing did.
func (f *bufferedPrompter) behind(ctx context.Context) (string, error) {
	if !f.line.held {
		return f.line.answer, nil
	}
	f.line.held = false
	var err error
	f.line.answer, err = f.Prompter.Prompt(ctx, mfa.Prompt{Kind: mfa.AskHidden, Text: challenge.EndCode})
	return f.line.answer, err
}

// oneLine says whether nothing can be asked in this login.
func (l *attempt) oneLine() bool { return l.prompter != nil && l.prompter.line != nil }

// proveBehind is prove for a login in one line.
func (l *attempt) proveBehind(ctx context.Context, en mfa.Enrollment, methods []mfa.Method) (mfa.Verdict, error) {
	answer, err := l.prompter.behind(ctx)
	l.talk.OwnDigits = ownDigits(en, methods)
	switch {
	case errors.Is(err, mfa.ErrPasswordTyped):
		return l.noCode(ctx, l.talk.Words("That is your password once more, not a code. Nothing was counted."), "the password stood behind the password")
	case err != nil:
		return l.talk.NoAnswer(ctx, "", err)
	case answer == "":
		return l.alone(ctx, en, methods)
	}
	for _, w := range sendWords {
		if !strings.EqualFold(strings.TrimSpace(answer), w.word) {
			continue
		}
		if !slices.Contains(methods, w.method) {
			return l.noCode(ctx, l.talk.Words("No code can be sent to you by %s here. Nothing was counted.", w.word), "asked for a code by a method that is not set up")
		}
		return l.talk.SendBehind(ctx, l.targetOf(en, w.method, methods), true)
	}
	v, err := l.talk.Try(ctx, l.codes(en, methods, answer), answer)
	if v.Outcome == mfa.Accepted {
		l.proven(ctx, en, v.Method)
	}
	return v, err
}

// targetOf is target, where those methods count.
func (l *inquiry) targetOf(en mfa.Enrollment, m mfa.Method, methods []mfa.Method) challenge.Target {
	return l.target(en, m, slices.Contains(methods, mfa.Email))
}

// codes returns all that an answer could be, those that live longest last.
func (l *attempt) codes(en mfa.Enrollment, methods []mfa.Method, answer string) []challenge.Code {
	var sent, own []challenge.Code
	for _, m := range methods {
		switch m {
		case mfa.Email, mfa.SMS, mfa.Call:
			sent = append(sent, l.talk.AnySent(l.targetOf(en, m, methods)))
		case mfa.TOTP:
			own = append(own, l.talk.AppCode("", l.app))
		case mfa.HOTP:
			own = append(own, l.talk.TokenCode(l.token))
		case mfa.Backup:
			if _, shaped := factor.BackupCode(*en.Backup, answer); shaped || len(methods) == 1 {
				sent = append(sent, l.talk.BackupCode(l.backup))
			}
		}
	}
	return append(sent, own...)
}

// alone is for a password that came without a code: one is sent to who has only methods
// that send.
func (l *attempt) alone(ctx context.Context, en mfa.Enrollment, methods []mfa.Method) (mfa.Verdict, error) {
	i := slices.IndexFunc(methods, sends)
	if i >= 0 && !slices.ContainsFunc(methods, func(m mfa.Method) bool { return !sends(m) && m != mfa.Backup }) {
		return l.talk.SendBehind(ctx, l.targetOf(en, methods[i], methods), false)
	}
	told := l.talk.Words("A code is missing: type it right behind your password.")
	if i >= 0 {
		told = l.user.Words().Join(told, l.talk.Words("Or type ,%s behind it to have one sent to %s.", wordOf(methods[i]), deliver.Mask(en.Contact(methods[i]).Address)))
	}
	return l.noCode(ctx, told, "the password came without a code")
}

// wordOf returns the word that has a code sent by the method m.
func wordOf(m mfa.Method) string {
	for _, w := range sendWords {
		if w.method == m {
			return w.word
		}
	}
	return ""
}

// noCode refuses a login in which there was no code to look at.
func (l *attempt) noCode(ctx context.Context, told, reason string) (mfa.Verdict, error) {
	l.talk.Say(ctx, mfa.Failure, told)
	return mfa.Verdict{Outcome: mfa.NoConversation, Reason: reason}, nil
}

// recoverBehind is for a user who is locked: a recovery code behind the password ends
// that, and the next login carries a code. Whatever else stands there is not looked at.
func (l *attempt) recoverBehind(ctx context.Context, p plan) (mfa.Verdict, error) {
	answer, err := l.prompter.behind(ctx)
	if err == nil && factor.IsRecoveryCode(answer) {
		l.prompter.line.lent = true
	}
	v, err := l.talk.Recover(ctx, p.state)
	if v.Outcome != mfa.Accepted {
		return v, err
	}
	return l.noCode(ctx, l.talk.Words("You are not locked any more. Log in again with a code right behind your password."), "unlocked by the user; the next login carries a code")
}
