package challenge

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"sync"
	"time"

	"mfa/internal/account"
	"mfa/internal/audit"
	"mfa/internal/deliver"
	"mfa/internal/deliver/spend"
	"mfa/internal/mfa"
	"mfa/internal/text"
)

// How long the prompt after a sending waits for the carrier's answer, so that a refusal
// is shown in it. A later answer is shown with the next prompt. The wait is as long where
// nothing was sent, so that its length tells nothing. A gateway of text messages is
// farther away than a mail server.
const (
	mailGrace = 15 * time.Millisecond
	textGrace = time.Second
)

func grace(m mfa.Method) time.Duration {
	if m.Rings() {
		return textGrace
	}
	return mailGrace
}

// A delivery is one code on its way, which may outlive the conversation. Its methods are
// called from the goroutines of the conversation and of the queue. A nil one, of a code
// that was sent earlier, has no news.
type delivery struct {
	asker  *Asker
	user   *account.User // its Account is updated, and its origin is read
	code   mfa.PendingCode
	notice deliver.CodeNotice
	to     string // masked

	mu       sync.Mutex    // guards what follows
	ways     []way         // not tried yet
	done     bool          // taken by a carrier, or given up
	err      error         // why it was given up
	fellBack string        // masked address it goes to in place of to; empty: it does not
	reason   text.Sentence // why, for the person
	toldBack bool          // the person knows that it fell back
	lost     bool          // a carrier took it and said later that it did not arrive
}

// A way is where a code is sent, and by what.
type way struct {
	carrier mfa.Method // SMS, Call or Email
	address string
	event   string // of the audit file
}

// deliver sends the code of p, which is new, to its target, unless limit forbids that.
// If it cannot be sent there, it goes to the email address that the target has for this;
// if there is none, or that fails too, the code is void, so that the next login sends
// another. For a name without an account nothing is sent; the prompts are the same.
func (c *Conversation) deliver(p mfa.PendingCode, code string, to Target, limit *spend.LimitError) *delivery {
	cfg := c.asker.cfg
	d := &delivery{asker: c.asker, user: c.User, code: p, to: deliver.Mask(p.To)}
	d.notice = deliver.CodeNotice{
		Code: code, Host: cfg.Host, User: c.User.Account.ID.Name, Service: c.User.Origin.Service, Address: c.User.Origin.Address,
		Sent: p.Sent, Lifetime: cfg.Code.goodFor(), Words: c.User.MailWords(),
	}
	if c.User.Account.IsUnknown() {
		d.done = true
		return d
	}
	d.asker.deps.Underway.add(p)
	fallback := to.Fallback
	d.ways = []way{{p.Method, p.To, audit.Challenge}}
	if limit != nil {
		fallback, d.ways = to.AtLimit, nil
	}
	if p.Method.Rings() && fallback != "" {
		d.ways = append(d.ways, way{mfa.Email, fallback, audit.FellBack})
	}
	var cause error
	if limit != nil {
		cause = *limit
	}
	d.next(cause)
	return d
}

// next hands the code to the next way that takes it, or gives up. Cause is why the way
// before failed; nil at the first.
func (d *delivery) next(cause error) {
	for {
		w, ok := d.way()
		if !ok {
			d.giveUp(cause)
			return
		}
		if w.carrier != d.code.Method {
			stands, err := d.redirect(w, cause)
			if err != nil {
				d.giveUp(errors.Join(cause, err))
				return
			}
			if !stands {
				d.end(nil) // used, or replaced by another
				return
			}
		}
		m, err := d.message(w)
		if err == nil {
			d.hand(m, w, cause)
			return
		}
		cause = errors.Join(cause, err)
	}
}

// way removes and returns the next way.
func (d *delivery) way() (w way, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.ways) == 0 {
		return way{}, false
	}
	w, d.ways = d.ways[0], d.ways[1:]
	return w, true
}

// left says whether there is another way.
func (d *delivery) left() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.ways) > 0
}

// redirect stores that the code goes to the address of w instead, if the code still stands.
func (d *delivery) redirect(w way, cause error) (stands bool, err error) {
	masked := deliver.Mask(w.address)
	d.asker.deps.Log.Warn(wordOf(d.code.Method).thing+" not sent; the code goes by email", "user", d.user.Account.ID.Name,
		"to", d.to, "address", masked, "error", cause)
	ctx, cancel := context.WithTimeout(context.Background(), commitTimeout)
	defer cancel()
	err = d.user.Account.Update(ctx, func(st *mfa.State) error {
		i := slices.IndexFunc(st.Pending, d.code.Same)
		if stands = i >= 0 && d.asker.deps.Now().Before(st.Pending[i].Expires); stands {
			st.Pending[i].Via = w.address
		}
		return nil
	})
	if err == nil && stands {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.fellBack, d.reason = masked, whyNoText(cause)
	}
	return stands, err
}

// message returns the message for the carrier of w.
func (d *delivery) message(w way) (mfa.Message, error) {
	n := d.notice
	n.To = w.address
	switch w.carrier {
	case mfa.Call:
		return n.Call(rand.Text(), d.asker.voice), nil
	case mfa.SMS:
		return n.SMS(rand.Text(), d.asker.cfg.SMSTemplate, d.asker.cfg.AutofillDomain)
	}
	return d.asker.cfg.Mails.Code(rand.Text(), n), nil
}

// hand queues a message for the carrier, and audits that and the result. A carrier of text
// messages may say later that it did not arrive.
func (d *delivery) hand(m mfa.Message, w way, cause error) {
	ev := d.user.Event(w.event)
	ev.Method, ev.To, ev.Message = string(d.code.Method), deliver.Mask(m.To), m.ID
	d.asker.deps.Audit.Record(ev)
	m.User = d.user.Account.ID.Name
	d.asker.deps.Mail.Send(m, func(receipt string, err error) {
		final := err == nil || !d.left()
		d.noteAnswer(m, w, cause, err)
		ev.Time, ev.Event, ev.Receipt = d.asker.deps.Now(), audit.Sent, receipt
		if err != nil {
			ev.Event, ev.Reason = audit.SendFailed, err.Error()
			d.asker.deps.Log.Error("code not delivered", "user", d.user.Account.ID.Name, "to", ev.To, "error", err)
		}
		d.asker.deps.Audit.Record(ev)
		if !final {
			d.next(err)
		}
	})
}

// noteAnswer notes the carrier's answer, unless it failed and another way is left.
func (d *delivery) noteAnswer(m mfa.Message, w way, cause, err error) {
	switch {
	case err == nil:
		d.end(nil)
		if w.carrier.Rings() {
			d.asker.deps.Mail.Follow(m.ID, d.notArrived)
		}
	case !d.left():
		d.giveUp(errors.Join(cause, err))
	}
}

// notArrived is called when a message that a carrier took did not arrive.
func (d *delivery) notArrived(err error) {
	d.mu.Lock()
	d.lost, d.done = true, false
	d.mu.Unlock()
	d.asker.deps.Underway.add(d.code)
	d.next(err)
}

// giveUp makes the code void: nobody will receive it.
func (d *delivery) giveUp(cause error) {
	d.mu.Lock()
	if d.fellBack == "" {
		d.reason = whyNoText(cause)
	}
	d.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), commitTimeout)
	defer cancel()
	err := d.user.Account.Update(ctx, func(st *mfa.State) error {
		if i := slices.IndexFunc(st.Pending, d.code.Same); i >= 0 {
			end(st, i, mfa.CodeVoid, d.asker.deps.Now())
		}
		return nil
	})
	if err != nil {
		d.asker.deps.Log.Error("code that was not delivered is still asked for until it expires", "user", d.user.Account.ID.Name, "error", err)
	}
	d.end(cause)
}

// end notes how the last way ended.
func (d *delivery) end(err error) {
	d.asker.deps.Underway.remove(d.code)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.done, d.err = true, err
}

// told is the text of the first prompt.
func (d *delivery) told() string {
	w := d.user.Words()
	goodFor := d.asker.goodFor(w)
	if news := d.news(); news != "" {
		return news + "\n" + goodFor
	}
	return textOn(w, wordOf(d.code.Method).goes(d.leaves()), d.to, goodFor)
}

// toldAgain is the text of the prompt after a resend.
func (d *delivery) toldAgain() string {
	w := d.user.Words()
	if news := d.news(); news != "" {
		return news + "\n" + w.Say(textOldIsVoid)
	}
	return textCodeResent(w, d.code.Method, d.to, d.leaves())
}

// news returns once the text that the code took another way, else "".
func (d *delivery) news() string {
	if d == nil {
		return ""
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fellBack == "" || d.toldBack || d.err != nil {
		return ""
	}
	d.toldBack = true
	w := d.user.Words()
	return textFellBack(w, d.code.Method, d.to, d.reason.In(w), textByEmail(w, d.fellBack, !d.done), d.lost)
}

// failure returns the text and the error of a delivery that was given up, else none.
func (d *delivery) failure() (string, error) {
	if d == nil {
		return "", nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err == nil {
		return "", nil
	}
	w := d.user.Words()
	return textSendFailed(w, d.code.Method, d.to, d.reason.In(w), d.lost), d.err
}

// leaves is underway for what a person is told first, which is noted for names without an account.
func (d *delivery) leaves() bool {
	known := d.asker.deps.Underway
	if d.user.Account.IsUnknown() {
		return known.asOthers(d.code.Method)
	}
	underway := d.underway()
	known.told(d.code.Method, underway)
	return underway
}

// underway reports whether no carrier has taken the message yet.
func (d *delivery) underway() bool {
	if d == nil {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return !d.done
}
