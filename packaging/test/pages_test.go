package packages

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// helpers are Debian's packages that pages use beside our own.
var helpers = []string{
	"libpam-google-authenticator", "oathtool", "ldap-utils", "slapd", "openvpn", "dovecot-imapd", "openssl", "curl", "iproute2", "libpam-oath", "jq",
	"gcc", "libc6-dev", "make", "libpam0g-dev",
}

var playOn = flag.String("pages-on", "bookworm trixie", "the releases of Debian that the pages are played on")

var transcripts = flag.String("transcripts", "", "play the README alone, on a Debian that was just made, and leave transcripts in this folder (make transcripts)")

var built = flag.Duration("built", 0, "how long make packages took, for -transcripts")

var playPages = flag.Bool("pages", false, "play the pages of docs (make pages-test)")

// marked is a line that has a page played.
var marked = regexp.MustCompile(`(?m)^<!-- played( from nothing)? -->$`)

// TestPages does all that the pages say that are marked with <!-- played -->: each page on
// a system of its own, from its first line to its last. One that is played "from nothing"
// installs the package itself.
func TestPages(t *testing.T) {
	if !*playPages {
		t.Skip("make pages-test plays them")
	}
	asRoot(t)
	found, err := filepath.Glob(root + "/docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	player := build(t, "./player", "CGO_ENABLED=0")
	played := 0
	if *transcripts != "" {
		found = nil
	}
	for _, path := range append(found, root+"/README.md") {
		page := read(t, path)
		if !marked.MatchString(page) {
			continue
		}
		played++
		for _, release := range strings.Fields(*playOn) {
			t.Run(strings.TrimSuffix(filepath.Base(path), ".md")+" on "+release, func(t *testing.T) {
				t.Parallel()
				play(t, page, release, player)
			})
		}
	}
	if played == 0 {
		t.Error("no page is marked with <!-- played -->")
	}
}

// play plays a page on a Debian.
func play(t *testing.T, page, release, player string) {
	t.Helper()
	name, more := "pages-"+release, helpers
	if *transcripts != "" {
		name, more = release, nil
	}
	here, deb := over(t, fetched(t, name, release, more)), dist(t, "amd64.deb")
	install(t, here+"/mfa-test/guest", player, 0o755)
	at := here + "/mfa-test/mfa.deb"
	if marked.FindStringSubmatch(page)[1] != "" {
		at = here + "/mfa-test/dist/" + filepath.Base(deb)
	}
	install(t, at, deb, 0o644)
	write(t, here+"/mfa-test/page.md", page)
	write(t, here+"/etc/systemd/system/package-test.service", unit)
	say(t, time.Minute, "systemctl", "--root="+here, "enable", "package-test.service")
	if *transcripts != "" {
		write(t, here+"/mfa-test/transcript.md", built.String())
	}
	var options []string
	if strings.Contains(page, "make install") {
		options = withSources(t, here, release)
	}
	live(t, here, options...)
	if *transcripts != "" && !t.Failed() {
		install(t, filepath.Join(*transcripts, versions[release]), here+"/mfa-test/transcript.md", 0o644)
	}
}

// versions are the transcripts of the releases.
var versions = map[string]string{"bookworm": "debian-12.md", "trixie": "debian-13.md"}

// withSources puts the sources into a system, and returns the options of systemd-nspawn that
// show it this machine's Go and modules, and what was built on that release before.
func withSources(t *testing.T, here, release string) []string {
	t.Helper()
	say(t, time.Minute, "cp", "-a", sources(t), here+"/mfa-test/source")
	of := func(name string) string { return strings.TrimSpace(say(t, time.Minute, "go", "env", name)) }
	built := filepath.Join(cache, "go-build-"+release)
	if err := os.MkdirAll(built, 0o755); err != nil {
		t.Fatal(err)
	}
	return []string{
		"--bind-ro=" + of("GOROOT") + ":/usr/local/go",
		"--bind-ro=" + of("GOMODCACHE") + ":/root/go/pkg/mod",
		"--bind=" + built + ":/root/.cache/go-build",
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
