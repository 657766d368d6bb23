package app

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mfa/internal/host/nss"
	"mfa/internal/login"
	"mfa/internal/mfa"
	"mfa/internal/store"
)

// A daemon that starts while etcd is away lets in by the rules alone. When etcd is back it
// joins its fleet by itself, and what the fleet knows counts.
func TestFleetStartsLate(t *testing.T) {
	f := newFleet(t, 1, 1, nil)
	if v := attempt(t, f.hosts[0], f.user, spender{app: f.app(t, -1)}); v.Outcome != mfa.Accepted {
		t.Fatalf("%+v", v)
	}
	old := f.hosts[0].cur.Load().cfg
	id, err := nss.Lookup(t.Context(), f.user)
	if err == nil {
		_, err = f.hosts[0].accounts().Lock(t.Context(), id, 0, "root")
	}
	if err != nil {
		t.Fatal(err)
	}
	f.cluster.Members[0].Kill()

	cfg := goodConfig(filepath.Join(shortDir(t), "late"))
	cfg.Audit.File, cfg.Store, cfg.Secrets = "", old.Store, old.Secrets
	cfg.Store.Etcd.Timeout = mfa.Duration(300 * time.Millisecond)
	cfg.Policy.Rules = []login.Rule{{Name: "break-glass", Services: []string{"login"}, Mode: new(login.ModeOff)}}
	log := &logbook{t: t}
	a, err := New(cfg, Options{Log: log.logger(), Now: func() time.Time { return f.at }, hostID: "late"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close() })
	ctx, end := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	t.Cleanup(func() {
		end()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	try := func(service string) mfa.Verdict {
		t.Helper()
		v, _ := a.cur.Load().engine.Login(t.Context(), mfa.Request{Service: service, User: f.user}, &spender{app: f.app(t, 0)})
		return v
	}
	if v := try("su"); v.Outcome != mfa.Unavailable {
		t.Errorf("without etcd: %+v", v)
	}
	if v := try("login"); v.Outcome != mfa.Exempt {
		t.Errorf("without etcd, by a rule: %+v", v)
	}
	next := cfg
	next.Policy.Rules = append(next.Policy.Rules, login.Rule{Name: "another door", Services: []string{"sudo"}, Mode: new(login.ModeOff)})
	if _, err := a.reloadAndTell(next); err != nil {
		t.Errorf("a new rule without etcd: %v", err)
	}
	if v := try("sudo"); v.Outcome != mfa.Exempt {
		t.Errorf("without etcd, by a new rule: %+v", v)
	}
	if !strings.Contains(log.String(), "this daemon starts without its store") {
		t.Error("the log does not say so")
	}
	if st := a.status(t.Context()); st.StoreOK || !strings.Contains(st.Problem, "etcd cannot be reached") {
		t.Errorf("status %+v", st)
	}

	f.cluster.Members[0].Start(t)
	for late := time.Now().Add(patience); a.isAway(); time.Sleep(time.Millisecond) {
		if time.Now().After(late) {
			t.Fatal("the daemon does not join its fleet")
		}
	}
	if v := try("su"); v.Reason != "locked" {
		t.Errorf("with etcd: %+v, want locked as the fleet knows", v)
	}
	if _, err := a.accounts().Unlock(t.Context(), f.user, "root"); err != nil {
		t.Fatal(err)
	}
	if v := try("su"); v.Outcome != mfa.Accepted {
		t.Errorf("with etcd: %+v", v)
	}
}

// Without a key of its own a host cannot know what it would be let into.
func TestFleetStartsNotWithoutKey(t *testing.T) {
	cfg := goodConfig(shortDir(t))
	cfg.Store.Backend, cfg.Store.Etcd.Endpoints = store.BackendEtcd, []string{"http://127.0.0.1:1"}
	cfg.Store.Etcd.Timeout = mfa.Duration(100 * time.Millisecond)
	err := open(t, cfg)
	if err == nil || !strings.Contains(err.Error(), "etcd cannot be reached") {
		t.Errorf("start: %v", err)
	}
}
