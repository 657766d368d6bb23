package config

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"mfa/internal/host/file"
	"mfa/internal/host/rights"
)

// Access says what the daemon may not open of the configuration at path and of the files that it
// names, though it was loaded. Root looks with the rights of the daemon: those of the owner of
// store.path. What else is wrong with them Load told; of the store see store/local.CheckState.
func (c Config) Access(path string) error {
	return rights.As(rights.OwnerOf(c.Store.Path), func() error {
		_, err := Load(path)
		if !errors.Is(err, fs.ErrPermission) {
			err = nil
		}
		return errors.Join(err, mayWrite("audit.file", c.Audit.File, c.Store.Path))
	})
}

// mayWrite returns an error if this thread may not write the file that a key names, or make it. A
// file of the daemon belongs to the owner of its store.
func mayWrite(key, path, store string) error {
	if path == "" {
		return nil
	}
	info, err := os.Lstat(path)
	if err == nil && info.IsDir() {
		return fmt.Errorf("%s: %s is a folder, and is to be a file", key, path)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		err = rights.May(path, unix.W_OK)
	} else {
		name := filepath.Base(path)
		path = filepath.Dir(path)
		err = rights.May(path, unix.W_OK|unix.X_OK)
		if err != nil && holdsOthers(path, name) {
			return fmt.Errorf("%s: %w; mfad needs a folder of its own, as /var/log/mfa", key, err)
		}
	}
	if err != nil {
		return fmt.Errorf("%s: %w; run chown --reference=%s %s", key, err, store, path)
	}
	return nil
}

// holdsOthers reports whether a folder has, or may have, more in it than the file of a name and those
// that logrotate(8) made of it: then it is not to be given to the daemon.
func holdsOthers(dir, name string) bool {
	entries, err := os.ReadDir(dir)
	return err != nil || slices.ContainsFunc(entries, func(e os.DirEntry) bool { return !strings.HasPrefix(e.Name(), name) })
}

// An Exposed secret is one that every user of this machine can read.
type Exposed struct {
	Key  string // of the configuration, as "email.smtp.password_file"
	Path string // the file it is in
}

// What says what is wrong with it, behind the name of the key.
func (e Exposed) What() string { return "every user of this machine can read " + e.Path }

// Mend returns the command that ends it.
func (e Exposed) Mend() string { return "chmod o-rwx " + e.Path }

// Exposed returns the secrets that every user of this machine can read, sorted by key. What only
// the service sees (Credentials) is not looked at.
func (c Config) Exposed() []Exposed {
	files, err := c.deciding()
	if err != nil {
		return nil // Load says so
	}
	var all []Exposed
	for _, f := range files {
		if isSecret(f.key) && file.OpenToAll(f.path) {
			all = append(all, Exposed{f.key, f.path})
		}
	}
	slices.SortFunc(all, func(a, b Exposed) int { return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.Path, b.Path)) })
	return slices.Compact(all)
}

// isSecret says whether a file that a key names holds a secret. Certificates are none, and the key
// of the store is seal's to check.
func isSecret(key string) bool {
	switch {
	case key == "secrets.key_file", strings.HasSuffix(key, "ca_file"), strings.HasSuffix(key, "cert_file"):
		return false
	}
	return strings.HasSuffix(key, "_file") || strings.HasPrefix(key, "sms.http.")
}
