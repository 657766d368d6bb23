package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"unicode/utf8"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// demo returns the demo, to be run with everything installed and built.
func demo(t *testing.T, before ...string) *exec.Cmd {
	t.Helper()
	stage := exec.Command("go", "build", "-o", artefact("demo-stage"), "./packaging/demo/stage")
	stage.Dir, stage.Env = moduleRoot(), append(os.Environ(), "CGO_ENABLED=0")
	if out, err := stage.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	args := append(before, "/bin/sh", filepath.Join(moduleRoot(), "packaging", "demo", "demo.sh"))
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "DEMO_BUILT=yes", "LC_ALL=C.UTF-8"}
	return cmd
}

// mounts returns what is mounted here.
func mounts(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("/proc/self/mounts")
	ok(t, err)
	return string(text)
}

func TestDemoPlaysEveryScene(t *testing.T) {
	before := mounts(t)
	out, err := demo(t).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	expectSaid(t, string(out), "a mail arrives", "an authenticator app shows", "Backup codes", "Recovery code: ",
		"4 scenes passed, 0 failed", "nothing of this machine was changed")
	if after := mounts(t); after != before {
		t.Errorf("what is mounted was\n%s\nand is\n%s", before, after)
	}
}

// differs is what is another in each run of a picture: codes, keys, and the URI that names
// the machine.
var differs = regexp.MustCompile(`[2-9a-z]{4}-[2-9a-z]{4}-[2-9a-z]{4}-[2-9a-z]{4}|[A-Z2-7]{32}|(?:[A-Z2-7]{4} ){7}[A-Z2-7]{4}|\b[0-9]{6}\b|otpauth:[^\n]*\n[^\n]*\n`)

// The pictures of the README show what logins show: but for codes and keys, what is read out
// of each is what it was when "make pictures" drew it.
func TestPicturesShowWhatLoginsShow(t *testing.T) {
	cmd := demo(t)
	dir, err := os.MkdirTemp("/var/tmp", "mfa-pictures") // the demo covers /run
	ok(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	cmd.Env = append(cmd.Env, "DEMO_PICTURES="+dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	drawn, err := filepath.Glob(filepath.Join(moduleRoot(), "docs", "pictures", "*.svg"))
	ok(t, err)
	screens, err := filepath.Glob(dir + "/*.screen")
	ok(t, err)
	if len(drawn) == 0 || len(drawn) != len(screens) {
		t.Fatalf("pictures %q of screens %q", drawn, screens)
	}
	draw := exec.Command("go", append([]string{"run", "./packaging/demo/pictures", "-out", dir}, screens...)...)
	draw.Dir, draw.Env = moduleRoot(), append(os.Environ(), "CGO_ENABLED=0")
	if out, err := draw.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, path := range drawn {
		want, got := described(t, path), described(t, filepath.Join(dir, filepath.Base(path)))
		if want != got {
			t.Errorf("%s shows\n%s\nand a login shows\n%s\nrun make pictures", filepath.Base(path), want, got)
		}
	}
}

// described returns the description that a picture has for people who cannot see it, with
// what differs left out.
func described(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	ok(t, err)
	_, desc, _ := strings.Cut(string(text), `<desc id="text">`)
	desc, _, found := strings.Cut(desc, "</desc>")
	if !found {
		t.Fatalf("%s has no description", path)
	}
	return differs.ReplaceAllString(desc, "…")
}

// A person sits at a terminal of the usual size. The text that arrives is on the same screen
// as the prompt that waits for it, and the prompt is the last line.
func TestDemoByAPerson(t *testing.T) {
	t.Run("here", func(t *testing.T) { playByHand(t, demo(t)) })
	t.Run("in a chroot, on the other Debian", func(t *testing.T) {
		root := otherRoot(t)
		ok(t, mount("proc", root+"/proc", "proc", 0, ""))
		t.Cleanup(func() { ok(t, unix.Unmount(root+"/proc", unix.MNT_DETACH)) })
		cmd := demo(t)
		cmd.SysProcAttr, cmd.Dir = &syscall.SysProcAttr{Chroot: root}, "/"
		playByHand(t, cmd)
	})
}

// playByHand plays every scene of the menu.
func playByHand(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	c := open(t, cmd)
	ok(t, pty.Setsize(c.file, &pty.Winsize{Rows: 24, Cols: 80}))
	const menu = `Your choice \[1\]: $`
	// shown waits for a prompt, and wants a text and all behind it on one screen.
	shown := func(text, prompt string) string {
		t.Helper()
		said := c.expect(t, text+`[^\0]*`+prompt)
		found := regexp.MustCompile(text).FindAllStringIndex(said, -1)
		expectFits(t, said[found[len(found)-1][0]:])
		return said
	}
	pick := func(number string) {
		t.Helper()
		c.send(number)
		c.expect(t, `== [^\n]*\n`) // and no more, whatever has come by now
	}
	password := func() { c.expect(t, `Password: $`); c.send("demo") }
	mailed := func() string {
		t.Helper()
		said := shown(`\+-- (a mail arrives|the mail that came before)`, `\nCode[^\n]*: $`)
		return codeLine.FindStringSubmatch(strings.ReplaceAll(said, "| ", ""))[1]
	}
	shown(`What do you want to see\?[^\0]*an authenticator app, with its QR code`, menu)
	c.send("9")
	c.expect(t, `no "9"[^\0]*`+menu)

	pick("") // a code by email
	password()
	c.send(mailed())
	c.expect(t, `You are in: uid=[^\0]*let in, with a second factor[^\0]*`+menu)

	pick("2") // an app
	shown(`# mfactl`, `then press Enter: $`)
	c.send("")
	password()
	appCode := regexp.MustCompile(`app shows -*\n\| (\d{6}) `)
	code := appCode.FindStringSubmatch(shown(`\+-- an authenticator app shows`, `\nCode[^\n]*: $`))[1]
	c.send(code)
	c.expect(t, `You are in: uid=[^\0]*let in, with a second factor[^\0]*`+menu)

	pick("3") // enrolling
	password()
	c.send(numberIn(t, shown(`Choose|Set up|second factor is needed`, `Choice \[1\]: $`), "pp"))
	code = appCode.FindStringSubmatch(shown(`\+-- an authenticator app shows`, `\nCode[^\n]*: $`))[1]
	c.send(code)
	shown(`Backup codes`, `Enter[^\n]*: $`)
	c.send("")
	c.expect(t, `You are in: uid=[^\0]*let in, with a second factor[^\0]*`+menu)

	pick("4") // a lock
	password()
	for range 2 {
		c.expect(t, `\nCode[^\n]*: $`)
		c.send("000000")
	}
	c.expect(t, `\nCode[^\n]*: $`)
	c.send("000000")
	said := shown(`\+-- a mail arrives`, `Password: $`)
	recovery := regexp.MustCompile(`Recovery code: (\S+)`).FindStringSubmatch(said)[1]
	c.send("demo")
	c.expect(t, `Recovery code[^\n]*: $`)
	c.send(recovery)
	c.send(mailed())
	c.expect(t, `You are in: uid=[^\0]*let in, with a second factor[^\0]*`+menu)

	pick("1") // refused
	password()
	for range 3 {
		c.expect(t, `\nCode[^\n]*: $`)
		c.send("000000")
	}
	c.expect(t, `was not let in\.[^\0]*wrong code[^\0]*sshd says:\n[^\0]*`+menu)
	c.send("q")
	if _, status, err := c.finish(); err != nil || status != 1 {
		t.Errorf("after a login that was refused: status %d, %v", status, err)
	}
}

// numberIn returns the number of an item of a menu.
func numberIn(t *testing.T, menu, item string) string {
	t.Helper()
	found := regexp.MustCompile(`(?m)^\s*(\d)\S*\s.*` + item).FindStringSubmatch(menu)
	if found == nil {
		t.Fatalf("no %q in %q", item, menu)
	}
	return found[1]
}

// expectFits wants a text to be on a terminal of 24 lines and 80 columns as a whole.
func expectFits(t *testing.T, text string) {
	t.Helper()
	lines := 0
	for _, line := range strings.Split(text, "\n") {
		lines += 1 + max(0, utf8.RuneCountInString(line)-1)/80
	}
	if lines > 24 {
		t.Errorf("%d lines do not fit on a terminal of 24:\n%s", lines, text)
	}
}

// otherRoot returns the root of the other Debian, with this module shown in it. A test
// that calls it belongs into otherShard.
func otherRoot(t *testing.T) string {
	t.Helper()
	root, module := debianFolder(otherDebian()), moduleRoot()
	if _, err := os.Stat(root + "/usr/sbin/sshd"); err != nil {
		if os.Getenv("CI") != "true" {
			t.Skip("no other Debian: e2e/debian.sh needs the network and the package debootstrap, once")
		}
		t.Fatal(err)
	}
	ok(t, os.MkdirAll(root+module, 0o755))
	ok(t, mount(module, root+module, "", unix.MS_BIND, ""))
	t.Cleanup(func() { ok(t, unix.Unmount(root+module, unix.MNT_DETACH)) })
	return root
}

// A place that allows no mounts is told what it needs.
func TestDemoSaysWhatItNeeds(t *testing.T) {
	out, err := demo(t, "setpriv", "--bounding-set", "-sys_admin", "--inh-caps", "-sys_admin").CombinedOutput()
	if err == nil {
		t.Fatalf("runs:\n%s", out)
	}
	expectSaid(t, string(out), "does not allow mounts", "SYS_ADMIN", "--privileged", "--cap-add SYS_ADMIN", "seccomp")
	stranger := demo(t, "setpriv", "--reuid", "65534", "--clear-groups")
	stranger.Args[len(stranger.Args)-1] = filepath.Join(tree, "packaging", "demo", "demo.sh")
	out, err = stranger.CombinedOutput()
	if err == nil {
		t.Fatalf("runs:\n%s", out)
	}
	expectSaid(t, string(out), "run as root")
}

// In a chroot "/" is no mount that could be made private: the demo runs all the same,
// on the other Debian, and mounts nothing that is seen outside.
func TestDemoInAChroot(t *testing.T) {
	root := otherRoot(t)
	chroot := func() (string, error) {
		cmd := demo(t)
		cmd.SysProcAttr, cmd.Dir = &syscall.SysProcAttr{Chroot: root}, "/"
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	out, err := chroot()
	if err == nil {
		t.Errorf("runs without /proc:\n%s", out)
	}
	expectSaid(t, out, "mount -t proc proc /proc")

	ok(t, mount("proc", root+"/proc", "proc", 0, ""))
	t.Cleanup(func() { ok(t, unix.Unmount(root+"/proc", unix.MNT_DETACH)) })
	before := mounts(t)
	out, err = chroot()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	expectSaid(t, out, "4 scenes passed, 0 failed")
	if after := mounts(t); after != before {
		t.Errorf("what is mounted was\n%s\nand is\n%s", before, after)
	}
}
