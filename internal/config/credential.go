package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"mfa/internal/deliver"
)

// credential begins a value that names a secret which systemd passes to the
// service (systemd.exec(5), CREDENTIALS), in place of the path of a file.
const credential = "credential:"

// credentials is the environment variable with the folder of the credentials.
const credentials = "CREDENTIALS_DIRECTORY"

// wrongFile is wrongPath for a file that may also be a credential.
func wrongFile(s string) string {
	name, ok := strings.CutPrefix(s, credential)
	switch {
	case !ok:
		return wrongPath(s)
	case name == "" || name == "." || name == ".." || strings.ContainsFunc(name, notInCredential):
		return "not the name of a credential"
	}
	return ""
}

// notInCredential keeps a name within the folder.
func notInCredential(r rune) bool { return !deliver.IsWord(r) && !strings.ContainsRune("-_.", r) }

// secretFile is a file that may be a credential; optionalSecretFile may be absent.
var (
	secretFile         = newRule(`a path that begins with "/", or "credential:NAME"`, wrongFile)
	optionalSecretFile = newRule(`a path that begins with "/", "credential:NAME", or ""`, func(s string) string {
		if s == "" {
			return ""
		}
		return wrongFile(s)
	})
)

// files returns the settings whose value names a credential.
func (c *Config) files() []setting {
	var all []setting
	for _, s := range settings(c) {
		if value, ok := s.at.(*string); ok && strings.HasPrefix(*value, credential) {
			all = append(all, s)
		}
	}
	return all
}

// Credentials returns the keys whose secret could not be looked for, because
// this process is not the service that systemd passes it to.
func (c Config) Credentials() []string {
	var keys []string
	for _, s := range c.files() {
		keys = append(keys, s.name)
	}
	return keys
}

// resolve replaces credentials by the paths of their files in dir. If dir is empty they
// stay.
func (c *Config) resolve(dir string) error {
	if dir == "" {
		return nil
	}
	var errs []error
	for _, s := range c.files() {
		value := s.at.(*string)
		name := strings.TrimPrefix(*value, credential)
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("%s: systemd passed no credential %q; add LoadCredential=%s:FILE to mfad.service (systemctl edit mfad)", s.name, name, name)
			errs = append(errs, err)
		} else if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", s.name, err))
		}
		*value = path
	}
	return errors.Join(errs...)
}
