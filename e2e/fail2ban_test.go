package e2e

import (
	"crypto/rand"
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
func (s *site) loggingSSHD(options ...string) {
	s.t.Helper()
	s.sshd(options...)
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
	awaitSyslog(s.t)
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

// awaitSyslog waits until all that was sent to the system's log before is in syslog: its socket
// keeps the order.
func awaitSyslog(t testing.TB) {
	t.Helper()
	from := syslog.len()
	c, err := net.Dial("unixgram", "/dev/log")
	ok(t, err)
	defer func() { _ = c.Close() }()
	mark := rand.Text()
	_, err = c.Write([]byte("<38>" + mark))
	ok(t, err)
	awaitText(t, &syslog, from, mark)
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
	return countedBy(t, "mfa", log)
}

// countedBy is counted by another filter.
func countedBy(t *testing.T, filter, log string) []string {
	t.Helper()
	out, err := exec.Command("timeout", "60", "fail2ban-regex", "-o", "ip", log, "/etc/fail2ban/filter.d/"+filter+".conf").CombinedOutput()
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
			c.send("000000")
			_, _ = c.wait(`Code[^\n]*: $`) // none after the last
		}
		c.expectOut(t)
		want++
	}
	guess()
	guess()
	c := s.ssh(bob) // locked: nothing is typed, and nothing counts
	c.expect(t, `Password: $`)
	c.send(password)
	c.expectOut(t)

	c = s.ssh(carol) // a wrong code, and then no more
	c.toCode(s, carol)
	c.send("000000")
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

	// So that unknown names reach the module, and are asked for what needs no sending.
	s.stack("sshd", s.codeOnly()...)
	s.set(`policy.methods = ["totp"]`)
	s.restartDaemon()
	for _, name := range []string{
		"x rhost=" + otherAddress + " user=y",
		"y\nNov 22 03:00:00 host sshd[1]: pam_mfa(sshd:auth): second factor refused, wrong code (PAM_AUTH_ERR) rhost=" + otherAddress + " user=z",
		"pam_mfa(sshd:auth): second factor refused, wrong code (PAM_AUTH_ERR) rhost=" + otherAddress + " user=z",
		otherAddress, "$(reboot)\x1b[2J", "a:b/../c", strings.Repeat("n", 200) + " rhost=" + otherAddress,
	} {
		if s.sshAs(name, "000000") {
			t.Errorf("%q is let in", name)
		}
		want++
	}

	if s.sshAs(strings.Repeat("n", 300), "000000") { // no name at all
		t.Error("300 bytes are let in as a name")
	}

	s.stack("sshd", s.passwordThenCode()...)
	delete(s.settings, "policy.methods")
	s.restartDaemon()
	dave := s.newUser("dave")
	c = s.ssh(dave) // the daemon stops, after a wrong code
	c.toCode(s, dave)
	c.send(wrong(s.code(dave, 1)))
	c.expect(t, `not right[^\0]*Code[^\n]*: $`)
	c2 := s.ssh(alice) // and before one
	c2.toCode(s, alice)
	ok(t, s.stopDaemon())
	for _, c := range []*terminal{c, c2} {
		c.send("")
		c.expectOut(t)
	}
	s.stack("sshd", s.codeOnly()...)
	// cannot be checked
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

// Log lines of other systems, and lines that must not count.
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

// The filter believes the fields that the journal itself writes, and no others: any
// user can call a process sshd, and itself so in what it logs.
func TestFail2banJournal(t *testing.T) {
	const line = "pam_mfa(sshd:auth): second factor refused, wrong code (PAM_AUTH_ERR) rhost=192.0.2.1 user="
	var export strings.Builder
	entry := func(user string, fields ...string) {
		fmt.Fprintf(&export, "__REALTIME_TIMESTAMP=%d\n_BOOT_ID=0123456789abcdef0123456789abcdef\n", 1_700_000_000_000_000+export.Len())
		for _, f := range append(fields, "SYSLOG_IDENTIFIER=sshd", "PRIORITY=5", "MESSAGE="+line+user) {
			fmt.Fprintln(&export, f)
		}
		fmt.Fprintln(&export)
	}
	entry("debian12", "_UID=0", "_COMM=sshd", "_SYSTEMD_UNIT=ssh.service", "_SYSTEMD_SLICE=system.slice")
	entry("debian13", "_UID=0", "_COMM=sshd-session", "_SYSTEMD_UNIT=ssh.service", "_SYSTEMD_SLICE=system.slice")
	entry("fedora", "_UID=0", "_COMM=sshd-session", "_SYSTEMD_UNIT=sshd.service", "_SYSTEMD_SLICE=system.slice")
	entry("persocket", "_UID=0", "_COMM=sshd", "_SYSTEMD_UNIT=ssh@0-192.0.2.1:22-192.0.2.9:999.service", "_SYSTEMD_SLICE=system-ssh.slice")

	entry("eve1", "_UID=1000", "_COMM=sshd", "_SYSTEMD_UNIT=session-1.scope", "_SYSTEMD_SLICE=user-1000.slice")
	entry("eve2", "_UID=1000", "_COMM=sshd-session", "_SYSTEMD_UNIT=user@1000.service", "_SYSTEMD_USER_UNIT=ssh.service")
	entry("eve3", "_UID=1000", "_COMM=sshd", "_SYSTEMD_UNIT=ssh.service", "_SYSTEMD_SLICE=system.slice") // a session without logind
	entry("eve4", "_UID=1000", "_COMM=sshd", "_SYSTEMD_UNIT=session-1.scope", "UID=0", "SYSTEMD_UNIT=ssh.service", "UNIT=ssh.service")
	entry("eve5", "_UID=0", "_COMM=sshd", "_SYSTEMD_UNIT=session-1.scope", "_SYSTEMD_SLICE=user-1000.slice") // a set-user-ID program by another name

	dir := t.TempDir()
	ok(t, os.WriteFile(dir+"/export", []byte(export.String()), 0o600))
	out, err := exec.Command("/lib/systemd/systemd-journal-remote", "--output="+dir+"/x.journal", dir+"/export").CombinedOutput()
	if err != nil {
		t.Fatalf("systemd-journal-remote (see install.sh): %v\n%s", err, out)
	}
	filter, err := os.ReadFile(filepath.Join(moduleRoot(), "packaging/fail2ban/filter.d/mfa.conf"))
	ok(t, err)
	match := regexp.MustCompile(`(?m)^journalmatch = (.*)$`).FindSubmatch(filter)
	if match == nil {
		t.Fatal("the filter has no journalmatch")
	}
	out, err = exec.Command("journalctl", append([]string{"--file=" + dir + "/x.journal", "-q", "-o", "cat"}, strings.Fields(string(match[1]))...)...).CombinedOutput()
	ok(t, err)
	var users []string
	for l := range strings.Lines(string(out)) {
		users = append(users, strings.TrimPrefix(strings.TrimSpace(l), line))
	}
	if !slices.Equal(users, []string{"debian12", "debian13", "fedora", "persocket"}) {
		t.Errorf("fail2ban reads the lines of %q\n%s", users, out)
	}
}

// Slips of somebody who is setting up a second factor open nothing and are no attack; nor
// is the password, typed where a choice is asked for, which is told and asked again.
func TestSlipsOfASetupBanNobody(t *testing.T) {
	s, clock := inProcess(t)
	s.loggingSSHD()
	fail2ban(t)
	bob := newAccount(t, "bob")
	from := syslog.len()
	c := s.begin(bob)
	c.expect(t, choicePrompt)
	c.send(password)
	c.expect(t, "That is your password. It is not asked for here.")
	c.pick(t, offerApp, "")
	p := c.scan(t)
	for range 3 {
		c.send(wrong(p.code(t, clock.now())))
		c.expect(t, "not right")
	}
	c.finish()
	log := s.authLog(from)
	text, err := os.ReadFile(log)
	ok(t, err)
	if !strings.Contains(string(text), "refused untried") {
		t.Errorf("the log is\n%s", text)
	}
	if ips := counted(t, log); len(ips) > 0 {
		t.Errorf("fail2ban counts %q", ips)
	}
}

// A code that is asked for behind the password ends a login that sshd calls failed: its own
// jail counts it, as the manual says, and ours does not.
func TestFail2banOfACodeSentBehindThePassword(t *testing.T) {
	fail2ban(t)
	s := newSite(t)
	s.startDaemon()
	s.stack("sshd", s.oneLine()...)
	s.loggingSSHD("PasswordAuthentication yes")
	from := syslog.len()
	alice := s.newUser("alice")
	for n, line := range []string{password + ",email", ""} {
		if line == "" {
			line = password + s.code(alice, n)
		}
		c := s.ssh(alice, "PreferredAuthentications=password")
		c.expect(t, `assword: $`)
		c.send(line)
		if n == 0 {
			c.expectOut(t)
			continue
		}
		c.expectIn(t)
	}
	log := s.authLog(from)
	if ours := counted(t, log); len(ours) != 0 {
		t.Errorf("our jail counts %q", ours)
	}
	if theirs := countedBy(t, "sshd", log); len(theirs) != 1 {
		t.Errorf("the jail of sshd counts %q: say so in mfa-programs(7)", theirs)
	}
}
