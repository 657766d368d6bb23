package config

import (
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
	err := rights.May(path, unix.W_OK)
	if _, gone := os.Lstat(path); errors.Is(gone, fs.ErrNotExist) {
		path = filepath.Dir(path)
		err = rights.May(path, unix.W_OK|unix.X_OK)
	}
	if err != nil {
		return fmt.Errorf("%s: %w; run chown --reference=%s %s", key, err, store, path)
	}
	return nil
}

// Exposed says of each secret that every user of this machine can read which file it is in, and how
// to mend that. What only the service sees (Credentials) is not looked at.
func (c Config) Exposed() []string {
	files, err := c.deciding()
	if err != nil {
		return nil // Load says so
	}
	var all []string
	for _, f := range files {
		if isSecret(f.key) && file.OpenToAll(f.path) {
			all = append(all, fmt.Sprintf("%s: every user of this machine can read %s: run chmod o-rwx %[2]s", f.key, f.path))
		}
	}
	slices.Sort(all)
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
