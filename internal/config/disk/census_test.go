package disk_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mfa/internal/account"
	"mfa/internal/config/disk"
	"mfa/internal/mfa"
	"mfa/internal/seal"
	"mfa/internal/store"
	"mfa/internal/store/etcd"
	"mfa/internal/store/etcd/etcdtest"
)

// Whom the policy asks is counted in a fleet, too: its records are in etcd alone.
func TestCensusOfFleet(t *testing.T) {
	cfg := goodConfig(t.TempDir())
	cfg.Store.Backend, cfg.Store.Etcd.Endpoints = store.BackendEtcd, etcdtest.Start(t, 1).Endpoints()
	cfg.Store.Etcd.Timeout = mfa.Duration(10 * time.Second)
	if text := disk.Census(cfg); text != "" {
		t.Errorf("of a fleet that is not there yet: %q", text)
	}
	s, err := etcd.Open(t.Context(), cfg.Store.Etcd, etcd.Options{Key: func(string) (*seal.Key, error) { return seal.Create(cfg.Secrets.KeyFile) }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	err = account.Records{S: s, Host: "here"}.UpdateEnrollment(t.Context(), "root", func(en *mfa.Enrollment) error {
		en.Email = &mfa.Address{Address: "root@example.com", Confirmed: time.Now()}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if text := disk.Census(cfg); !strings.Contains(text, "1 ") || strings.Contains(text, "not counted") {
		t.Errorf("of one: %q", text)
	}
}

// Root counts with the rights of the daemon: a record that it cannot read is not counted as read.
func TestCensusWithTheRightsOfTheDaemon(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root looks for another user")
	}
	const nobody = 65534
	dir, err := os.MkdirTemp("/run", "census")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	cfg := goodConfig(dir)
	users := filepath.Join(cfg.Store.Path, "users")
	file := filepath.Join(users, "root.toml")
	err = errors.Join(os.Chmod(dir, 0o755), os.MkdirAll(users, 0o700), os.Chown(cfg.Store.Path, nobody, nobody), os.Chown(users, nobody, nobody),
		os.WriteFile(file, []byte("version = 1\nuid = 0\n"), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	const unread = "mfad cannot read 1 records and refuses their users"
	if text := disk.Census(cfg); !strings.Contains(text, unread) {
		t.Errorf("of root alone: %q", text)
	}
	if err := os.Chown(file, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	if text := disk.Census(cfg); text == "" || strings.Contains(text, unread) {
		t.Errorf("of the daemon: %q", text)
	}
}
