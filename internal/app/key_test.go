package app

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"mfa/internal/config"
)

// open makes an App and closes it.
func open(t *testing.T, cfg config.Config) error {
	t.Helper()
	a, err := New(cfg, Options{Log: (&logbook{t: t}).logger()})
	if err != nil {
		return err
	}
	return a.Close()
}

// A store goes with one key: no other is taken for it, and none is made anew.
func TestKeyOfTheStore(t *testing.T) {
	cfg := goodConfig(shortDir(t))
	if err := open(t, cfg); err != nil {
		t.Fatalf("first start: %v", err)
	}
	good, err := os.ReadFile(cfg.Secrets.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := open(t, cfg); err != nil {
		t.Errorf("second start: %v", err)
	}
	for _, c := range []struct {
		name string
		text string // "": no file
		mode os.FileMode
		want string
	}{
		{"gone", "", 0, `^read secrets.key_file: open .*: no such file or directory; the store was written with key [0-9a-f]{16}: restore that key file from a backup; where there is none, run mfad --new-state$`},
		{"another", strings.Repeat("0123456789abcdef", 4) + "\n", 0o600, `^secrets.key_file ".*" holds key [0-9a-f]{16}, but the store was written with key [0-9a-f]{16}: restore that key file from a backup$`},
		{"open to others", string(good), 0o640, `mode 0640 is open to others; run chmod 0600 on it$`},
		{"cut short", string(good[:20]), 0o600, `not a key: want 64 hexadecimal digits`},
		{"empty", "\n", 0o600, `not a key`},
	} {
		if err := os.Remove(cfg.Secrets.KeyFile); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		if c.text != "" {
			if err := os.WriteFile(cfg.Secrets.KeyFile, []byte(c.text), c.mode); err != nil {
				t.Fatal(err)
			}
		}
		err := open(t, cfg)
		if err == nil || !regexp.MustCompile(c.want).MatchString(err.Error()) {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
			continue
		}
		if strings.Contains(err.Error(), string(good[:16])) {
			t.Errorf("%s: the key is in the error", c.name)
		}
		if _, err := os.Stat(cfg.Secrets.KeyFile); c.text == "" && err == nil {
			t.Errorf("%s: a new key was made", c.name)
		}
	}
	if err := os.WriteFile(cfg.Secrets.KeyFile, good, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(cfg.Secrets.KeyFile, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := open(t, cfg); err != nil {
		t.Errorf("with the key restored: %v", err)
	}
}

// A store that is gone while its key is not may be a disk that is not mounted.
func TestKeyBeforeItsStore(t *testing.T) {
	cfg := goodConfig(shortDir(t))
	if err := open(t, cfg); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(cfg.Store.Path); err != nil {
		t.Fatal(err)
	}
	for _, want := range []bool{true, false} {
		book := &logbook{t: t}
		a, err := New(cfg, Options{Log: book.logger()})
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(book.String(), "may not be mounted"); got != want {
			t.Errorf("told of: %v, want %v\n%s", got, want, book)
		}
	}
}

func TestSecondAppOnOneStore(t *testing.T) {
	r := run(t, goodConfig(shortDir(t)))
	err := open(t, r.cfg)
	if err == nil || !strings.Contains(err.Error(), "is in use by another daemon") {
		t.Errorf("open: %v", err)
	}
}

// A file that cannot be opened is named, and those opened before it are closed.
func TestNewNamesWhatIsWrong(t *testing.T) {
	cfg := goodConfig(shortDir(t))
	for want, change := range map[string]func(*config.Config, string){
		"open audit.file:":         func(c *config.Config, file string) { c.Audit.File = filepath.Join(file, "audit.jsonl") },
		"open store:":              func(c *config.Config, file string) { c.Store.Path = file },
		"email.smtp.password_file": func(c *config.Config, _ string) { *c = smtpWithoutPassword(*c) },
	} {
		file := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		bad := cfg
		change(&bad, file)
		if err := open(t, bad); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if err := open(t, cfg); err != nil {
		t.Errorf("after the refusals: %v", err)
	}
}

func smtpWithoutPassword(c config.Config) config.Config {
	c.Email = config.Default().Email
	c.Email.SMTP.Username, c.Email.SMTP.PasswordFile = "u", "/nonexistent/password"
	return c
}
