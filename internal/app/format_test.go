package app

import (
	"context"
	"os"
	"strings"
	"testing"

	"mfa/internal/seal"
	"mfa/internal/store"
	"mfa/internal/store/local"
)

// After a downgrade nothing is decided by records that are half understood.
func TestStoreOfANewerVersion(t *testing.T) {
	cfg := goodConfig(shortDir(t))
	if err := open(t, cfg); err != nil {
		t.Fatal(err)
	}
	s, err := local.Open(cfg.Store.Path, func(known string) (*seal.Key, error) { return seal.LoadFor(cfg.Secrets.KeyFile, os.Geteuid(), known) })
	if err != nil {
		t.Fatal(err)
	}
	err = store.Update(context.Background(), s, "meta/format", func([]byte) ([]byte, error) {
		return []byte("999"), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	err = open(t, cfg)
	if err == nil || !strings.Contains(err.Error(), cfg.Store.Path) || !strings.Contains(err.Error(), "in format 999") {
		t.Errorf("New: %v, want a word about format 999 of %s", err, cfg.Store.Path)
	}
}
