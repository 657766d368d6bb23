package app

import (
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mfa/internal/audit"
	"mfa/internal/config"
	"mfa/internal/factor"
	"mfa/internal/factor/otp"
	"mfa/internal/host/nss"
	"mfa/internal/mfa"
	"mfa/internal/store"
	"mfa/internal/store/etcd/etcdtest"
)

// A fleet is some daemons with one store in etcd, and a user who is enrolled.
type fleet struct {
	hosts   []*App
	cluster *etcdtest.Cluster
	user    string
	secret  []byte       // of the user's app
	codes   []string     // backup codes
	at      time.Time    // when its clock stood at first
	later   atomic.Int64 // so much after that it stands now
}

// now is the clock of all hosts.
func (f *fleet) now() time.Time { return f.at.Add(time.Duration(f.later.Load())) }

// pass has time pass.
func (f *fleet) pass(d time.Duration) { f.later.Add(int64(d)) }

// start starts a daemon.
func (f *fleet) start(t *testing.T, cfg config.Config, host string) *App {
	t.Helper()
	a, err := New(cfg, Options{
		Log: slog.New(slog.DiscardHandler), Now: f.now, Trusted: func() bool { return true }, hostID: host,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close() })
	return a
}

var appParams = otp.Params{Digits: 6, Period: 30 * time.Second, Algorithm: "SHA1"}

// newFleet starts n daemons over an etcd of that many members. Their clock stands.
func newFleet(t *testing.T, n, members int, change func(*config.Config)) *fleet {
	t.Helper()
	f := &fleet{user: "root", cluster: etcdtest.Start(t, members), at: time.Now().Truncate(time.Minute).Add(10 * time.Second)}
	dir := shortDir(t)
	for i := range n {
		cfg := goodConfig(filepath.Join(dir, string(rune('a'+i))))
		cfg.Audit.File = ""
		cfg.Secrets.KeyFile = filepath.Join(dir, "key")
		cfg.Store.Backend = store.BackendEtcd
		cfg.Store.Etcd.Endpoints = f.cluster.Endpoints()
		cfg.Store.Etcd.Timeout = mfa.Duration(30 * time.Second) // the most there is: these tests are not about time
		if change != nil {
			change(&cfg)
		}
		f.hosts = append(f.hosts, f.start(t, cfg, "host"+string(rune('a'+i))))
	}
	f.enroll(t)
	return f
}

// enroll gives the user an app and backup codes.
func (f *fleet) enroll(t *testing.T) {
	t.Helper()
	id, err := nss.Lookup(t.Context(), f.user)
	if err != nil {
		t.Fatal(err)
	}
	var set mfa.BackupSet
	f.secret = otp.NewSecret("SHA1")
	if f.codes, set, err = factor.NewBackupSet(rand.NewChaCha8([32]byte{1}), 5); err != nil {
		t.Fatal(err)
	}
	set.Made = f.at.Add(-time.Hour)
	a := f.hosts[0]
	err = a.records.UpdateEnrollment(t.Context(), f.user, func(en *mfa.Enrollment) error {
		*en = mfa.Enrollment{Version: mfa.EnrollmentVersion, UID: id.UID, Backup: &set, TOTP: &mfa.TOTPSecret{
			Secret: a.accounts().SealTOTP(id, f.secret), Algorithm: "SHA1", Digits: 6, Period: mfa.Duration(30 * time.Second), Confirmed: f.at,
		}}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// app returns what the user's app shows in that many steps from now.
func (f *fleet) app(t *testing.T, ahead int64) string {
	t.Helper()
	code, err := otp.Code(f.secret, otp.Step(f.now(), 30*time.Second)+ahead, appParams)
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// wrong returns a code that is not right in any step that counts.
func (f *fleet) wrong(t *testing.T) string {
	t.Helper()
	right := f.app(t, -1) + f.app(t, 0) + f.app(t, 1)
	for code := 100000; ; code++ {
		if text := string(rune('0'+code/100000)) + "23457"; !strings.Contains(right, text) {
			return text
		}
	}
}

// An enrollment counts on all hosts, and a code that one host took is spent on all.
func TestFleetIsOne(t *testing.T) {
	f := newFleet(t, 2, 1, nil)
	if v := attempt(t, f.hosts[1], f.user, spender{app: f.app(t, 0)}); v.Outcome != mfa.Accepted {
		t.Fatalf("on the second host: %+v", v)
	}
	if v := attempt(t, f.hosts[0], f.user, spender{app: f.app(t, 0)}); !v.Refuses() {
		t.Errorf("a code that was used elsewhere: %+v", v)
	}
	if v := attempt(t, f.hosts[0], f.user, spender{backup: f.codes[0]}); v.Outcome != mfa.Accepted {
		t.Errorf("a backup code: %+v", v)
	}
	if v := attempt(t, f.hosts[1], f.user, spender{backup: f.codes[0]}); !v.Refuses() {
		t.Errorf("a backup code that was used elsewhere: %+v", v)
	}
	id, err := nss.Lookup(t.Context(), f.user)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.hosts[0].accounts().Lock(t.Context(), id, time.Hour, "root"); err != nil {
		t.Fatal(err)
	}
	if v := attempt(t, f.hosts[1], f.user, spender{app: f.app(t, 1)}); v.Reason != "locked" {
		t.Errorf("locked elsewhere: %+v", v)
	}
	if _, err := f.hosts[0].accounts().Unlock(t.Context(), f.user, "root"); err != nil {
		t.Fatal(err)
	}
	if v := attempt(t, f.hosts[1], f.user, spender{app: f.app(t, 1)}); v.Outcome != mfa.Accepted {
		t.Errorf("unlocked elsewhere: %+v", v)
	}
}

// A login of a user whom the host knows costs one question to etcd: its transaction.
func TestFleetLoginIsOneRoundTrip(t *testing.T) {
	f := newFleet(t, 1, 1, nil)
	if v := attempt(t, f.hosts[0], f.user, spender{app: f.app(t, -1)}); v.Outcome != mfa.Accepted {
		t.Fatalf("first: %+v", v)
	}
	for _, step := range []struct {
		code string
		want mfa.Outcome
	}{{f.app(t, 0), mfa.Accepted}, {f.wrong(t), mfa.WrongCode}, {f.app(t, 1), mfa.Accepted}} {
		before := f.cluster.Members[0].Asked(t)
		v := attempt(t, f.hosts[0], f.user, spender{app: step.code})
		if n := f.cluster.Members[0].Asked(t) - before; n != 1 || v.Outcome != step.want {
			t.Errorf("%d questions for %+v, want 1 for %v", n, v, step.want)
		}
	}
}

// crowd has all of them log in at once, and counts the outcomes.
func (f *fleet) crowd(t *testing.T, n int, with func(i int) spender) map[mfa.Outcome]int {
	t.Helper()
	var mu sync.Mutex
	all := map[mfa.Outcome]int{}
	var group sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		group.Go(func() {
			<-start
			v := attempt(t, f.hosts[i%len(f.hosts)], f.user, with(i))
			mu.Lock()
			defer mu.Unlock()
			all[v.Outcome]++
		})
	}
	close(start)
	group.Wait()
	return all
}

// Two thousand guesses at once on two hosts: as many are looked at as lockout.failures says.
func TestFleetGuesses(t *testing.T) {
	f := newFleet(t, 2, 1, nil)
	var events atomic.Int64
	for _, a := range f.hosts {
		a.audit.Observe(func(ev mfa.Event) {
			if ev.Event == audit.Failed {
				events.Add(1)
			}
		})
	}
	wrong := f.wrong(t)
	all := f.crowd(t, 2000, func(int) spender { return spender{app: wrong} })
	if all[mfa.Accepted] != 0 || events.Load() != 5 {
		t.Errorf("%v, and %d were looked at, want 5", all, events.Load())
	}
	if v := attempt(t, f.hosts[0], f.user, spender{app: f.app(t, 1)}); v.Reason != "locked" {
		t.Errorf("after them: %+v", v)
	}
}

// One code at once on 16 hosts is accepted once.
func TestFleetCodeOnce(t *testing.T) {
	f := newFleet(t, 16, 1, func(c *config.Config) { c.Lockout.Failures = 100 })
	code := f.app(t, 0)
	if all := f.crowd(t, 16, func(int) spender { return spender{app: code} }); all[mfa.Accepted] != 1 {
		t.Errorf("one app code: %v", all)
	}
	all := map[mfa.Outcome]int{mfa.Unavailable: 16}
	for range 4 { // on a busy machine 16 slow hashes at once keep etcd from answering anybody in time
		if all[mfa.Unavailable] == 16 {
			all = f.crowd(t, 16, func(int) spender { return spender{backup: f.codes[0]} })
		}
	}
	if all[mfa.Accepted] != 1 {
		t.Errorf("one backup code: %v", all)
	}
}
