package disk_test

import (
	"errors"
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

// Root looks with the rights of the daemon, whose store it is: what root alone can read keeps the
// daemon from its next start.
func TestCheckWithTheRightsOfTheDaemon(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root looks for another user")
	}
	const nobody = 65534
	dir, err := os.MkdirTemp("/run", "check")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	cfg := goodConfig(dir)
	cfg.Email.Templates = filepath.Join(dir, "mail")
	template := filepath.Join(cfg.Email.Templates, "code.txt")
	err = errors.Join(os.Chmod(dir, 0o755), os.Mkdir(cfg.Store.Path, 0o700), os.Chown(cfg.Store.Path, nobody, nobody),
		os.Mkdir(cfg.Email.Templates, 0o755), os.WriteFile(template, []byte("{{.Code}}\n"), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	if err := checkAll(cfg); err == nil || !strings.Contains(err.Error(), template) || !strings.Contains(err.Error(), "permission denied") {
		t.Errorf("of root alone: %v", err)
	}
	if err := os.Chmod(template, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := checkAll(cfg); err != nil {
		t.Errorf("of all: %v", err)
	}
	secret := filepath.Join(dir, "secret")
	if err := os.WriteFile(secret, []byte("x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := os.ReadFile(secret); err != nil {
		t.Errorf("root has the rights of the daemon behind it: %v", err)
	}
}

// Check looks and makes nothing.
func TestCheck(t *testing.T) {
	dir := t.TempDir()
	cfg := goodConfig(dir)
	if err := checkAll(cfg); err != nil {
		t.Errorf("good: %v", err)
	}
	if made, err := os.ReadDir(dir); err != nil || len(made) != 0 {
		t.Errorf("made: %v, %v", made, err)
	}
	bad := cfg
	bad.Email = config.Default().Email
	bad.Email.SMTP.Username, bad.Email.SMTP.PasswordFile = "u", "/nonexistent/password"
	bad.SMS.Provider = deliver.ProviderTwilio
	err := checkAll(bad)
	for _, want := range []string{"email.smtp.password_file", "sms.twilio."} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want a word about %s", err, want)
		}
	}
	if err := os.WriteFile(cfg.Secrets.KeyFile, []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := checkAll(cfg); err == nil || !strings.Contains(err.Error(), "not a key") || strings.Contains(err.Error(), "nonsense") {
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

// checkAll is what a start would find wrong.
func checkAll(cfg config.Config) error {
	return errors.Join(disk.CheckStore(cfg), disk.CheckFiles(cfg, "/nonexistent/mfa.toml"))
}
