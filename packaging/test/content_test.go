package packages

import (
	"crypto/sha256"
	"debug/buildinfo"
	"debug/elf"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// architectures are what dist holds: in Debian's words, the rpm's, and the folder
// of the libraries.
var architectures = []struct{ deb, rpm, triplet string }{
	{"amd64", "x86_64", "x86_64-linux-gnu"},
	{"arm64", "aarch64", "aarch64-linux-gnu"},
}

// TestLinters wants Debian's and Fedora's checkers to say nothing that is not
// explained in packaging/lintian and packaging/rpmlint.
func TestLinters(t *testing.T) {
	for _, a := range architectures {
		for _, args := range [][]string{
			{"lintian", "--fail-on", "error,warning", "--allow-root", dist(t, a.deb+".deb")},
			{"rpmlint", "--strict", "-c", root + "/packaging/rpmlint/mfa.toml", dist(t, a.rpm+".rpm")},
		} {
			t.Run(args[0]+"/"+a.deb, func(t *testing.T) {
				t.Parallel()
				_, err := exec.LookPath(args[0])
				need(t, args[0], err == nil)
				said, err := attempt(t, 5*time.Minute, args[0], args[1:]...)
				if err != nil {
					t.Errorf("%v\n%s", err, said)
				}
			})
		}
	}
}

// wanted is what every package holds, but for the module's folder.
var wanted = []string{
	"/usr/sbin/mfad", "/usr/bin/mfactl", "/etc/mfa/mfa.toml",
	"/usr/lib/systemd/system/mfad.service", "/usr/lib/systemd/system/mfad.socket",
	"/usr/lib/sysusers.d/mfa.conf", "/usr/lib/tmpfiles.d/mfa.conf",
	"/usr/share/bash-completion/completions/mfactl", "/usr/share/fish/vendor_completions.d/mfactl.fish",
	"/usr/share/doc/mfa/mfa.toml.example", "/usr/share/doc/mfa/authselect.md", "/usr/share/doc/mfa/apparmor.md",
	"/usr/share/man/man1/mfactl.1.gz", "/usr/share/man/man5/mfa.toml.5.gz", "/usr/share/man/man7/mfa-programs.7.gz", "/usr/share/man/man8/mfad.8.gz", "/usr/share/man/man8/pam_mfa.8.gz",
	"/etc/logrotate.d/mfa", "/etc/fail2ban/filter.d/mfa.conf", "/usr/share/doc/mfa/metrics/alerts.yml", "/usr/share/doc/mfa/audit-schema.json",
	"/usr/share/doc/mfa/third-party.gz", "/usr/share/doc/mfa/local-only.conf", "/usr/share/doc/mfa/mail.txt", "/usr/share/doc/mfa/mail.html", "/usr/share/doc/mfa/docs/module.md", "/usr/share/doc/mfa/docs/standards.md", "/usr/share/doc/mfa/selinux.md", "/usr/share/doc/mfa/selinux/mfa.te", "/usr/share/selinux/packages/mfa.pp",
	"/usr/share/doc/mfa/ansible/site.yml", "/usr/share/doc/mfa/ansible/roles/mfa/tasks/main.yml",
}

func TestDebHolds(t *testing.T) {
	for _, a := range architectures {
		deb := dist(t, a.deb+".deb")
		list := say(t, time.Minute, "dpkg-deb", "-c", deb)
		for _, path := range append(wanted, "/usr/lib/"+a.triplet+"/security/pam_mfa.so",
			"/usr/share/pam-configs/mfa", "/usr/share/zsh/vendor-completions/_mfactl") {
			if !strings.Contains(list, " ."+path+"\n") {
				t.Errorf("%s: no %s", deb, path)
			}
		}
		if strings.Contains(list, "pam.d") {
			t.Errorf("%s touches pam.d:\n%s", deb, list)
		}
		folder := t.TempDir()
		say(t, time.Minute, "dpkg-deb", "-R", deb, folder)
		if conf := read(t, folder+"/DEBIAN/conffiles"); !strings.Contains(conf, "/etc/mfa/mfa.toml") {
			t.Errorf("conffiles: %s", conf)
		}
		if profile := read(t, folder+"/usr/share/pam-configs/mfa"); !strings.Contains(profile, "Default: no") {
			t.Errorf("the profile is on by default:\n%s", profile)
		}
		expectShell(t, folder+"/DEBIAN/postinst", folder+"/DEBIAN/prerm", folder+"/DEBIAN/postrm")
		expectSymbols(t, folder, 2, 34)
	}
}

// expectShell parses the scripts as sh will.
func expectShell(t *testing.T, scripts ...string) {
	t.Helper()
	for _, s := range scripts {
		say(t, time.Minute, "sh", "-n", s)
	}
}

var glibc = regexp.MustCompile(`^GLIBC_(\d+)\.(\d+)`)

// expectSymbols holds every program to the C library that the package asks for.
func expectSymbols(t *testing.T, folder string, major, minor int) {
	t.Helper()
	modules, err := filepath.Glob(folder + "/usr/lib/*/security/pam_mfa.so")
	if err != nil || len(modules) != 1 {
		t.Fatalf("modules: %v, %v", modules, err)
	}
	for _, path := range []string{folder + "/usr/sbin/mfad", folder + "/usr/bin/mfactl", modules[0]} {
		f, err := elf.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		symbols, err := f.ImportedSymbols()
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range symbols {
			if v := glibc.FindStringSubmatch(s.Version); v != nil && newer(v, major, minor) {
				t.Errorf("%s: %s needs %s, and the package asks for GLIBC_%d.%d", path, s.Name, s.Version, major, minor)
			}
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
}

func newer(version []string, major, minor int) bool {
	a, b := number(version[1]), number(version[2])
	return a > major || a == major && b > minor
}

func number(s string) (n int) {
	for _, r := range s {
		n = n*10 + int(r-'0')
	}
	return n
}

// TestChecksums and the bills agree with what they are about.
func TestChecksums(t *testing.T) {
	sums := read(t, filepath.Dir(dist(t, "SHA256SUMS"))+"/SHA256SUMS")
	for _, a := range architectures {
		for _, suffix := range []string{a.deb + ".deb", a.rpm + ".rpm", a.deb + ".cdx.json"} {
			path := dist(t, suffix)
			if !strings.Contains(sums, sumOf(t, path)+"  "+filepath.Base(path)) {
				t.Errorf("SHA256SUMS has not %s", path)
			}
		}
		expectBill(t, dist(t, a.deb+".cdx.json"), dist(t, a.deb+".deb"))
	}
}

func sumOf(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// expectBill wants the programs of the package in the bill, by their hashes, and
// the modules they were made of.
func expectBill(t *testing.T, bill, deb string) {
	t.Helper()
	var b struct {
		BOMFormat, SpecVersion string
		Components             []struct {
			Name, Version, PURL string
			Hashes              []struct{ Alg, Content string }
			Licenses            []struct{ License struct{ ID string } }
		}
	}
	if err := json.Unmarshal([]byte(read(t, bill)), &b); err != nil {
		t.Fatal(err)
	}
	if b.BOMFormat != "CycloneDX" || b.SpecVersion != "1.6" {
		t.Errorf("%s is %s %s", bill, b.BOMFormat, b.SpecVersion)
	}
	folder := t.TempDir()
	say(t, time.Minute, "dpkg-deb", "-x", deb, folder)
	notices := say(t, time.Minute, "gunzip", "-c", folder+"/usr/share/doc/mfa/third-party.gz")
	hashes, there := map[string]string{}, map[string]bool{}
	for _, c := range b.Components {
		for _, h := range c.Hashes {
			hashes[c.Name] = h.Content
		}
		if len(c.Licenses) == 0 || c.Licenses[0].License.ID == "" {
			t.Errorf("%s: %s has no licence", bill, c.Name)
		} else if c.PURL != "" && !strings.Contains(notices, c.Name+" "+c.Version+": "+c.Licenses[0].License.ID) {
			t.Errorf("%s: the notices have no licence of %s", bill, c.Name)
		}
		if hashes[c.Name] == "" && c.Name != "std" {
			t.Errorf("%s: %s has no hash", bill, c.Name)
		}
		there[c.PURL] = true
	}
	for _, name := range []string{"mfad", "mfactl"} {
		found, err := filepath.Glob(folder + "/usr/*bin/" + name)
		if err != nil || len(found) != 1 || hashes[name] != sumOf(t, found[0]) {
			t.Fatalf("%s: the hash of %s is not that of %v", bill, name, found)
		}
		info, err := buildinfo.ReadFile(found[0])
		if err != nil {
			t.Fatal(err)
		}
		if info.GoVersion != read(t, root+"/packaging/toolchain") {
			t.Errorf("%s is built by %s, and not by packaging/toolchain", found[0], info.GoVersion)
		}
		for _, m := range info.Deps {
			if !there["pkg:golang/"+m.Path+"@"+m.Version] {
				t.Errorf("%s has no %s %s of %s", bill, m.Path, m.Version, name)
			}
		}
	}
}

// TestReproducible builds the same sources in another folder, a year from now, by
// somebody whose files are readable by nobody else, in another zone and language, and
// gets the same bytes, of every file.
func TestReproducible(t *testing.T) {
	_, err := exec.LookPath("faketime")
	need(t, "faketime", err == nil)
	there, deb := sources(t), dist(t, "amd64.deb")
	say(t, time.Minute, "sh", "-c", `find "$1" -exec touch -d 2001-02-03 {} + && chmod -R go= "$1"`, "sh", there)
	cmd := exec.Command("sh", "-c", `umask 077 && exec faketime -f +400d "$0" "$1"`, there+"/packaging/build.sh", there+"/dist")
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), "NFPM="+nfpm(t), "VERSION="+version(t, deb), "SOURCE_DATE_EPOCH="+epoch(t, deb),
		"TZ=Pacific/Kiritimati", "LANG=de_DE.UTF-8", "LC_ALL=tr_TR.UTF-8")
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	for name := range strings.Lines(read(t, filepath.Dir(deb)+"/SHA256SUMS")) {
		name = filepath.Base(strings.Fields(name)[1])
		if sumOf(t, there+"/dist/"+name) != sumOf(t, filepath.Dir(deb)+"/"+name) {
			t.Errorf("%s has other bytes", name)
		}
	}
}

// epoch returns the time that the files of a package bear.
func epoch(t *testing.T, deb string) string {
	t.Helper()
	folder := t.TempDir()
	say(t, time.Minute, "dpkg-deb", "-x", deb, folder)
	return strings.TrimSpace(say(t, time.Minute, "stat", "-c", "%Y", folder+"/etc/mfa/mfa.toml"))
}
