package text

import "testing"

func TestShowsUTF8(t *testing.T) {
	for _, tc := range []struct {
		tty, service string
		want         bool
	}{
		{"", "sshd", true},
		{"ssh", "sshd", true},
		{"/dev/pts/3", "sudo", true},
		{"pts/3", "su", true},
		{":0", "xscreensaver", true},
		{"/dev/tty1", "gdm-password", true},
		{"tty1", "login", false},
		{"/dev/tty1", "sudo", false},
		{"ttyS0", "login", false},
		{"/dev/ttyAMA0", "login", false},
		{"/dev/console", "login", false},
		{"hvc0", "login", false},
	} {
		if got := ShowsUTF8(tc.tty, tc.service); got != tc.want {
			t.Errorf("%q at %q: %v", tc.service, tc.tty, got)
		}
	}
}
