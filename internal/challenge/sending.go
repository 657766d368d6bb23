package challenge

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"sync"
	"time"

	"mfa/internal/audit"
	"mfa/internal/deliver"
	"mfa/internal/deliver/spend"
	"mfa/internal/mfa"
)

// The wait of the prompt after a sending for the carrier's word, so that what it
// refuses at once is told at once. A slower one holds up nobody: its word comes
// with the next prompt. The wait is the same whether or not there is anything to
// wait for, so it tells nothing either. A gateway of text messages is farther
// away than a mail server, and so is the phone.
const (
	mailGrace = 25 * time.Millisecond
	textGrace = time.Second
)

func grace(m mfa.Method) time.Duration {
	if m == mfa.SMS {
		return textGrace
	}
	return mailGrace
}

// A sending is one code on its way. It may be used from many goroutines.
type sending struct {
	to string // masked

	mu       sync.Mutex // guards what follows
	done     bool       // taken by a carrier, or given up
	err      error      // of the last way; nil unless given up
	fellBack string     // masked address it goes to in place of to; empty: it does not
	reason   string     // why, for the person
	toldBack bool       // the person knows that it fell back
	lost     bool       // a carrier took it and said later that it did not arrive
}

// told is what the first prompt says of it.
func (s *sending) told(lifetime time.Duration) string {
	if text := s.news(); text != "" {
		return text + "\n" + textGoodFor(lifetime)
	}
	if s.underway() {
		return textCodeLeaves(s.to, lifetime)
	}
	return textCodeSent(s.to, lifetime)
}

// toldAgain is what the prompt after a resend says of it.
func (s *sending) toldAgain() string {
	if text := s.news(); text != "" {
		return text + "\n" + textOldIsVoid
	}
	return textCodeResent(s.to)
}

// news is said once: that the code took another way. A nil sending has none.
func (s *sending) news() string {
	if s == nil {
		return ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fellBack == "" || s.toldBack || s.err != nil {
		return ""
	}
	s.toldBack = true
	return textFellBack(s.to, s.fellBack, s.reason, s.lost)
}

// failure is what to say if it was given up, and why.
func (s *sending) failure() (string, error) {
	if s == nil {
		return "", nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		return "", nil
	}
	return textSendFailed(s.to, s.reason, s.lost), s.err
}

// underway says whether no carrier has taken it yet.
func (s *sending) underway() bool {
	if s == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.done
}

// end notes how the last way ended.
func (s *sending) end(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done, s.err = true, err
}

// miss notes that what a carrier took did not arrive.
func (s *sending) miss() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lost = true
}

// turn notes that the code goes to another address now, and why.
func (s *sending) turn(address, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fellBack, s.reason = address, reason
}

// send hands the code to the carrier of its method, unless limit forbids that. If
// it cannot be sent it goes to the email address that the target has for this; if
// that is empty, or fails too, the code is withdrawn, so that the next login sends
// another. To nobody nothing is sent, which looks the same.
func (c *Conversation) send(p mfa.PendingCode, code string, to Target, limit *spend.LimitError) *sending {
	s := &sending{to: deliver.Mask(p.To)}
	if c.User.Account.IsNobody() {
		s.done = true
		return s
	}
	n := deliver.CodeNotice{
		Code: code, Host: c.cfg.Host, User: c.User.Account.ID.Name, Service: c.User.Origin.Service, Address: c.User.Origin.Address,
		Sent: p.Sent, Lifetime: c.cfg.Code.lifetime(), To: p.To, Subject: c.cfg.MailSubject,
	}
	fallback := to.Fallback
	if limit != nil {
		fallback = to.AtLimit
	}
	undelivered := func(err error) func() {
		c.withdraw(p)
		s.end(err)
		return nil
	}
	byMail := func(cause error) {
		n.To = fallback
		c.deps.Log.Warn("text message not sent; the code goes by email", "user", c.User.Account.ID.Name,
			"to", s.to, "address", deliver.Mask(fallback), "error", cause)
		switch stands, err := c.reroute(p, fallback); {
		case err != nil:
			undelivered(errors.Join(cause, err))
			return
		case !stands:
			return // used, or replaced by another
		}
		s.turn(deliver.Mask(fallback), textWhyNoText(cause))
		c.hand(n.Email(rand.Text()), p.Method, audit.FellBack, func(err error) func() {
			if err != nil {
				return undelivered(errors.Join(cause, err))
			}
			s.end(nil)
			return nil
		})
	}
	m, err := c.message(n, p.Method)
	var after func(err error) func()
	lost := func(err error) {
		s.miss()
		if next := after(err); next != nil {
			next()
		}
	}
	after = func(err error) func() {
		switch {
		case err == nil:
			s.end(nil)
			if p.Method == mfa.SMS {
				c.deps.Mail.Follow(m.ID, lost)
			}
			return nil
		case p.Method == mfa.SMS && fallback != "":
			return func() { byMail(err) }
		}
		s.turn("", textWhyNoText(err))
		return undelivered(err)
	}
	if limit != nil {
		err = *limit
	}
	if err != nil {
		if next := after(err); next != nil {
			next()
		}
		return s
	}
	c.hand(m, p.Method, audit.Challenge, after)
	return s
}

// message writes the code down as the method's carrier takes it.
func (c *Conversation) message(n deliver.CodeNotice, m mfa.Method) (mfa.Message, error) {
	if m == mfa.SMS {
		return n.SMS(rand.Text(), c.cfg.SMSTemplate, c.cfg.AutofillDomain)
	}
	return n.Email(rand.Text()), nil
}

// hand gives a message to the carrier, and writes down that it did, under the
// name event, and what became of it. After takes that in before it is written
// down, and returns what to do next, or nil.
func (c *Conversation) hand(m mfa.Message, method mfa.Method, event string, after func(error) func()) {
	ev := c.User.Event(event)
	ev.Method, ev.To, ev.Message = string(method), deliver.Mask(m.To), m.ID
	c.deps.Audit.Record(ev)
	m.User = c.User.Account.ID.Name
	c.deps.Mail.Send(m, func(receipt string, err error) {
		next := after(err)
		ev.Time, ev.Event, ev.Receipt = c.deps.Now(), audit.Sent, receipt
		if err != nil {
			ev.Event, ev.Reason = audit.SendFailed, err.Error()
			c.deps.Log.Error("code not delivered", "user", c.User.Account.ID.Name, "to", ev.To, "error", err)
		}
		c.deps.Audit.Record(ev)
		if next != nil {
			next()
		}
	})
}

// reroute notes that the code p goes to an email address in place of its own, if it
// still stands.
func (c *Conversation) reroute(p mfa.PendingCode, address string) (stands bool, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), commitTimeout)
	defer cancel()
	err = c.User.Account.Update(ctx, func(st *mfa.State) error {
		i := slices.IndexFunc(st.Pending, p.Same)
		if stands = i >= 0 && c.deps.Now().Before(st.Pending[i].Expires); stands {
			st.Pending[i].Via = address
		}
		return nil
	})
	return stands, err
}

// withdraw removes a code that nobody will receive.
func (c *Conversation) withdraw(p mfa.PendingCode) {
	ctx, cancel := context.WithTimeout(context.Background(), commitTimeout)
	defer cancel()
	err := c.User.Account.Update(ctx, func(st *mfa.State) error {
		if i := slices.IndexFunc(st.Pending, p.Same); i >= 0 {
			end(st, i, mfa.CodeVoid, c.deps.Now())
		}
		return nil
	})
	if err != nil {
		c.deps.Log.Error("code that was not delivered is still asked for until it expires", "user", c.User.Account.ID.Name, "error", err)
	}
}
