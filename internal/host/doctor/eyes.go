package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"mfa/internal/config"
	"mfa/internal/deliver"
	"mfa/internal/deliver/carrier"
	"mfa/internal/host/rights"
)

// eyes look at files as the daemon does: with its rights, and where it runs with what its unit
// lets it see (ProtectHome=, ProtectSystem=, PrivateTmp=). Root sees and may what it does not.
type eyes struct {
	uid  int
	root string // of the daemon's mounts; empty: those of this process
}

// eyes returns those of mfad.
func (e *exam) eyes() eyes {
	d := eyes{uid: rights.OwnerOf(e.cfg.Store.Path)}
	if e.status == nil || os.Geteuid() != 0 {
		return d
	}
	root := fmt.Sprintf("/proc/%d/root", e.status.PID)
	err := rights.As(d.uid, func() error { _, err := os.Stat(root + "/"); return err })
	if err == nil {
		d.root = root
	}
	return d
}

// see returns where a path of mfa.toml is.
func (d eyes) see(path string) string {
	if path == "" {
		return ""
	}
	return filepath.Join(d.root, path)
}

// look calls fn, which takes its paths from see, and returns what it says, with the paths of
// mfa.toml.
func (d eyes) look(fn func() error) error {
	err := rights.As(d.uid, fn)
	if err == nil || d.root == "" {
		return err
	}
	return seenError{strings.ReplaceAll(err.Error(), d.root+"/", "/"), err}
}

// A seenError is an error with another text.
type seenError struct {
	text string
	err  error
}

func (s seenError) Error() string { return s.text }
func (s seenError) Unwrap() error { return s.err }

// barred says whether rights or mounts keep the daemon from a file.
func barred(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS)
}

// mendOutbox says how mfad can write its outbox.
func mendOutbox(cfg config.Config) string {
	path, store := cfg.Email.Outbox.Path, cfg.Store.Path
	return fmt.Sprintf("path = %q under [email.outbox]; or mkdir -p %s; chown -R --reference=%s %s, "+
		"and ReadWritePaths=%s under [Service] in systemctl edit mfad, then systemctl restart mfad",
		filepath.Join(store, "outbox"), path, store, path, path)
}

// mendProgram says how mfad can run the program at path.
func mendProgram(path string) string {
	return fmt.Sprintf("chmod a+rx %s, and a+x on the folders above it (namei -l %s); of /root and /home mfad sees nothing: "+
		"a program from there belongs into /usr/local/bin", path, path)
}

// secretsProblem returns what keeps this thread from reading the secrets of [sms], as a daemon
// does at its start. Which of them are needed Load has said.
func secretsProblem(cfg deliver.SMSConfig) error {
	if cfg.Provider == "" {
		return nil
	}
	files := [][2]string{{"sms.proxy_password_file", cfg.ProxyPasswordFile}}
	if cfg.Provider == deliver.ProviderTwilio {
		files = append(files, [2]string{"sms.twilio.auth_token_file", cfg.Twilio.AuthTokenFile}, [2]string{"sms.twilio.api_secret_file", cfg.Twilio.APISecretFile})
	}
	var all []error
	for _, f := range files {
		if !filepath.IsAbs(f[1]) {
			continue // none, or systemd's to keep
		}
		if _, err := os.ReadFile(f[1]); err != nil {
			all = append(all, fmt.Errorf("%s: read %w", f[0], carrier.PathFirst(err)))
		}
	}
	return errors.Join(all...)
}
