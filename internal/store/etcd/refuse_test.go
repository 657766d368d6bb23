package etcd

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/authpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"mfa/internal/mfa"
	"mfa/internal/store"
	"mfa/internal/store/etcd/etcdtest"
)

// tell writes a file with one line for only us.
func tell(t *testing.T, line string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(line+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// guarded is an etcd with certificates and rights, and the configuration of a host that
// may use it, by its certificate.
func guarded(t *testing.T) (store.EtcdConfig, *etcdtest.Authority) {
	t.Helper()
	a := etcdtest.NewAuthority(t)
	cert, key := a.Issue(t, "member", "127.0.0.1")
	c := etcdtest.Start(t, 1, "--cert-file="+cert, "--key-file="+key, "--trusted-ca-file="+a.CA, "--client-cert-auth")
	cfg := config(c)
	cfg.CAFile = a.CA
	cfg.CertFile, cfg.KeyFile = a.Issue(t, "root", "127.0.0.1")
	conf, err := tlsConfig(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	allow(t, cfg, conf)
	cfg.CertFile, cfg.KeyFile = a.Issue(t, "host1", "127.0.0.1")
	return cfg, a
}

// allow makes the users of etcd: host1 may use the prefix, stranger exists and may nothing.
func allow(t *testing.T, cfg store.EtcdConfig, conf *tls.Config) {
	t.Helper()
	var c *clientv3.Client
	eventually(t, "member", func() bool {
		var err error
		if c, err = clientv3.New(clientv3.Config{Endpoints: cfg.Endpoints, TLS: conf, Logger: zap.NewNop()}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err = c.Get(ctx, "x"); err != nil {
			_ = c.Close()
		}
		return err == nil
	})
	defer c.Close()
	ctx := t.Context()
	for _, step := range []func() error{
		func() error { _, err := c.UserAdd(ctx, "root", "rootpw"); return err },
		func() error { _, err := c.RoleAdd(ctx, "root"); return err },
		func() error { _, err := c.UserGrantRole(ctx, "root", "root"); return err },
		func() error { _, err := c.UserAdd(ctx, "host1", "host1pw"); return err },
		func() error { _, err := c.UserAdd(ctx, "stranger", "strangerpw"); return err },
		func() error { _, err := c.RoleAdd(ctx, "mfa"); return err },
		func() error {
			_, err := c.RoleGrantPermission(ctx, "mfa", cfg.Prefix, clientv3.GetPrefixRangeEnd(cfg.Prefix), clientv3.PermissionType(authpb.READWRITE))
			return err
		},
		func() error { _, err := c.UserGrantRole(ctx, "host1", "mfa"); return err },
		func() error { _, err := c.AuthEnable(ctx); return err },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
}

// Each thing that people get wrong is named, at start and by a look.
func TestWrongConfiguration(t *testing.T) {
	cfg, a := guarded(t)
	cfg.Timeout = mfa.Duration(time.Second)
	key := newKey(t)
	s := open(t, cfg, with(key))
	awaitWatch(t, s) // least rights are enough for all that a store does
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
	other := etcdtest.NewAuthority(t)
	otherCert, otherKey := other.Issue(t, "host1", "127.0.0.1")
	strangerCert, strangerKey := a.Issue(t, "stranger", "127.0.0.1")
	for name, tc := range map[string]struct {
		change func(*store.EtcdConfig)
		want   string
	}{
		"another authority": {func(c *store.EtcdConfig) { c.CAFile = other.CA }, "an authority that store.etcd.ca_file does not have"},
		"another name": {func(c *store.EtcdConfig) {
			c.Endpoints = []string{strings.Replace(c.Endpoints[0], "127.0.0.1", "localhost", 1)}
		}, "for another name than store.etcd.endpoints has"},
		"no certificate":    {func(c *store.EtcdConfig) { c.CertFile, c.KeyFile = "", "" }, "store.etcd.cert_file is empty"},
		"their certificate": {func(c *store.EtcdConfig) { c.CertFile, c.KeyFile = otherCert, otherKey }, "refuses this host's certificate"},
		"no rights":         {func(c *store.EtcdConfig) { c.CertFile, c.KeyFile = strangerCert, strangerKey }, "grant its role readwrite on that prefix"},
		"another prefix":    {func(c *store.EtcdConfig) { c.Prefix = "/others/" }, "grant its role readwrite on that prefix"},
		"wrong password":    {func(c *store.EtcdConfig) { c.Username, c.PasswordFile = "host1", tell(t, "guess") }, "refuses store.etcd.username"},
		"nobody there":      {func(c *store.EtcdConfig) { c.Endpoints = []string{"https://127.0.0.1:1"} }, "connection refused"},
		"no TLS":            {func(c *store.EtcdConfig) { c.Endpoints = []string{strings.Replace(c.Endpoints[0], "https", "http", 1)} }, "write https:// in store.etcd.endpoints"},
		"nobody at two":     {func(c *store.EtcdConfig) { c.Endpoints = []string{"https://127.0.0.1:1", "https://127.0.0.1:2"} }, "connection refused; https://127.0.0.1:2: "},
		"no such file":      {func(c *store.EtcdConfig) { c.CAFile = "/nonexistent" }, `store.etcd.ca_file: read "/nonexistent"`},
		"no authority":      {func(c *store.EtcdConfig) { c.CAFile = tell(t, "x") }, "holds no certificate"},
		"another's key":     {func(c *store.EtcdConfig) { c.KeyFile = otherKey }, "store.etcd.key_file"},
		"two lines":         {func(c *store.EtcdConfig) { c.Username, c.PasswordFile = "host1", tell(t, "a\nb") }, "does not hold one line"},
	} {
		t.Run(name, func(t *testing.T) {
			bad := cfg
			tc.change(&bad)
			_, err := Open(t.Context(), bad, with(key))
			for _, err := range []error{err, Look(t.Context(), bad, with(key))} {
				if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "guess") {
					t.Errorf("%v\nwant %q", err, tc.want)
				}
			}
		})
	}
	t.Run("right password", func(t *testing.T) {
		good := cfg
		good.Username, good.PasswordFile = "host1", tell(t, "host1pw")
		good.Timeout = mfa.Duration(10 * time.Second) // etcd hashes passwords slowly, and the machine may be busy
		open(t, good, with(key))
	})
}

// The scheme of a URL is the same in capitals (RFC 3986, 3.1), and so is what protects the way.
func TestSchemeInCapitals(t *testing.T) {
	cfg, _ := guarded(t)
	cfg.Timeout = mfa.Duration(10 * time.Second)
	cfg.Endpoints = []string{strings.Replace(cfg.Endpoints[0], "https", "HTTPS", 1)}
	if err := open(t, cfg, with(newKey(t))).Check(t.Context()); err != nil {
		t.Error(err)
	}
}

// A host has no more than its role: it cannot read or delete what is beside its prefix.
func TestLeastRights(t *testing.T) {
	cfg, _ := guarded(t)
	s := open(t, cfg, with(newKey(t)))
	for name, do := range map[string]func() error{
		"read another prefix":   func() error { _, err := s.client.Get(t.Context(), "/others/users/alice"); return err },
		"read everything":       func() error { _, err := s.client.Get(t.Context(), "", clientv3.WithPrefix()); return err },
		"delete everything":     func() error { _, err := s.client.Delete(t.Context(), "\x00", clientv3.WithFromKey()); return err },
		"write another prefix":  func() error { _, err := s.client.Put(t.Context(), "/others/x", "y"); return err },
		"list the users":        func() error { _, err := s.client.UserList(t.Context()); return err },
		"give itself the rest":  func() error { _, err := s.client.UserGrantRole(t.Context(), "host1", "root"); return err },
		"watch another prefix":  func() error { return firstError(t, s.client.Watch(t.Context(), "/others/", clientv3.WithPrefix())) },
		"switch the rights off": func() error { _, err := s.client.AuthDisable(t.Context()); return err },
	} {
		if err := do(); err == nil || !strings.Contains(err.Error(), "permission denied") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func firstError(t *testing.T, events clientv3.WatchChan) error {
	t.Helper()
	select {
	case resp := <-events:
		return resp.Err()
	case <-time.After(time.Minute):
		return errors.New("the watch says nothing")
	}
}

// While etcd is away, refusals come soon, and the log does not grow with their number.
func TestUnreachable(t *testing.T) {
	c := etcdtest.Start(t, 1)
	cfg := config(c)
	cfg.Timeout = mfa.Duration(300 * time.Millisecond)
	var log bytes.Buffer
	opts := with(newKey(t))
	opts.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelError}))
	s := open(t, cfg, opts)
	c.Members[0].Kill()
	for range 10 {
		began := time.Now()
		err := count(store.WithView(t.Context()), s, "state/alice")
		if took := time.Since(began); !errors.Is(err, store.ErrUnreachable) || took > 5*time.Second {
			t.Errorf("after %v: %v", took, err)
		}
	}
	if err := s.Check(t.Context()); !errors.Is(err, store.ErrUnreachable) {
		t.Errorf("check: %v", err)
	}
	if n := strings.Count(log.String(), "\n"); n != 1 {
		t.Errorf("%d lines for one outage:\n%s", n, log.String())
	}
	c.Members[0].Start(t)
	eventually(t, "answer", func() bool { return count(t.Context(), s, "state/alice") == nil })
	eventually(t, "good health", func() bool { return s.Check(t.Context()) == nil })
}
