package app

import (
	"bytes"
	"encoding/hex"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mfa/internal/account/record"
	"mfa/internal/audit"
	"mfa/internal/config"
	"mfa/internal/factor/otp"
	"mfa/internal/host/nss"
	"mfa/internal/login"
	"mfa/internal/mfa"
	"mfa/internal/store"
)

// An offlineFleet is a fleet with store.etcd.offline = "totp".
type offlineFleet struct {
	*fleet
	mu     sync.Mutex // guards events
	events []mfa.Event
}

func newOfflineFleet(t *testing.T, n int, change func(*config.Config)) *offlineFleet {
	t.Helper()
	f := &offlineFleet{fleet: newFleet(t, n, 1, func(c *config.Config) {
		c.Store.Etcd.Offline, c.Store.Etcd.Timeout = store.OfflineTOTP, mfa.Duration(time.Second)
		if change != nil {
			change(c)
		}
	})}
	for _, a := range f.hosts {
		f.listen(a)
	}
	return f
}

// listen takes down what a daemon audits.
func (f *offlineFleet) listen(a *App) {
	a.audit.Observe(func(ev mfa.Event) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.events = append(f.events, ev)
	})
}

// last returns the newest event of that name.
func (f *offlineFleet) last(name string) (ev mfa.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, ev = range slices.Backward(f.events) {
		if ev.Event == name {
			return ev
		}
	}
	return mfa.Event{}
}

// await waits until a daemon has come to something.
func await(t *testing.T, what string, is func() bool) {
	t.Helper()
	for late := time.Now().Add(patience); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(late) {
			t.Fatal("it does not come to this: " + what)
		}
	}
}

// awaitKept waits until a host has n users as the fleet has them.
func awaitKept(t *testing.T, a *App, n int) {
	t.Helper()
	await(t, "users are kept", func() bool { r := a.offline.Report(); return r.True && r.Kept == n && !r.Until.IsZero() })
}

// cut kills etcd, and waits until those hosts know.
func (f *offlineFleet) cut(t *testing.T, hosts ...*App) {
	t.Helper()
	f.cluster.Members[0].Kill()
	for _, a := range hosts {
		await(t, "etcd counts as away", func() bool { return a.offline.Report().Away })
	}
}

// mend has etcd come back, and waits until those hosts know.
func (f *offlineFleet) mend(t *testing.T, hosts ...*App) {
	t.Helper()
	f.cluster.Members[0].Start(t)
	for _, a := range hosts {
		await(t, "etcd counts as there", func() bool { return !a.offline.Report().Away })
	}
}

// restart starts the host i anew, over its own disk.
func (f *offlineFleet) restart(t *testing.T, i int, change func(*config.Config)) *App {
	t.Helper()
	cfg, host := f.hosts[i].cur.Load().cfg, f.hosts[i].host
	if err := f.hosts[i].Close(); err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(&cfg)
	}
	f.hosts[i] = f.start(t, cfg, host)
	f.listen(f.hosts[i])
	return f.hosts[i]
}

func (f *offlineFleet) accepts(t *testing.T, a *App, what string, s spender) {
	t.Helper()
	if v := attempt(t, a, f.user, s); v.Outcome != mfa.Accepted {
		t.Errorf("%s: %+v", what, v)
	}
}

func (f *offlineFleet) refuses(t *testing.T, a *App, what string, s spender, reason string) {
	t.Helper()
	if v := attempt(t, a, f.user, s); !v.Refuses() || !strings.Contains(v.Reason, reason) {
		t.Errorf("%s: %+v, want refused because of %q", what, v, reason)
	}
}

// While etcd is away, apps and backup codes let in who was let in on this host before, each code
// once; and what was spent is spent on all hosts when it is back.
func TestOfflineLogins(t *testing.T) {
	f := newOfflineFleet(t, 2, nil)
	a, b := f.hosts[0], f.hosts[1]
	f.accepts(t, a, "online", spender{app: f.app(t, -1)})
	awaitKept(t, a, 1)
	elsewhere := f.app(t, 0)
	f.accepts(t, b, "online on the other host", spender{app: elsewhere})
	f.accepts(t, b, "a backup code there", spender{backup: f.codes[4]})
	awaitTold(t, f.fleet, a)
	f.cut(t, a)

	f.refuses(t, a, "a code that was used elsewhere", spender{app: elsewhere}, "")
	f.refuses(t, a, "a backup code that was used elsewhere", spender{backup: f.codes[4]}, "")
	f.refuses(t, a, "a code that may have been used elsewhere since", spender{app: f.app(t, 1)}, "")
	f.pass(time.Minute)
	code := f.app(t, 1)
	f.accepts(t, a, "by the app", spender{app: code})
	if ev := f.last(audit.Login); !ev.Offline {
		t.Errorf("audited: %+v", ev)
	}
	f.refuses(t, a, "the code again", spender{app: code}, "")
	f.accepts(t, a, "by a backup code", spender{backup: f.codes[0]})
	f.refuses(t, a, "the backup code again", spender{backup: f.codes[0]}, "")
	if st := a.status(t.Context()); st.Offline == nil || st.Offline.Since == nil || st.Offline.Kept != 1 {
		t.Errorf("status: %+v", st.Offline)
	}
	id, err := nss.Lookup(t.Context(), f.user)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.accounts().Lock(t.Context(), id, time.Hour, "root"); err == nil {
		t.Error("an administrator locked without etcd")
	}

	f.mend(t, a, b)
	f.refuses(t, b, "the code, elsewhere, with etcd", spender{app: code}, "")
	f.refuses(t, b, "the backup code, elsewhere, with etcd", spender{backup: f.codes[0]}, "")
	f.refuses(t, a, "the code, with etcd", spender{app: code}, "")
	f.pass(time.Minute)
	f.accepts(t, b, "the next, elsewhere", spender{app: f.app(t, 0)})
	f.accepts(t, a, "the one after", spender{app: f.app(t, 1)})
	if ev := f.last(audit.Login); ev.Offline {
		t.Errorf("audited: %+v", ev)
	}
	if ev := f.last(audit.Merged); ev.User != f.user || ev.Reason != "" {
		t.Errorf("audited: %+v", ev)
	}
}

// awaitTold waits until a host was told of all that the fleet has of the user.
func awaitTold(t *testing.T, f *fleet, a *App) {
	t.Helper()
	it, err := a.late.Get(t.Context(), store.States+f.user)
	if err != nil {
		t.Fatal(err)
	}
	await(t, "the host is told of the change", func() bool {
		now, err := a.late.Get(store.WithView(t.Context()), it.Key) // from memory
		return err == nil && now.Rev >= it.Rev && a.offline.Report().True
	})
}

// Wrong codes lock without etcd as they do with it, those of before count, and the lock is the
// fleet's when that is back. An unlock there ends it.
func TestOfflineLock(t *testing.T) {
	f := newOfflineFleet(t, 2, nil)
	a, b := f.hosts[0], f.hosts[1]
	f.accepts(t, a, "online", spender{app: f.app(t, -1)})
	awaitKept(t, a, 1)
	f.refuses(t, b, "a wrong code elsewhere", spender{app: f.wrong(t)}, "")
	awaitTold(t, f.fleet, a)
	f.cut(t, a)
	f.pass(2 * time.Minute)
	for range 3 {
		f.refuses(t, a, "wrong", spender{app: f.wrong(t)}, "")
	}
	f.accepts(t, a, "before the last", spender{backup: f.codes[1]})
	for range 5 {
		f.pass(time.Second)
		f.refuses(t, a, "wrong", spender{app: f.wrong(t)}, "")
	}
	f.refuses(t, a, "locked", spender{app: f.app(t, 0)}, "locked")
	if ev := f.last(audit.Locked); !ev.Offline {
		t.Errorf("audited: %+v", ev)
	}
	f.mend(t, a, b)
	f.refuses(t, b, "locked elsewhere", spender{app: f.app(t, 0)}, "locked")
	st, err := b.records.StoredState(t.Context(), f.user)
	if err != nil || st.MethodFailures[mfa.TOTP] != 9 || st.Offline != nil {
		t.Errorf("in the fleet: %+v, %v", st, err)
	}
	if was, err := b.accounts().Unlock(t.Context(), f.user, "root"); !was || err != nil {
		t.Errorf("unlock: %v, %v", was, err)
	}
	f.pass(time.Minute)
	f.accepts(t, a, "unlocked", spender{app: f.app(t, 0)})
}

// Wrong codes of two hosts that could not know of each other lock when they do.
func TestOfflineFailuresTogether(t *testing.T) {
	f := newOfflineFleet(t, 1, nil)
	a := f.hosts[0]
	f.accepts(t, a, "online", spender{app: f.app(t, -1)})
	awaitKept(t, a, 1)
	f.cut(t, a)
	for range 3 {
		f.pass(time.Second)
		f.refuses(t, a, "wrong", spender{app: f.wrong(t)}, "")
	}
	f.cluster.Members[0].Start(t)
	f.cluster.AwaitHealthy(t)
	cfg := a.cur.Load().cfg
	cfg.Store.Path = filepath.Join(shortDir(t), "other")
	cfg.Store.Etcd.Offline = store.OfflineDeny
	other := f.start(t, cfg, "other")
	for range 2 { // the host may have merged before, or between, or will after
		f.pass(time.Second)
		f.refuses(t, other, "wrong elsewhere", spender{app: f.wrong(t)}, "")
	}
	await(t, "etcd counts as there", func() bool { return !a.offline.Report().Away })
	for _, h := range []*App{a, other} {
		f.refuses(t, h, "three and two", spender{app: f.app(t, 1)}, "locked")
	}
}

// A user who was not let in on this host before is refused, and so is one who can only be sent a code.
func TestOfflineOthers(t *testing.T) {
	f := newOfflineFleet(t, 1, func(c *config.Config) {
		c.Policy.Mode, c.Session.Remember = login.ModeOptional, login.RememberAlways
		c.Policy.Rules = []login.Rule{{Name: "break-glass", Services: []string{"login"}, Mode: new(login.ModeOff)}}
	})
	a := f.hosts[0]
	mail := enrollOther(t, a, "daemon", func(en *mfa.Enrollment) {
		en.Email = &mfa.Address{Address: "daemon@example.com", Confirmed: f.at}
	})
	app := enrollOther(t, a, "bin", func(en *mfa.Enrollment) {
		en.TOTP = &mfa.TOTPSecret{Algorithm: "SHA1", Digits: 6, Period: mfa.Duration(30 * time.Second), Confirmed: f.at}
	})
	if v := f.from(t, 0, spender{app: f.app(t, -1)}); v.Outcome != mfa.Accepted {
		t.Fatalf("%+v", v)
	}
	if v := f.from(t, 0, spender{}); v.Outcome != mfa.Accepted || !strings.HasPrefix(v.Reason, "remembered") {
		t.Fatalf("remembered, online: %+v", v)
	}
	attempt(t, a, mail, spender{}) // a code is sent
	if v := attempt(t, a, mail, spender{app: code(t, a.cur.Load().cfg.Email.Outbox.Path, 1)}); v.Outcome != mfa.Accepted {
		t.Fatalf("by mail, online: %+v", v)
	}
	awaitKept(t, a, 1)
	f.cut(t, a)
	f.pass(2 * time.Minute)
	for what, user := range map[string]string{"by mail only": mail, "never seen here": app, "not enrolled": "games", "no account": "no-such-user"} {
		if v := attempt(t, a, user, spender{app: "123456"}); v.Outcome != mfa.Unavailable {
			t.Errorf("%s: %+v", what, v)
		}
	}
	if v := f.from(t, 0, spender{}); !v.Refuses() {
		t.Errorf("a remembered login: %+v", v)
	}
	if v, _ := a.cur.Load().engine.Login(t.Context(), mfa.Request{Service: "login", User: "games"}, &spender{}); v.Outcome != mfa.Exempt {
		t.Errorf("by a rule: %+v", v)
	}
	if v := f.from(t, 0, spender{app: f.app(t, 0)}); v.Outcome != mfa.Accepted {
		t.Errorf("by the app: %+v", v)
	}
	f.mend(t, a)
	if v := f.from(t, 0, spender{}); v.Outcome != mfa.Accepted || !strings.HasPrefix(v.Reason, "remembered") {
		t.Errorf("remembered, online again: %+v", v)
	}
}

// enrollOther enrolls another user, who has a secret of an app where change gives one.
func enrollOther(t *testing.T, a *App, user string, change func(*mfa.Enrollment)) string {
	t.Helper()
	id, err := nss.Lookup(t.Context(), user)
	if err == nil {
		err = a.records.UpdateEnrollment(t.Context(), user, func(en *mfa.Enrollment) error {
			en.Version, en.UID = mfa.EnrollmentVersion, id.UID
			if change(en); en.TOTP != nil {
				en.TOTP.Secret = a.accounts().SealTOTP(id, otp.NewSecret("SHA1"))
			}
			return nil
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	return user
}

// A daemon that starts while etcd is away decides by what it kept, for a time; and joins and
// merges when that is back.
func TestOfflineStart(t *testing.T) {
	f := newOfflineFleet(t, 2, nil)
	a, b := f.hosts[0], f.hosts[1]
	f.accepts(t, a, "online", spender{app: f.app(t, -1)})
	awaitKept(t, a, 1)
	f.cut(t, a, b)
	f.pass(2 * time.Minute)
	f.accepts(t, a, "before the restart", spender{backup: f.codes[0]})
	a = f.restart(t, 0, nil)
	f.refuses(t, a, "spent before the restart", spender{backup: f.codes[0]}, "")
	f.accepts(t, a, "after the restart", spender{app: f.app(t, 0)})
	f.refuses(t, b, "never seen there", spender{app: f.app(t, 1)}, "")
	f.pass(25 * time.Hour)
	f.refuses(t, a, "too late", spender{app: f.app(t, 0)}, "")
	f.pass(-30 * time.Hour)
	f.refuses(t, a, "before etcd was heard of", spender{app: f.app(t, 0)}, "")
	f.pass(5 * time.Hour)
	code := f.app(t, 1)
	f.accepts(t, a, "in time", spender{app: code})

	never := f.hosts[0].cur.Load().cfg
	never.Store.Path = filepath.Join(shortDir(t), "never")
	c := f.start(t, never, "never")
	f.refuses(t, c, "a host that never was in the fleet", spender{app: f.app(t, 2)}, "")

	f.cluster.Members[0].Start(t)
	a.join(t.Context())
	await(t, "etcd counts as there", func() bool { return !a.offline.Report().Away })
	await(t, "etcd counts as there", func() bool { return !b.offline.Report().Away })
	f.refuses(t, b, "the code, elsewhere", spender{app: code}, "")
	f.refuses(t, b, "the backup code, elsewhere", spender{backup: f.codes[0]}, "")
	f.pass(time.Minute)
	f.accepts(t, b, "the next", spender{app: f.app(t, 1)})
}

// A daemon that ended with something unmerged merges it at its start, before it decides
// anything, whatever its configuration says by then; and with "deny" nothing is left here.
func TestOfflineDeny(t *testing.T) {
	f := newOfflineFleet(t, 2, nil)
	a, b := f.hosts[0], f.hosts[1]
	f.accepts(t, a, "online", spender{app: f.app(t, -1)})
	awaitKept(t, a, 1)
	f.cut(t, a, b)
	f.pass(2 * time.Minute)
	f.accepts(t, a, "without etcd", spender{backup: f.codes[0]})
	folder := a.cur.Load().cfg.Store.OfflineFolder()
	deny := func(c *config.Config) { c.Store.Etcd.Offline = store.OfflineDeny }
	a = f.restart(t, 0, deny)
	f.refuses(t, a, "without etcd, with deny", spender{backup: f.codes[1]}, "")
	if _, err := os.Stat(folder); err != nil {
		t.Errorf("what is not merged: %v", err)
	}
	f.cluster.Members[0].Start(t)
	f.cluster.AwaitHealthy(t)
	a = f.restart(t, 0, nil)
	f.refuses(t, a, "spent without etcd", spender{backup: f.codes[0]}, "")
	f.accepts(t, a, "not spent", spender{backup: f.codes[1]})
	if left, err := filepath.Glob(folder + "*"); err != nil || len(left) > 0 {
		t.Errorf("left: %q, %v", left, err)
	}
	await(t, "etcd counts as there", func() bool { return !b.offline.Report().Away })
	f.refuses(t, b, "spent without etcd, elsewhere", spender{backup: f.codes[0]}, "")
	f.cluster.Members[0].Kill()
	f.pass(2 * time.Minute)
	f.refuses(t, a, "without etcd, with deny", spender{app: f.app(t, 0)}, "")
}

// Nothing that is secret or personal is on the disk of a host in clear.
func TestOfflineInClear(t *testing.T) {
	f := newOfflineFleet(t, 1, nil)
	a := f.hosts[0]
	id, err := nss.Lookup(t.Context(), f.user)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.cur.Load().enroll.SetContact(t.Context(), id, mfa.Email, "somebody@example.com", "root"); err != nil {
		t.Fatal(err)
	}
	if err := a.cur.Load().enroll.SetContact(t.Context(), id, mfa.SMS, "+17891234567", "root"); err != nil {
		t.Fatal(err)
	}
	f.accepts(t, a, "online", spender{app: f.app(t, -1)})
	awaitKept(t, a, 1)
	f.cut(t, a)
	f.pass(2 * time.Minute)
	f.accepts(t, a, "by the app", spender{app: f.app(t, 0)})
	f.accepts(t, a, "by a backup code", spender{backup: f.codes[0]})
	en, err := f.keptEnrollment(t, a)
	if err != nil {
		t.Fatal(err)
	}
	words := []string{"somebody@example.com", "+17891234567", string(f.secret), hex.EncodeToString(f.secret), strings.ReplaceAll(otp.Groups(f.secret), " ", ""), f.codes[0], en.TOTP.Secret, en.Backup.Hashes[0]}
	files := 0
	err = filepath.WalkDir(a.cur.Load().cfg.Store.Path, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		files++
		for _, word := range words {
			if bytes.Contains(text, []byte(word)) {
				t.Errorf("%s holds %q", path, word)
			}
		}
		return err
	})
	if err != nil || files == 0 {
		t.Errorf("%d files, %v", files, err)
	}
}

func (f *offlineFleet) keptEnrollment(t *testing.T, a *App) (mfa.Enrollment, error) {
	t.Helper()
	it, err := a.offline.Get(store.WithKept(t.Context()), store.Users+f.user)
	if err != nil {
		return mfa.Enrollment{}, err
	}
	return record.DecodeEnrollment("kept", it.Value)
}
