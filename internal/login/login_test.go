package login

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"mfa/internal/account"
	"mfa/internal/account/record"
	"mfa/internal/audit"
	"mfa/internal/audit/audittest"
	"mfa/internal/challenge"
	"mfa/internal/deliver"
	"mfa/internal/enroll"
	"mfa/internal/host/nss"
	"mfa/internal/mfa"
	"mfa/internal/seal"
	"mfa/internal/store"
	"mfa/internal/store/storetest"
)

// A harness is an Engine with everything around it in reach of a test.
type harness struct {
	t        *testing.T
	engine   *Engine
	asker    *challenge.Asker
	accounts *account.Accounts
	enrol    *enroll.Service
	store    *storetest.Memory
	log      *lockedBuffer
	audit    string // path
	groups   *directory
	deps     challenge.Deps

	mu    sync.Mutex // guards what follows
	now   time.Time
	doubt bool // nobody knows whether now is right
	mails []mfa.Message
	fail  error   // what the carrier says
	next  *Engine // of the configuration that was loaded last; nil: none was
	mute  error   // what it says to text messages
	spent error   // what the ledger of text messages says

	strange    []bool        // of those who wanted a text message, who was a stranger
	remembered string        // what a test wants to know later
	came       *sync.Cond    // a mail did
	hold       chan struct{} // if not nil, the carrier says nothing until it is closed
}

// lockedBuffer collects a log.
type lockedBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

var start = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// settings are all that a test may change.
type settings struct {
	policy  Config
	asking  challenge.Config
	keeping account.Config

	directory account.Directory // that says where codes go; nil: none does
}

func defaults() (s settings) {
	s.policy.Policy = PolicyConfig{Mode: ModeRequired, Methods: []mfa.Method{mfa.TOTP, mfa.Email, mfa.Backup}}
	s.policy.MailDomain = "example.com"
	s.asking.Code = challenge.CodeConfig{
		Digits: 6, Lifetime: minutes(10), EntryTimeout: mfa.Duration(90 * time.Second),
		ResendAfter: mfa.Duration(30 * time.Second), MaxSends: 5, SendWindow: minutes(15),
	}
	s.asking.TOTP = challenge.TOTPConfig{Digits: 6, Period: mfa.Duration(30 * time.Second), Algorithm: "SHA1", Skew: 1}
	s.asking.HOTP = challenge.HOTPConfig{Window: 10}
	s.keeping.Lockout = account.LockoutConfig{Failures: 5, Window: minutes(15), Duration: minutes(15)}
	s.asking.Prompt = challenge.PromptConfig{Echo: true, QR: "utf8"}
	s.asking.Host = "host"
	s.keeping.Lifetime, s.keeping.Period, s.keeping.Skew, s.keeping.Host = s.asking.Code.Lifetime, s.asking.TOTP.Period, s.asking.TOTP.Skew, s.asking.Host
	return s
}

func minutes(n int) mfa.Duration { return mfa.Duration(n) * mfa.Duration(time.Minute) }

// newHarness returns a harness with alice (uid 1000) enrolled and bob (1001) not.
func newHarness(t *testing.T, change ...func(*settings)) *harness {
	t.Helper()
	d := &harness{t: t, store: &storetest.Memory{}, log: &lockedBuffer{}, groups: newDirectory(), now: start}
	d.came = sync.NewCond(&d.mu)
	cfg := defaults()
	for _, f := range change {
		f(&cfg)
	}
	key, err := seal.Create(filepath.Join(t.TempDir(), "key"))
	if err != nil {
		t.Fatal(err)
	}
	d.audit = filepath.Join(t.TempDir(), "audit.jsonl")
	log := slog.New(slog.NewTextHandler(d.log, nil))
	au, err := audit.Open(audit.Config{File: d.audit}, log)
	if err != nil {
		t.Fatal(err)
	}
	queue := deliver.NewQueue(d, time.Minute)
	t.Cleanup(func() {
		queue.Close(context.Background())
		if err := au.Close(); err != nil {
			t.Error(err)
		}
		audittest.Check(t, d.audit)
	})
	believe := func(st *mfa.State) { st.BoundTimes(d.clock(), cfg.keeping.Lengths()) }
	records, log := account.Records{S: d.store, BoundTimes: believe, Cache: record.NewCache()}, slog.New(slog.NewTextHandler(d.log, nil))
	d.accounts = account.New(cfg.keeping, account.Deps{
		Records: records, Key: key, Mail: queue, Audit: au, Log: log, Now: d.clock, Spending: d, Trusted: d.trusted, Directory: cfg.directory,
	})
	d.deps = challenge.Deps{Accounts: d.accounts, Key: key, Mail: queue, Audit: au, Log: log, Now: d.clock, Spending: d, Calls: d}
	d.asker = challenge.New(cfg.asking, d.deps)
	d.enrol = &enroll.Service{
		Accounts: d.accounts, Audit: au, Log: log, Now: d.clock,
		TOTP: cfg.asking.TOTP, QR: cfg.asking.Prompt.QR, Host: cfg.asking.Host, BackupCodes: 3,
	}
	d.engine = New(cfg.policy, Deps{
		Accounts: d.accounts, Asker: d.asker, Enroll: d.enrol, Key: key, Audit: au, Log: log, Lookup: lookUpAccount, Groups: d.groups, Now: d.clock,
		UnknownUsers: account.NewUnknownUsers(),
	})
	d.enroll("alice", mfa.Enrollment{UID: 1000, Email: &mfa.Address{Address: "alice@example.com"}})
	return d
}

func lookUpAccount(_ context.Context, name string) (mfa.Identity, error) {
	switch name {
	case "alice", "ALICE":
		return mfa.Identity{Name: "alice", UID: 1000}, nil
	case "bob":
		return mfa.Identity{Name: "bob", UID: 1001}, nil
	case "broken":
		return mfa.Identity{}, errors.New("ldap is down")
	}
	return mfa.Identity{}, nss.ErrNoAccount
}

func (d *harness) enroll(user string, en mfa.Enrollment) {
	d.t.Helper()
	err := d.engine.deps.Accounts.Records().UpdateEnrollment(d.t.Context(), user, func(old *mfa.Enrollment) error { *old = en; return nil })
	if err != nil {
		d.t.Fatal(err)
	}
}

func (d *harness) clock() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.now
}

func (d *harness) trusted() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return !d.doubt
}

func (d *harness) advance(by time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.now = d.now.Add(by)
}

// Send makes the harness a carrier.
func (d *harness) Send(_ context.Context, m mfa.Message) error {
	if d.hold != nil {
		<-d.hold
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fail != nil {
		return d.fail
	}
	if m.Carrier == mfa.SMS && d.mute != nil {
		return d.mute
	}
	d.mails = append(d.mails, m)
	d.came.Broadcast()
	return nil
}

// Room makes the harness a ledger.
func (d *harness) Room(context.Context, string, string, bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.spent
}

// Reserve makes the harness a ledger.
func (d *harness) Reserve(_ context.Context, _, _ string, stranger bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.strange = append(d.strange, stranger)
	return d.spent
}

// mailCount returns how many messages the carrier has, as soon as it has all codes that went to
// it; at once if it takes none now.
func (d *harness) mailCount() int {
	d.t.Helper()
	d.mu.Lock()
	takes := d.hold == nil && d.fail == nil && d.mute == nil
	d.mu.Unlock()
	if takes {
		d.codes()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.mails)
}

// codes returns the codes that were sent, as soon as the carrier has all.
func (d *harness) codes() (codes []string) {
	d.t.Helper()
	sent := d.audited(audit.Challenge) + d.audited(audit.FellBack) - d.audited(audit.SendFailed)
	d.await(func() bool {
		codes = d.mailed(`(?m)^(?:Your code: )?(\d{6,})(?:$| is your)`)
		return len(codes) >= sent
	})
	return codes
}

// code returns the code that was sent last, as soon as the carrier has it.
func (d *harness) code() string {
	d.t.Helper()
	codes := d.codes()
	if len(codes) == 0 {
		d.t.Fatal("no code was sent")
	}
	return codes[len(codes)-1]
}

// mailed returns what pattern finds in the mails, oldest first. The caller holds mu.
func (d *harness) mailed(pattern string) (found []string) {
	for _, m := range d.mails {
		if m := regexp.MustCompile(pattern).FindStringSubmatch(m.Text); m != nil {
			found = append(found, m[1])
		}
	}
	return found
}

// await waits until the carrier took what cond, called with mu held, wants.
func (d *harness) await(cond func() bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for !cond() {
		d.came.Wait()
	}
}

// audited returns how many lines of the audit file have that event.
func (d *harness) audited(event string) int {
	d.t.Helper()
	text, err := os.ReadFile(d.audit)
	if err != nil {
		d.t.Fatal(err)
	}
	return strings.Count(string(text), fmt.Sprintf("%q:%q", "event", event))
}

func (d *harness) state(user string) mfa.State {
	d.t.Helper()
	st, err := d.engine.deps.Accounts.Records().State(d.t.Context(), user)
	if err != nil {
		d.t.Fatal(err)
	}
	return st
}

// A step is what a scripted person reads and does. Want is part of the text; a
// step whose text asks for nothing has no answer.
type step struct {
	want   string
	answer func() string // nil: the text asks for nothing
	err    error         // in place of an answer
}

// ends are the ends of prompts that programs wait for.
var ends = []string{
	challenge.EndCode, challenge.EndCodeOrMenu, challenge.EndCodeMenu, challenge.EndBackup, challenge.EndRecovery, challenge.EndChoice,
	"Serial number or secret: ", "Email address: ", "Phone number (like +17891234567): ", "Press Enter when they are kept: ",
	"Remember this login for 90 days? [y/N]: ",
}

// oneLine undoes the folding of long lines.
func oneLine(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, " \n", " "), "\n", " ")
}

func say(answer string) func() string { return func() string { return answer } }

// A script is a Prompter that must be used up.
type script struct {
	t     *testing.T
	steps []step
	read  func(text string) // sees every text; may be nil
	skip  string            // prompts with this are answered with an empty line
}

func (s *script) Prompt(_ context.Context, p mfa.Prompt) (string, error) {
	s.t.Helper()
	if s.skip != "" && strings.Contains(p.Text, s.skip) {
		return "", nil
	}
	if s.read != nil {
		s.read(p.Text)
	}
	if len(s.steps) == 0 {
		s.t.Fatalf("a prompt after the end of the script: %q", p.Text)
	}
	next := s.steps[0]
	s.steps = s.steps[1:]
	asks := p.Kind == mfa.Ask || p.Kind == mfa.AskHidden
	if !strings.Contains(oneLine(p.Text), oneLine(next.want)) || asks != (next.answer != nil || next.err != nil) {
		s.t.Fatalf("prompt of kind %d: %q, want %q", p.Kind, p.Text, next.want)
	}
	if asks && !slices.ContainsFunc(ends, func(end string) bool { return strings.HasSuffix(p.Text, "\n"+end) }) {
		s.t.Errorf("prompt %q does not end as it must", p.Text)
	}
	for line := range strings.Lines(p.Text) {
		// Terminals of 60 columns are in use; only the URI has to wrap.
		if n := utf8.RuneCountInString(line) - 1; n > 60 && !strings.HasPrefix(line, "otpauth:") {
			s.t.Errorf("line of %d columns: %q", n, line)
		}
	}
	if next.err != nil {
		return "", next.err
	}
	if next.answer == nil {
		return "", nil
	}
	return next.answer(), nil
}

func request(user string) mfa.Request {
	return mfa.Request{Service: "sshd", User: user, RHost: "192.0.2.1"}
}

// login runs a login of req by script and holds it to its outcome.
func (d *harness) login(req mfa.Request, want mfa.Outcome, steps ...step) {
	d.t.Helper()
	s := &script{t: d.t, steps: steps}
	v, err := d.engine.Login(d.t.Context(), req, s)
	if v.Outcome != want {
		d.t.Fatalf("outcome %v (%s, %v), want %v", v.Outcome, v.Reason, err, want)
	}
	if len(s.steps) > 0 {
		d.t.Fatalf("steps left over: %+v", s.steps)
	}
}

func wrong(want string) step { return step{want, say("990099"), nil} }

func TestRightCode(t *testing.T) {
	d := newHarness(t)
	d.login(request("alice"), mfa.Accepted, step{"sent to a***e@example.com", d.code, nil})
	if n := d.mailCount(); n != 1 {
		t.Errorf("%d mails", n)
	}
	if m := d.mails[0]; m.To != "alice@example.com" || strings.Contains(m.Subject, d.code()) ||
		!strings.Contains(m.Text, "host") || !strings.Contains(m.Text, "192.0.2.1") {
		t.Errorf("mail %+v", m)
	}
	en, err := d.engine.deps.Accounts.Records().Enrollment(t.Context(), "alice")
	if err != nil || !en.Email.Confirmed.Equal(start) {
		t.Errorf("the address is not confirmed: %+v %v", en.Email, err)
	}
}

func TestCodeIsGoodOnce(t *testing.T) {
	d := newHarness(t)
	d.login(request("alice"), mfa.Accepted, d.withCode())
	old := d.code()
	d.login(request("alice"), mfa.Accepted,
		step{"sent to", say(old), nil}, d.rightCodeAfter("used already"))
}

func (d *harness) withCode() step { return step{"sent to", d.code, nil} }

func (d *harness) rightCodeAfter(want string) step { return step{want, d.code, nil} }

func TestThirdWrongCodeEndsTheConversation(t *testing.T) {
	d := newHarness(t)
	d.login(request("alice"), mfa.Exhausted,
		wrong("sent to"), wrong("2 tries left"), wrong("One try left"), step{want: "This login ends here"})
	if n := len(d.state("alice").Failures); n != 3 {
		t.Errorf("%d failures", n)
	}
}

func TestFifthWrongCodeLocks(t *testing.T) {
	d := newHarness(t)
	d.login(request("alice"), mfa.Exhausted, wrong("sent"), wrong(""), wrong(""), step{want: "ends here"})
	d.login(request("alice"), mfa.Exhausted, wrong("was sent"), wrong("One try left"), step{want: "locked for 15 minutes"})
	d.advance(14 * time.Minute)
	d.login(request("alice"), mfa.Exhausted, step{want: "locked for 60 seconds"})
	if n := d.mailCount(); n != 1 {
		t.Errorf("%d mails: a locked user is sent none", n)
	}
	d.advance(time.Minute)
	d.login(request("alice"), mfa.Accepted, d.withCode())
	if st := d.state("alice"); len(st.Failures) != 0 || st.LockedUntil != nil {
		t.Errorf("after a right code: %+v", st)
	}
}

func TestFailuresOutsideTheWindowDoNotCount(t *testing.T) {
	d := newHarness(t)
	for range 4 {
		d.login(request("alice"), mfa.WrongCode, wrong("sent"), step{want: "2 tries", err: mfa.ErrNoConversation})
		d.advance(8 * time.Minute)
	}
	if n := len(d.state("alice").Failures); n != 2 {
		t.Errorf("%d failures within 15 minutes, want 2", n)
	}
}

func TestLockUntilUnlocked(t *testing.T) {
	d := newHarness(t, func(c *settings) { c.keeping.Lockout = account.LockoutConfig{Failures: 1, Window: minutes(1)} })
	d.login(request("alice"), mfa.Exhausted, wrong("sent"), step{want: "until an administrator unlocks it"})
	d.advance(1000 * time.Hour)
	d.login(request("alice"), mfa.Exhausted, step{want: "until an administrator unlocks it"})
	if was, err := d.accounts.Unlock(t.Context(), "alice", "root"); err != nil || !was {
		t.Fatalf("unlock: %v %v", was, err)
	}
	if was, err := d.accounts.Unlock(t.Context(), "alice", "root"); err != nil || was {
		t.Fatalf("second unlock: %v %v", was, err)
	}
	d.login(request("alice"), mfa.Accepted, d.withCode())
}

func TestNotAnAttempt(t *testing.T) {
	d := newHarness(t)
	d.login(request("alice"), mfa.NoConversation,
		step{"sent to", say(""), nil},
		step{want: "Type the code", err: mfa.ErrPasswordTyped},
		step{"That is your password", say(""), nil}, step{want: "ends here"})
	d.login(request("alice"), mfa.NoConversation, step{want: "was sent", err: mfa.ErrNoConversation})
	if n := len(d.state("alice").Failures); n != 0 {
		t.Errorf("%d failures", n)
	}
	if log := d.log.String(); !strings.Contains(log, "KbdInteractiveAuthentication yes") {
		t.Errorf("the log does not say what to do: %s", log)
	}
}

func TestOrigins(t *testing.T) {
	d := newHarness(t)
	here, there := request("alice"), request("alice")
	there.RHost = "192.0.2.2"
	d.login(here, mfa.NoConversation, step{want: "sent", err: mfa.ErrNoConversation})
	mine := d.code()
	d.login(there, mfa.NoConversation,
		step{"A code was sent to a***e@example.com.", say(mine), nil},
		step{want: "sent for another login", err: mfa.ErrNoConversation})
	if st := d.state("alice"); len(st.Failures) != 0 {
		t.Errorf("%d failures for a code of another login", len(st.Failures))
	}
	d.login(here, mfa.Accepted, step{"still good for 10 minutes", say(mine), nil})
	if n := d.mailCount(); n != 2 {
		t.Errorf("%d mails, want one an origin", n)
	}
}

func TestReconnectFindsTheCode(t *testing.T) {
	d := newHarness(t)
	d.login(request("alice"), mfa.NoConversation, step{want: "sent", err: errors.New("gone")})
	d.advance(130 * time.Second)
	d.login(request("alice"), mfa.Accepted, step{"was sent to a***e@example.com 3 minutes ago", d.code, nil})
	if n := d.mailCount(); n != 1 {
		t.Errorf("%d mails", n)
	}
}

func TestExpiry(t *testing.T) {
	d := newHarness(t)
	d.login(request("alice"), mfa.Accepted,
		step{"sent", func() string { d.advance(10 * time.Minute); return d.code() }, nil},
		step{"expired", say("r"), nil},
		d.rightCodeAfter("A new code was sent"))
	if n := len(d.state("alice").Failures); n != 0 {
		t.Errorf("%d failures for a right code that was late", n)
	}
	d.login(request("alice"), mfa.NoConversation, step{want: "sent", err: errors.New("gone")})
	d.advance(10*time.Minute - time.Nanosecond)
	d.login(request("alice"), mfa.Accepted, d.rightCodeAfter("was sent"))
}

func TestResend(t *testing.T) {
	d := newHarness(t)
	var first string
	d.login(request("alice"), mfa.Accepted,
		wrong("sent"),
		step{"2 tries", func() string { first = d.code(); return "r" }, nil},
		step{"can be sent in 30 seconds", func() string { d.advance(30 * time.Second); return "R" }, nil},
		step{"A new code was sent", func() string { return first }, nil},
		wrong("is the older one"),
		d.rightCodeAfter("One try left")) // a resend gives no tries back
	if n := d.mailCount(); n != 2 {
		t.Errorf("%d mails", n)
	}
}

func TestMaxSends(t *testing.T) {
	d := newHarness(t, func(c *settings) { c.asking.Code.MaxSends = 2 })
	later := func() string { d.advance(time.Minute); return "r" }
	d.login(request("alice"), mfa.NoConversation,
		step{"sent", later, nil}, step{"new code", later, nil},
		step{want: "next can be sent in 13 minutes", err: mfa.ErrNoConversation})
	other := request("alice")
	other.RHost = "192.0.2.9"
	d.login(other, mfa.Exhausted, step{want: "Too many codes"})
	if n := d.mailCount(); n != 2 {
		t.Errorf("%d mails", n)
	}
	d.advance(13 * time.Minute)
	d.login(other, mfa.Accepted, d.withCode())
}

func TestCarrierFails(t *testing.T) {
	d := newHarness(t)
	d.fail = deliver.ErrPermanent
	s := &script{t: t, steps: []step{{want: "could not be sent to a***e@example.com"}}}
	// The carrier may say so before the first prompt or behind it.
	p := promptFunc(func(ctx context.Context, p mfa.Prompt) (string, error) {
		if p.Kind == mfa.Ask {
			return "", nil
		}
		return s.Prompt(ctx, p)
	})
	if v, err := d.engine.Login(t.Context(), request("alice"), p); v.Outcome != mfa.Unavailable || err == nil || len(s.steps) > 0 {
		t.Fatalf("%+v %v", v, err)
	}
	if st := d.state("alice"); len(st.Pending) != 0 || len(st.Failures) != 0 || len(st.Sends) != 1 {
		t.Errorf("state %+v", st)
	}
	d.mu.Lock()
	d.fail = nil
	d.mu.Unlock()
	d.login(request("alice"), mfa.Accepted, d.withCode())
}

func TestSlowCarrierIsTold(t *testing.T) {
	d := newHarness(t)
	d.hold = make(chan struct{})
	d.login(request("alice"), mfa.NoConversation,
		step{"sent to", say(""), nil}, step{want: "has not left yet", err: mfa.ErrNoConversation})
	close(d.hold)
}

type promptFunc func(context.Context, mfa.Prompt) (string, error)

func (f promptFunc) Prompt(ctx context.Context, p mfa.Prompt) (string, error) { return f(ctx, p) }

func TestPolicyModes(t *testing.T) {
	for mode, outcome := range map[string]mfa.Outcome{
		ModeOff: mfa.Exempt, ModeOptional: mfa.Exempt, ModeRequired: mfa.MustEnroll,
	} {
		d := newHarness(t, func(c *settings) { c.policy.Policy.Mode = mode })
		var steps []step
		if mode == ModeRequired {
			steps = []step{{want: "Ask your administrator to enroll you"}}
		}
		d.login(request("bob"), outcome, steps...)
		if mode == ModeOff {
			d.login(request("alice"), mfa.Exempt)
		} else {
			d.login(request("alice"), mfa.Accepted, d.withCode())
		}
	}
}

func TestAnotherAccountOfTheNameIsNotEnrolled(t *testing.T) {
	d := newHarness(t)
	d.enroll("alice", mfa.Enrollment{UID: 999, Email: &mfa.Address{Address: "former@example.com"}})
	d.login(request("alice"), mfa.MustEnroll, step{want: "No second factor"})
	if !strings.Contains(d.log.String(), "another account of this name") {
		t.Error("the log does not say why")
	}
}

func TestStateOfAnotherAccountDoesNotCount(t *testing.T) {
	d := newHarness(t)
	err := d.engine.deps.Accounts.Records().UpdateState(t.Context(), "alice", func(st *mfa.State) error {
		*st = mfa.State{UID: 999, LockedHard: true}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	d.login(request("alice"), mfa.Accepted, d.withCode())
}

func TestNameIsCanonical(t *testing.T) {
	d := newHarness(t)
	d.login(request("ALICE"), mfa.Accepted, d.withCode())
}

func TestNobodyIsAskedLikeSomebody(t *testing.T) {
	d := newHarness(t)
	for _, name := range []string{"nobody-here", " alice", "../alice", ""} {
		d.login(request(name), mfa.Exhausted,
			wrong("It is good for 10 minutes"), wrong("2 tries left"), wrong("One try left"), step{want: "ends here"})
	}
	keys, err := d.store.Keys(t.Context(), "")
	if err != nil || len(keys) != 2 || keys[0] != "meta/decoy" || keys[1] != "users/alice" {
		t.Errorf("stored: %q %v", keys, err)
	}
	if n := d.mailCount(); n != 0 {
		t.Errorf("%d mails", n)
	}
}

// Whatever policy offers, who is no account can never set anything up.
func TestNobodyNeverEnrolls(t *testing.T) {
	for name, tc := range map[string]struct {
		methods []mfa.Method
		steps   []step
		want    mfa.Outcome
	}{
		"app only": {
			[]mfa.Method{mfa.TOTP},
			[]step{wrong("authenticator app"), wrong("2 tries left"), wrong("One try left"), {want: "ends here"}},
			mfa.Exhausted,
		},
		"backup only": {[]mfa.Method{mfa.Backup}, []step{{want: "Ask your administrator"}}, mfa.MustEnroll},
	} {
		t.Run(name, func(t *testing.T) {
			d := newHarness(t, enrolling, func(s *settings) { s.policy.Policy.Methods = tc.methods })
			d.login(request("nobody-here"), tc.want, tc.steps...)
			if keys, err := d.store.Keys(t.Context(), store.Users); err != nil || len(keys) != 1 {
				t.Errorf("stored: %q %v", keys, err)
			}
		})
	}
}

func TestWhatCannotBeReadDenies(t *testing.T) {
	d := newHarness(t)
	d.login(request("broken"), mfa.Unavailable, step{want: "cannot be checked"})
	if _, err := d.store.Put(t.Context(), store.Item{Key: "users/bob", Value: []byte("uid = \"x\"\n")}); err != nil {
		t.Fatal(err)
	}
	d.login(request("bob"), mfa.Unavailable, step{want: "cannot be checked"})
	d.store.Fail(errors.New("disk on fire"))
	d.login(request("alice"), mfa.Unavailable, step{want: "cannot be checked"})
	for _, want := range []string{"ldap is down", "users/bob", "disk on fire"} {
		if !strings.Contains(d.log.String(), want) {
			t.Errorf("the log does not say %q", want)
		}
	}
}

// A verdict that could not be stored is no verdict: a right code is refused if
// it cannot be marked as spent.
func TestRightCodeThatCannotBeSpentDenies(t *testing.T) {
	d := newHarness(t)
	d.login(request("alice"), mfa.Unavailable,
		step{"sent", func() string { d.store.Fail(errors.New("disk full")); return d.code() }, nil},
		step{want: "cannot be checked"})
}

func TestParallelGuesses(t *testing.T) {
	d := newHarness(t)
	var wg sync.WaitGroup
	answered := make(chan struct{})
	for range 50 {
		wg.Go(func() {
			p := promptFunc(func(_ context.Context, p mfa.Prompt) (string, error) {
				if p.Kind == mfa.Ask {
					<-answered
					return "990099", nil
				}
				return "", nil
			})
			if v, _ := d.engine.Login(t.Context(), request("alice"), p); v.Outcome != mfa.Exhausted {
				t.Errorf("outcome %v", v.Outcome)
			}
		})
	}
	close(answered)
	wg.Wait()
	data, err := os.ReadFile(d.audit)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(data), `"event":"factor.failed"`); n != 5 {
		t.Errorf("%d wrong codes were evaluated, want 5", n)
	}
}

func TestParallelRightCodeIsGoodOnce(t *testing.T) {
	d := newHarness(t)
	d.login(request("alice"), mfa.NoConversation, step{want: "sent", err: mfa.ErrNoConversation})
	code := d.code()
	var wg sync.WaitGroup
	var accepted sync.Map
	for i := range 20 {
		wg.Go(func() {
			used := false
			p := promptFunc(func(_ context.Context, p mfa.Prompt) (string, error) {
				if p.Kind != mfa.Ask || used {
					return "", mfa.ErrNoConversation
				}
				used = true
				return code, nil
			})
			if v, _ := d.engine.Login(t.Context(), request("alice"), p); v.Outcome == mfa.Accepted {
				accepted.Store(i, true)
			}
		})
	}
	wg.Wait()
	n := 0
	accepted.Range(func(any, any) bool { n++; return true })
	if n != 1 {
		t.Errorf("one code let %d logins in", n)
	}
}

func TestNoSecretsInLogAndAudit(t *testing.T) {
	d := newHarness(t)
	d.login(request("alice"), mfa.Accepted, wrong("sent"), d.rightCodeAfter("2 tries"))
	data, err := os.ReadFile(d.audit)
	if err != nil {
		t.Fatal(err)
	}
	all := d.log.String() + string(data)
	for _, secret := range []string{d.code(), "990099", "alice@example.com"} {
		if strings.Contains(all, secret) {
			t.Errorf("%q is written down in %s", secret, all)
		}
	}
}

func TestEchoIsConfigured(t *testing.T) {
	d := newHarness(t, func(c *settings) { c.asking.Prompt.Echo = false })
	var kind mfa.PromptKind
	p := promptFunc(func(_ context.Context, p mfa.Prompt) (string, error) {
		kind = p.Kind
		return "", mfa.ErrNoConversation
	})
	if _, err := d.engine.Login(t.Context(), request("alice"), p); !errors.Is(err, mfa.ErrNoConversation) || kind != mfa.AskHidden {
		t.Errorf("kind %d, %v", kind, err)
	}
}
