package e2e

import (
	"bufio"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mfa/internal/deliver/delivertest"
	"mfa/internal/mfa"
)

// A right code as it comes out of a clipboard.
func TestPastedCodes(t *testing.T) {
	s, alice := ready(t, "code.max_sends = 20")
	fullWidth := func(code string) string {
		return strings.Map(func(r rune) rune { return r - '0' + '\uff10' }, code)
	}
	for i, paste := range []func(code string) string{
		func(code string) string { return code[:3] + "\u00a0" + code[3:] },
		fullWidth,
		func(code string) string { return code + "." },
		func(code string) string { return "Code: " + code },
		func(code string) string { return "Your code: " + code },
		func(code string) string { return "\x1b[200~" + code + "\x1b[201~" },
		func(code string) string { return "Your code is " + code[:3] + " " + code[3:] + "." },
		func(code string) string { return code[:3] + " " + code[3:] + " is your code" },
		func(code string) string { return "code=" + code },
		func(code string) string { return "G-" + code },
		func(code string) string { return "\u200e" + code[:3] + "\u2013" + code[3:] + "\ufeff" },
	} {
		c := s.ssh(alice)
		c.toCode(s, alice)
		c.send(paste(s.code(alice, i+1)))
		c.expectIn(t)
	}
	s.expectFailures(alice, 0)
}

// One mailed code in six windows that were opened together: one is in, five are told
// that it was used, and nobody is locked.
func TestOneCodeInSixTerminals(t *testing.T) {
	s, alice := ready(t)
	var terminals []*terminal
	for range 6 {
		c := s.ssh(alice)
		c.toCode(s, alice)
		terminals = append(terminals, c)
	}
	code := s.code(alice, 1)
	for i, c := range terminals {
		c.send(code)
		if i == 0 {
			c.expectIn(t)
		} else {
			c.expect(t, `was used already[^\0]*Code[^\n]*: $`)
		}
	}
	s.expectFailures(alice, 0)
	s.expectLetters(alice, 1)
}

// A code that r in another terminal replaced, and one that is older than its
// lifetime and typed after reconnecting.
func TestCodesThatWereRight(t *testing.T) {
	s, clock := inProcess(t, `code.resend_after = "0s"`)
	alice := s.newUser("alice")
	c, other := s.ssh(alice), s.ssh(alice)
	c.toCode(s, alice)
	old := s.code(alice, 1)
	other.toCode(s, alice)
	other.send("r")
	other.expect(t, `new code[^\0]*Code[^\n]*: $`)
	newer := s.code(alice, 2)
	c.send(old)
	expectSaid(t, unwrapped(c.expect(t, `Code[^\n]*: $`)), "That code is the older one")
	other.close()
	c.close()

	clock.pass(time.Hour)
	c = s.ssh(alice)
	c.toCode(s, alice)
	for _, code := range []string{newer, old} {
		c.send(code)
		expectSaid(t, unwrapped(c.expect(t, `Code[^\n]*: $`)), map[bool]string{true: "That code has expired", false: "older one"}[code == newer])
	}
	c.send(s.code(alice, 3))
	c.expectIn(t)
	s.expectFailures(alice, 0)
}

// imap logs in to dovecot with the password and returns its answer.
func imap(t testing.TB, port int, user string) string { return imapWith(t, port, user, password) }

// imapWith logs in to dovecot with a line and returns its answer.
func imapWith(t testing.TB, port int, user, line string) string {
	t.Helper()
	c, err := net.Dial("tcp", fmt.Sprint("127.0.0.1:", port))
	ok(t, err)
	defer c.Close()
	ok(t, c.SetDeadline(time.Now().Add(patience)))
	r := bufio.NewReader(c)
	_, err = r.ReadString('\n')
	ok(t, err)
	_, err = fmt.Fprintf(c, "a LOGIN %s %s\r\n", user, quoted(line))
	ok(t, err)
	for {
		line, err := r.ReadString('\n')
		ok(t, err)
		if strings.HasPrefix(line, "a ") {
			return line
		}
	}
}

// dovecot starts Debian's IMAP server, whose users PAM checks, and returns its port.
func (s *site) dovecot() int {
	s.t.Helper()
	port := freePort(s.t)
	lines := []string{
		"protocols = imap", "listen = 127.0.0.1", "ssl = no", "base_dir = " + s.path("dovecot"), "log_path = /dev/stderr",
		"auth_failure_delay = 0", "default_internal_user = dovecot",
		fmt.Sprintf("service imap-login {\n  inet_listener imap {\n    port = %d\n  }\n  inet_listener imaps {\n    port = 0\n  }\n}", port),
		"service anvil {\n  unix_listener anvil-auth-penalty {\n    mode = 0\n  }\n}",
	}
	version, err := exec.Command("dovecot", "--version").Output()
	ok(s.t, err)
	if strings.HasPrefix(string(version), "2.3.") {
		lines = append(lines, "disable_plaintext_auth = no", "mail_location = maildir:~/Maildir",
			"passdb {\n  driver = pam\n}", "userdb {\n  driver = passwd\n}")
	} else {
		lines = append([]string{"dovecot_config_version = 2.4.0", "dovecot_storage_version = 2.4.0"}, lines...)
		lines = append(lines, "auth_allow_cleartext = yes", "mail_driver = maildir", "mail_path = ~/Maildir",
			"passdb pam {\n}", "userdb passwd {\n}")
	}
	conf := s.path("dovecot.conf")
	ok(s.t, os.WriteFile(conf, []byte(strings.Join(lines, "\n")+"\n"), 0o644))
	log, _ := service(s.t, exec.Command("/usr/sbin/dovecot", "-F", "-c", conf))
	s.t.Cleanup(func() { show(s.t, "dovecot", log) })
	eventually(s.t, "dovecot listens", func() bool {
		c, err := net.Dial("tcp", fmt.Sprint("127.0.0.1:", port))
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
	return port
}

// expectNobodyGuessed ends the test if the logins of a program that cannot ask were
// counted, let in, or not explained.
func (s *site) expectNobodyGuessed(a account) {
	s.t.Helper()
	s.expectFailures(a, 0)
	for _, e := range s.events(a, eventLogin) {
		if e["outcome"] != mfa.NoConversation.String() {
			s.t.Errorf("a login of a program that cannot ask: %v", e)
		}
	}
	awaitSaid(s.t, s.log, 0, "a name was given in place of a code", "hold no conversation")
}

// dovecot answers every visible prompt with the user's name.
func TestDovecotLocksNobody(t *testing.T) {
	s := newSite(t)
	s.stack("dovecot", s.passwordThenCode()...)
	s.stack("sshd", s.passwordThenCode()...)
	s.startDaemon()
	s.sshd()
	alice := s.newUser("alice")
	port := s.dovecot()
	for range 10 {
		if said := imap(t, port, alice.name); !strings.HasPrefix(said, "a NO") {
			t.Fatalf("dovecot says %q", said)
		}
	}
	s.expectNobodyGuessed(alice)
	letters, err := s.letters(alice.email)
	ok(t, err)
	s.login(alice, len(letters)+1)
}

// The auth-pam plugin of OpenVPN does likewise.
func TestOpenVPNLocksNobody(t *testing.T) {
	s := newSite(t)
	s.stack("openvpn", s.passwordThenCode()...)
	s.stack("sshd", s.passwordThenCode()...)
	s.startDaemon()
	s.sshd()
	alice := s.newUser("alice")
	port := s.openvpnServer()
	for range 10 {
		if said := s.openvpn(alice, port); !strings.Contains(said, "AUTH_FAILED") || strings.Contains(said, "Initialization Sequence Completed") {
			t.Fatalf("openvpn says %q", said)
		}
	}
	s.expectNobodyGuessed(alice)
	letters, err := s.letters(alice.email)
	ok(t, err)
	s.login(alice, len(letters)+1)
}

// openvpnServer starts an OpenVPN server without a tunnel, whose users PAM checks,
// and returns its port. Answers are pairs of a prompt and what the plugin says to it.
func (s *site) openvpnServer(answers ...string) int {
	s.t.Helper()
	plugins, err := filepath.Glob("/usr/lib/*/openvpn/plugins/openvpn-plugin-auth-pam.so")
	ok(s.t, err)
	if len(plugins) != 1 {
		s.t.Fatalf("plugins of openvpn: %q", plugins)
	}
	ca := delivertest.NewCA(s.t)
	cert := ca.Issue(s.t, "server")
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	ok(s.t, err)
	authority, err := os.ReadFile(ca.File)
	ok(s.t, err)
	ok(s.t, os.WriteFile(s.path("ca.pem"), authority, 0o644))
	ok(s.t, os.WriteFile(s.path("server.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]}), 0o644))
	ok(s.t, os.WriteFile(s.path("server.key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), 0o600))
	port := freePort(s.t)
	tun := s.path("tun") // a device of its own; it is never brought up
	ok(s.t, unix.Mknod(tun, unix.S_IFCHR|0o600, int(unix.Mkdev(10, 200))))
	cmd := exec.Command("/usr/sbin/openvpn", "--dev", "tun", "--dev-node", tun, "--disable-dco", "--mode", "server", "--tls-server", "--proto", "tcp-server",
		"--local", "127.0.0.1", "--port", strconv.Itoa(port), "--dh", "none", "--verify-client-cert", "none", "--username-as-common-name",
		"--ca", s.path("ca.pem"), "--cert", s.path("server.pem"), "--key", s.path("server.key"), "--plugin", plugins[0], strings.Join(append([]string{"openvpn"}, answers...), " "))
	log, _ := service(s.t, cmd)
	s.t.Cleanup(func() { show(s.t, "openvpn server", log) })
	awaitText(s.t, log, 0, "Initialization Sequence Completed")
	return port
}

// openvpn connects as a with the right password, and returns what it says.
func (s *site) openvpn(a account, port int) string {
	s.t.Helper()
	auth := s.path("auth." + a.name)
	ok(s.t, os.WriteFile(auth, []byte(a.name+"\n"+password+"\n"), 0o600))
	cmd := exec.Command("timeout", "30", "/usr/sbin/openvpn", "--dev", "null", "--client", "--proto", "tcp-client", "--nobind",
		"--remote", "127.0.0.1", strconv.Itoa(port), "--ca", s.path("ca.pem"), "--auth-user-pass", auth, "--auth-retry", "none",
		"--connect-retry-max", "1")
	out, _ := cmd.CombinedOutput() // its status is that of a failure
	return string(out)
}
