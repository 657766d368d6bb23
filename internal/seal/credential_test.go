package seal

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A credential of systemd's shows mode 0440 where the file has an ACL
// for the daemon's user. It is accepted as root's own, and no one else's.
func TestLoadCredential(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root makes files of root")
	}
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte(strings.Repeat("ab", keySize)+"\n"), 0o400); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		mode     os.FileMode
		uid, gid int
		good     bool
	}{
		{0o400, 0, 0, true},
		{0o440, 0, 0, true},
		{0o440, 0, 1, false},
		{0o440, 1, 0, false},
		{0o444, 0, 0, false},
		{0o460, 0, 0, false},
	} {
		if err := os.Chown(path, c.uid, c.gid); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, c.mode); err != nil {
			t.Fatal(err)
		}
		if _, err := load(path); (err == nil) != c.good {
			t.Errorf("mode %04o of %d:%d: %v", c.mode, c.uid, c.gid, err)
		}
	}
}
