package pamstack

import (
	"errors"
	"io/fs"
	"slices"
	"testing"
	"testing/fstest"
)

// People choose from the services of /etc/pam.d, and not from what others include or
// what editors and package managers leave.
func TestOwn(t *testing.T) {
	files := fstest.MapFS{}
	for _, name := range []string{
		"etc/pam.d/sudo", "etc/pam.d/sshd", "etc/pam.d/other", "etc/pam.d/common-auth", "etc/pam.d/sshd.dpkg-old", "etc/pam.d/su~",
		"etc/pam.d/.swp", "usr/lib/pam.d/polkit-1",
	} {
		files[name] = &fstest.MapFile{}
	}
	if own, err := Own(files); err != nil || !slices.Equal(own, []string{"other", "sshd", "sudo"}) {
		t.Errorf("%v, %v", own, err)
	}
	if own, err := Own(fstest.MapFS{}); len(own) > 0 || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no folder: %v, %v", own, err)
	}
}
