package packages

import (
	"debug/elf"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// otherDebian returns the Debian that this machine is not, and a folder with it.
func otherDebian(t *testing.T) (release, folder string) {
	t.Helper()
	asRoot(t)
	release = "bookworm"
	if strings.Contains(read(t, "/etc/os-release"), "VERSION_CODENAME=bookworm") {
		release = "trixie"
	}
	folder = "/var/cache/mfa-e2e/debian-" + release
	said, err := attempt(t, 15*time.Minute, root+"/e2e/debian.sh", release, folder)
	if err != nil {
		t.Log(said)
	}
	need(t, "a Debian "+release+" (e2e/debian.sh)", err == nil)
	return release, folder
}

// sources copies what git knows of this tree into a folder of its own.
func sources(t *testing.T) string {
	t.Helper()
	there := filepath.Join(t.TempDir(), "elsewhere")
	say(t, time.Minute, "sh", "-c", `mkdir "$1" && cd "$2" && git ls-files -z | tar -c --null -T - | tar -x -C "$1"`, "sh", there, root)
	return there
}

// nfpm returns the program that packs.
func nfpm(t *testing.T) string {
	t.Helper()
	found, err := filepath.Glob(root + "/build/tools/nfpm-*")
	if err != nil || len(found) != 1 {
		t.Fatalf("nfpm: %v, %v", found, err)
	}
	return absolute(t, found[0])
}

// TestBuiltOnTheOtherDebian builds the packages with the compilers, linkers and
// libraries of the Debian that this machine is not, those of the foreign architecture
// too. What comes out must run on both.
func TestBuiltOnTheOtherDebian(t *testing.T) {
	release, there := otherDebian(t)
	deb, tree := dist(t, "amd64.deb"), sources(t)
	// Libraries fetched for the foreign architecture are kept between runs.
	kept := filepath.Join(cache, "build-"+release)
	if err := os.MkdirAll(kept, 0o755); err != nil {
		t.Fatal(err)
	}
	// The Go that builds packages, as this machine has checked and unpacked it.
	t.Setenv("GOTOOLCHAIN", read(t, root+"/packaging/toolchain"))
	said, err := attempt(t, 15*time.Minute, "./within.sh", there, tree, kept, filepath.Dir(nfpm(t)), "--", "env",
		"NFPM="+nfpm(t), "VERSION="+version(t, deb), "SOURCE_DATE_EPOCH="+epoch(t, deb), "SYSROOTS="+kept,
		tree+"/packaging/build.sh", tree+"/dist")
	if err != nil {
		t.Fatalf("on Debian %s: %v\n%s", release, err, said)
	}
	for _, a := range architectures {
		folder := t.TempDir()
		built, err := filepath.Glob(tree + "/dist/*" + a.deb + ".deb")
		if err != nil || len(built) != 1 {
			t.Fatalf("built %v, %v", built, err)
		}
		say(t, time.Minute, "dpkg-deb", "-x", built[0], folder)
		expectSymbols(t, folder, 2, 34)
		expectLibraries(t, folder+"/usr/lib/"+a.triplet+"/security/pam_mfa.so", "libc.so.6", "libpam.so.0")
	}
}

// expectLibraries wants a program to load these libraries and no others, but for the
// loader that loads them: on ARM it also holds what the stack protector compares with.
func expectLibraries(t *testing.T, path string, want ...string) {
	t.Helper()
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	got, err := f.ImportedLibraries()
	if err != nil {
		t.Fatal(err)
	}
	got = slices.DeleteFunc(got, func(name string) bool { return strings.HasPrefix(name, "ld-linux") })
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("%s loads %v, want %v", path, got, want)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}
