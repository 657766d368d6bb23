package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// trustees are the uids that may own files which decide: root, the user of this process,
// and the daemon's, if root checks its configuration.
type trustees []uint32

// trusteesOf returns the trustees for the daemon whose store is at path.
func trusteesOf(path string) trustees {
	t := trustees{0, uint32(os.Geteuid())}
	if info, err := os.Stat(path); err == nil && os.Geteuid() == 0 {
		t = append(t, info.Sys().(*syscall.Stat_t).Uid)
	}
	return t
}

// checkDeciding checks every other file that decides as mfa.toml is checked: programs that
// codes are handed to, passwords, keys, certificates; and the folders above those that
// the daemon writes. A missing file is no error here.
func (c *Config) checkDeciding() error {
	var errs []error
	t := trusteesOf(c.Store.Path)
	files, err := c.deciding()
	if err != nil {
		return err
	}
	for _, f := range files {
		check := t.check
		if f.key == "secrets.key_file" { // the file itself is seal's to check
			check = t.checkFolders
		}
		err := check(f.path)
		if owner, ok := errors.AsType[foreignOwner](err); ok && !exists(c.Store.Path) {
			err = fmt.Errorf("%q belongs to uid %d, and store.path is not there to tell whether mfad runs as that user; if it does, make it: install -d -m 0700 -o %d %s",
				owner.path, owner.uid, owner.uid, c.Store.Path)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, fmt.Errorf("%s: %w", f.key, err))
		}
	}
	folders := map[string]string{"store.path": c.Store.Path}
	if c.Email.Transport == "outbox" {
		folders["email.outbox.path"] = c.Email.Outbox.Path
	}
	for key, folder := range folders {
		if err := t.checkAbove(folder); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", key, err))
		}
	}
	return errors.Join(errs...)
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// A decidingFile is a path in mfa.toml, and the key it stands under.
type decidingFile struct{ key, path string }

// deciding returns the files that the configuration uses and decides by.
func (c *Config) deciding() ([]decidingFile, error) {
	var all []decidingFile
	for _, s := range settings(c) {
		value, ok := s.at.(*string)
		if ok && filepath.IsAbs(*value) && c.decides(s.name) {
			all = append(all, decidingFile{s.name, *value})
		}
	}
	all = append(all, filesIn("email.templates", c.Email.Templates)...)
	if c.Contacts.Source == "command" {
		all = append(all, filesAmong("contacts.command.args", c.Contacts.Command.Args)...)
	}
	switch c.SMS.Provider {
	case "command":
		all = append(all, filesAmong("sms.command.args", c.SMS.Command.Args)...)
	case "http":
		templates := map[string]string{"sms.http.url": c.SMS.HTTP.URL, "sms.http.body": c.SMS.HTTP.Body}
		for name, value := range c.SMS.HTTP.Headers {
			templates["sms.http.headers."+name] = value
		}
		for key, text := range templates {
			paths, err := filesOf(text)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", key, err)
			}
			for _, path := range paths {
				all = append(all, decidingFile{key, path})
			}
		}
	}
	return all, nil
}

// filesIn returns the files in the folder that a key names. One that cannot be read is refused
// where its files are read.
func filesIn(key, folder string) (all []decidingFile) {
	if folder == "" {
		return nil
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil
	}
	for _, e := range entries {
		all = append(all, decidingFile{key, filepath.Join(folder, e.Name())})
	}
	return all
}

// filesAmong returns the files among the arguments that a key gives a program.
func filesAmong(key string, args []string) (all []decidingFile) {
	for _, arg := range args {
		if _, value, ok := strings.Cut(arg, "="); ok {
			arg = value // --config=/etc/x
		}
		if filepath.IsAbs(arg) {
			all = append(all, decidingFile{key, arg})
		}
	}
	return all
}

// decides says whether the file that a key names is used, and what it says counts.
func (c *Config) decides(key string) bool {
	switch {
	case key == "sms.command.path":
		return c.SMS.Provider == "command"
	case key == "contacts.command.path":
		return c.Contacts.Source == "command"
	case key == "email.sendmail.path":
		return c.Email.Transport == "sendmail"
	}
	return strings.HasSuffix(key, "_file")
}

// maxLinks is how many symbolic links the kernel follows (path_resolution(7)).
const maxLinks = 40

// check returns an error if anybody else could change or replace the file at path. It looks
// at the file, the folders above it, and those of every link on the way.
func (t trustees) check(path string) error {
	for range maxLinks {
		if err := t.checkFolders(path); err != nil {
			return err
		}
		dir, err := filepath.EvalSymlinks(filepath.Dir(path))
		if err != nil {
			return err
		}
		path = filepath.Join(dir, filepath.Base(path))
		if err := t.checkFolders(path); err != nil {
			return err
		}
		next, err := os.Readlink(path)
		switch {
		case errors.Is(err, syscall.EINVAL): // no link
			return t.checkOne(path, false)
		case err != nil:
			return err
		case !filepath.IsAbs(next):
			next = filepath.Join(dir, next)
		}
		path = next
	}
	return fmt.Errorf("%q: %w", path, syscall.ELOOP)
}

// checkFolders looks at the folders above path. In one with the sticky bit nobody else can
// replace what a trustee owns (unlink(2)), so it may be writable by others; but not the
// one that holds the file.
func (t trustees) checkFolders(path string) error {
	for dir, first := filepath.Dir(path), true; ; dir, first = filepath.Dir(dir), false {
		if err := t.checkOne(dir, !first); err != nil || dir == filepath.Dir(dir) {
			return err
		}
	}
}

// checkAbove looks at the folders above the folder at path, which the daemon makes
// itself: nobody else may be able to put another one there. Missing ones are no error.
func (t trustees) checkAbove(path string) error {
	if !filepath.IsAbs(path) {
		return nil // refused elsewhere
	}
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		err := t.checkOne(dir, true)
		if err != nil && !errors.Is(err, fs.ErrNotExist) || dir == filepath.Dir(dir) {
			return err
		}
	}
}

// A foreignOwner is the error that the owner of a path could change it.
type foreignOwner struct {
	path string
	uid  uint32
}

func (e foreignOwner) Error() string {
	return fmt.Sprintf("%q belongs to uid %d, who could change it; mend it with: chown root %q", e.path, e.uid, e.path)
}

func (t trustees) checkOne(path string, mayBeSticky bool) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	owner, mode := info.Sys().(*syscall.Stat_t).Uid, info.Mode()
	trusted := false
	for _, uid := range t {
		trusted = trusted || owner == uid
	}
	switch {
	case !trusted:
		return foreignOwner{path, owner}
	case mode.Perm()&0o022 != 0 && !(mayBeSticky && mode&fs.ModeSticky != 0):
		return fmt.Errorf("group or others may write %q (mode %04o); mend it with: chmod go-w %q", path, mode.Perm(), path)
	}
	return nil
}
