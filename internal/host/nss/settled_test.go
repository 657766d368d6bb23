package nss

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"mfa/internal/host/file"
	"mfa/internal/mfa"
)

// ahead returns a plainCache by a clock that is so far ahead of the kernel's.
func ahead(by time.Duration) *plainCache {
	return &plainCache{now: func() file.Moment {
		now := file.Now()
		return file.Moment{Wall: now.Wall + by, Steady: now.Steady + by}
	}}
}

// The files are read once, and what becomes of them counts at once.
func TestSettledAccounts(t *testing.T) {
	const usual = "root:x:0:0:root:/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\n"
	alice := mfa.Identity{Name: "alice", UID: 1000}
	write := func(path, text string) error { return os.WriteFile(path, []byte(text), 0o600) }
	for name, test := range map[string]struct {
		change func() error
		known  bool
		id     mfa.Identity
	}{
		"nothing":     {func() error { return nil }, true, alice},
		"another uid": {func() error { return write(passwdFile, strings.ReplaceAll(usual, "1000:1000", "2000:1000")) }, true, mfa.Identity{Name: "alice", UID: 2000}},
		"gone":        {func() error { return write(passwdFile, "root:x:0:0:root:/root:/bin/sh\n") }, false, mfa.Identity{}},
		"no file":     {func() error { return os.Remove(passwdFile) }, false, mfa.Identity{}},
		"replaced": {func() error {
			return errors.Join(write(passwdFile+"+", "alice:x:5:5::/:/\n"), os.Rename(passwdFile+"+", passwdFile))
		}, true, mfa.Identity{Name: "alice", UID: 5}},
		"a directory now": {func() error { return write(configFile, "passwd: sss files\n") }, false, mfa.Identity{}},
		"a link": {func() error {
			return errors.Join(os.Rename(passwdFile, passwdFile+"~"), os.Symlink(passwdFile+"~", passwdFile))
		}, false, mfa.Identity{}},
		"too big": {func() error { return write(passwdFile, usual+strings.Repeat("#\n", maxPlain/2)) }, false, mfa.Identity{}},
		"NIS":     {func() error { return write(passwdFile, usual+"+::::::\n") }, false, mfa.Identity{}},
	} {
		t.Run(name, func(t *testing.T) {
			configured(t, "passwd: files sss\n")
			holds(t, &passwdFile, usual)
			c := ahead(time.Hour)
			for range 2 {
				if id, known := c.account("alice"); !known || id != alice {
					t.Fatalf("account = %+v, %v", id, known)
				}
			}
			first := c.last.Load()
			if _, known := c.account("bob"); known || c.last.Load() != first {
				t.Errorf("bob is known: %v; read anew: %v", known, c.last.Load() != first)
			}
			if err := test.change(); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if id, known := c.account("alice"); known != test.known || id != test.id {
					t.Errorf("account = %+v, %v; want %+v, %v", id, known, test.id, test.known)
				}
			}
		})
	}
}

// Of a file that was just written, nothing is kept: it may change again and show the
// same time. Nor without a configuration, which may come to be.
func TestUnsettledAccountsAreNotKept(t *testing.T) {
	configured(t, "passwd: files\n")
	holds(t, &passwdFile, "alice:x:1000:1000::/home/alice:/bin/sh\n")
	c := ahead(0)
	if _, known := c.account("alice"); known || c.last.Load() != nil {
		t.Error("a file counts that was just written")
	}
	c = ahead(time.Hour)
	configFile += ".gone"
	if _, known := c.account("alice"); known {
		t.Error("an account counts without a configuration")
	}
}

// One goroutine reads anew; the others ask libc meanwhile.
func TestOneReadsAnew(t *testing.T) {
	configured(t, "passwd: files\n")
	holds(t, &passwdFile, "alice:x:1000:1000::/home/alice:/bin/sh\n")
	c := ahead(time.Hour)
	c.mu.Lock()
	_, known := c.account("alice")
	c.mu.Unlock()
	if known {
		t.Error("two read at once")
	}
	if _, known := c.account("alice"); !known {
		t.Error("nobody reads")
	}
}
