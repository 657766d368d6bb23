package nss

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"mfa/internal/mfa"
)

// holds makes text what the file at path holds, for what we read of it.
func holds(t *testing.T, path *string, text string) {
	t.Helper()
	before := *path
	t.Cleanup(func() { *path = before })
	*path = filepath.Join(t.TempDir(), filepath.Base(before))
	if err := os.WriteFile(*path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// accountsFile makes text what the file of accounts holds.
func accountsFile(t *testing.T, text string) {
	t.Helper()
	holds(t, &passwdFile, text)
}

func TestPlain(t *testing.T) {
	const usual = "root:x:0:0:root:/root:/bin/sh\n# a comment\n\nalice:x:1000:1000::/home/alice:/bin/sh\n"
	alice, first := mfa.Identity{Name: "alice", UID: 1000}, "passwd: files sss\n"
	for name, tc := range map[string]struct {
		config, text string
		id           mfa.Identity
		has          bool
	}{
		"usual":                         {first, usual, alice, true},
		"no newline at the end":         {first, strings.TrimSuffix(usual, "\n"), alice, true},
		"no configuration":              {"", usual, alice, true},
		"returns on none":               {"passwd: files [NOTFOUND=return] sss\n", usual, alice, true},
		"another source first":          {"passwd: sss files\n", usual, alice, false},
		"goes on after an answer":       {"passwd: files [SUCCESS=continue] sss\n", usual, alice, false},
		"goes on, glued":                {"passwd: files[Success=continue]sss\n", usual, alice, false},
		"goes on after all but none":    {"passwd: files [!NOTFOUND=continue] sss\n", usual, alice, false},
		"goes on after all but one":     {"passwd: files [ !UNAVAIL=merge ] sss\n", usual, alice, false},
		"the last line counts":          {"passwd: files\ngroup: files\npasswd: sss files\n", usual, alice, false},
		"compat":                        {"passwd: compat\n", usual, alice, false},
		"nobody asked":                  {"passwd:\n", usual, alice, false},
		"another uid":                   {first, usual, mfa.Identity{Name: "alice", UID: 1001}, false},
		"another name":                  {first, usual, mfa.Identity{Name: "bob", UID: 1000}, false},
		"an alias":                      {first, usual + "al:x:1000:1000::/:/bin/sh\n", mfa.Identity{Name: "al", UID: 1000}, false},
		"whoever has an alias":          {first, usual + "al:x:1000:1000::/:/bin/sh\n", alice, true},
		"a name twice, the first":       {first, usual + "alice:x:2000:1000::/:/bin/sh\n", alice, true},
		"a name twice, the second":      {first, usual + "alice:x:2000:1000::/:/bin/sh\n", mfa.Identity{Name: "alice", UID: 2000}, false},
		"a name of two uids, turned":    {first, "alice:x:1:1::/:/\nbob:x:1000:1::/:/\nalice:x:1000:1::/:/\n", alice, false},
		"too few fields":                {first, usual + "bob:x:1\n", alice, false},
		"too many fields":               {first, usual + "bob:x:1:1::/:/:x\n", alice, false},
		"no uid":                        {first, usual + "bob:x::1::/:/\n", alice, false},
		"a uid with a sign":             {first, usual + "bob:x:+1:1::/:/\n", alice, false},
		"a uid with a blank":            {first, usual + "bob:x: 1:1::/:/\n", alice, false},
		"a uid that is too big":         {first, usual + "bob:x:4294967296:1::/:/\n", alice, false},
		"no gid":                        {first, usual + "bob:x:1:x::/:/\n", alice, false},
		"a line of NIS":                 {first, usual + "+::::::\n", alice, false},
		"a name of NIS":                 {first, usual + "-bob:x:1:1::/:/\n", alice, false},
		"a line that begins with a tab": {first, usual + "\tbob:x:1:1::/:/\n", alice, false},
		"a NUL":                         {first, usual + "bob\x00:x:1:1::/:/\n", alice, false},
		"a line that is too long":       {first, usual + "bob:x:1:1:" + strings.Repeat("x", 1<<17) + ":/:/\n", alice, false},
		"no such uid, in an empty file": {first, "", mfa.Identity{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			configured(t, tc.config)
			accountsFile(t, tc.text)
			if has := ReadPlain().Has(tc.id); has != tc.has {
				t.Errorf("has %+v: %v, want %v", tc.id, has, tc.has)
			}
		})
	}
	t.Run("no file", func(t *testing.T) {
		accountsFile(t, "")
		passwdFile += ".gone"
		if ReadPlain().Has(mfa.Identity{}) {
			t.Error("somebody is known of no file")
		}
	})
}

// NSS says the same as Plain of the accounts of this very machine.
func TestPlainSaysWhatNSSSays(t *testing.T) {
	text, err := os.ReadFile(passwdFile)
	if err != nil {
		t.Fatal(err)
	}
	p, known := ReadPlain(), 0
	for line := range strings.Lines(string(text)) {
		f := strings.Split(line, ":")
		if len(f) < 3 {
			continue
		}
		uid, err := strconv.ParseUint(f[2], 10, 32)
		if err != nil {
			continue
		}
		id := mfa.Identity{Name: f[0], UID: uint32(uid)}
		if !p.Has(id) {
			continue
		}
		known++
		if is, err := LookupUID(t.Context(), id.UID); err != nil || is != id {
			t.Errorf("plain has %+v, NSS says %+v, %v", id, is, err)
		}
	}
	if all, err := sources(passwd); err == nil && len(all) > 0 && all[0].name == "files" && known == 0 {
		t.Error("nobody is known")
	}
	if _, err := LookupUID(t.Context(), 4000000000); !errors.Is(err, ErrNoAccount) || p.Has(mfa.Identity{UID: 4000000000}) {
		t.Errorf("uid of nobody: %v", err)
	}
}
