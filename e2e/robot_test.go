package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// A robot that a rule leaves out is refused where sshd asks for
// keyboard-interactive: explain and doctor say so, and the Match block they name
// mends it.
func TestRobotBehindKeyboardInteractive(t *testing.T) {
	s, alice := debian(t)
	robot := newAccount(t, "robot")
	s.settings["policy.rule"] = fmt.Sprintf("[{name = \"robots\", users = [%q], mode = \"off\"}]", robot.name)
	s.reload()
	s.setup("sshd", "--first-factor", "key", "--yes", "--confirm-within", "0").expectStatus(t, 0)
	eventually(t, "sshd reads it", func() bool { return strings.Contains(s.sshdLog.String(), "SIGHUP") })

	batch := func() *terminal { return s.ssh(robot, "BatchMode=yes", withKey) }
	expectSaid(t, batch().expectOut(t), "Permission denied")
	expectSaid(t, s.mustControl("explain", robot.name, "--rhost", "127.0.0.1"), "let in", "keyboard-interactive", "BatchMode",
		"Match User "+robot.name, "AuthenticationMethods publickey")
	expectSaid(t, s.mustControl("explain", robot.name, "--json"), `"sshd": "asks for keyboard-interactive`)
	if got := strings.Join(s.findings("sshd"), " "); !strings.Contains(got, "sshd-robot") {
		t.Errorf("doctor finds %s", got)
	}

	ok(t, appendFile("/etc/ssh/sshd_config", "Match User "+robot.name+"\n  AuthenticationMethods publickey"))
	from := s.sshdLog.len()
	s.hangUpSSHD()
	awaitText(t, s.sshdLog, from, "Server listening")
	batch().expectIn(t)
	if out := s.mustControl("explain", robot.name); strings.Contains(out, "BatchMode") {
		t.Errorf("explain still warns:\n%s", out)
	}
	if got := strings.Join(s.findings("sshd"), " "); strings.Contains(got, "sshd-robot") {
		t.Errorf("doctor still finds %s", got)
	}
	expectSaid(t, s.ssh(alice, "BatchMode=yes", withKey).expectOut(t), "Permission denied") // nobody else comes past
}

// Behind a password sshd lets a key in alone until it is told otherwise, and explain says that mfad
// is not asked.
func TestExplainSaysThatAKeyGetsInAlone(t *testing.T) {
	s, alice := debian(t)
	const alone = "lets in by publickey alone"
	for _, first := range []string{"password", "both"} {
		s.setup("sshd", "--first-factor", first, "--yes", "--confirm-within", "0").expectStatus(t, 0)
		said := s.mustControl("explain", alice.name, "--key", "SHA256:"+strings.Repeat("a", 43))
		if got := strings.Contains(said, alone); got != (first == "password") {
			t.Errorf("set up for %s: %s", first, said)
		}
		if said := s.mustControl("explain", alice.name); strings.Contains(said, alone) {
			t.Errorf("set up for %s, of a password: %s", first, said)
		}
		s.setup("sshd", "--undo").expectStatus(t, 0)
	}
}

// hangUpSSHD has sshd read its configuration again.
func (s *site) hangUpSSHD() {
	s.t.Helper()
	ok(s.t, syscall.Kill(s.sshdPID, syscall.SIGHUP))
}

// A reload that is refused fails and says why, and the one before counts; keys that
// only a restart changes are named by reload, status, --check and doctor.
func TestReloadSaysWhatCameOfIt(t *testing.T) {
	s, _ := ready(t)
	config := s.path("mfa.toml")
	good, err := os.ReadFile(config)
	ok(t, err)
	ok(t, os.WriteFile(config, append([]byte("[nonsense]\n"), good...), 0o600))
	out, status := s.control("reload")
	if status != 1 {
		t.Errorf("status %d", status)
	}
	expectSaid(t, out, "refused", config+":1", "nonsense")
	s.settings["server.max_logins"] = "77"
	s.writeConfig()
	const key = "server.max_logins"
	expectSaid(t, s.checked(0), "good", key, "systemctl restart mfad")
	expectSaid(t, s.mustControl("reload"), "mfa.toml is taken", key+" waits for a restart")
	expectSaid(t, s.mustControl("status"), "waits for a restart", key)
	out, _ = s.control("doctor", "--config", config, "sshd")
	expectSaid(t, out, key+" is not what mfad runs with", "systemctl restart mfad")
	s.restartDaemon()
	if out := s.mustControl("status") + s.checked(0) + s.mustControl("reload"); strings.Contains(out, "restart") {
		t.Errorf("after the restart: %s", out)
	}
}

// checked runs mfad --check, ends the test unless it ends with that status, and
// returns what it wrote.
func (s *site) checked(want int) string {
	s.t.Helper()
	c := open(s.t, exec.Command(artefact("mfad"), "--check", "--config", s.path("mfa.toml")))
	return c.expectStatus(s.t, want)
}
