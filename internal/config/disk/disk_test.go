package disk_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mfa/internal/config"
	"mfa/internal/config/disk"
	"mfa/internal/deliver"
)

// goodConfig reaches nothing outside of dir.
func goodConfig(dir string) config.Config {
	cfg := config.Default()
	cfg.Store.Path = filepath.Join(dir, "store")
	cfg.Secrets.KeyFile = filepath.Join(dir, "key")
	cfg.Email.Transport = deliver.TransportOutbox
	cfg.Email.Outbox.Path = filepath.Join(dir, "outbox")
	return cfg
}

// Check looks and makes nothing.
func TestCheck(t *testing.T) {
	dir := t.TempDir()
	cfg := goodConfig(dir)
	if err := disk.Check(cfg); err != nil {
		t.Errorf("good: %v", err)
	}
	if made, err := os.ReadDir(dir); err != nil || len(made) != 0 {
		t.Errorf("made: %v, %v", made, err)
	}
	bad := cfg
	bad.Email = config.Default().Email
	bad.Email.SMTP.Username, bad.Email.SMTP.PasswordFile = "u", "/nonexistent/password"
	bad.SMS.Provider = deliver.ProviderTwilio
	err := disk.Check(bad)
	for _, want := range []string{"email.smtp.password_file", "sms.twilio."} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want a word about %s", err, want)
		}
	}
	if err := os.WriteFile(cfg.Secrets.KeyFile, []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := disk.Check(cfg); err == nil || !strings.Contains(err.Error(), "not a key") || strings.Contains(err.Error(), "nonsense") {
		t.Errorf("bad key: %v", err)
	}
}

// The users who lose an app with the key are named, and nobody where the key is there, or
// where nobody is enrolled.
func TestLostKey(t *testing.T) {
	cfg := goodConfig(t.TempDir())
	expect := func(lost bool, apps string) {
		t.Helper()
		is, of, err := disk.LostKey(cfg)
		if err != nil || is != lost || strings.Join(of, " ") != apps {
			t.Errorf("lost %v, apps of %q, %v; want %v, %q", is, of, err, lost, apps)
		}
	}
	expect(false, "")
	users := filepath.Join(cfg.Store.Path, "users")
	if err := os.MkdirAll(users, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"alice.toml":  "version = 1\nuid = 1\n[totp]\nsecret = \"x\"\nalgorithm = \"SHA1\"\ndigits = 6\nperiod = \"30s\"\n",
		"bob.toml":    "version = 1\nuid = 2\n",
		"broken.toml": "version = ",
	} {
		if err := os.WriteFile(filepath.Join(users, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	expect(true, "alice")
	if err := os.WriteFile(cfg.Secrets.KeyFile, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	expect(false, "")
}
