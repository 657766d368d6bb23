package packages

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// qemu runs programs of the other architecture. They are told to it by name, so
// that the machine needs no binfmt_misc.
const qemu = "/usr/bin/qemu-aarch64-static"

// patience is how long a conversation may take where every instruction is translated.
const patience = 2 * time.Minute

// TestARM64 holds a login with the module, the daemon and mfactl of the arm64
// package, with the libraries of both Debians: pamtester loads the module, and types
// the code that the daemon mailed.
func TestARM64(t *testing.T) {
	asRoot(t)
	_, err := os.Stat(qemu)
	need(t, "qemu-user-static", err == nil)
	for name, libraries := range map[string]func(*testing.T) string{
		"this Debian": foreignLibraries, "the other Debian": foreignLibrariesOfTheOther,
	} {
		t.Run(name, func(t *testing.T) { foreignLogin(t, foreignRoot(t, libraries(t))) })
	}
}

func foreignLogin(t *testing.T, here string) {
	daemon := begin(t, here, "/usr/sbin/mfad")
	daemon.expect(t, "ready")
	run := func(args ...string) string {
		t.Helper()
		return say(t, patience, "chroot", append([]string{here, "/qemu"}, args...)...)
	}
	if said := run("/usr/bin/mfactl", "status"); !strings.Contains(said, version(t, dist(t, "arm64.deb"))) {
		t.Errorf("mfactl status: %s", said)
	}
	run("/usr/bin/mfactl", "enroll", "alice", "--email", "alice@example.com")

	login := begin(t, here, "/usr/bin/pamtester", "test", "alice", "authenticate")
	login.expect(t, "Code: ")
	login.send(t, "000000")
	login.expect(t, "not right")
	login.expect(t, "Code: ")
	login.send(t, mailed(t, here+"/var/lib/mfa/outbox/new"))
	login.expect(t, "successfully authenticated")

	login = begin(t, here, "/usr/bin/pamtester", "test", "nobody-here", "authenticate")
	login.expect(t, "Code: ")
	login.send(t, "")
	login.expect(t, "Code: ")
	_ = login.in.Close()
	login.expect(t, "pamtester: ")
	if strings.Contains(login.said, "successfully") {
		t.Errorf("somebody without an account is let in: %s", login.said)
	}
}

// foreign are the packages that a login of the other architecture needs.
var foreign = []string{"libc6", "libgcc-s1", "libpam0g", "libpam-modules", "libaudit1", "libcap-ng0", "pamtester"}

// foreignLibraries returns a folder of those packages, of this machine's release.
func foreignLibraries(t *testing.T) string {
	t.Helper()
	base := filepath.Join(cache, "arm64")
	said, err := attempt(t, 10*time.Minute, root+"/packaging/sysroot.sh", append([]string{"arm64", base}, foreign...)...)
	if err != nil {
		t.Log(said)
	}
	need(t, "Debian's packages for arm64 (sysroot.sh)", err == nil)
	return base
}

// foreignLibrariesOfTheOther returns them of the release that this machine has not.
func foreignLibrariesOfTheOther(t *testing.T) string {
	t.Helper()
	release, there := otherDebian(t)
	base, scripts := filepath.Join(cache, "arm64-"+release), absolute(t, root+"/packaging")
	if err := os.MkdirAll(cache, 0o755); err != nil {
		t.Fatal(err)
	}
	say(t, 10*time.Minute, "./within.sh", append([]string{
		there, scripts, cache, "--",
		scripts + "/sysroot.sh", "arm64", base,
	}, foreign...)...)
	return base
}

// foreignRoot returns a root of the other architecture with these libraries and its
// package unpacked.
func foreignRoot(t *testing.T, base string) string {
	t.Helper()
	here := t.TempDir()
	say(t, time.Minute, "cp", "-a", base+"/.", here)
	say(t, time.Minute, "dpkg-deb", "-x", dist(t, "arm64.deb"), here)
	install(t, here+"/qemu", qemu, 0o755)
	write(t, here+"/etc/passwd", "root:x:0:0::/root:/bin/sh\nalice:x:1000:1000::/:/bin/sh\n")
	write(t, here+"/etc/group", "root:x:0:\n")
	write(t, here+"/etc/pam.d/test", "auth required pam_mfa.so\n")
	write(t, here+"/etc/pam.d/other", "auth required pam_deny.so\n")
	write(t, here+"/etc/mfa/mfa.toml", "[email]\ntransport = \"outbox\"\n[email.outbox]\npath = \"/var/lib/mfa/outbox\"\n")
	write(t, here+"/tmp/.keep", "")
	return here
}

// A program runs in the foreign root until its end, or the test's.
type program struct {
	in    io.WriteCloser
	out   chan string // pieces of what it says; closed at its end
	said  string
	taken int // how much of said was expected already
}

func begin(t *testing.T, here string, args ...string) *program {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, "/qemu", args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: here}
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = w, w
	in, err := cmd.StdinPipe()
	if err := errors.Join(err, cmd.Start(), w.Close()); err != nil {
		t.Fatal(err)
	}
	p := &program{in: in, out: make(chan string, 1000)}
	go func() { // ends with the program
		defer close(p.out)
		defer r.Close()
		for b := bufio.NewReader(r); ; {
			piece := make([]byte, 4096)
			n, err := b.Read(piece)
			if n > 0 {
				p.out <- string(piece[:n])
			}
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait()
		for piece := range p.out { // until the reader is gone
			p.said += piece
		}
	})
	return p
}

// expect waits until the program says the text, behind what was expected before.
func (p *program) expect(t *testing.T, text string) {
	t.Helper()
	late := time.After(patience)
	for {
		if i := strings.Index(p.said[p.taken:], text); i >= 0 {
			p.taken += i + len(text)
			return
		}
		select {
		case piece, ok := <-p.out:
			if !ok {
				t.Fatalf("ended and never said %q:\n%s", text, p.said)
			}
			p.said += piece
		case <-late:
			t.Fatalf("never said %q:\n%s", text, p.said)
		}
	}
}

func (p *program) send(t *testing.T, line string) {
	t.Helper()
	if _, err := io.WriteString(p.in, line+"\n"); err != nil {
		t.Fatal(err)
	}
}

var codeLine = regexp.MustCompile(`(?m)^Your code: ([0-9]+)`)

// mailed waits for the code in the one mail of the folder.
func mailed(t *testing.T, folder string) string {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		found, _ := filepath.Glob(folder + "/*")
		for _, path := range found {
			if code := codeLine.FindStringSubmatch(strings.ReplaceAll(read(t, path), "\r", "")); code != nil {
				return code[1]
			}
		}
	}
	t.Fatal("no mail came")
	return ""
}
