package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const withCredentials = `secrets.key_file = "credential:key"
email.smtp.username = "u"
email.smtp.password_file = "credential:smtp.1"
email.smtp.ca_file = "credential:ca"
`

var credentialKeys = []string{"secrets.key_file", "email.smtp.ca_file", "email.smtp.password_file"}

// In the service each credential is the file systemd made of it.
func TestCredentials(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"key", "smtp.1", "ca"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o400); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("CREDENTIALS_DIRECTORY", dir)
	c, err := Load(write(t, withCredentials, 0o644))
	if err != nil {
		t.Fatal(err)
	}
	if c.Secrets.KeyFile != dir+"/key" || c.Email.SMTP.PasswordFile != dir+"/smtp.1" || c.Email.SMTP.CAFile != dir+"/ca" {
		t.Errorf("paths are %q, %q and %q", c.Secrets.KeyFile, c.Email.SMTP.PasswordFile, c.Email.SMTP.CAFile)
	}
	if left := c.Credentials(); len(left) > 0 {
		t.Errorf("%v are left", left)
	}
	// doctor looks from outside, and sees no difference.
	inside := c.Fixed()
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	outside, err := Load(write(t, withCredentials, 0o644))
	if err != nil {
		t.Fatal(err)
	}
	if differ := NeedRestart(inside, outside.Fixed()); len(differ) > 0 {
		t.Errorf("%v seem to need a restart", differ)
	}
}

// Elsewhere the file is still good, and tells which secrets were not seen.
func TestCredentialsOutsideTheService(t *testing.T) {
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	c, err := Load(write(t, withCredentials, 0o644))
	if err != nil {
		t.Fatal(err)
	}
	got := c.Credentials()
	slices.Sort(got)
	want := slices.Sorted(slices.Values(credentialKeys))
	if !slices.Equal(got, want) {
		t.Errorf("Credentials: %v, want %v", got, want)
	}
}

func TestCredentialNotPassed(t *testing.T) {
	t.Setenv("CREDENTIALS_DIRECTORY", t.TempDir())
	_, err := Load(write(t, withCredentials, 0o644))
	for _, key := range credentialKeys {
		if err == nil || !strings.Contains(err.Error(), key+`: systemd passed no credential "`) {
			t.Errorf("Load: %v, want a word about %s", err, key)
		}
	}
}

// A name leads nowhere but into the folder, and other keys take no credential.
func TestCredentialRefused(t *testing.T) {
	for document, want := range map[string]string{
		`secrets.key_file = "credential:"`:               `not the name of a credential; allowed: a path that begins with "/", or "credential:NAME"`,
		`secrets.key_file = "credential:../shadow"`:      "not the name of a credential",
		`secrets.key_file = "credential:.."`:             "not the name of a credential",
		`secrets.key_file = "Credential:key"`:            "not an absolute path",
		`email.smtp.password_file = "credential:/etc/x"`: "not the name of a credential",
		`store.path = "credential:store"`:                "not an absolute path",
		`audit.file = "credential:audit"`:                "not an absolute path",
	} {
		if _, err := Parse("F", []byte(document)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", document, err, want)
		}
	}
}
