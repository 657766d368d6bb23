package account_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mfa/internal/account"
	"mfa/internal/account/record"
	"mfa/internal/audit"
	"mfa/internal/deliver"
	"mfa/internal/mfa"
	"mfa/internal/seal"
	"mfa/internal/store"
	"mfa/internal/store/storetest"
	"mfa/internal/text"
)

var alice = mfa.Identity{Name: "alice", UID: 1000}

// A harness is Accounts with everything around them in reach of a test.
type harness struct {
	*account.Accounts
	t     *testing.T
	now   time.Time
	audit string            // path
	mails chan mfa.Message  // that went out
	queue *deliver.Queue    // that they go through
	store *storetest.Memory // below
	deps  account.Deps
	key   *seal.Key
	file  string // that keeps the key

	probes uint64 // that writes left in the store

	doubt bool  // nobody knows whether the clock is right
	lost  error // what the carrier says
	spent error // what the ledger of text messages says
}

func (w *harness) Send(_ context.Context, m mfa.Message) error {
	if w.lost != nil {
		return w.lost
	}
	w.mails <- m
	return nil
}

func (w *harness) Reserve(context.Context, string, string, bool) error { return w.spent }

func (w *harness) Room(context.Context, string, string, bool) error { return w.spent }

// newHarness returns Accounts under cfg with nobody in them.
func newHarness(t *testing.T, cfg account.Config) *harness {
	t.Helper()
	w := &harness{t: t, now: confirmed, audit: filepath.Join(t.TempDir(), "audit"), mails: make(chan mfa.Message, 100), store: &storetest.Memory{}}
	log := slog.New(slog.DiscardHandler)
	au, err := audit.Open(audit.Config{File: w.audit}, log)
	if err != nil {
		t.Fatal(err)
	}
	w.file = filepath.Join(t.TempDir(), "key")
	if w.key, err = seal.Create(w.file); err != nil {
		t.Fatal(err)
	}
	w.queue = deliver.NewQueue(w, time.Minute)
	t.Cleanup(func() { w.queue.Close(context.Background()) })
	w.deps = account.Deps{
		Records: account.Records{S: w.store, Cache: record.NewCache()}, Key: w.key, Mail: w.queue, Audit: au, Log: log, Now: func() time.Time { return w.now },
		Trusted: func() bool { return !w.doubt }, Spending: w,
	}
	w.configure(cfg)
	return w
}

// configure makes cfg count from now on.
func (w *harness) configure(cfg account.Config) {
	cfg.Host = "host"
	w.Accounts = account.New(cfg, w.deps)
}

// mail returns the mails that went out.
func (w *harness) mail() (all []mfa.Message) {
	w.queue.Close(context.Background()) // waits for those under way
	for {
		select {
		case m := <-w.mails:
			all = append(all, m)
		default:
			return all
		}
	}
}

// audited returns the lines of the audit file that have the word.
func (w *harness) audited(word string) (lines []string) {
	w.t.Helper()
	text, err := os.ReadFile(w.audit)
	if err != nil {
		w.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if strings.Contains(line, word) {
			lines = append(lines, line)
		}
	}
	return lines
}

// has gives alice an enrollment and a state.
func (w *harness) has(en mfa.Enrollment, st mfa.State) {
	w.t.Helper()
	en.UID, st.UID = alice.UID, alice.UID
	err := w.Records().UpdateEnrollment(w.t.Context(), alice.Name, become(en))
	if err == nil {
		err = w.Records().Account(alice).Update(w.t.Context(), func(old *mfa.State) error { *old = st; return nil })
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// state is what is remembered of alice.
func (w *harness) state() mfa.State {
	w.t.Helper()
	st, err := w.Records().Account(alice).State(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return st
}

// update changes what is remembered of who is in the conversation.
func (w *harness) update(u *account.User, fn func(*mfa.State)) {
	w.t.Helper()
	if err := u.Account.Update(w.t.Context(), func(st *mfa.State) error { fn(st); return nil }); err != nil {
		w.t.Fatal(err)
	}
}

// wrong has so many wrong codes of the app typed in a conversation.
func (w *harness) wrong(u *account.User, times int) (last account.Wrong) {
	w.t.Helper()
	for range times {
		w.update(u, func(st *mfa.State) { last = u.CountWrong(st, mfa.TOTP, w.now) })
		u.AfterWrong(w.t.Context(), mfa.TOTP, &last, "")
	}
	return last
}

// event is the newest line of the audit file about such an event.
func (w *harness) event(name string) (ev mfa.Event) {
	w.t.Helper()
	lines := w.audited(`"` + name + `"`)
	if len(lines) == 0 {
		w.t.Fatalf("nothing of %s is in the audit file", name)
	}
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &ev); err != nil {
		w.t.Fatal(err)
	}
	return ev
}

// home is where alice logs in from.
var home = mfa.Origin{Service: "sshd", Address: "203.0.113.7"}

// user is alice as a conversation sees her that begins now.
func (w *harness) user() *account.User { w.t.Helper(); return w.from(home) }

// from is user, from there.
func (w *harness) from(origin mfa.Origin) *account.User {
	w.t.Helper()
	acct := w.Records().Account(alice)
	u := w.User(acct, origin)
	st, err := acct.State(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	en, err := w.Records().Enrollment(w.t.Context(), alice.Name)
	if err != nil {
		w.t.Fatal(err)
	}
	u.See(st, en)
	return u
}

// newApp is the change by which a new app takes the place of the old one.
func newApp() account.Change {
	return account.Change{
		Edit:  func(en *mfa.Enrollment) error { en.TOTP = &mfa.TOTPSecret{Secret: "new"}; return nil },
		Fresh: true, Anew: mfa.TOTP,
		Event:  mfa.Event{Event: audit.Enrolled, Method: "totp", Actor: "alice"},
		Notice: account.Notice{Subject: text.Of("Second factor changed"), What: text.Of("An app.")},
	}
}

// An app that took the place of one that was disabled after too many wrong codes stayed
// disabled, because one of ten copies of what follows a change forgot a step. Nothing
// that follows is forgotten, whoever changes.
func TestChangeForgetsNothing(t *testing.T) {
	for name, by := range map[string]func(w *harness) *account.User{
		"the user":         func(w *harness) *account.User { return w.user() },
		"an administrator": func(w *harness) *account.User { return w.ByAdministrator(alice) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newHarness(t, account.Config{Generation: 3})
			w.has(mfa.Enrollment{
				Generation: 3, TOTP: &mfa.TOTPSecret{Secret: "old"},
				Email: &mfa.Address{Address: "alice@example.com", Confirmed: confirmed},
			}, mfa.State{
				MethodFailures: map[mfa.Method]int{mfa.TOTP: mfa.MaxMethodFailures, mfa.Email: 7},
				Sessions:       []mfa.Session{{ID: "one", Expires: confirmed.Add(time.Hour)}},
			})
			elsewhere := w.user()
			if _, _, err := by(w).Change(t.Context(), newApp()); err != nil {
				t.Fatal(err)
			}
			en, err := w.Records().Enrollment(t.Context(), alice.Name)
			if err != nil || en.TOTP.Secret != "new" || en.Generation != 3 || en.UID != alice.UID {
				t.Errorf("enrollment %+v, %v", en, err)
			}
			st, err := w.Records().Account(alice).State(t.Context())
			if err != nil || st.Disabled(mfa.TOTP) || st.MethodFailures[mfa.Email] != 7 || len(st.Sessions) != 0 {
				t.Errorf("state %+v, %v", st, err)
			}
			if err := elsewhere.Unchanged(t.Context()); !errors.Is(err, account.ErrChanged) {
				t.Errorf("another conversation goes on: %v", err)
			}
			if got := len(w.audited(audit.Enrolled)); got != 1 {
				t.Errorf("%d lines of the change", got)
			}
			if got := len(w.audited(audit.Revoked)); got != 1 {
				t.Errorf("%d lines of the sessions that ended", got)
			}
			if mails := w.mail(); len(mails) != 1 || mails[0].To != "alice@example.com" {
				t.Errorf("mails %+v", mails)
			}
		})
	}
}

// A change that cannot be written changes nothing that counts, and is told to nobody.
func TestChangeThatFails(t *testing.T) {
	refused := errors.New("refused")
	for name, tc := range map[string]struct {
		spoil func(w *harness, u *account.User, ch *account.Change)
		want  error
	}{
		"the edit": {func(_ *harness, _ *account.User, ch *account.Change) {
			ch.Edit = func(*mfa.Enrollment) error { return refused }
		}, refused},
		"the rules": {func(_ *harness, u *account.User, _ *account.Change) {
			u.Require(account.Preconditions{Rules: fails(account.ErrRules)})
		}, account.ErrChanged},
		"the account": {func(_ *harness, u *account.User, _ *account.Change) {
			u.Require(account.Preconditions{Account: fails(account.ErrAccount)})
		}, account.ErrAccount},
		"the store": {func(w *harness, _ *account.User, _ *account.Change) { w.store.Fail(refused) }, refused},
		"another came": {func(w *harness, _ *account.User, _ *account.Change) {
			_, _, _ = w.user().Change(w.t.Context(), newApp())
		}, account.ErrChanged},
		"a lock": {func(w *harness, _ *account.User, _ *account.Change) { _, _ = w.Lock(w.t.Context(), alice, 0, "root") }, account.ErrChanged},
		"by hand": {func(w *harness, _ *account.User, _ *account.Change) {
			w.has(mfa.Enrollment{TOTP: &mfa.TOTPSecret{Secret: "by hand"}}, mfa.State{})
		}, account.ErrChanged},
	} {
		t.Run(name, func(t *testing.T) {
			w := newHarness(t, account.Config{})
			w.has(mfa.Enrollment{TOTP: &mfa.TOTPSecret{Secret: "old"}}, mfa.State{})
			u, ch := w.user(), newApp()
			ch.Event.Reason = "the second change"
			tc.spoil(w, u, &ch)
			before, _ := w.Records().Enrollment(t.Context(), alice.Name)
			if _, _, err := u.Change(t.Context(), ch); !errors.Is(err, tc.want) {
				t.Errorf("error %v, want %v", err, tc.want)
			}
			w.store.Fail(nil)
			if after, err := w.Records().Enrollment(t.Context(), alice.Name); name != "the store" && (err != nil || after.Fingerprint() != before.Fingerprint()) {
				t.Errorf("became %+v, %v", after, err)
			}
			if lines := w.audited("the second change"); len(lines) != 0 {
				t.Errorf("audited: %q", lines)
			}
		})
	}
}

func fails(err error) func(context.Context) error {
	return func(context.Context) error { return err }
}

// A conversation's own change is what its next one builds upon.
func TestOwnChangeIsSeen(t *testing.T) {
	w := newHarness(t, account.Config{})
	w.has(mfa.Enrollment{TOTP: &mfa.TOTPSecret{Secret: "old"}}, mfa.State{})
	u := w.user()
	for range 2 {
		if _, _, err := u.Change(t.Context(), newApp()); err != nil {
			t.Fatal(err)
		}
	}
}

// A stuckState is a store that writes no state once an enrollment was written.
type stuckState struct {
	*storetest.Memory
	written bool
}

// Put implements store.Store.
func (s *stuckState) Put(ctx context.Context, it store.Item) (store.Item, error) {
	if s.written && strings.HasPrefix(it.Key, store.States) {
		return it, errStuckState
	}
	s.written = s.written || strings.HasPrefix(it.Key, store.Users)
	return s.Memory.Put(ctx, it)
}

var errStuckState = errors.New("no space left on device")

// An enrollment that counts is audited and told of, though what ends with it was not
// written; the error says so.
func TestChangeIsToldThoughWhatFollowsFails(t *testing.T) {
	w := newHarness(t, account.Config{})
	w.has(mfa.Enrollment{Email: &mfa.Address{Address: "alice@example.com", Confirmed: confirmed}},
		mfa.State{MethodFailures: map[mfa.Method]int{mfa.TOTP: 1}})
	w.deps.Records = account.Records{S: &stuckState{Memory: w.store}}
	w.configure(account.Config{})
	_, after, err := w.user().Change(t.Context(), newApp())
	if !errors.Is(err, errStuckState) || after.TOTP == nil {
		t.Errorf("after %+v, %v", after, err)
	}
	if en, err := w.Records().Enrollment(t.Context(), alice.Name); err != nil || en.TOTP == nil {
		t.Errorf("enrollment %+v, %v", en, err)
	}
	if lines, mails := len(w.audited(audit.Enrolled)), len(w.mail()); lines != 1 || mails != 1 {
		t.Errorf("%d lines and %d mails", lines, mails)
	}
}
