package app

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mfa/internal/config"
	"mfa/internal/host/nss"
	"mfa/internal/login"
	"mfa/internal/mfa"
)

// from is a login by ssh from a place.
func (f *fleet) from(t *testing.T, host int, s spender) mfa.Verdict {
	t.Helper()
	req := mfa.Request{Service: "sshd", User: f.user, RHost: "203.0.113.7", SSHAuthInfo: "password"}
	v, _ := f.hosts[host].cur.Load().engine.Login(t.Context(), req, &s)
	return v
}

// A login is remembered where session.scope says.
func TestFleetSessions(t *testing.T) {
	for scope, want := range map[string]mfa.Outcome{login.ScopeHost: mfa.NoConversation, login.ScopeFleet: mfa.Accepted} {
		t.Run(scope, func(t *testing.T) {
			f := newFleet(t, 2, 1, func(c *config.Config) { c.Session.Remember, c.Session.Scope = login.RememberAlways, scope })
			if v := f.from(t, 0, spender{app: f.app(t, 0)}); v.Outcome != mfa.Accepted {
				t.Fatalf("%+v", v)
			}
			if v := f.from(t, 0, spender{}); v.Outcome != mfa.Accepted {
				t.Errorf("on the same host: %+v", v)
			}
			if v := f.from(t, 1, spender{}); v.Outcome != want {
				t.Errorf("on the other: %+v, want %v", v, want)
			}
			id, err := nss.Lookup(t.Context(), f.user)
			if err != nil {
				t.Fatal(err)
			}
			accounts := f.hosts[1].accounts()
			if n, err := accounts.RevokeSessions(t.Context(), accounts.Records().Account(id), "", "root", ""); n != 1 || err != nil {
				t.Errorf("revoked %d, %v", n, err)
			}
			if v := f.from(t, 0, spender{}); !v.Refuses() {
				t.Errorf("revoked elsewhere: %+v", v)
			}
		})
	}
}

// A remembered login costs one question, too, and a lock that another host wrote a moment
// ago is not missed: what is in memory lets nobody in.
func TestFleetRememberedIsConfirmed(t *testing.T) {
	f := newFleet(t, 2, 1, func(c *config.Config) { c.Session.Remember = login.RememberAlways })
	if v := f.from(t, 0, spender{app: f.app(t, 0)}); v.Outcome != mfa.Accepted {
		t.Fatalf("%+v", v)
	}
	for range 3 { // in one second: nothing is written
		before := f.cluster.Members[0].Asked(t)
		if v := f.from(t, 0, spender{}); v.Outcome != mfa.Accepted {
			t.Fatalf("%+v", v)
		}
		if n := f.cluster.Members[0].Asked(t) - before; n != 1 {
			t.Errorf("%d questions, want 1", n)
		}
	}
	id, err := nss.Lookup(t.Context(), f.user)
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if _, err := f.hosts[1].accounts().Lock(t.Context(), id, time.Hour, "root"); err != nil {
			t.Fatal(err)
		}
		if v := f.from(t, 0, spender{}); !v.Refuses() {
			t.Fatalf("locked elsewhere: %+v", v)
		}
		if _, err := f.hosts[1].accounts().Unlock(t.Context(), f.user, "root"); err != nil {
			t.Fatal(err)
		}
		if v := f.from(t, 0, spender{}); v.Outcome != mfa.Accepted {
			t.Fatalf("unlocked elsewhere: %+v", v)
		}
	}
}

// Nobody is let in by what is in memory alone, whatever the plan is that no write decides.
func TestFleetLetsInBySure(t *testing.T) {
	f := newFleet(t, 2, 1, func(c *config.Config) {
		c.Policy.Mode = login.ModeOptional
		c.Policy.Rules = []login.Rule{{Name: "break-glass", Services: []string{"su"}, Mode: new(login.ModeOff)}}
	})
	id, err := nss.Lookup(t.Context(), f.user)
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if err := f.hosts[0].records.ResetUser(t.Context(), f.user, f.at); err != nil {
			t.Fatal(err)
		}
		if v := f.from(t, 1, spender{}); v.Outcome != mfa.Exempt {
			t.Fatalf("not enrolled, optional: %+v", v)
		}
		if err := f.hosts[0].cur.Load().enroll.SetContact(t.Context(), id, mfa.Email, "me@example.com", "test"); err != nil {
			t.Fatal(err)
		}
		if v := f.from(t, 1, spender{}); !v.Refuses() {
			t.Fatalf("enrolled elsewhere: %+v", v)
		}
	}
	// With etcd gone, who needs no code by the record is refused, and by the rules is not.
	if err := f.hosts[0].records.ResetUser(t.Context(), f.user, f.at); err != nil {
		t.Fatal(err)
	}
	if v := f.from(t, 1, spender{}); v.Outcome != mfa.Exempt {
		t.Fatalf("not enrolled, optional: %+v", v)
	}
	f.cluster.Members[0].Kill()
	if v := f.from(t, 1, spender{}); v.Outcome != mfa.Unavailable {
		t.Errorf("without etcd: %+v", v)
	}
	if v := attempt(t, f.hosts[1], f.user, spender{}); v.Outcome != mfa.Exempt || v.Reason != "mode is off" {
		t.Errorf("without etcd, by a rule: %+v", v)
	}
}

// A code that was sent belongs to the host that it was asked on.
func TestFleetPendingCode(t *testing.T) {
	f := newFleet(t, 2, 1, func(c *config.Config) { c.Policy.Methods = []mfa.Method{mfa.Email} })
	id, err := nss.Lookup(t.Context(), f.user)
	if err == nil {
		err = f.hosts[0].cur.Load().enroll.SetContact(t.Context(), id, mfa.Email, "me@example.com", "test")
	}
	if err != nil {
		t.Fatal(err)
	}
	f.from(t, 0, spender{}) // sends a code, and goes away
	sent := code(t, f.hosts[0].cur.Load().cfg.Email.Outbox.Path, 1)
	if v := f.from(t, 1, spender{app: sent}); !v.Refuses() {
		t.Errorf("on the other host: %+v", v)
	}
	if v := f.from(t, 0, spender{app: sent}); v.Outcome != mfa.Accepted {
		t.Errorf("on its own host: %+v", v)
	}
}

// A policy that one host has off and on again makes nobody enroll anew on the others.
func TestFleetPolicies(t *testing.T) {
	f := newFleet(t, 2, 1, nil)
	if v := attempt(t, f.hosts[0], f.user, spender{app: f.app(t, -1)}); v.Outcome != mfa.Accepted {
		t.Fatalf("%+v", v)
	}
	a := f.hosts[1]
	cfg := a.cur.Load().cfg
	for _, mode := range []string{login.ModeOff, login.ModeRequired} {
		cfg.Policy.Mode = mode
		if _, err := a.reloadAndTell(cfg); err != nil {
			t.Fatal(err)
		}
	}
	if g := a.cur.Load().login.Generation; g != 1 {
		t.Errorf("generation %d, want 1", g)
	}
	if v := attempt(t, f.hosts[0], f.user, spender{app: f.app(t, 0)}); v.Outcome != mfa.Accepted {
		t.Errorf("on the other host: %+v", v)
	}
}

// What strangers try is written in many places, and an unknown name costs as many questions
// as a known one.
func TestFleetStrangers(t *testing.T) {
	f := newFleet(t, 1, 1, func(c *config.Config) { c.Policy.Methods = []mfa.Method{mfa.TOTP, mfa.Backup} })
	a := f.hosts[0]
	cost := func(user string) (all [2]int) {
		for i := range all {
			before := f.cluster.Members[0].Asked(t)
			if v := attempt(t, a, user, spender{app: f.wrong(t)}); !v.Refuses() {
				t.Fatalf("%s: %+v", user, v)
			}
			all[i] = f.cluster.Members[0].Asked(t) - before
		}
		return all
	}
	known := cost(f.user)
	for i := range 8 {
		cost(fmt.Sprint("nobody-at-all", i))
	}
	keys, err := a.store.Keys(t.Context(), "meta/decoy/"+a.host+"/")
	if err != nil || len(keys) < 3 {
		t.Errorf("%q, %v", keys, err)
	}
	if stranger := cost("nobody-at-all0"); stranger[1] != known[1] {
		t.Errorf("questions: known %v, stranger %v", known, stranger)
	}
	if keys, err := a.store.Keys(t.Context(), "state/nobody"); len(keys) > 0 || err != nil {
		t.Errorf("of strangers there is %q, %v", keys, err)
	}
}

// While the member that leads dies, under logins on several hosts: no code is accepted
// twice, and soon after logins go on.
func TestFleetLeaderDies(t *testing.T) {
	f := newFleet(t, 3, 3, func(c *config.Config) {
		c.Lockout.Failures = 100
		c.Store.Etcd.Timeout = mfa.Duration(2 * time.Second)
	})
	var accepted [3]atomic.Int64
	var group sync.WaitGroup
	ctx, stop := context.WithCancel(t.Context())
	for i := range 6 {
		group.Go(func() {
			for n := 0; ctx.Err() == nil && n < 5000; n++ {
				step := n % 3
				if attempt(t, f.hosts[i%3], f.user, spender{app: f.app(t, int64(step-1))}).Outcome == mfa.Accepted {
					accepted[step].Add(1)
				}
			}
		})
	}
	for _, m := range f.cluster.Members[:1] {
		m.Kill()
	}
	time.AfterFunc(5*time.Second, stop)
	group.Wait()
	stop()
	total := int64(0)
	for step := range accepted {
		if n := accepted[step].Load(); n > 1 {
			t.Errorf("the code of step %d was accepted %d times", step-1, n)
		}
		total += accepted[step].Load()
	}
	st, err := f.hosts[2].records.State(t.Context(), f.user)
	if err != nil || total > 0 && st.TOTPStep == 0 {
		t.Errorf("%d accepted, %+v, %v", total, st.TOTPStep, err)
	}
	if v := attempt(t, f.hosts[2], f.user, spender{backup: f.codes[0]}); v.Outcome != mfa.Accepted {
		t.Errorf("after it: %+v", v)
	}
}

// A fleet's key is changed by its administrator, on all hosts; the program that would make
// one says so.
func TestFleetKeyIsNotMade(t *testing.T) {
	f := newFleet(t, 1, 1, nil)
	err := f.hosts[0].keyLife.Rotate(t.Context(), func(int) {}, func(string, error) {})
	if err == nil || !strings.Contains(err.Error(), "the key is the fleet's") {
		t.Errorf("rotate: %v", err)
	}
}

// One host sweeps.
func TestFleetSweeps(t *testing.T) {
	f := newFleet(t, 2, 1, nil)
	f.hosts[0].put(t, "gone", over)
	var swept atomic.Int64
	var group sync.WaitGroup
	for _, a := range f.hosts {
		group.Go(func() {
			ctx, cancel := context.WithCancel(t.Context())
			sweeper := a.sweeper
			sweeper.First = time.Nanosecond
			alone := sweeper.Alone
			sweeper.Alone = func(ctx context.Context, what string, rest time.Duration, do func(context.Context) error) (bool, error) {
				defer cancel()
				done, err := alone(ctx, what, rest, do)
				if err != nil && !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
				if done {
					swept.Add(1)
				}
				return done, err
			}
			sweeper.Run(ctx)
		})
	}
	group.Wait()
	if swept.Load() != 1 || f.hosts[1].left(t, "gone") {
		t.Errorf("%d hosts swept", swept.Load())
	}
}
