package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

// otherAddress is one that no login of the tests comes from.
const otherAddress = "198.51.100.9"

// loggingSSHD is sshd, but it logs to syslog, as it does in real life.
func (s *site) loggingSSHD() {
	s.t.Helper()
	s.sshd()
	from := syslog.len()
	s.sshdPort = freePort(s.t)
	service(s.t, exec.Command("/usr/sbin/sshd", "-D", "-f", s.path("sshd_config"), "-p", strconv.Itoa(s.sshdPort)))
	awaitText(s.t, &syslog, from, fmt.Sprintf("Server listening on 127.0.0.1 port %d", s.sshdPort))
}

// sshAs logs in with any name at all, which ssh itself would refuse to take, and
// gives each prompt the answer. It says whether it was let in.
func (s *site) sshAs(name, answer string) bool {
	s.t.Helper()
	c, err := ssh.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(s.sshdPort)), &ssh.ClientConfig{
		User: name, Timeout: patience, HostKeyCallback: ssh.InsecureIgnoreHostKey(),
		Auth: []ssh.AuthMethod{ssh.KeyboardInteractive(func(_, _ string, questions []string, _ []bool) ([]string, error) {
			answers := make([]string, len(questions))
			for i := range answers {
				answers[i] = answer
			}
			return answers, nil
		})},
	})
	if err == nil {
		_ = c.Close()
	}
	return err == nil
}

// syslogLine is what programs send to /dev/log: priority, date, the rest.
var syslogLine = regexp.MustCompile(`^<\d+>(\w{3} [ \d]\d \d\d:\d\d:\d\d) (.*)$`)

// authLog writes what came to /dev/log since from as rsyslog would to auth.log.
func (s *site) authLog(from int) string {
	s.t.Helper()
	var b strings.Builder
	for line := range strings.Lines(syslog.String()[from:]) {
		if m := syslogLine.FindStringSubmatch(strings.TrimRight(line, "\n")); m != nil {
			fmt.Fprintf(&b, "%s %s %s\n", m[1], hostName, m[2])
		}
	}
	name := s.path("auth.log")
	ok(s.t, os.WriteFile(name, []byte(b.String()), 0o600))
	return name
}

// fail2ban installs the filter and the jail in the private /etc.
func fail2ban(t *testing.T) {
	t.Helper()
	for _, name := range []string{"filter.d/mfa.conf", "jail.d/mfa.conf"} {
		data, err := os.ReadFile(filepath.Join(moduleRoot(), "packaging", "fail2ban", name))
		ok(t, err)
		ok(t, os.WriteFile("/etc/fail2ban/"+name, data, 0o644))
	}
}

// counted returns the addresses that fail2ban counts a failure for, each time,
// in a log file.
func counted(t *testing.T, log string) []string {
	t.Helper()
	out, err := exec.Command("timeout", "60", "fail2ban-regex", "-o", "ip", log, "/etc/fail2ban/filter.d/mfa.conf").CombinedOutput()
	if err != nil {
		t.Fatalf("fail2ban-regex: %v\n%s", err, out)
	}
	return strings.Fields(string(out))
}

// Fail2ban counts each login that ended by wrong codes, once, for the address it
// came from; and nothing else, whatever somebody calls themselves.
func TestFail2ban(t *testing.T) {
	fail2ban(t)
	s := newSite(t)
	s.startDaemon()
	s.stack("sshd", s.passwordThenCode()...)
	s.loggingSSHD()
	from, want := syslog.len(), 0
	alice, bob, carol := s.newUser("alice"), s.newUser("bob"), s.newUser("carol")

	s.login(alice, 1)

	guess := func() { // the last of the login, then of the user
		c := s.ssh(bob)
		c.toCode(s, bob)
		for range 3 {
			c.send("000000x")
			_, _ = c.wait(`Code[^\n]*: $`) // none after the last
		}
		c.expectOut(t)
		want++
	}
	guess()
	guess()
	c := s.ssh(bob) // locked
	c.expect(t, `Password: $`)
	c.send(password)
	c.expectOut(t)
	want++

	c = s.ssh(carol) // a wrong code, and then no more
	c.toCode(s, carol)
	c.send("000000x")
	for range 3 {
		c.expect(t, `Code[^\n]*: $`)
		c.send("")
	}
	c.expectOut(t)
	want++

	c = s.ssh(alice) // nobody answers
	c.toCode(s, alice)
	c.send("")
	for range 2 {
		c.expect(t, `Code[^\n]*: $`)
		c.send("")
	}
	c.expectOut(t)

	if s.sshAs(alice.name, "wrong password") {
		t.Error("let in by a wrong password")
	}

	s.stack("sshd", s.codeOnly()...) // so that unknown names reach the module
	for _, name := range []string{
		"x rhost=" + otherAddress + " user=y",
		"y\nNov 22 03:00:00 host sshd[1]: pam_mfa(sshd:auth): second factor refused, wrong code (PAM_AUTH_ERR) rhost=" + otherAddress + " user=z",
		"pam_mfa(sshd:auth): second factor refused, wrong code (PAM_AUTH_ERR) rhost=" + otherAddress + " user=z",
		otherAddress, "$(reboot)\x1b[2J", "a:b/../c", strings.Repeat("n", 300) + " rhost=" + otherAddress,
	} {
		if s.sshAs(name, "000000") {
			t.Errorf("%q is let in", name)
		}
		want++
	}

	ok(t, s.stopDaemon()) // cannot be checked
	if s.sshAs(alice.name, "000000") {
		t.Error("let in without the daemon")
	}

	found := counted(t, s.authLog(from))
	if len(found) != want {
		t.Errorf("fail2ban counts %d failures, want %d", len(found), want)
	}
	for _, ip := range found {
		if ip != "127.0.0.1" {
			t.Errorf("fail2ban would ban %s", ip)
		}
	}
}

// What the logs of other systems look like, and lines that must not count.
func TestFail2banLines(t *testing.T) {
	fail2ban(t)
	const wrong = "second factor refused, wrong code (PAM_AUTH_ERR) rhost="
	log := filepath.Join(t.TempDir(), "auth.log")
	ok(t, os.WriteFile(log, []byte(strings.Join([]string{
		"2026-11-22T02:34:51.123456+00:00 host sshd-session[99]: pam_mfa(sshd:auth): " + wrong + "2001:db8::7 user=alice",
		"Nov 22 02:34:51 sshd[99]: pam_mfa(sshd:auth): " + wrong + "192.0.2.1 user=",

		"Nov 22 02:34:51 host sshd[99]: pam_mfa(sshd:auth): " + wrong + "evil.example.com user=alice",
		"Nov 22 02:34:51 host sshd[99]: pam_mfa(sshd:auth): " + wrong + " user=alice",
		"Nov 22 02:34:51 host sudo[99]: pam_mfa(sudo:auth): " + wrong + "192.0.2.2 user=alice",
		"Nov 22 02:34:51 host eve: sshd[99]: pam_mfa(sshd:auth): " + wrong + "192.0.2.3 user=alice",
		"Nov 22 02:34:51 host sshd[99]: Invalid user pam_mfa(sshd:auth): " + wrong + "192.0.2.4 user=alice",
		"Nov 22 02:34:51 host sshd[99]: pam_mfa(sshd:auth): second factor refused, cannot be checked (PAM_AUTHINFO_UNAVAIL) rhost=192.0.2.5 user=alice",
		"Nov 22 02:34:51 host sshd[99]: pam_mfa(sshd:auth): second factor accepted (PAM_SUCCESS) rhost=192.0.2.6 user=alice",
		"",
	}, "\n")), 0o600))
	if got := counted(t, log); !slices.Equal(got, []string{"2001:db8::7", "192.0.2.1"}) {
		t.Errorf("fail2ban counts for %q", got)
	}
}

// The jail is one that fail2ban can start.
func TestFail2banJail(t *testing.T) {
	fail2ban(t)
	_ = os.Remove("/etc/fail2ban/jail.d/defaults-debian.conf") // wants an auth.log
	ok(t, os.WriteFile("/etc/fail2ban/jail.d/mfa.local", []byte("[mfa]\nenabled = true\n"), 0o644))
	if out, err := exec.Command("timeout", "60", "fail2ban-client", "-t").CombinedOutput(); err != nil {
		t.Errorf("fail2ban-client: %v\n%s", err, out)
	}
	out, err := exec.Command("timeout", "60", "fail2ban-client", "-d").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "['start', 'mfa']") {
		t.Errorf("the jail is not started: %v\n%s", err, out)
	}
}
