package local

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestFileName(t *testing.T) {
	for user, want := range map[string]string{
		"alice":             "alice.toml",
		"Alice":             "%41lice.toml",
		"alice.toml":        "alice.toml.toml",
		".alice":            "%2ealice.toml",
		"-rf":               "%2drf.toml",
		"..":                "%2e..toml",
		"../root":           "%2e.%2froot.toml",
		"50%":               "50%25.toml",
		"a b":               "a%20b.toml",
		"a\nb":              "a%0ab.toml",
		"alice@example.com": "alice@example.com.toml",
		`CORP\alice`:        "%43%4f%52%50%5calice.toml",
		"é":                 "%c3%a9.toml",
	} {
		got, err := escapedName(user)
		if err != nil || got != want {
			t.Errorf("fileName(%q) = %q, %v; want %q", user, got, err, want)
		}
	}
}

func TestFileNameTooLong(t *testing.T) {
	if _, err := escapedName(strings.Repeat("a", 250)); err != nil {
		t.Error(err)
	}
	for _, user := range []string{"", strings.Repeat("a", 251), strings.Repeat("é", 42)} {
		if got, err := escapedName(user); err == nil {
			t.Errorf("fileName(%q) = %q", user, got)
		}
	}
}

func TestUserNameOfStrayFiles(t *testing.T) {
	for _, file := range []string{
		"", ".toml", "alice", "alice.toml~", ".alice.toml.swp", "#alice.toml#", ".#alice.toml", "4913",
		"alice.toml.tmp", ".new-123", "Alice.toml", "%41", "%4.toml", "%.toml", "%4A.toml", "%61.toml",
		"a b.toml", ".alice.toml", "-a.toml", "alice.TOML",
	} {
		if user, ok := userName(file); ok {
			t.Errorf("userName(%q) = %q", file, user)
		}
	}
}

func FuzzFileName(f *testing.F) {
	for _, s := range []string{"alice", "../x", "A\x00%2f", ".", "é", "%41lice.toml", "x~"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, user string) {
		file, err := escapedName(user)
		if err == nil {
			if filepath.Base(file) != file || !filepath.IsLocal(file) || strings.HasPrefix(file, ".") || len(file) > 255 {
				t.Errorf("fileName(%q) = %q", user, file)
			}
			if file != strings.ToLower(file) {
				t.Errorf("fileName(%q) = %q depends on case", user, file)
			}
			if back, ok := userName(file); !ok || back != user {
				t.Errorf("userName(%q) = %q, %v; want %q", file, back, ok, user)
			}
		}
		// The other way: a file that is somebody's is the one fileName names.
		if name, ok := userName(user); ok {
			if again, err := escapedName(name); err != nil || again != user {
				t.Errorf("fileName(%q) = %q, %v; want %q", name, again, err, user)
			}
		}
	})
}
