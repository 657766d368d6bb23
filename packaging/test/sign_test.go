package packages

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A signer has the keys of a release.
type signer struct {
	home        string // GnuPG's
	id          string // of its OpenPGP key
	key, phrase string // files: that key, and its passphrase
	public      string // file: the same, for those who verify
	ssh         string // file: an OpenSSH key
}

// newSigner makes keys.
func newSigner(t *testing.T) signer {
	t.Helper()
	for _, tool := range []string{"gpg", "gpgv", "rpmsign", "rpmkeys", "debsig-verify", "ssh-keygen"} {
		_, err := exec.LookPath(tool)
		need(t, tool, err == nil)
	}
	s := signer{home: t.TempDir()}
	t.Setenv("GNUPGHOME", s.home)
	t.Cleanup(func() { _, _ = exec.Command("gpgconf", "--homedir", s.home, "--kill", "all").CombinedOutput() })
	s.key, s.phrase, s.public, s.ssh = s.home+"/key.asc", s.home+"/phrase", s.home+"/public.gpg", s.home+"/ssh"
	write(t, s.phrase, "two words\n")
	loopback := []string{"--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase-file", s.phrase}
	say(t, time.Minute, "gpg", append(loopback, "--quick-generate-key", "Release <mfa@example.org>", "rsa3072", "sign", "never")...)
	say(t, time.Minute, "gpg", append(loopback, "--armor", "--output", s.key, "--export-secret-keys")...)
	say(t, time.Minute, "gpg", "--batch", "--output", s.public, "--export")
	for line := range strings.Lines(say(t, time.Minute, "gpg", "--batch", "--with-colons", "--list-keys")) {
		if f := strings.Split(line, ":"); f[0] == "fpr" {
			s.id = f[9]
		}
	}
	say(t, time.Minute, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", s.ssh)
	return s
}

// sign signs the packages of a folder.
func (s signer) sign(t *testing.T, folder string) {
	t.Helper()
	t.Setenv("GNUPGHOME", "/nowhere") // it takes no key but the one it is given
	t.Setenv("SIGN_KEY", s.key)
	t.Setenv("SIGN_PASSPHRASE_FILE", s.phrase)
	t.Setenv("SIGN_SSH_KEY", s.ssh)
	say(t, time.Minute, root+"/packaging/sign.sh", folder)
}

// A verifier is one who has the public keys and a file.
type verifier func(t *testing.T, path string) (said string, err error)

// verifyDeb checks a package as a Debian does that trusts the key for all packages.
func (s signer) verifyDeb(t *testing.T) verifier {
	short := s.id[len(s.id)-16:]
	folder := t.TempDir()
	install(t, folder+"/keyrings/"+short+"/mfa.gpg", s.public, 0o644)
	write(t, folder+"/policies/"+short+"/mfa.pol", `<?xml version="1.0"?>
<!DOCTYPE Policy SYSTEM "https://www.debian.org/debsig/1.0/policy.dtd">
<Policy xmlns="https://www.debian.org/debsig/1.0/">
  <Origin Name="mfa" id="`+short+`" Description="second factor"/>
  <Selection><Required Type="origin" File="mfa.gpg" id="`+short+`"/></Selection>
  <Verification><Required Type="origin" File="mfa.gpg" id="`+short+`"/></Verification>
</Policy>
`)
	return func(t *testing.T, path string) (string, error) {
		return attempt(t, time.Minute, "debsig-verify", "--policies-dir", folder+"/policies", "--keyrings-dir", folder+"/keyrings", path)
	}
}

// verifyRPM checks a package with a database that knows the key; without a signature it
// is refused too.
func (s signer) verifyRPM(t *testing.T) verifier {
	db, armored := t.TempDir(), t.TempDir()+"/key"
	t.Setenv("GNUPGHOME", s.home)
	say(t, time.Minute, "gpg", "--batch", "--armor", "--output", armored, "--export")
	say(t, time.Minute, "rpmkeys", "--dbpath", db, "--import", armored)
	return func(t *testing.T, path string) (string, error) {
		return attempt(t, time.Minute, "rpmkeys", "--dbpath", db, "--define", "_pkgverify_level all", "--checksig", "--verbose", path)
	}
}

func (s signer) verifySums(t *testing.T, path string) (string, error) {
	return attempt(t, time.Minute, "gpgv", "--keyring", s.public, path+".asc", path)
}

// verifySSH checks SHA256SUMS as the man page of ssh-keygen says.
func (s signer) verifySSH(t *testing.T, path string) (string, error) {
	t.Helper()
	allowed := filepath.Join(t.TempDir(), "allowed")
	write(t, allowed, "mfa@example.org "+read(t, s.ssh+".pub")+"\n")
	cmd := exec.CommandContext(t.Context(), "ssh-keygen", "-Y", "verify", "-f", allowed, "-I", "mfa@example.org", "-n", "file", "-s", path+".sig")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdin = bytes.NewReader(data)
	said, err := cmd.CombinedOutput()
	return string(said), err
}

// TestSigned signs what dist holds, checks it with the tools that people check it with,
// and has them refuse each file with one byte changed, and one without a signature.
func TestSigned(t *testing.T) {
	folder := t.TempDir()
	plain := filepath.Dir(dist(t, "SHA256SUMS"))
	say(t, time.Minute, "cp", "-a", plain+"/.", folder)
	s := newSigner(t)
	s.sign(t, folder)
	say(t, time.Minute, "sh", "-c", `cd "$1" && sha256sum --quiet --check SHA256SUMS`, "sh", folder)
	deb, rpm := s.verifyDeb(t), s.verifyRPM(t)
	for _, a := range architectures {
		expectSigned(t, deb, one(t, folder, a.deb+".deb"), dist(t, a.deb+".deb"))
		expectSigned(t, rpm, one(t, folder, a.rpm+".rpm"), dist(t, a.rpm+".rpm"))
	}
	expectSigned(t, s.verifySums, folder+"/SHA256SUMS", "")
	expectSigned(t, s.verifySSH, folder+"/SHA256SUMS", "")

	// dpkg takes a signed package as it takes any other, and it can be signed again.
	signed := one(t, folder, "amd64.deb")
	say(t, time.Minute, "dpkg-deb", "-x", signed, t.TempDir())
	s.sign(t, folder)
	if said, err := deb(t, signed); err != nil {
		t.Errorf("signed twice: %v\n%s", err, said)
	}
	if parts := say(t, time.Minute, "ar", "t", signed); strings.Count(parts, "_gpgorigin") != 1 {
		t.Errorf("signed twice it has\n%s", parts)
	}
}

// one returns the file of a folder that ends so.
func one(t *testing.T, folder, suffix string) string {
	t.Helper()
	found, err := filepath.Glob(folder + "/*" + suffix)
	if err != nil || len(found) != 1 {
		t.Fatalf("%s: %v, %v", suffix, found, err)
	}
	return found[0]
}

// expectSigned wants a file to pass, and neither what it was before it was signed nor
// any other bytes.
func expectSigned(t *testing.T, verify verifier, path, plain string) {
	t.Helper()
	if said, err := verify(t, path); err != nil {
		t.Errorf("%s: %v\n%s", path, err, said)
	}
	if plain != "" {
		if said, err := verify(t, plain); err == nil {
			t.Errorf("%s has no signature, and passes: %s", plain, said)
		}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at := len(data) / 2
	data[at] ^= 1
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	if said, err := verify(t, path); err == nil {
		t.Errorf("%s: byte %d is another, and it passes: %s", path, at, said)
	}
	data[at] ^= 1
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}
