package deliver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"mfa/internal/mfa"
)

// Errors of text messages that somebody branches on. Each comes with
// ErrPermanent.
var (
	// ErrNumber is wrapped by errors that lie in the number of the message;
	// NumberReason says more to the person.
	ErrNumber = errors.New("this number cannot get our text messages")
	// ErrConfig is wrapped by errors that only an administrator can mend:
	// credentials, a sender, an account, a gateway that is not what [sms] says.
	ErrConfig = errors.New("text messages are not set up rightly")
)

// NumberReason returns what to tell the person whose number err is about: one
// plain sentence without a code or the number. It is empty if err does not wrap
// ErrNumber.
func NumberReason(err error) string {
	if e, ok := errors.AsType[numberError](err); ok {
		return e.reason
	}
	if errors.Is(err, ErrNumber) {
		return "This number cannot get our text messages."
	}
	return ""
}

// A numberError is an error that wraps ErrNumber and ErrPermanent.
type numberError struct {
	error
	reason string // for the person
}

func (e numberError) Unwrap() []error { return []error{e.error, ErrNumber, ErrPermanent} }

// A configError is an error that wraps ErrConfig and ErrPermanent.
type configError struct{ error }

func (e configError) Unwrap() []error { return []error{e.error, ErrConfig, ErrPermanent} }

// misconfigured marks err as one that only an administrator can mend.
func misconfigured(err error) error { return configError{err} }

// A retryAfter is an error of somebody who said when to come back.
type retryAfter interface {
	error
	RetryAfter() time.Duration
}

// A busyError is a temporary error with the wait that the gateway asked for.
type busyError struct {
	error
	wait time.Duration
}

func (e busyError) Unwrap() error { return e.error }

// RetryAfter returns how long the gateway wants to be left alone.
func (e busyError) RetryAfter() time.Duration { return e.wait }

// waitFor returns how long to wait after err: d, or longer if err asks for it.
func waitFor(err error, d time.Duration) time.Duration {
	if busy, ok := errors.AsType[retryAfter](err); ok {
		return max(d, busy.RetryAfter())
	}
	return d
}

// An SMS sends text messages by the provider that [sms] chose. It makes one
// attempt a message; wrap it with Retry for more. It knows no limits; ask a
// spend.Ledger first.
type SMS struct {
	way   gateway
	watch *watch // nil: nobody asks what became of a message

	mu     sync.Mutex // guards closed, and sends against Add after Wait
	closed bool
	sends  sync.WaitGroup
}

// SMSOptions is what an SMS is told beside its table of mfa.toml.
type SMSOptions struct {
	Log *slog.Logger     // nil: no log
	Now func() time.Time // nil: time.Now
	// Undelivered is called when a provider that took a message says later that
	// it did not arrive, with what the provider calls the message. The error may
	// wrap ErrNumber or ErrConfig. It is called at most once a message, within
	// about ten minutes after Send, from goroutines that Close waits for; m comes
	// without its text. Only Twilio can say it. Nil: nobody asks.
	Undelivered func(m mfa.Message, receipt string, err error)
}

// A gateway is the next hop of a text message. It may be used from many
// goroutines.
type gateway interface {
	// text hands m over, in one attempt, and returns what the gateway calls it.
	text(ctx context.Context, m mfa.Message) (receipt string, err error)
	// close gives back what the gateway holds; no text runs any more.
	close()
}

// NewSMS checks cfg, reads the files it names and returns the sender. An error
// begins with the key that is wrong. Nothing is connected or run before the
// first Send.
func NewSMS(cfg SMSConfig, opts SMSOptions) (*SMS, error) {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if err := CheckSMS(cfg); err != nil {
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

// CheckSMS returns an error that begins with the key if the table [sms] cannot
// stand. It reads no files: NewSMS finds what is wrong with them.
func CheckSMS(cfg SMSConfig) error {
	if err := checkRegions(cfg.Regions); err != nil {
		return err
	}
	if err := CheckSMSTemplate(cfg.Template, cfg.AutofillDomain); err != nil {
		return err
	}
	if cfg.Provider != ProviderTwilio {
		return nil
	}
	if err := checkTwilio(cfg.Twilio); err != nil {
		return err
	}
	_, err := twilioBase(cfg.Twilio)
	return err
}

func newGateway(cfg SMSConfig, opts SMSOptions) (gateway, error) {
	switch cfg.Provider {
	case ProviderTwilio:
		return newTwilio(cfg.Twilio, opts)
	case ProviderHTTP:
		return newHTTPGateway(cfg.HTTP, opts)
	case ProviderCommand:
		return newSMSCommand(cfg.Command, opts)
	}
	return nil, fmt.Errorf("sms.provider: %q is none of %q, %q, %q",
		cfg.Provider, ProviderTwilio, ProviderHTTP, ProviderCommand)
}

// Send makes one attempt to hand m to the provider. It meets Sender. The error
// may also wrap ErrNumber or ErrConfig, or say when to come back.
func (s *SMS) Send(ctx context.Context, m mfa.Message) error {
	if m.Carrier != mfa.SMS {
		return permanent(fmt.Errorf("send message %q: it is %q, not sms", m.ID, m.Carrier))
	}
	if !isE164(m.To) {
		return permanent(fmt.Errorf("send message %q: recipient %q is not a number like %s", m.ID, Mask(m.To), phoneExample))
	}
	if !s.enter() {
		return ErrClosed
	}
	defer s.sends.Done()
	rep := reporterOf(ctx)
	rep.begin()
	receipt, err := s.way.text(ctx, m)
	if err != nil {
		return err
	}
	rep.done(stepAccepted, receipt, nil)
	setReceipt(ctx, receipt)
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

// Close waits for Sends that run, each of which the timeout of one attempt and
// its own context bound, and closes the connections. Nobody asks any more what
// became of the messages sent. A later Send fails with ErrClosed.
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

// isE164 reports whether s is a plus and digits, as ParsePhone returns.
func isE164(s string) bool {
	digits, plus := strings.CutPrefix(s, "+")
	return plus && digits != "" && len(digits) <= maxPhoneDigits &&
		!strings.ContainsFunc(digits, func(r rune) bool { return !isDigit(r) })
}

// quoteAnswer makes a provider's words fit to stand in an error or a log: one
// line, bounded, without what is private, the code of m, or its number.
func quoteAnswer(words string, m mfa.Message, private ...string) string {
	words = strings.ReplaceAll(words, m.To, Mask(m.To))
	words = strings.ReplaceAll(words, strings.TrimPrefix(m.To, "+"), Mask(m.To))
	return quote(words, append(private, privateWords(m.Text)...))
}

// readSecret returns the one line in the file at path without its line end. An
// error begins with key.
func readSecret(key, path string, log *slog.Logger) (string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("%s: read %w", key, pathFirst(err))
	}
	secret := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	if secret == "" || strings.ContainsAny(secret, "\r\n\x00") {
		return "", fmt.Errorf("%s: %q does not hold one line", key, path)
	}
	if fi, err := os.Stat(path); err == nil && fi.Mode().Perm()&0o004 != 0 {
		log.Warn(key+" can be read by every user; chmod it to 0600", "file", path)
	}
	return secret, nil
}

// checkTimeout returns an error that names the key if an attempt has no time.
func checkTimeout(key string, d mfa.Duration) error {
	if d <= 0 {
		return fmt.Errorf("%s: %q is not more than 0s", key, d)
	}
	return nil
}
