package e2e

import (
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"mfa/internal/deliver/delivertest"
	"mfa/internal/mfa"
	"mfa/internal/wire"
	"mfa/internal/wire/wiretest"
)

// oneLine is the auth part for a password with the code behind it.
func (s *site) oneLine(args ...string) []string {
	return []string{
		"auth required " + s.module(append([]string{"split"}, args...)...),
		"auth requisite pam_unix.so nodelay use_first_pass",
		"auth required " + s.module(args...),
	}
}

// withPassword gives a another password.
func (a account) withPassword(t testing.TB, password string) {
	t.Helper()
	hash, err := exec.Command("perl", "-e", "print crypt($ARGV[0], '$5$rounds=1000$mfae2e$')", password).Output()
	ok(t, err)
	shadow, err := os.ReadFile("/etc/shadow")
	ok(t, err)
	line := regexp.MustCompile(`(?m)^` + a.name + `:[^:]*:`)
	ok(t, os.WriteFile("/etc/shadow", line.ReplaceAllLiteral(shadow, fmt.Appendf(nil, "%s:%s:", a.name, hash)), 0o600))
}

// A lineLogin logs in with one line to a program that asks for no more.
type lineLogin func(line string) bool

// linePrograms start the programs that one line is for, for one user.
var linePrograms = map[string]struct {
	service string
	start   func(s *site, a account) lineLogin
}{
	"sshd password": {"sshd", (*site).sshdByPassword},
	"openvpn": {"openvpn", func(s *site, a account) lineLogin {
		port := s.openvpnServer()
		return func(line string) bool { return s.openvpnIn(a, port, line, "") }
	}},
	"dovecot": {"dovecot", func(s *site, a account) lineLogin {
		port := s.dovecot()
		return func(line string) bool { return strings.HasPrefix(imapWith(s.t, port, a.name, line), "a OK") }
	}},
	"vsftpd": {"vsftpd", func(s *site, a account) lineLogin {
		login := s.ftp()
		return func(line string) bool { return login(a.name, line) }
	}},
	"PostgreSQL": {"postgresql", func(s *site, a account) lineLogin {
		login := s.postgres(a, groupOf(s.t, "shadow")) // for pam_unix
		return func(line string) bool { _, in := login(line); return in }
	}},
	"saslauthd": {"smtp", func(s *site, a account) lineLogin {
		login := s.saslauthd()
		return func(line string) bool { return login(a.name, line) }
	}},
	"FreeRADIUS": {"radiusd", func(s *site, a account) lineLogin {
		login := s.radius(true)
		return func(line string) bool { _, in := login(a.name, line); return in }
	}},
}

// groupOf returns the number of a group.
func groupOf(t testing.TB, name string) uint32 {
	t.Helper()
	g, err := user.LookupGroup(name)
	ok(t, err)
	gid, err := strconv.ParseUint(g.Gid, 10, 32)
	ok(t, err)
	return uint32(gid)
}

// sshdByPassword starts an sshd whose password method lets in.
func (s *site) sshdByPassword(a account) lineLogin {
	s.sshd("PasswordAuthentication yes")
	return func(line string) bool {
		c := s.ssh(a, "PreferredAuthentications=password")
		c.expect(s.t, `assword: $`)
		c.send(line)
		text, status, err := c.finish()
		ok(s.t, err)
		return status == 0 && strings.Contains(text, welcome)
	}
}

// saslauthd starts Debian's saslauthd and returns a way to ask it for the service smtp, as
// a mail server does.
func (s *site) saslauthd() (login func(user, password string) bool) {
	s.t.Helper()
	dir := s.path("sasl")
	ok(s.t, os.Mkdir(dir, 0o755))
	service(s.t, exec.Command("/usr/sbin/saslauthd", "-a", "pam", "-m", dir, "-n", "1", "-d"))
	eventually(s.t, "saslauthd listens", func() bool { _, err := os.Stat(dir + "/mux"); return err == nil })
	return func(user, password string) bool {
		out, err := exec.Command("/usr/sbin/testsaslauthd", "-u", user, "-p", password, "-s", "smtp", "-f", dir+"/mux").CombinedOutput()
		in := strings.Contains(string(out), "OK \"Success")
		if in != (err == nil) || !in && !strings.Contains(string(out), "NO \"authentication failed") {
			s.t.Fatalf("testsaslauthd says %q, %v", out, err)
		}
		return in
	}
}

// openvpnIn connects as a with a line for the password, and with an answer to a static
// challenge if that is not empty, and says whether it was let in.
func (s *site) openvpnIn(a account, port int, line, answer string) bool {
	s.t.Helper()
	auth := s.path("auth." + a.name)
	ok(s.t, os.WriteFile(auth, []byte(a.name+"\n"+line+"\n"), 0o600))
	args := []string{
		"--dev", "null", "--client", "--proto", "tcp-client", "--nobind",
		"--remote", "127.0.0.1", strconv.Itoa(port), "--ca", s.path("ca.pem"), "--auth-user-pass", auth, "--auth-retry", "none",
		"--connect-retry-max", "1",
	}
	if answer != "" {
		args = append(args, "--static-challenge", "Code", "1") // with echo: without, what was typed too early is thrown away
	}
	cmd := exec.Command("/usr/sbin/openvpn", args...) // which connects anew when its terminal goes, so it is ended itself
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	c := open(s.t, cmd)
	defer c.close()
	if answer != "" {
		c.expect(s.t, `CHALLENGE: Code[^\n]*$`)
		c.send(answer)
	}
	return strings.HasSuffix(c.expect(s.t, `AUTH_FAILED|Initialization Sequence Completed`), "Completed")
}

// Over the programs themselves: 50 wrong passwords count nothing and send nothing, whatever
// is behind them; the right one lets in with a code, of an app or sent, and not without.
func TestOneLinePrograms(t *testing.T) {
	for name, program := range linePrograms {
		t.Run(name, func(t *testing.T) {
			s, clock := inProcess(t, `server.trusted_users = ["postgres"]`)
			alice := newAccount(t, "alice")
			app, backup := s.enrollByApp(alice, clock)
			s.mustControl("enroll", alice.name, "--email", alice.email, "--no-message")
			s.published()
			s.stack(program.service, s.oneLine()...)
			if name == "PostgreSQL" {
				s.withoutPassword(program.service)
			}
			in := program.start(s, alice)
			expect := func(line string, want bool) {
				t.Helper()
				if got := in(line); got != want {
					t.Fatalf("let in with %q: %v, want %v; the daemon says %s", line, got, want, s.log)
				}
			}
			mark := len(s.auditText())
			for i := range 50 {
				behind := []string{app.code(t, clock.step(app.period)), "123456", ",email", ",k7mx-24wp-9hre-3cdf", ""}[i%5]
				expect("wrong-"+password+behind, false)
			}
			if said := s.auditText()[mark:]; said != "" {
				t.Fatalf("wrong passwords left %s", said)
			}
			s.expectLetters(alice, 0)

			clock.pass(time.Minute)
			code := app.code(t, clock.step(app.period))
			expect(password, false)
			s.expectFailures(alice, 0)
			expect(password+wrong(code), false)
			s.expectFailures(alice, 1)
			expect(password+code, true)
			expect(password+code, false) // used
			s.expectFailures(alice, 1)
			expect(password+","+backup[0], true)
			expect(password+",email", false)
			expect(password+s.code(alice, 1), true)
			expect(password+s.code(alice, 1), false)
			s.expectFailures(alice, 1)
			s.expectLetters(alice, 1)
			outcomes := ""
			for _, e := range s.events(alice, eventLogin) {
				if e["service"] == program.service {
					outcomes += fmt.Sprint(" ", e["outcome"])
				}
			}
			if !strings.HasSuffix(outcomes, " no_conversation wrong_code accepted no_conversation accepted code_sent accepted no_conversation") {
				t.Errorf("the audit file says%s", outcomes)
			}
			if strings.Contains(s.auditText()+s.log.String()+syslog.String(), password) {
				t.Error("a log has the password")
			}
		})
	}
}

// Passwords of every kind, with the code behind them: of an app, and one that was sent to
// who typed the password alone.
func TestOneLinePasswords(t *testing.T) {
	s, clock := inProcess(t)
	app, mailed := newAccount(t, "app"), newAccount(t, "mailed")
	phone, _ := s.enrollByApp(app, clock)
	s.mustControl("enroll", mailed.name, "--email", mailed.email, "--no-message")
	s.stack("vsftpd", s.oneLine()...)
	login := s.ftp()
	for i, secret := range []string{
		password, "summer2026", "hunter12345", "hunter123456", "hunter12345678", "123456", "a,b", "ends,", "a,123456", "is,email", ",text", "x y 7",
		"SCRV1:x", "SCRV1:aGk=", "p\u00e4ss,w\u00f6rd", "hello,acdefhjkmn", "hello,k7mx-24wp-9hre-3cdf", "\"quoted\" 1-2-3-4-5-6",
	} {
		app.withPassword(t, secret)
		mailed.withPassword(t, secret)
		clock.pass(20 * time.Minute) // no code stands any more, and the app shows a new one
		if !login(app.name, secret+phone.code(t, clock.step(phone.period))) {
			t.Errorf("%q and the code of the app: not let in: %s", secret, s.log)
		}
		alone := secret
		if secret == "is,email" { // what looks like a code at the end is one, so there must be one
			alone += ",email"
		}
		if login(mailed.name, alone) {
			t.Errorf("%q lets in", alone)
		}
		if !login(mailed.name, secret+s.code(mailed, i+1)) {
			t.Errorf("%q and the code that was sent: not let in: %s", secret, s.log)
		}
	}
	s.expectFailures(app, 0)
	s.expectFailures(mailed, 0)
}

// An app of 8 digits beside codes of 6 that are sent, with passwords that end in anything: with
// a comma before it each code lets in; without one a shorter code behind a password in digits
// may look like a longer one. Nothing lets in without a real code, and nobody who typed what
// is right is charged with anything.
func TestOneLineTwoLengths(t *testing.T) {
	s, clock := inProcess(t, `totp.digits = 8`)
	alice := newAccount(t, "alice")
	app, _ := s.enrollByApp(alice, clock)
	s.mustControl("enroll", alice.name, "--email", alice.email, "--no-message")
	s.stack("vsftpd", s.oneLine()...)
	ftp := s.ftp()
	login := func(line string) bool { return ftp(alice.name, line) }
	sent := 0
	for _, c := range []struct {
		secret string
		plain  bool // a code of 6 digits behind it needs no comma
	}{
		{"hunter", true},
		{"hunter1", true},
		{"hunter12", false},
		{"summer2026", false},
		{"12345678", false},
		{"a,b", true},
		{"ends,", false},
		{"a,12", false},
		{"a,123456", false},
		{"1 2", true},
		{"x-1-2", false},
		{"p\u00e41", true},
	} {
		alice.withPassword(t, c.secret)
		clock.pass(20 * time.Minute) // nothing stands any more
		if !login(c.secret + app.code(t, clock.step(app.period))) {
			t.Errorf("%q and the code of the app: not let in: %s", c.secret, s.log)
		}
		for _, plain := range []bool{false, true} {
			clock.pass(time.Minute)
			if login(c.secret + ",email") {
				t.Errorf("%q: let in without a code", c.secret)
			}
			sent++
			shown, code := app.code(t, clock.step(app.period)), s.code(alice, sent)
			for _, line := range []string{c.secret, c.secret + ",", c.secret + shown[:6], c.secret + shown[2:], c.secret + "," + shown[2:], c.secret + code[:5]} {
				if login(line) {
					t.Errorf("%q lets in", line)
				}
			}
			s.mustControl("unlock", alice.name) // what was guessed there is guessed
			before := len(s.events(alice, eventFailed))
			if plain && !login(c.secret+","+shown) {
				t.Errorf("%q, a comma and the code of the app: not let in: %s", c.secret, s.log)
			}
			want := c.plain || !plain
			if comma := map[bool]string{false: ","}[plain]; login(c.secret+comma+code) != want {
				t.Errorf("%q, %q and the code that was sent: let in %v; %s", c.secret, comma, !want, s.log)
			}
			if !want && !login(c.secret+","+code) {
				t.Errorf("%q: the code is good no more: %s", c.secret, s.log)
			}
			clock.pass(time.Minute)
			if !login(c.secret + app.code(t, clock.step(app.period))) {
				t.Errorf("%q and the code of the app: not let in: %s", c.secret, s.log)
			}
			s.expectFailures(alice, before)
		}
	}
}

// All of the line is the password of those who are not asked.
func TestOneLineNotAsked(t *testing.T) {
	s := newSite(t)
	free := newAccount(t, "free")
	s.settings["policy.rule"] = fmt.Sprintf("[{name = \"free\", users = [%q], mode = \"off\"}]", free.name)
	s.stack("vsftpd", s.oneLine("exempt=success")...)
	s.startDaemon()
	login := s.ftp()
	for _, secret := range []string{password, "hunter123456", "a,email", "a,k7mx-24wp-9hre-3cdf", "SCRV1:x"} {
		free.withPassword(t, secret)
		if !login(free.name, secret) {
			t.Errorf("%q: not let in: %s", secret, s.log)
		}
		if login(free.name, secret+"123456") {
			t.Errorf("%q with digits behind it lets in", secret)
		}
	}
	ok(t, s.stopDaemon())
	if login(free.name, password) {
		t.Error("let in without the daemon")
	}
}

// In one connection by sshd's password method: the first line has a code sent, the second
// carries it. The password never crosses the socket.
func TestOneLineInOneConnection(t *testing.T) {
	s := newSite(t)
	p, arg := s.newTap()
	lines := s.oneLine()
	for i, line := range lines {
		lines[i] = strings.Replace(line, "socket="+s.path("run/pam.sock"), arg, 1)
	}
	s.stack("sshd", lines...)
	s.startDaemon()
	s.sshd("PasswordAuthentication yes")
	alice := s.newUser("alice")
	for n, first := range []string{password, password + ",email"} {
		c := s.ssh(alice, "PreferredAuthentications=password", "NumberOfPasswordPrompts=2")
		c.expect(t, `assword: $`)
		c.send(first)
		c.expect(t, `assword: $`)
		c.send(password + s.code(alice, n+1))
		c.expectIn(t)
	}
	s.expectFailures(alice, 0)
	p.expectNoPassword(t, alice)

	c := s.ssh(alice) // keyboard-interactive has the one question too
	c.expect(t, `Password: $`)
	c.send(password + ",email")
	expectSaid(t, unwrapped(c.expectOut(t)), "sent to a***e@example.com", "Log in again with it right behind your password")
	c = s.ssh(alice)
	c.expect(t, `Password: $`)
	c.send(password + s.code(alice, 3))
	c.expectIn(t)
	p.expectNoPassword(t, alice)
}

// The static challenge of OpenVPN, by its plugin: the stack asks, and the plugin answers.
// The same envelope in the hands of another program, in one line.
func TestOneLineStaticChallenge(t *testing.T) {
	s, clock := inProcess(t)
	alice := newAccount(t, "alice")
	app, _ := s.enrollByApp(alice, clock)
	s.stack("openvpn", s.passwordThenCode()...)
	s.stack("vsftpd", s.oneLine()...)
	port := s.openvpnServer("login", "USERNAME", "password", "PASSWORD", "type", "OTP", "a", "OTP")
	code := app.code(t, clock.step(app.period))
	for range 50 {
		if s.openvpnIn(alice, port, "wrong-"+password, code) {
			t.Fatal("let in with a wrong password")
		}
	}
	s.expectFailures(alice, 0)
	if s.openvpnIn(alice, port, password, wrong(code)) {
		t.Error("let in with a wrong code")
	}
	clock.pass(time.Minute)
	if !s.openvpnIn(alice, port, password, app.code(t, clock.step(app.period))) {
		t.Errorf("not let in: %s", s.log)
	}

	login := s.ftp()
	envelope := func(password, answer string) string {
		b64 := base64.StdEncoding.EncodeToString
		return "SCRV1:" + b64([]byte(password)) + ":" + b64([]byte(answer))
	}
	clock.pass(time.Minute)
	code = app.code(t, clock.step(app.period))
	failures := len(s.events(alice, eventFailed))
	for _, line := range []string{envelope("wrong", code), envelope(password, ""), envelope(password, "email")} {
		if login(alice.name, line) {
			t.Errorf("let in with %q", line)
		}
	}
	s.expectFailures(alice, failures)
	if !login(alice.name, envelope(password, code)) {
		t.Errorf("not let in: %s", s.log)
	}
	clock.pass(time.Minute)
	if !login(alice.name, envelope(password+app.code(t, clock.step(app.period)), "")) {
		t.Errorf("not let in: %s", s.log)
	}
}

// How a line is cut is told to who may ask for the user, and to nobody else.
func TestOneLineOfSomebodyElse(t *testing.T) {
	s := newSite(t)
	s.startDaemon()
	alice, mallory := s.newUser("alice"), newAccount(t, "mallory")
	for _, c := range []struct {
		uid  int
		tell bool
	}{{0, true}, {alice.uid, true}, {mallory.uid, false}} {
		conn := dialAs(t, c.uid, s.path("run/pam.sock"))
		f := wiretest.Hello(mfa.Request{Service: "imap", User: alice.name})
		f.Type = wire.Split
		ok(t, wire.Write(conn, f))
		got, err := wire.Read(conn)
		ok(t, err)
		_ = conn.Close()
		if (got.Type == wire.Cut) != c.tell {
			t.Errorf("uid %d is told %q %q", c.uid, got.Type, got.Payload)
		}
	}
	s.expectLetters(alice, 0)
}

// Mfactl setup writes one line for sshd and for a program that has no file yet; doctor is
// content with both, and everything can be taken back.
func TestSetupOneLine(t *testing.T) {
	s, alice := debian(t)
	ok(t, os.RemoveAll("/etc/pam.d/vsftpd"))
	for _, service := range []string{"sshd", "vsftpd"} {
		s.setup(service, "--one-line", "--yes", "--confirm-within", "0").expectStatus(t, 0)
		text, err := os.ReadFile("/etc/pam.d/" + service)
		ok(t, err)
		expectSaid(t, string(text), "pam_mfa.so", " split\n", "use_first_pass")
		for _, f := range s.findings(service) {
			if strings.HasPrefix(f, "one-line") || strings.HasPrefix(f, "sshd-keyboard") || strings.HasPrefix(f, "sshd-password") {
				t.Errorf("%s: doctor finds %s", service, f)
			}
		}
	}
	eventually(t, "sshd reads it", func() bool { return strings.Contains(s.sshdLog.String(), "SIGHUP") })
	login := s.ftp()
	if login(alice.name, "wrong-"+password) || login(alice.name, password) {
		t.Error("let in by ftp without a code")
	}
	if !login(alice.name, password+s.code(alice, 1)) {
		t.Errorf("not let in by ftp: %s", s.log)
	}
	for _, line := range []string{password, ""} {
		if line == "" {
			line = password + s.code(alice, 2)
		}
		c := s.ssh(alice, "PreferredAuthentications=password")
		c.expect(t, `assword: $`)
		c.send(line)
		if line == password {
			c.expectOut(t)
		} else {
			c.expectIn(t)
		}
	}
	s.setup("--undo").expectStatus(t, 0)
	if _, err := os.Stat("/etc/pam.d/vsftpd"); err == nil {
		t.Error("/etc/pam.d/vsftpd is still there")
	}
	expectAsBefore(t, s, alice)
}

// A text message and a call that are asked for behind the password, by sshd's method password,
// over the carrier: the next login carries what was read or heard. A wrong password costs
// nothing, and what may be spent on calls is counted apart.
func TestOneLineTextAndCall(t *testing.T) {
	s, tw := calling(t, delivertest.TwilioOptions{})
	s.set(`policy.methods = ["sms", "call"]`, "sms.call.per_user_per_day = 1")
	s.run()
	alice := s.withPhone("alice")
	s.stack("sshd", s.oneLine()...)
	login := s.sshdByPassword(alice)
	for range 3 {
		for _, behind := range []string{",text", ",call", "123456", ""} {
			if login("wrong-" + password + behind) {
				t.Fatal("let in by a wrong password")
			}
		}
	}
	if n := tw.Requests(); n != 0 {
		t.Fatalf("%d requests after wrong passwords", n)
	}
	for _, c := range []struct {
		word string
		code func() string
	}{
		{",text", func() string { return texted(t, tw, 1) }},
		{",call", func() string { return heard(t, tw, 1) }},
	} {
		if login(password + c.word) {
			t.Errorf("%s lets in", c.word)
		}
		code := c.code()
		if login(password + wrong(code)) {
			t.Errorf("%s: a wrong code lets in", c.word)
		}
		if !login(password + code) {
			t.Errorf("%s: the code does not let in: %s", c.word, s.log)
		}
		if login(password + code) {
			t.Errorf("%s: the code lets in twice", c.word)
		}
	}
	s.expectFailures(alice, 2)
	if login(password + ",call") { // no more today
		t.Error(",call lets in")
	}
	if login(password + ",text") {
		t.Error(",text lets in")
	}
	if !login(password + texted(t, tw, 2)) {
		t.Errorf("at the limit of calls a text is of no use: %s", s.log)
	}
	if texts, calls := len(tw.Texts()), len(tw.Calls()); texts != 2 || calls != 1 {
		t.Errorf("%d texts and %d calls", texts, calls)
	}
	for _, said := range []string{s.log.String(), s.auditText(), syslog.String()} {
		if strings.Contains(said, password) || strings.Contains(said, number) {
			t.Errorf("a log has the password or the number:\n%s", said)
		}
	}
}
