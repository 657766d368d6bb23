package packages

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// helpers are Debian's packages that pages use beside our own.
var helpers = []string{
	"libpam-google-authenticator", "oathtool", "ldap-utils", "slapd", "openvpn", "dovecot-imapd", "openssl", "curl", "iproute2", "libpam-oath", "jq",
}

var playOn = flag.String("pages-on", "bookworm trixie", "the releases of Debian that the pages are played on")

var playPages = flag.Bool("pages", false, "play the pages of docs (make pages-test)")

// TestPages does all that the pages say that are marked with <!-- played -->: each page on
// a system of its own, from its first line to its last.
func TestPages(t *testing.T) {
	if !*playPages {
		t.Skip("make pages-test plays them")
	}
	asRoot(t)
	found, err := filepath.Glob(root + "/docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	deb := dist(t, "amd64.deb")
	player := build(t, "./player", "CGO_ENABLED=0")
	played := 0
	for _, path := range found {
		page, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(page), "<!-- played") {
			continue
		}
		played++
		for _, release := range strings.Fields(*playOn) {
			t.Run(strings.TrimSuffix(filepath.Base(path), ".md")+" on "+release, func(t *testing.T) {
				t.Parallel()
				here := over(t, fetched(t, "pages-"+release, release, helpers))
				install(t, here+"/mfa-test/guest", player, 0o755)
				install(t, here+"/mfa-test/mfa.deb", deb, 0o644)
				write(t, here+"/mfa-test/page.md", string(page))
				write(t, here+"/etc/systemd/system/package-test.service", unit)
				say(t, time.Minute, "systemctl", "--root="+here, "enable", "package-test.service")
				live(t, here)
			})
		}
	}
	if played == 0 {
		t.Error("no page is marked with <!-- played -->")
	}
}

// over returns a folder that shows a system, and keeps apart what is changed there.
func over(t *testing.T, system string) string {
	t.Helper()
	work := t.TempDir()
	for _, folder := range []string{"shown", "changed", "work"} {
		if err := os.Mkdir(filepath.Join(work, folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	shown := filepath.Join(work, "shown")
	options := "lowerdir=" + system + ",upperdir=" + work + "/changed,workdir=" + work + "/work"
	if err := unix.Mount("overlay", shown, "overlay", 0, options); err != nil {
		t.Fatalf("mount %q over %q: %v", shown, system, err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(shown, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return shown
}
