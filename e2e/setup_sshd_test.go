package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// Debian's sshd as it comes: a password, and no code.
const (
	debianPAM = "# PAM configuration for the Secure Shell service\n\n@include common-auth\n\n" +
		"account    required     pam_nologin.so\n@include common-account\nsession required pam_permit.so\n"
	debianSSHD = "Include /etc/ssh/sshd_config.d/*.conf\n\nKbdInteractiveAuthentication no\nUsePAM yes\nPrintMotd no\n"
)

const (
	sshdPAM    = "/etc/pam.d/sshd"
	sshdDropIn = "/etc/ssh/sshd_config.d/00-mfa.conf"
)

// debian makes a machine as it is after the package was installed: mfad runs, sshd
// asks for a password, and pam_mfa.so lies where PAM looks.
func debian(t *testing.T) (*site, account) {
	t.Helper()
	installModule(t)
	s := newSite(t)
	s.startDaemon()
	ok(t, os.WriteFile(sshdPAM, []byte(debianPAM), 0o644))
	ok(t, os.RemoveAll("/etc/ssh/sshd_config.d"))
	ok(t, os.Mkdir("/etc/ssh/sshd_config.d", 0o755))
	ok(t, os.RemoveAll("/var/backups/mfa"))
	s.sshdPort = freePort(t)
	conf := debianSSHD + fmt.Sprintf("ListenAddress 127.0.0.1\nPort %d\nHostKey %s\nUseDNS no\nLogLevel VERBOSE\nMaxStartups 300\n%s\n",
		s.sshdPort, hostKey, strings.Join(noPenalties(), "\n"))
	ok(t, os.WriteFile("/etc/ssh/sshd_config", []byte(conf), 0o644))
	cmd := exec.Command("/usr/sbin/sshd", "-D", "-e")
	s.sshdLog, _ = service(t, cmd)
	s.sshdPID = cmd.Process.Pid
	awaitText(t, s.sshdLog, 0, "Server listening on 127.0.0.1")
	return s, s.newUser("alice")
}

// installModule puts pam_mfa.so into PAM's folder of modules, which becomes the
// tests' own.
func installModule(t *testing.T) {
	t.Helper()
	found, err := filepath.Glob("/usr/lib/*/security/pam_unix.so")
	if err != nil || len(found) == 0 {
		t.Fatalf("no folder of modules: %v", err)
	}
	dir := filepath.Dir(found[0])
	if _, err := os.Stat(dir + "/pam_mfa.so"); err != nil {
		own := base + "/security"
		out, err := exec.Command("cp", "-a", dir, own).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		ok(t, mount(own, dir, "", unix.MS_BIND, ""))
	}
	module, err := os.ReadFile(artefact("pam_mfa.so"))
	ok(t, err)
	ok(t, os.WriteFile(dir+"/pam_mfa.so", module, 0o644))
}

// setup runs mfactl setup in a terminal.
func (s *site) setup(args ...string) *terminal {
	s.t.Helper()
	argv := append([]string{"--socket", s.path("run/control.sock"), "setup", "--config", s.path("mfa.toml")}, args...)
	return open(s.t, exec.Command(artefact("mfactl"), argv...))
}

// expectPassword ends the test unless a password alone lets in, as before.
func (s *site) expectPassword(a account) {
	s.t.Helper()
	c := s.ssh(a, "PreferredAuthentications=password")
	c.expect(s.t, `'s password: $`)
	c.send(password)
	c.expectIn(s.t)
}

// expectAsBefore ends the test unless every file is as it was, bit by bit.
func expectAsBefore(t *testing.T, s *site, a account) {
	t.Helper()
	text, err := os.ReadFile(sshdPAM)
	ok(t, err)
	if string(text) != debianPAM {
		t.Errorf("%s is\n%s", sshdPAM, text)
	}
	if _, err := os.Stat(sshdDropIn); err == nil {
		t.Errorf("%s is there", sshdDropIn)
	}
	s.expectPassword(a)
}

const nowLogIn = `Now log in in a second terminal`

func TestSetupSSHD(t *testing.T) {
	s, alice := debian(t)
	s.expectPassword(alice)

	c := s.setup("sshd")
	shown := c.expect(t, `Make these changes\? \[y/N\] $`)
	expectSaid(t, shown, "+++ "+sshdPAM, "+auth     required   pam_mfa.so", "+++ "+sshdDropIn, "+PasswordAuthentication no", "your way back")
	c.send("y")
	said := c.expect(t, nowLogIn)
	expectSaid(t, said, "now goes through: password (pam_unix), then second factor (pam_mfa)")
	eventually(t, "sshd asks for a code", func() bool { return strings.Contains(s.sshdLog.String(), "SIGHUP") })
	s.login(alice, 1)
	expectSaid(t, c.expectStatus(t, 0), alice.name+" logged in (email, from 127.0.0.1)", "The change stays")

	if out, status := s.control("doctor", "--config", s.path("mfa.toml"), "sshd"); strings.Contains(out, "error    sshd") || !strings.Contains(out, "sshd  password (pam_unix), then second factor") {
		t.Errorf("doctor: status %d\n%s", status, out)
	}
	expectSaid(t, s.setup("sshd").expectStatus(t, 0), "switched on for sshd already")
	s.login(alice, 2)

	expectSaid(t, s.setup("sshd", "--undo").expectStatus(t, 0), "sshd is as it was before.")
	expectAsBefore(t, s, alice)
	expectSaid(t, s.setup("--undo").expectStatus(t, 0), "nothing to take back")
}

func TestSetupWithoutProofIsTakenBack(t *testing.T) {
	s, alice := debian(t)
	c := s.setup("sshd", "--yes", "--confirm-within", "2s")
	c.expect(t, nowLogIn)
	expectSaid(t, c.expectStatus(t, 1), "nobody proved a login within 2s; everything is as it was")
	expectAsBefore(t, s, alice)
}

func TestSetupInterruptedIsTakenBack(t *testing.T) {
	for name, end := range map[string]func(*testing.T, *terminal){
		"Ctrl-C": func(t *testing.T, c *terminal) {
			_, _ = c.file.WriteString("\x03")
			expectSaid(t, c.expectStatus(t, 1), "interrupted; everything is as it was")
		},
		"killed":   func(t *testing.T, c *terminal) { ok(t, c.cmd.Process.Signal(syscall.SIGKILL)) },
		"terminal": func(t *testing.T, c *terminal) { ok(t, c.cmd.Process.Signal(syscall.SIGHUP)) },
	} {
		t.Run(name, func(t *testing.T) {
			s, alice := debian(t)
			c := s.setup("sshd", "--yes", "--confirm-within", "10m")
			c.expect(t, nowLogIn)
			end(t, c)
			eventually(t, "everything is put back", func() bool {
				_, err := os.Stat("/var/backups/mfa/sshd/manifest.json")
				return os.IsNotExist(err)
			})
			eventually(t, "sshd reads it", func() bool { return strings.Count(s.sshdLog.String(), "Server listening") == 3 })
			expectAsBefore(t, s, alice)
		})
	}
}

// A login whose second factor was refused proves nothing, and neither does one
// through another service.
func TestSetupIsProvenByTheSecondFactorAlone(t *testing.T) {
	s, alice := debian(t)
	c := s.setup("sshd", "--yes", "--confirm-within", "20s")
	c.expect(t, nowLogIn)
	eventually(t, "sshd asks for a code", func() bool { return strings.Contains(s.sshdLog.String(), "SIGHUP") })
	l := s.ssh(alice)
	l.toCode(s, alice)
	l.send(wrong(s.code(alice, 1)))
	l.expect(t, `not right[^\0]*Code[^\n]*: $`)
	l.close()
	awaitText(t, s.sshdLog, 0, "Connection closed by authenticating user|Connection reset by authenticating user")
	if strings.Contains(c.said.String(), "The change stays") {
		t.Errorf("a wrong code proved a login: %s", c.said.String())
	}
	expectSaid(t, c.expectStatus(t, 1), "nobody proved a login")
	expectAsBefore(t, s, alice)
}

func TestSetupRefusesWhatCannotWork(t *testing.T) {
	s, alice := debian(t)
	ok(t, s.stopDaemon())
	expectSaid(t, s.setup("sshd", "--yes").expectStatus(t, 1), "mfad: does not answer", "Nothing was changed")
	expectAsBefore(t, s, alice)
	s.startDaemon()

	ok(t, os.WriteFile("/etc/ssh/sshd_config.d/00-a.conf", []byte("KbdInteractiveAuthentication no\n"), 0o644))
	expectSaid(t, s.setup("sshd", "--yes").expectStatus(t, 1), "KbdInteractiveAuthentication no", "everything is as it was")
	expectAsBefore(t, s, alice)
	ok(t, os.Remove("/etc/ssh/sshd_config.d/00-a.conf"))

	ok(t, os.WriteFile(sshdPAM, []byte("auth sufficient pam_permit.so\n"+debianPAM), 0o644))
	expectSaid(t, s.setup("sshd", "--yes").expectStatus(t, 1), "open-door", "Nothing was changed")
}

func TestSetupUndoSparesWhatOthersWrote(t *testing.T) {
	s, _ := debian(t)
	s.setup("sshd", "--yes", "--confirm-within", "0").expectStatus(t, 0)
	ok(t, appendFile(sshdPAM, "# mine"))
	said := s.setup("sshd", "--undo").expectStatus(t, 1)
	expectSaid(t, said, "changed by somebody else since", sshdPAM)
	text, err := os.ReadFile(sshdPAM)
	ok(t, err)
	if !strings.Contains(string(text), "# mine") || !strings.Contains(string(text), "pam_mfa.so") {
		t.Errorf("changed all the same: %s", text)
	}
}

// TestSetupDryRun: what a dry run shows is what a change then makes, both on and off, and it
// changes nothing itself. Programs that keep machines as they are written down need both.
func TestSetupDryRun(t *testing.T) {
	s, alice := debian(t)
	type dryRun struct {
		Service string
		Changes []struct{ Path, Diff string }
	}
	plan := func(args ...string) (plans []dryRun) {
		t.Helper()
		args = append([]string{"setup", "--config", s.path("mfa.toml"), "--dry-run", "--json"}, args...)
		out, status := s.control(args...)
		if err := json.Unmarshal([]byte(out), &plans); err != nil || status != 0 {
			t.Fatalf("%v: status %d, %v:\n%s", args, status, err, out)
		}
		return plans
	}
	if off := plan("--undo"); len(off) != 0 {
		t.Errorf("nothing is on, and --undo would change %v", off)
	}
	on := plan("sshd", "--first-factor", "key")
	if len(on) != 1 || len(on[0].Changes) != 2 {
		t.Fatalf("it would change %v", on)
	}
	expectSaid(t, on[0].Changes[0].Diff, "+++ "+sshdPAM, "+auth     required   pam_mfa.so ", "exempt=success")
	expectSaid(t, on[0].Changes[1].Diff, "--- /dev/null", "+++ "+sshdDropIn)
	expectSaid(t, s.setup("sshd", "--dry-run").expectStatus(t, 0), "+++ "+sshdPAM, "Nothing was changed.")
	expectAsBefore(t, s, alice)

	s.setup("sshd", "--first-factor", "key", "--yes", "--confirm-within", "0").expectStatus(t, 0)
	if again := plan("sshd", "--first-factor", "key"); len(again) != 1 || len(again[0].Changes) != 0 {
		t.Errorf("it is on, and would change %v", again)
	}
	for _, off := range [][]string{{"--undo"}, {"sshd", "--undo"}} {
		back := plan(off...)
		if len(back) != 1 || back[0].Service != "sshd" || len(back[0].Changes) != 2 {
			t.Fatalf("%v would change %v", off, back)
		}
		expectSaid(t, back[0].Changes[0].Diff, "-auth     required   pam_mfa.so ", "+@include common-auth")
		expectSaid(t, back[0].Changes[1].Diff, "--- "+sshdDropIn, "+++ /dev/null")
	}
	expectSaid(t, s.setup("--undo", "--dry-run").expectStatus(t, 0), "+++ /dev/null", "Nothing was changed.")
	s.setup("--undo").expectStatus(t, 0)
	expectAsBefore(t, s, alice)
}
