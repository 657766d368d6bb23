package app

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"mfa/internal/config"
	"mfa/internal/mfa"
	"mfa/internal/store/etcd/etcdtest"
)

// guess has a user type wrong codes, more than lock, and checks that the right one behind them
// is not taken.
func (f *fleet) guess(t *testing.T, a *App) {
	t.Helper()
	out := map[mfa.Outcome]int{}
	for range 14 {
		f.pass(time.Second)
		out[attempt(t, a, f.user, spender{app: f.wrong(t)}).Outcome]++
	}
	f.pass(time.Minute)
	if v := attempt(t, a, f.user, spender{app: f.app(t, 0)}); v.Outcome == mfa.Accepted {
		t.Errorf("the right code is taken behind 14 wrong ones: %v", out)
	}
}

// locked checks that the store of a has as many wrong codes as lock, and the lock.
func (f *fleet) locked(t *testing.T, a *App) {
	t.Helper()
	st, err := a.records.StoredState(t.Context(), f.user)
	if err != nil {
		t.Fatal(err)
	}
	most := a.cur.Load().cfg.Lockout.Failures
	if _, _, is := st.Locked(f.now()); !is || st.MethodFailures[mfa.TOTP] != most {
		t.Errorf("want %d wrong codes and a lock; in the store: %+v", most, st)
	}
}

// Wrong codes that a full disk did not take are written down as soon as there is room. There
// are as many as lock, whatever the disk takes: the right code is refused before and after.
func TestWrongCodesOnAFullDisk(t *testing.T) { ownMounts(t, wrongCodesOnAFullDisk) }

func wrongCodesOnAFullDisk(t *testing.T) {
	for _, stop := range []bool{false, true} {
		disk := t.TempDir()
		if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=40m,mode=0700"); err != nil {
			t.Fatal(err)
		}
		f := &fleet{user: "root", at: time.Now().Truncate(time.Minute).Add(10 * time.Second)}
		cfg := goodConfig(shortDir(t))
		cfg.Store.Path = filepath.Join(disk, "store")
		a := f.start(t, cfg, "")
		f.hosts = []*App{a}
		f.enroll(t)
		if v := attempt(t, a, f.user, spender{app: f.app(t, 0)}); v.Outcome != mfa.Accepted {
			t.Fatalf("with room: %+v", v)
		}
		fill := fillUp(t, disk)
		for n := 0; ; n++ { // until nothing is taken any more
			if n > 100_000 {
				t.Fatal("the disk does not fill")
			}
			err := a.records.UpdateState(t.Context(), fmt.Sprint("user", n), func(st *mfa.State) error {
				st.UID, st.BackupID = 1, strings.Repeat("x", 3000)
				return nil
			})
			if err != nil {
				break
			}
		}
		f.guess(t, a)
		if err := os.Remove(fill); err != nil {
			t.Fatal(err)
		}
		if stop {
			if err := a.Close(); err != nil {
				t.Fatal(err)
			}
			a = f.start(t, cfg, "")
		} else if err := a.recordsNow().PayOwed(t.Context()); err != nil {
			t.Fatal(err)
		}
		f.locked(t, a)
		if v := attempt(t, a, f.user, spender{app: f.app(t, 0)}); !v.Refuses() {
			t.Errorf("with room again: %+v", v)
		}
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Unmount(disk, 0); err != nil {
			t.Fatal(err)
		}
	}
}

// Where etcd answers late, a lock may need more of its answers than the time for one write
// has room for. Wrong codes count all the same, and they lock.
func TestWrongCodesOverASlowEtcd(t *testing.T) {
	for _, late := range []time.Duration{0, 600 * time.Millisecond} { // one answer in time, not two
		t.Run(late.String(), func(t *testing.T) {
			t.Parallel()
			var relay *etcdtest.Relay
			f := newFleet(t, 1, 1, func(c *config.Config) {
				relay = etcdtest.NewRelay(t, strings.TrimPrefix(c.Store.Etcd.Endpoints[0], "http://"))
				c.Store.Etcd.Endpoints = []string{"http://" + relay.Addr}
				c.Store.Etcd.Timeout = mfa.Duration(time.Second)
			})
			a := f.hosts[0]
			if v := attempt(t, a, f.user, spender{app: f.app(t, 0)}); v.Outcome != mfa.Accepted {
				t.Fatalf("fast: %+v", v)
			}
			f.pass(time.Minute)
			relay.Delay(late / 2)
			f.guess(t, a)
			relay.Mend()
			await(t, "what is owed is written", func() bool { return a.recordsNow().PayOwed(t.Context()) == nil })
			f.locked(t, a)
		})
	}
}
