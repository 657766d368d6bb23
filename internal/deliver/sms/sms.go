// Package sms carries text messages: by Twilio, by any gateway that takes an HTTP
// request, or by a program; and phone calls, by Twilio.
//
// What to know before trusting it: every attempt can cost, and this package knows no
// limits: spend.Ledger has them. The error of an attempt that may have been taken wraps
// deliver.ErrUncertain. No error quotes a code, a number or a secret.
package sms

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"mfa/internal/deliver"
	"mfa/internal/deliver/carrier"
	"mfa/internal/mfa"
)

// An SMS sends text messages, and calls, by the provider that [sms] chose. It makes one
// attempt a message; wrap it with Retry for more. It knows no limits; ask a
// spend.Ledger first.
type SMS struct {
	way   gateway
	watch *watch // nil: nobody asks what became of a message

	mu     sync.Mutex // guards closed, and sends against Add after Wait
	closed bool
	sends  sync.WaitGroup
}

// Options is what New takes beside the table of mfa.toml.
type Options struct {
	Log *slog.Logger     // nil: no log
	Now func() time.Time // nil: time.Now
	// Undelivered is called when a provider that took a message says later that it did not
	// arrive. Receipt is the provider's name of the message; m has no text. The error may
	// wrap deliver.ErrNumber or deliver.ErrConfig. It is called at most once for a message,
	// within about ten minutes after Send, from goroutines that Close waits for. Only Twilio
	// can say that. Nil: it is not asked.
	Undelivered func(m mfa.Message, receipt string, err error)
	// Language is that of calls (prompt.language); one that deliver.VoiceOf knows.
	Language string
}

// A gateway is the next hop of a text message. It may be used from many
// goroutines.
type gateway interface {
	// text hands m over, in one attempt, and returns the gateway's name of it.
	text(ctx context.Context, m mfa.Message) (receipt string, err error)
	// close releases what the gateway holds; no text runs any more.
	close()
}

// A caller is a gateway that also calls.
type caller interface {
	// call has the code of m read out, in one attempt, and returns what the gateway
	// calls that.
	call(ctx context.Context, m mfa.Message) (receipt string, err error)
}

// hand returns what hands m over; nil if nothing does.
func (s *SMS) hand(m mfa.Message) func(context.Context, mfa.Message) (receipt string, err error) {
	if m.Carrier == mfa.SMS {
		return s.way.text
	}
	if c, ok := s.way.(caller); ok && m.Carrier == mfa.Call {
		return c.call
	}
	return nil
}

// New checks cfg, reads the files it names and returns the SMS. An error
// begins with the key that is wrong. Nothing is connected or run before the
// first Send. Close it.
func New(cfg deliver.SMSConfig, opts Options) (*SMS, error) {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if err := deliver.CheckSMS(cfg); err != nil {
		return nil, err
	}
	way, err := newGateway(cfg, opts)
	if err != nil {
		return nil, err
	}
	s := &SMS{way: way}
	if t, ok := way.(teller); ok && opts.Undelivered != nil {
		s.watch = newWatch(t, opts.Undelivered, opts.Log)
	}
	return s, nil
}

func newGateway(cfg deliver.SMSConfig, opts Options) (gateway, error) {
	by, err := newRoad(cfg, opts.Log)
	if err != nil {
		return nil, err
	}
	switch cfg.Provider {
	case deliver.ProviderTwilio:
		return newTwilio(cfg.Twilio, by, opts)
	case deliver.ProviderHTTP:
		return newHTTPGateway(cfg.HTTP, by, opts)
	case deliver.ProviderCommand:
		return newSMSCommand(cfg.Command, opts)
	}
	return nil, fmt.Errorf("sms.provider: %q is none of %q, %q, %q",
		cfg.Provider, deliver.ProviderTwilio, deliver.ProviderHTTP, deliver.ProviderCommand)
}

// Send implements deliver.Sender with one attempt. The error may also wrap
// deliver.ErrNumber, deliver.ErrConfig or deliver.ErrUncertain, or be a deliver.Busy.
func (s *SMS) Send(ctx context.Context, m mfa.Message) error {
	hand := s.hand(m)
	if hand == nil {
		return deliver.Permanent(fmt.Errorf("send message %q: nothing of [sms] carries %q", m.ID, m.Carrier))
	}
	if !mfa.IsNumber(m.To) {
		return deliver.Permanent(fmt.Errorf("send message %q: recipient %q is not a number like %s", m.ID, deliver.Mask(m.To), deliver.PhoneExample))
	}
	if !s.enter() {
		return deliver.ErrClosed
	}
	defer s.sends.Done()
	rep := carrier.StepsOf(ctx)
	rep.Begin()
	receipt, err := hand(ctx, m)
	if err != nil {
		return err
	}
	rep.Done(carrier.StepAccepted, receipt, nil)
	deliver.SetReceipt(ctx, receipt)
	if s.watch != nil && receipt != "" {
		s.watch.add(m, receipt)
	}
	return nil
}

// enter reports whether a message may still be sent. After true, call
// sends.Done.
func (s *SMS) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.sends.Add(1)
	return true
}

// Close waits for running Sends, which the timeout of one attempt bounds, and closes the
// connections. Undelivered is not called after it. A later Send fails with
// deliver.ErrClosed.
func (s *SMS) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.sends.Wait()
	if s.watch != nil {
		s.watch.close()
	}
	s.way.close()
	return nil
}

// quoteAnswer is carrier.Quote that also hides the code of m and masks its number.
func quoteAnswer(words string, m mfa.Message, private ...string) string {
	words = carrier.Hide(words, deliver.Mask(m.To), m.To, strings.TrimPrefix(m.To, "+"))
	private = append(private, m.Code, spelled(m.Code))
	return carrier.Quote(words, append(private, carrier.PrivateWords(m.Text)...))
}
