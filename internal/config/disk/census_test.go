package disk_test

import (
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
