package login

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"time"

	"mfa/internal/audit"
	"mfa/internal/deliver"
	"mfa/internal/factor"
	"mfa/internal/mfa"
)

const (
	// sendGrace is how long the prompt after a sending waits for the relay's word,
	// so that an address it refuses at once is told at once. A slower relay holds
	// up nobody: its word comes with the next prompt. The wait is the same
	// whether or not there is anything to wait for, so it tells nothing either.
	sendGrace = 25 * time.Millisecond
	// commitTimeout bounds the write of an answer, which no disconnect stops.
	commitTimeout = 10 * time.Second
	// maxPending bounds the codes kept of one user; the oldest go first.
	maxPending = 32
)

// askCode is the method of a code by email: send it, or find the one already
// sent to this origin, and ask for it.
func (l *attempt) askCode(ctx context.Context, to mfa.Address) (mfa.Verdict, error) {
	masked := deliver.Mask(to.Address)
	ch, err := l.issue(ctx, to.Address, false)
	if err != nil {
		return l.storeFailed(ctx, err)
	}
	var text string
	switch {
	case ch.noneFor > 0:
		l.say(ctx, mfa.Failure, textNoMoreSends(ch.noneFor))
		return mfa.Verdict{Outcome: mfa.Exhausted, Method: mfa.Email, Reason: "code.max_sends reached"}, nil
	case ch.isNew:
		text = textCodeSent(masked, time.Duration(l.cfg.Code.Lifetime))
		pause(ctx, sendGrace)
	default:
		now := l.deps.Now()
		text = textCodeAlreadySent(masked, now.Sub(ch.code.Sent), ch.code.Expires.Sub(now))
	}

	idle := 0
	for range maxPrompts {
		if ch.failed() {
			l.say(ctx, mfa.Failure, textSendFailed(masked))
			return mfa.Verdict{Outcome: l.refusal(mfa.Unavailable), Method: mfa.Email, Reason: "code not delivered"}, ch.sending.Err()
		}
		answer, err := l.ask(ctx, prompt(text))
		switch {
		case errors.Is(err, mfa.ErrPasswordTyped):
			l.advise("the password was given in place of a code; nothing was counted")
			text, answer = textWasPassword, ""
		case err != nil:
			return l.noAnswer(ctx, err)
		case ch.failed():
			continue
		}

		switch answer {
		case "":
			if idle++; idle == maxIdle {
				return mfa.Verdict{Outcome: l.refusal(mfa.NoConversation), Method: mfa.Email, Reason: "only answers that are no attempt"}, nil
			}
			switch {
			case err != nil: // says more already
			case ch.underway():
				text = textUnderway
			default:
				text = textEmpty
			}
			continue
		case "m", "M":
			text = textNoOther
			continue
		case "r", "R":
			next, err := l.issue(ctx, to.Address, true)
			if err != nil {
				return l.storeFailed(ctx, err)
			}
			switch {
			case next.noneFor > 0:
				text = textNoMoreSends(next.noneFor)
			case next.tooSoon > 0:
				text = textResendTooSoon(next.tooSoon)
			default:
				ch, text = next, textCodeResent(masked)
				pause(ctx, sendGrace)
			}
			continue
		}
		idle = 0

		res, err := l.check(ctx, to.Address, answer)
		switch {
		case err != nil:
			return l.storeFailed(ctx, err)
		case res.right:
			l.confirm(ctx, to)
			return mfa.Verdict{Outcome: mfa.Accepted, Method: mfa.Email, Reason: "right code"}, nil
		case res.expired:
			text = textExpired()
			continue
		case res.wasLocked:
			l.say(ctx, mfa.Failure, textLocked(res.lock))
			return mfa.Verdict{Outcome: mfa.Exhausted, Method: mfa.Email, Reason: "locked"}, nil
		case res.left == 0:
			l.say(ctx, mfa.Failure, textLocks(res.lock))
			return mfa.Verdict{Outcome: mfa.Exhausted, Method: mfa.Email, Reason: "wrong code; now locked"}, nil
		case l.wrong == maxTries:
			l.say(ctx, mfa.Failure, textWrongLast())
			return mfa.Verdict{Outcome: mfa.Exhausted, Method: mfa.Email, Reason: "wrong code, the last of this login"}, nil
		}
		text = textWrong(min(res.left, maxTries-l.wrong))
	}
	l.say(ctx, mfa.Failure, textStopped)
	return mfa.Verdict{Outcome: l.refusal(mfa.NoConversation), Method: mfa.Email, Reason: "too many prompts"}, nil
}

// refusal is the outcome of a login that ends without a decision about a code:
// as given, or a wrong code if one was typed before.
func (l *attempt) refusal(o mfa.Outcome) mfa.Outcome {
	if l.wrong > 0 {
		return mfa.WrongCode
	}
	return o
}

// A challenge is a code that the user has, or will have when it arrives.
type challenge struct {
	code    mfa.PendingCode
	isNew   bool             // made by this login
	sending *deliver.Sending // nil: sent by an earlier login, or to nobody
	tooSoon time.Duration    // if over zero, nothing was sent: resend_after has not passed
	noneFor time.Duration    // if over zero, nothing was sent: max_sends is reached
}

// failed says whether the code could not be sent.
func (c challenge) failed() bool { return c.sending != nil && c.sending.Err() != nil }

// underway says whether the next hop has not taken the code yet.
func (c challenge) underway() bool {
	if c.sending == nil {
		return false
	}
	select {
	case <-c.sending.Done():
		return false
	default:
		return true
	}
}

// issue makes a code for this origin and sends it. If one that was sent before
// is still good and again is false, that one stands and nothing is sent. It is
// committed first and sent second.
func (l *attempt) issue(ctx context.Context, to string, again bool) (challenge, error) {
	code, err := factor.NewCode(l.rand, l.cfg.Code.Digits)
	if err != nil {
		return challenge{}, err
	}
	var ch challenge
	err = l.update(ctx, func(st *mfa.State) error {
		ch = challenge{}
		now := l.deps.Now()
		sweep(st, now, l.cfg.Code)
		i := l.pending(st, to)
		live := i >= 0 && now.Before(st.Pending[i].Expires)
		if live {
			ch.code = st.Pending[i]
		}
		switch resendAt := ch.code.Sent.Add(time.Duration(l.cfg.Code.ResendAfter)); {
		case live && !again:
			return nil
		case live && now.Before(resendAt):
			ch.tooSoon = resendAt.Sub(now)
			return nil
		case len(st.Sends) >= l.cfg.Code.MaxSends:
			ch.noneFor = st.Sends[len(st.Sends)-l.cfg.Code.MaxSends].Add(time.Duration(l.cfg.Code.SendWindow)).Sub(now)
			return nil
		}
		ch.isNew = true
		ch.code = factor.NewPending(l.deps.Key, l.id, l.origin, mfa.Email, to, code, now, time.Duration(l.cfg.Code.Lifetime))
		if i >= 0 {
			st.Pending = slices.Delete(st.Pending, i, i+1)
		}
		st.Pending = append(st.Pending, ch.code)
		if n := len(st.Pending) - maxPending; n > 0 {
			st.Pending = slices.Delete(st.Pending, 0, n)
		}
		st.Sends = append(st.Sends, now)
		return nil
	})
	if err == nil && ch.isNew {
		ch.sending = l.send(ch.code, code)
	}
	return ch, err
}

// sweep forgets what is too old to matter. A code that expired is kept for
// another lifetime, so that who types it late is told so.
func sweep(st *mfa.State, now time.Time, c CodeConfig) {
	st.Sends = within(st.Sends, now, c.SendWindow)
	st.Pending = slices.DeleteFunc(st.Pending, func(p mfa.PendingCode) bool {
		return now.After(p.Expires.Add(time.Duration(c.Lifetime)))
	})
}

// pending finds the code that was sent for this origin to this address, or -1.
func (l *attempt) pending(st *mfa.State, to string) int {
	return slices.IndexFunc(st.Pending, func(p mfa.PendingCode) bool {
		return p.Origin == l.origin.String() && p.Method == mfa.Email && p.To == to
	})
}

// send hands the code to the carrier. If it cannot be delivered the code is
// withdrawn, so that the next login sends another.
func (l *attempt) send(p mfa.PendingCode, code string) *deliver.Sending {
	if l.nobody != nil {
		return nil
	}
	m := deliver.CodeNotice{
		Code: code, Host: l.cfg.Host, User: l.id.Name, Service: l.origin.Service, Address: l.origin.Address,
		Sent: p.Sent, Lifetime: time.Duration(l.cfg.Code.Lifetime), To: p.To, Subject: l.cfg.MailSubject,
	}.Email(rand.Text())
	ev := l.event(audit.Challenge)
	ev.Method, ev.To, ev.Message = string(p.Method), deliver.Mask(p.To), m.ID
	l.deps.Audit.Record(ev)
	return l.deps.Mail.Send(m, func(err error) {
		ev.Time, ev.Event = l.deps.Now(), audit.Sent
		if err != nil {
			ev.Event, ev.Reason = audit.SendFailed, err.Error()
			l.deps.Log.Error("code not delivered", "user", l.id.Name, "to", ev.To, "error", err)
			l.withdraw(p)
		}
		l.deps.Audit.Record(ev)
	})
}

// withdraw removes a code that nobody will receive.
func (l *attempt) withdraw(p mfa.PendingCode) {
	ctx, cancel := context.WithTimeout(context.Background(), commitTimeout)
	defer cancel()
	err := l.update(ctx, func(st *mfa.State) error {
		st.Pending = slices.DeleteFunc(st.Pending, func(q mfa.PendingCode) bool { return string(q.Nonce) == string(p.Nonce) })
		return nil
	})
	if err != nil {
		l.deps.Log.Error("code that was not delivered is still asked for until it expires", "user", l.id.Name, "error", err)
	}
}

// pause returns after d, or when ctx ends.
func pause(ctx context.Context, d time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	<-ctx.Done()
}

// A checked answer.
type checked struct {
	right     bool
	expired   bool          // right, but too late; not counted
	wasLocked bool          // not looked at
	left      int           // wrong: how many more until the lock
	lock      time.Duration // locked: for how long, zero until unlocked
}

// check counts an answer, compares it, spends the code or locks the user, all in
// one update that is durable when it returns. An answer that arrived is checked
// even if the client is gone by now.
func (l *attempt) check(ctx context.Context, to, answer string) (checked, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
	defer cancel()
	var res checked
	err := l.update(ctx, func(st *mfa.State) error {
		res = checked{}
		now := l.deps.Now()
		if res.lock, _, res.wasLocked = st.Locked(now); res.wasLocked {
			return nil
		}
		st.LockedUntil = nil
		if i := l.pending(st, to); i >= 0 && factor.CodeMatches(l.deps.Key, l.id, st.Pending[i], answer) {
			res.expired = !now.Before(st.Pending[i].Expires)
			res.right = !res.expired
			st.Pending = slices.Delete(st.Pending, i, i+1)
			if res.right {
				st.Failures = nil
			}
			return nil
		}
		if res.left = l.cfg.Lockout.fail(st, now); res.left == 0 {
			res.lock, _, _ = st.Locked(now)
		}
		return nil
	})
	if err == nil && !res.right && !res.expired && !res.wasLocked {
		l.failed(res)
	}
	return res, err
}

// failed writes down a wrong code that was counted.
func (l *attempt) failed(res checked) {
	l.wrong++
	ev := l.event(audit.Failed)
	ev.Method = string(mfa.Email)
	l.deps.Audit.Record(ev)
	if res.left == 0 {
		ev.Event = audit.Locked
		l.deps.Audit.Record(ev)
		l.deps.Log.Warn("second factor locked after wrong codes; mfactl unlock ends it", "user", l.id.Name,
			"for", res.lock, "service", l.origin.Service, "address", l.origin.Address)
	}
}

// confirm notes that codes sent to the address arrive. It never undoes a login.
func (l *attempt) confirm(ctx context.Context, to mfa.Address) {
	if !to.Confirmed.IsZero() || l.nobody != nil {
		return
	}
	now := l.deps.Now()
	err := l.deps.Records.UpdateEnrollment(context.WithoutCancel(ctx), l.id.Name, func(en *mfa.Enrollment) error {
		if en.UID == l.id.UID && en.Email != nil && en.Email.Address == to.Address {
			en.Email.Confirmed = now.UTC().Truncate(time.Second)
		}
		return nil
	})
	if err != nil {
		l.deps.Log.Error("address not marked as confirmed; the next login will try again", "user", l.id.Name, "error", err)
		return
	}
	ev := l.event(audit.Enrolled)
	ev.Method, ev.To, ev.Reason = string(mfa.Email), deliver.Mask(to.Address), "address confirmed by a code"
	l.deps.Audit.Record(ev)
}
