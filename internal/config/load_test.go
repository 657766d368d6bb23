package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func write(t *testing.T, text string, mode fs.FileMode) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "mfa.toml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(name, mode); err != nil { // the umask has no say here
		t.Fatal(err)
	}
	return name
}

func TestLoad(t *testing.T) {
	c, err := Load(write(t, "[code]\ndigits = 8", 0o644))
	if err != nil || c.Code.Digits != 8 {
		t.Errorf("Load gave %d digits and error %v, want 8", c.Code.Digits, err)
	}
}

func TestLoadFollowsLink(t *testing.T) {
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(write(t, "", 0o644), link); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(link); err != nil {
		t.Error(err)
	}
}

func TestLoadNamesTheFile(t *testing.T) {
	name := write(t, "\ncode.digits = 5", 0o644)
	_, err := Load(name)
	want := name + ":2: code.digits: 5 is out of range; allowed: 6 to 10"
	if err == nil || err.Error() != want {
		t.Errorf("Load says %v, want %s", err, want)
	}
}

func TestLoadMissing(t *testing.T) {
	name := filepath.Join(t.TempDir(), "mfa.toml")
	_, err := Load(name)
	want := "read config: open " + name + ": no such file or directory; copy mfa.toml.example there and adapt it"
	if !errors.Is(err, fs.ErrNotExist) || err.Error() != want {
		t.Errorf("Load says %v, want %s", err, want)
	}
}

func TestLoadRefusesWhatOthersWrite(t *testing.T) {
	for _, mode := range []fs.FileMode{0o664, 0o646, 0o622} {
		name := write(t, "", mode)
		_, err := Load(name)
		if err == nil || !strings.Contains(err.Error(), "group or others may write it") || !strings.Contains(err.Error(), name) {
			t.Errorf("mode %o: Load says %v", mode, err)
		}
	}
}

func TestLoadRefusesFolder(t *testing.T) {
	if _, err := Load(t.TempDir()); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("Load says %v", err)
	}
}

// TestLoadRefusesFIFO also fails by hanging.
func TestLoadRefusesFIFO(t *testing.T) {
	name := filepath.Join(t.TempDir(), "mfa.toml")
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(name); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("Load says %v", err)
	}
}

func TestLoadRefusesHugeFile(t *testing.T) {
	name := write(t, "", 0o644)
	if err := os.Truncate(name, maxSize+1); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(name); err == nil || !strings.Contains(err.Error(), "larger than 1048576 bytes") {
		t.Errorf("Load says %v", err)
	}
}

func TestCheckTrust(t *testing.T) {
	for _, tc := range []struct {
		name        string
		mode        fs.FileMode
		owner, self uint32
		want        string
	}{
		{"of root, for root", 0o644, 0, 0, ""},
		{"of root, for a user", 0o600, 0, 1000, ""},
		{"of the user who runs it", 0o600, 1000, 1000, ""},
		{"of another user, for root", 0o600, 1000, 0, `read config "F": it belongs to uid 1000, who could change it; mend it with: chown root "F"`},
		{"of another user, for a user", 0o600, 1001, 1000, `read config "F": it belongs to uid 1001, who could change it; mend it with: chown root "F"`},
		{"group may write", 0o664, 0, 0, `read config "F": group or others may write it (mode 0664); mend it with: chmod go-w "F"`},
		{"others may write", 0o602, 0, 0, `read config "F": group or others may write it (mode 0602); mend it with: chmod go-w "F"`},
		{"device", fs.ModeDevice | 0o600, 0, 0, `read config "F": it is not a regular file; put a file there, or a link to one`},
		{"socket", fs.ModeSocket | 0o600, 0, 0, `read config "F": it is not a regular file; put a file there, or a link to one`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := ""
			if err := checkTrust("F", tc.mode, tc.owner, tc.self); err != nil {
				got = err.Error()
			}
			if got != tc.want {
				t.Errorf("says %q, want %q", got, tc.want)
			}
		})
	}
}

func TestTables(t *testing.T) {
	got := Tables([]string{"audit.file", "server.admin_group", "server.max_logins", "store.path"})
	if want := []string{"audit.file", "server", "store"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
