package login

import (
	"errors"
	"testing"
	"time"

	"mfa/internal/deliver"
	"mfa/internal/deliver/spend"
	"mfa/internal/mfa"
)

const phone = "+14155552671"

// texting has alice get codes by text message.
func texting(s *settings) {
	s.policy.Policy.Methods = []mfa.Method{mfa.TOTP, mfa.SMS, mfa.Backup}
	s.policy.TextMessages, s.policy.FallbackToEmail = true, true
}

// newTexting returns a harness where alice has a phone and, if not empty, an address.
func newTexting(t *testing.T, address string, change ...func(*settings)) *harness {
	d := newHarness(t, append(change, texting)...)
	en := mfa.Enrollment{UID: 1000, SMS: &mfa.Address{Address: phone}}
	if address != "" {
		en.Email = &mfa.Address{Address: address}
	}
	d.enroll("alice", en)
	return d
}

func (d *harness) contacts() (sms, email *mfa.Address) {
	d.t.Helper()
	en, err := d.engine.deps.Accounts.Records().Enrollment(d.t.Context(), "alice")
	if err != nil {
		d.t.Fatal(err)
	}
	return en.SMS, en.Email
}

var errNoMobile = errors.Join(errors.New("not a mobile number"), deliver.ErrNumber, deliver.ErrPermanent)

func TestTextMessage(t *testing.T) {
	t.Parallel()
	d := newTexting(t, "alice@example.com")
	d.login(request("alice"), mfa.Accepted, step{"sent to +1*******71.\nIt is good for 10 minutes", d.code, nil})
	if m := d.mails[0]; len(d.mails) != 1 || m.Carrier != mfa.SMS || m.To != phone {
		t.Errorf("sent %+v", d.mails)
	}
	if sms, email := d.contacts(); sms.Confirmed.IsZero() || !email.Confirmed.IsZero() {
		t.Errorf("confirmed: %v, %v", sms, email)
	}
}

func TestTextThatCannotBeSentGoesByEmail(t *testing.T) {
	t.Parallel()
	d := newTexting(t, "alice@example.com")
	d.mute = errNoMobile
	d.login(request("alice"), mfa.NoConversation,
		step{"+1*******71 could not be sent. This number cannot get our text messages.\nThe code was sent by email to a***e@example.com.\nIt is good", nil, mfa.ErrNoConversation})
	// A user who comes back is told where it went, and it is the same code.
	d.login(request("alice"), mfa.Accepted, step{"sent to a***e@example.com 1 second ago", d.code, nil})
	if len(d.mails) != 1 || d.mails[0].Carrier != mfa.Email {
		t.Errorf("sent %+v", d.mails)
	}
	if sms, email := d.contacts(); !sms.Confirmed.IsZero() || email.Confirmed.IsZero() {
		t.Errorf("confirmed: %v, %v", sms, email)
	}
}

func TestNoFallBackWhereItIsNotAllowed(t *testing.T) {
	t.Parallel()
	for name, d := range map[string]*harness{
		"no address": newTexting(t, ""),
		"turned off": newTexting(t, "alice@example.com", func(s *settings) { s.policy.FallbackToEmail = false }),
	} {
		t.Run(name, func(t *testing.T) {
			d.engine.cfg.FallbackToEmail = name == "no address"
			d.mute = errNoMobile
			d.login(request("alice"), mfa.Unavailable,
				step{want: "The code could not be sent to +1*******71. This number cannot get"})
			if st := d.state("alice"); d.mailCount() != 0 || len(st.Pending) != 0 || len(st.Failures) != 0 {
				t.Errorf("%d mails, state %+v", d.mailCount(), st)
			}
		})
	}
}

func TestLimitOnTexts(t *testing.T) {
	t.Parallel()
	reached := spend.LimitError{Limit: spend.LimitUser, Until: start.Add(2 * time.Hour), Window: 24 * time.Hour}
	t.Run("falls back where email counts", func(t *testing.T) {
		t.Parallel()
		d := newTexting(t, "alice@example.com")
		d.engine.cfg.Policy.Methods = []mfa.Method{mfa.SMS, mfa.Email}
		d.enroll("alice", mfa.Enrollment{
			UID: 1000, Preferred: mfa.SMS, SMS: &mfa.Address{Address: phone}, Email: &mfa.Address{Address: "alice@example.com"},
		})
		d.spent = reached
		d.login(request("alice"), mfa.Accepted, step{"could not be sent. Too many were sent lately.\nThe code was sent by email", d.code, nil})
		if len(d.mails) != 1 || d.mails[0].Carrier != mfa.Email {
			t.Errorf("sent %+v", d.mails)
		}
	})
	t.Run("keeps the code that is there", func(t *testing.T) {
		t.Parallel()
		d := newTexting(t, "")
		d.login(request("alice"), mfa.Accepted,
			step{"sent to +1*******71", func() string {
				d.advance(time.Minute)
				d.mu.Lock()
				d.spent = reached
				d.mu.Unlock()
				return "r"
			}, nil},
			step{"No more text messages can be sent for now. The next can be sent in 119 minutes.", d.code, nil})
	})
	t.Run("sends nothing", func(t *testing.T) {
		t.Parallel()
		d := newTexting(t, "")
		d.spent = reached
		d.login(request("alice"), mfa.Exhausted, step{want: "No more text messages can be sent for now."})
		if st := d.state("alice"); d.mailCount() != 0 || len(st.Sends) != 0 {
			t.Errorf("%d messages, %+v", d.mailCount(), st)
		}
	})
	t.Run("cannot be counted", func(t *testing.T) {
		t.Parallel()
		d := newTexting(t, "alice@example.com")
		d.spent = errors.New("disk full")
		d.login(request("alice"), mfa.Unavailable, step{want: "cannot be checked right now"})
		if d.mailCount() != 0 {
			t.Errorf("%d messages", d.mailCount())
		}
	})
}

// Whose address an address is, where a code goes that no text can carry.
func TestWhereCodesFallBackTo(t *testing.T) {
	t.Parallel()
	confirmed := mfa.Address{Address: "alice@example.com", AddedBy: "alice", Confirmed: start}
	byAdmin := mfa.Address{Address: "alice@example.com", AddedBy: "root"}
	byHand := mfa.Address{Address: "alice@example.com"} // in the file, which is the administrator's
	typed := mfa.Address{Address: "alice@example.com", AddedBy: "alice"}
	limits := []string{spend.LimitUser, spend.LimitNumber, spend.LimitPrefix, spend.LimitTotal}
	for name, c := range map[string]struct {
		email         mfa.Address
		counts        bool
		carrier, late bool // where a code goes when a carrier fails, and when a limit is reached
	}{
		"confirmed":                      {confirmed, false, true, false},
		"by an administrator":            {byAdmin, false, true, false},
		"in the file":                    {byHand, false, true, false},
		"typed":                          {typed, false, false, false},
		"confirmed, and counts":          {confirmed, true, true, true},
		"by an administrator and counts": {byAdmin, true, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			begin := func() *harness {
				d := newTexting(t, "")
				d.engine.cfg.Policy.Methods = []mfa.Method{mfa.SMS}
				if c.counts {
					d.engine.cfg.Policy.Methods = []mfa.Method{mfa.SMS, mfa.Email}
				}
				d.enroll("alice", mfa.Enrollment{UID: 1000, Preferred: mfa.SMS, SMS: &mfa.Address{Address: phone}, Email: &c.email})
				return d
			}
			d := begin()
			d.mute = errNoMobile
			if c.carrier {
				d.login(request("alice"), mfa.Accepted, step{"sent by email to a***e@example.com", d.code, nil})
			} else {
				d.login(request("alice"), mfa.Unavailable, step{want: "could not be sent"})
			}
			for _, limit := range limits {
				d := begin()
				d.spent = spend.LimitError{Limit: limit, Until: start.Add(2 * time.Hour), Window: 24 * time.Hour}
				switch {
				case c.late:
					d.login(request("alice"), mfa.Accepted, step{"sent by email to a***e@example.com", d.code, nil})
				case c.counts:
					d.login(request("alice"), mfa.NoConversation, step{want: "No more text messages"}, step{"How do you want", nil, mfa.ErrNoConversation})
				default:
					d.login(request("alice"), mfa.Exhausted, step{want: "No more text messages can be sent for now. The next can be sent in 120 minutes."})
				}
				if st := d.state("alice"); !c.late && (d.mailCount() != 0 || len(st.Sends) != 0 || len(st.Failures) != 0) {
					t.Errorf("%s: %d messages, %+v", limit, d.mailCount(), st)
				}
			}
		})
	}
}

// Where text messages are all there is, who is no account seems to have a phone.
func TestNobodyIsAskedByText(t *testing.T) {
	t.Parallel()
	d := newTexting(t, "")
	d.engine.cfg.Policy.Methods = []mfa.Method{mfa.SMS}
	for _, name := range []string{"nobody-here", "nobody-there"} {
		d.login(request(name), mfa.Exhausted,
			wrong("sent to +1*******"), wrong("2 tries left"), wrong("One try left"), step{want: "ends here"})
	}
	if d.mailCount() != 0 {
		t.Errorf("%d messages", d.mailCount())
	}
}

// A number that waits for a provider is no choice beside a method that works. Alone it stays a
// method: its code goes by email.
func TestNumberWithoutAProvider(t *testing.T) {
	t.Parallel()
	without := func(methods ...mfa.Method) func(*settings) {
		return func(s *settings) { s.policy.TextMessages, s.policy.Policy.Methods = false, methods }
	}
	email, number := &mfa.Address{Address: "alice@example.com"}, &mfa.Address{Address: phone}
	d := newHarness(t, texting, without(mfa.Email, mfa.SMS))
	d.enroll("alice", mfa.Enrollment{UID: 1000, Email: email, SMS: number})
	d.login(request("alice"), mfa.Accepted, step{"A code was sent to a***e@example.com.\nIt is good", d.code, nil})

	d = newHarness(t, texting, without(mfa.SMS))
	d.mute = errNoMobile
	d.enroll("alice", mfa.Enrollment{UID: 1000, Email: email, SMS: number})
	d.login(request("alice"), mfa.Accepted, step{"The code was sent by email to a***e@example.com", d.code, nil})
}
