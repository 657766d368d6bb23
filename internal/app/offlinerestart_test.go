package app

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"mfa/internal/config"
	"mfa/internal/mfa"
)

// A fact is something that was decided with etcd, and has to count after a restart without it.
type fact struct {
	name   string
	decide func(t *testing.T, f *offlineFleet, a *App)
	after  func(t *testing.T, f *offlineFleet) spender // has to be refused
}

var facts = []fact{
	{"a lock", func(t *testing.T, f *offlineFleet, a *App) {
		for range a.cur.Load().cfg.Lockout.Failures {
			f.pass(time.Second)
			f.refuses(t, a, "a wrong code", spender{app: f.wrong(t)}, "")
		}
	}, func(t *testing.T, f *offlineFleet) spender { return spender{app: f.app(t, 0)} }},
	{"a backup code that was used", func(t *testing.T, f *offlineFleet, a *App) {
		f.accepts(t, a, "a backup code", spender{backup: f.codes[0]})
	}, func(_ *testing.T, f *offlineFleet) spender { return spender{backup: f.codes[0]} }},
	{"a reset", func(t *testing.T, f *offlineFleet, a *App) {
		if err := a.recordsNow().ResetUser(t.Context(), f.user, f.now()); err != nil {
			t.Fatal(err)
		}
	}, func(t *testing.T, f *offlineFleet) spender { return spender{app: f.app(t, 0)} }},
}

// startAnew ends the daemon of host 0, whose disk may be full, and starts it.
func (f *offlineFleet) startAnew(t *testing.T) *App {
	t.Helper()
	a := f.hosts[0]
	if err := a.Close(); err != nil && !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	f.hosts[0] = f.start(t, a.cur.Load().cfg, a.host)
	f.listen(f.hosts[0])
	return f.hosts[0]
}

// startAlone is startAnew where etcd went.
func (f *offlineFleet) startAlone(t *testing.T) *App {
	t.Helper()
	f.cluster.Members[0].Kill()
	return f.startAnew(t)
}

// What was decided with etcd counts after a restart without it, however soon that follows.
func TestOfflineAtOnce(t *testing.T) {
	for _, fact := range facts {
		t.Run(fact.name, func(t *testing.T) {
			f := newOfflineFleet(t, 1, nil)
			f.accepts(t, f.hosts[0], "online", spender{app: f.app(t, 0)})
			awaitKept(t, f.hosts[0], 1)
			f.pass(time.Minute)
			fact.decide(t, f, f.hosts[0])
			a := f.startAlone(t)
			f.pass(2 * time.Minute)
			f.refuses(t, a, "after "+fact.name, fact.after(t, f), "")
		})
	}
}

// The same where the disk was full, and nothing of it could be kept; also where the daemon was
// started on the full disk. Once etcd was heard of and there is room, all goes on.
func TestOfflineAfterAFullDisk(t *testing.T) { ownMounts(t, offlineAfterAFullDisk) }

func offlineAfterAFullDisk(t *testing.T) {
	for i, fact := range facts {
		for _, started := range []bool{false, true}[:max(1, 2-i)] { // started so, once is enough
			disk := t.TempDir()
			if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=4m,mode=0700"); err != nil {
				t.Fatal(err)
			}
			f := newOfflineFleet(t, 1, func(c *config.Config) { c.Store.Path = filepath.Join(disk, "store") })
			a := f.hosts[0]
			f.accepts(t, a, "online", spender{app: f.app(t, 0)})
			awaitKept(t, a, 1)
			a = f.restart(t, 0, nil)
			awaitKept(t, a, 1)
			fill := fillUp(t, disk)
			useUp(t, f, a)
			if started {
				a = f.startAnew(t)
			}
			f.pass(time.Minute)
			fact.decide(t, f, a)

			a = f.startAlone(t)
			if err := os.Remove(fill); err != nil {
				t.Fatal(err)
			}
			f.pass(2 * time.Minute)
			f.refuses(t, a, fact.name+" on a full disk", fact.after(t, f), "")
			f.cluster.Members[0].Start(t)
			a.join(t.Context())
			await(t, "etcd counts as there", func() bool { return !a.offline.Report().Away })
			if fact.name != "a reset" {
				f.pass(2 * time.Hour) // the lock is over
				f.accepts(t, a, fact.name+", and etcd is back", spender{app: f.app(t, 0)})
				await(t, "all is kept", func() bool { r := a.offline.Report(); return r.True && !r.Old })
				f.cut(t, a)
				f.pass(time.Minute)
				f.accepts(t, a, fact.name+", and away once more", spender{app: f.app(t, 0)})
			}
			if err := a.Close(); err != nil {
				t.Fatal(err)
			}
			if err := syscall.Unmount(disk, 0); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// useUp has more and more users log in, until the full disk takes nothing of what is kept.
func useUp(t *testing.T, f *offlineFleet, a *App) {
	t.Helper()
	en, err := a.records.Enrollment(t.Context(), f.user)
	if err != nil {
		t.Fatal(err)
	}
	for n := range 1000 {
		user := fmt.Sprint("user", n)
		err := a.records.UpdateEnrollment(t.Context(), user, func(e *mfa.Enrollment) error { *e = en; return nil })
		if err == nil {
			err = a.records.UpdateState(t.Context(), user, func(st *mfa.State) error {
				st.UID, st.BackupID = 1, strings.Repeat("x", 3000)
				return nil
			})
		}
		if err != nil {
			t.Fatal(err)
		}
		a.offline.LetIn(user)
		for range 100 {
			if a.offline.Report().True {
				break
			}
			time.Sleep(time.Millisecond)
		}
		if !a.offline.Report().True {
			return
		}
	}
	t.Fatal("the full disk takes all")
}
