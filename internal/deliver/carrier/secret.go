package carrier

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"

	"mfa/internal/host/file"
)

// ReadSecret returns the one line in the file at path without its line end. The error
// begins with key, and never holds the line. It logs a warning if every user can read the
// file.
func ReadSecret(key, path string, log *slog.Logger) (string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("%s: read %w", key, PathFirst(err))
	}
	secret := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	if secret == "" || strings.ContainsAny(secret, "\r\n\x00") {
		return "", fmt.Errorf("%s: %q does not hold one line", key, path)
	}
	if file.OpenToAll(path) {
		log.Warn(key+" can be read by every user; chmod it to 0600", "file", path)
	}
	return secret, nil
}

// PathFirst turns an error "open PATH: why" into one "PATH": why.
func PathFirst(err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return fmt.Errorf("%q: %w", pe.Path, pe.Err)
	}
	return err
}
