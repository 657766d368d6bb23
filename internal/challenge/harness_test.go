package challenge

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"mfa/internal/account"
	"mfa/internal/account/record"
	"mfa/internal/audit"
	"mfa/internal/deliver"
	"mfa/internal/factor/otp"
	"mfa/internal/mfa"
	"mfa/internal/seal"
	"mfa/internal/store/storetest"
)

var (
	start = time.Date(2030, 5, 17, 12, 0, 0, 0, time.UTC)
	alice = mfa.Identity{Name: "alice", UID: 1000}
	home  = mfa.Origin{Service: "sshd", Address: "203.0.113.7"}
)

// A harness is an Asker with everything around it in reach of a test, and no login.
type harness struct {
	t         *testing.T
	asker     *Asker
	accounts  *account.Accounts
	store     *storetest.Memory
	queue     *deliver.Queue
	doubt     bool   // nobody knows whether the clock is right
	spent     error  // what the ledger of text messages says
	strangers []bool // whom it was asked for: a stranger?

	mu    sync.Mutex // guards what follows
	now   time.Time
	mails []mfa.Message        // that a carrier took
	fail  map[mfa.Method]error // what a carrier says

	called       int           // how often calls were counted
	spentOnCalls error         // what their ledger says
	held         chan struct{} // a carrier takes nothing before it is closed; nil: at once
}

// newHarness returns a harness with nobody enrolled.
func newHarness(t *testing.T) *harness {
	t.Helper()
	h := &harness{t: t, store: &storetest.Memory{}, now: start, fail: map[mfa.Method]error{}}
	log := slog.New(slog.DiscardHandler)
	au, err := audit.Open(audit.Config{File: filepath.Join(t.TempDir(), "audit")}, log)
	if err != nil {
		t.Fatal(err)
	}
	key, err := seal.Create(filepath.Join(t.TempDir(), "key"))
	if err != nil {
		t.Fatal(err)
	}
	h.queue = deliver.NewQueue(h, time.Minute)
	t.Cleanup(func() { h.queue.Close(context.Background()) })
	minutes := func(n int) mfa.Duration { return mfa.Duration(n) * mfa.Duration(time.Minute) }
	h.accounts = account.New(account.Config{
		Lockout: account.LockoutConfig{Failures: 5, Window: minutes(15), Duration: minutes(15)}, Lifetime: minutes(10),
		Period: mfa.Duration(30 * time.Second), Skew: 1, Host: "host",
	}, account.Deps{
		Records: account.Records{S: h.store, Cache: record.NewCache()}, Key: key, Mail: h.queue, Audit: au, Log: log, Now: h.clock, Spending: h,
		Trusted: func() bool { return !h.doubt },
	})
	h.asker = New(Config{
		Code: CodeConfig{
			Digits: 6, Lifetime: minutes(10), EntryTimeout: minutes(1), ResendAfter: mfa.Duration(30 * time.Second), MaxSends: 3, SendWindow: minutes(15),
		},
		TOTP: TOTPConfig{Digits: 6, Period: mfa.Duration(30 * time.Second), Algorithm: "SHA1", Skew: 1}, HOTP: HOTPConfig{Window: 10}, Prompt: PromptConfig{Echo: true}, Host: "host",
	}, Deps{Accounts: h.accounts, Key: key, Mail: h.queue, Audit: au, Log: log, Now: h.clock, Spending: h, Calls: calls{h}})
	return h
}

// calls is the ledger of calls.
type calls struct{ *harness }

func (c calls) Reserve(context.Context, string, string, bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.called++
	return c.spentOnCalls
}

// Room is the ledger, of both.
func (h *harness) Room(context.Context, string, string, bool) error { return h.spent }

// Reserve is the ledger of text messages.
func (h *harness) Reserve(_ context.Context, _, _ string, stranger bool) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.strangers = append(h.strangers, stranger)
	return h.spent
}

func (h *harness) clock() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

func (h *harness) later(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = h.now.Add(d)
}

// Send is the carrier of both kinds of message.
func (h *harness) Send(ctx context.Context, m mfa.Message) error {
	if h.held != nil {
		select {
		case <-h.held:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.fail[m.Carrier]; err != nil {
		return err
	}
	h.mails = append(h.mails, m)
	return nil
}

// code returns the one in the nth message from the end.
func (h *harness) code(nth int) string {
	h.t.Helper()
	h.await(func() bool { return h.sent() >= nth })
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.mails) < nth {
		h.t.Fatalf("%d messages went out, not %d", len(h.mails), nth)
	}
	m := h.mails[len(h.mails)-nth]
	found := regexp.MustCompile(`\b\d{6}\b`).FindString(m.Text + " " + m.Code)
	if found == "" {
		h.t.Fatalf("no code in %q", h.mails[len(h.mails)-nth].Text)
	}
	return found
}

// await returns when is says so, or long after it should have: the queue hands messages
// over in goroutines of its own.
func (h *harness) await(is func() bool) {
	for range 30_000 {
		if is() {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// under is how many codes no carrier has taken yet.
func (h *harness) under() int {
	u := h.asker.deps.Underway
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.codes)
}

// sent is how many messages went out.
func (h *harness) sent() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.mails)
}

// state is what is remembered of alice.
func (h *harness) state() mfa.State {
	h.t.Helper()
	st, err := h.accounts.Records().Account(alice).State(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	return st
}

// set changes what is remembered of alice.
func (h *harness) set(fn func(*mfa.State)) {
	h.t.Helper()
	err := h.accounts.Records().Account(alice).Update(h.t.Context(), func(st *mfa.State) error { fn(st); return nil })
	if err != nil {
		h.t.Fatal(err)
	}
}

// app is alice's, with its secret.
func (h *harness) app() (mfa.TOTPSecret, []byte) {
	secret := []byte("12345678901234567890")
	return mfa.TOTPSecret{
		Secret: h.accounts.SealTOTP(alice, secret), Algorithm: "SHA1", Digits: 6, Period: mfa.Duration(30 * time.Second),
	}, secret
}

// appCodeAt is what the app shows then.
func (h *harness) appCodeAt(at time.Time) string {
	h.t.Helper()
	_, secret := h.app()
	code, err := otp.Code(secret, otp.Step(at, 30*time.Second), otp.Params{Digits: 6, Period: 30 * time.Second, Algorithm: "SHA1"})
	if err != nil {
		h.t.Fatal(err)
	}
	return code
}

// A step is one answer of a script: a text, or an error, given when a prompt is shown
// that has the words.
type step struct {
	has    string
	answer func() (string, error)
}

func types(text string) func() (string, error) { return func() (string, error) { return text, nil } }

func fails(err error) func() (string, error) { return func() (string, error) { return "", err } }

// A script answers prompts one after another. All of it must be used up.
type script struct {
	t     *testing.T
	steps []step
	said  []string // everything, in its order
}

func (s *script) Prompt(_ context.Context, p mfa.Prompt) (string, error) {
	s.said = append(s.said, p.Text)
	if p.Kind != mfa.Ask && p.Kind != mfa.AskHidden {
		return "", nil
	}
	if len(s.steps) == 0 {
		s.t.Errorf("asked once more: %q", p.Text)
		return "", mfa.ErrNoConversation
	}
	next := s.steps[0]
	s.steps = s.steps[1:]
	if text := strings.Join(strings.Fields(p.Text), " "); !strings.Contains(text, next.has) {
		s.t.Errorf("%q is not said in %q", next.has, text)
	}
	return next.answer()
}

// end says whether the script was used up, and the words were the last to be said.
func (s *script) end(last string) {
	s.t.Helper()
	if len(s.steps) > 0 {
		s.t.Errorf("not asked any more: %d steps are left, of %q", len(s.steps), s.steps[0].has)
	}
	all := strings.Join(strings.Fields(strings.Join(s.said, "\n")), " ")
	if !strings.HasSuffix(all, last) {
		s.t.Errorf("%q is not the end of %q", last, all)
	}
}

// talk begins a conversation of alice from home.
func (h *harness) talk(p mfa.Prompter) *Conversation {
	h.t.Helper()
	return h.asker.Converse(h.accounts.User(h.accounts.Records().Account(alice), home), p)
}

var errAway = errors.New("the disk is on fire")
