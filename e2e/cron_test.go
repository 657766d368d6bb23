package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// spool gives cron and at folders of their own until the test ends.
func spool(t *testing.T) {
	t.Helper()
	const dir = "/var/spool/cron"
	ok(t, mount("tmpfs", dir, "tmpfs", 0, "mode=0755"))
	t.Cleanup(func() { ok(t, unix.Unmount(dir, unix.MNT_DETACH)) })
	for name, owner := range map[string]struct {
		user, group string
		mode        os.FileMode
	}{
		"crontabs": {"root", "crontab", 0o1730}, "atjobs": {"daemon", "daemon", 0o1770}, "atspool": {"daemon", "daemon", 0o1770},
	} {
		u, err := user.Lookup(owner.user)
		ok(t, err)
		g, err := user.LookupGroup(owner.group)
		ok(t, err)
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(g.Gid)
		ok(t, os.Mkdir(filepath.Join(dir, name), 0o700))
		ok(t, os.Chown(filepath.Join(dir, name), uid, gid))
		ok(t, os.Chmod(filepath.Join(dir, name), owner.mode.Perm()|os.ModeSticky))
		if name == "atjobs" { // at wants the file of its last number, which its package makes
			seq := filepath.Join(dir, name, ".SEQ")
			ok(t, os.WriteFile(seq, []byte("0\n"), 0o600))
			ok(t, os.Chown(seq, uid, gid))
		}
	}
}

// asUser has cmd run as a, with no terminal.
func asUser(a account, name string, args ...string) *exec.Cmd {
	cmd := exec.Command("setsid", append([]string{"-w", "setpriv", "--reuid", a.name, "--regid", a.name, "--init-groups", name}, args...)...)
	cmd.Dir = a.home
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=" + a.home, "USER=" + a.name, "LOGNAME=" + a.name, "LC_ALL=C.UTF-8"}
	return cmd
}

// must runs cmd, ends the test if it fails, and returns what it wrote.
func must(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
	return string(out)
}

// byCron has Debian's cron run a script as a, and returns what the script wrote
// when it has ended.
func (s *site) byCron(a account, script string) string {
	s.t.Helper()
	t := s.t.(*testing.T)
	spool(t)
	said, done := filepath.Join(a.home, "said"), filepath.Join(a.home, "done")
	ok(t, os.WriteFile(filepath.Join(a.home, "job"), []byte(script), 0o644))
	tab := asUser(a, "crontab", "-")
	tab.Stdin = strings.NewReader(fmt.Sprintf("MAILTO=\"\"\n@reboot sh %s/job >%s 2>&1; echo $? >%s.part; mv %[3]s.part %[3]s\n", a.home, said, done))
	must(t, tab)
	_ = os.Remove("/run/crond.reboot")
	_, stop := service(t, exec.Command("/usr/sbin/cron", "-f", "-L", "15"))
	defer func() { _ = stop(unix.SIGTERM) }()
	return finished(t, said, done)
}

// finished waits for the file done and returns what said holds.
func finished(t *testing.T, said, done string) string {
	t.Helper()
	eventually(t, done, func() bool { _, err := os.Stat(done); return err == nil })
	text, err := os.ReadFile(said)
	ok(t, err)
	return string(text)
}

// keyed gives a an SSH key, and a host "box" in ~/.ssh/config that is this sshd.
func (s *site) keyed(a account) {
	s.t.Helper()
	key, err := os.ReadFile(userKey)
	ok(s.t, err)
	config := fmt.Sprintf("Host box\n  HostName 127.0.0.1\n  Port %d\n  UserKnownHostsFile %s\n  StrictHostKeyChecking yes\n", s.sshdPort, s.knownHosts())
	for name, text := range map[string]string{"id_ed25519": string(key), "config": config} {
		name = filepath.Join(a.home, ".ssh", name)
		ok(s.t, os.WriteFile(name, []byte(text), 0o600))
		ok(s.t, os.Chown(name, a.uid, a.uid))
	}
}

// keyAndCode makes a site whose sshd wants a key and then a code.
func keyAndCode(t *testing.T) (*site, account, *clock) {
	t.Helper()
	s, clock := daemonInProcess(t)
	s.stack("sshd", s.codeOnly()...)
	s.sshd("AuthenticationMethods publickey,keyboard-interactive:pam")
	alice := s.newUser("alice")
	s.keyed(alice)
	return s, alice, clock
}

// A job of cron with a key, and git in it, is refused and makes no mail; the person
// at a terminal is asked, as ever, and git push goes on with the code.
func TestGitAndCronWithAKeyMakeNoMail(t *testing.T) {
	s, alice, _ := keyAndCode(t)
	s.stack("cron", s.codeOnly()...)
	must(t, asUser(alice, "git", "init", "-q", "--bare", "repo.git"))
	repo := "ssh://box" + alice.home + "/repo.git"
	said := s.byCron(alice, `
for round in 1 2 3; do
	ssh box echo let-in-e2e && exit 1
	ssh -T box echo let-in-e2e && exit 1
	ssh -o BatchMode=yes box echo let-in-e2e && exit 1
	echo let-in-e2e | ssh box cat && exit 1
	SSH_ASKPASS=/bin/false SSH_ASKPASS_REQUIRE=force ssh box echo let-in-e2e && exit 1
	git clone `+repo+` copy && exit 1
done
echo refused
`)
	if strings.Contains(said, welcome) || !strings.Contains(said, "refused\n") || strings.Count(said, "Permission denied") < 12 {
		t.Errorf("the job says:\n%s", said)
	}
	s.expectLetters(alice, 0)
	s.expectFailures(alice, 0)

	must(t, asUser(alice, "git", "init", "-q", "-b", "main", "work"))
	for _, args := range [][]string{
		{"config", "user.name", "Alice"},
		{"config", "user.email", alice.email},
		{"commit", "-q", "--allow-empty", "-m", "begin"},
		{"remote", "add", "origin", repo},
	} {
		must(t, asUser(alice, "git", append([]string{"-C", "work"}, args...)...))
	}
	c := s.as(alice, "git", "-C", "work", "push", "origin", "main")
	c.expect(t, codePrompt(alice))
	c.send(s.code(alice, 1))
	if said := c.expectStatus(t, 0); !strings.Contains(said, "main -> main") {
		t.Errorf("git says %q", said)
	}
	s.expectLetters(alice, 1)
}

// A client that has a terminal and where nobody types, such as one that connects
// again and again all night, makes two mails and no more.
func TestTerminalWithoutAnybodyMakesTwoMails(t *testing.T) {
	s, alice, clock := keyAndCode(t)
	for n := range 4 {
		for range 2 {
			c := s.as(alice, "ssh", "box", greet)
			if n < 2 {
				c.expect(t, codePrompt(alice))
				s.code(alice, n+1)
			} else {
				c.expect(t, `No code was sent yet[^\0]*Code[^\n]*: $`)
			}
			c.close()
		}
		clock.pass(11 * time.Minute)
	}
	s.expectLetters(alice, 2)
	c := s.as(alice, "ssh", "box", greet)
	c.expect(t, `Type r to have one sent to\s+a\*\*\*e@example.com[^\0]*Code[^\n]*: $`)
	c.send("r")
	c.expect(t, codePrompt(alice))
	c.send(s.code(alice, 3))
	c.expectIn(t)
	s.expectFailures(alice, 0)
}

// Sshd's method password answers no prompt, and does not say so before.
func TestMethodPasswordMakesTwoMails(t *testing.T) {
	s, clock := daemonInProcess(t)
	s.stack("sshd", s.passwordThenCode()...)
	s.sshd("PasswordAuthentication yes", "KbdInteractiveAuthentication no")
	alice := s.newUser("alice")
	for range 5 {
		for range 2 {
			c := s.ssh(alice, "PreferredAuthentications=password")
			c.expect(t, `assword: $`)
			c.send(password)
			c.expectOut(t)
		}
		clock.pass(11 * time.Minute)
	}
	s.expectLetters(alice, 2)
	s.expectFailures(alice, 0)
}

// Cron asks PAM nothing of a job's user, whatever they still have to set up.
func TestCron(t *testing.T) {
	s := newSite(t)
	s.stack("cron", s.codeOnly()...)
	s.startDaemon()
	bob := newAccount(t, "bob")
	if said := s.byCron(bob, "echo as $(id -un)"); said != "as "+bob.name+"\n" {
		t.Errorf("the job says %q", said)
	}
	s.expectLetters(bob, 0)
	if n := len(s.events(bob, eventLogin)); n != 0 {
		t.Errorf("%d logins", n)
	}
}

// At likewise.
func TestAt(t *testing.T) {
	s := newSite(t)
	s.stack("atd", s.codeOnly()...)
	s.startDaemon()
	spool(t)
	bob := newAccount(t, "bob")
	said, done := filepath.Join(bob.home, "said"), filepath.Join(bob.home, "done")
	at := asUser(bob, "at", "now")
	at.Stdin = strings.NewReader("echo as $(id -un) >" + said + " 2>&1; touch " + done + "\n")
	must(t, at)
	_, stop := service(t, exec.Command("/usr/sbin/atd", "-f", "-b", "1", "-l", "1000"))
	if text := finished(t, said, done); text != "as "+bob.name+"\n" {
		t.Errorf("the job says %q", text)
	}
	_ = stop(unix.SIGTERM)
	s.expectLetters(bob, 0)
	if n := len(s.events(bob, eventLogin)); n != 0 {
		t.Errorf("%d logins", n)
	}
}
