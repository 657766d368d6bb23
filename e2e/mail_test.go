package e2e

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"mfa/internal/deliver/delivertest"
)

// smtpReady is ready with mails going to a real or scripted SMTP server.
func smtpReady(t *testing.T, user string, port int, settings ...string) (*site, account) {
	t.Helper()
	s := newSite(t)
	s.settings["email.transport"] = `"smtp"`
	s.settings["email.from"] = `"mfa@example.org"`
	s.settings["email.smtp.host"] = `"127.0.0.1"`
	s.settings["email.smtp.port"] = strconv.Itoa(port)
	s.settings["email.smtp.tls"] = `"none"`
	for _, line := range settings {
		key, value, _ := strings.Cut(line, " = ")
		s.settings[key] = value
	}
	s.stack("sshd", s.passwordThenCode()...)
	s.startDaemon()
	s.sshd()
	return s, s.newUser(user)
}

// loginByExim goes through a login whose code Exim delivers as its nth mail.
func (s *site) loginByExim(a account, e *delivertest.Exim, n int) {
	s.t.Helper()
	c := s.ssh(a)
	c.toCode(s, a)
	mails := e.Mails(s.t, n)
	code, err := letter{body: mails[n-1].Text, raw: mails[n-1].Raw}.code()
	ok(s.t, err)
	c.send(code)
	c.expectIn(s.t)
}

func TestEximPlain(t *testing.T) {
	e := delivertest.StartExim(t, delivertest.EximOptions{NoTLS: true})
	s, alice := smtpReady(t, "alice", e.Port)
	for n := range 3 {
		s.loginByExim(alice, e, n+1)
	}
}

func TestEximWithAuthentication(t *testing.T) {
	const secret = "relay-Secret-42"
	e := delivertest.StartExim(t, delivertest.EximOptions{Username: "mfad", Password: secret})
	file := base + "/relay-password"
	ok(t, os.WriteFile(file, []byte(secret+"\n"), 0o600))
	for _, mode := range []struct {
		tls  string
		port int
	}{{"starttls", e.Port}, {"implicit", e.TLSPort}} {
		for _, auth := range []string{"plain", "login", "cram-md5"} {
			t.Run(mode.tls+" "+auth, func(t *testing.T) {
				s, alice := smtpReady(t, "alice", mode.port,
					"email.smtp.tls = "+quoted(mode.tls), "email.smtp.auth = "+quoted(auth),
					"email.smtp.ca_file = "+quoted(e.CAFile), `email.smtp.username = "mfad"`,
					"email.smtp.password_file = "+quoted(file))
				s.loginByExim(alice, e, 1+len(delivertest.ReadMaildir(t, e.Maildir)))
				if strings.Contains(s.log.String(), secret) {
					t.Error("the relay's password is in the log")
				}
			})
		}
	}
}

func TestEximCertificateNotTrusted(t *testing.T) {
	e := delivertest.StartExim(t, delivertest.EximOptions{})
	s, alice := smtpReady(t, "alice", e.Port, `email.smtp.tls = "starttls"`)
	s.expectUndelivered(alice, "certificate")
	awaitText(t, s.log, 0, "ca_file")
}

// expectUndelivered ends the test unless a is told that no code could be sent,
// and the log says why.
func (s *site) expectUndelivered(a account, why string) {
	s.t.Helper()
	c := s.ssh(a)
	c.expect(s.t, `Password: $`)
	c.send(password)
	said := c.expect(s.t, `could not be sent|Code[^\n]*: $`) // whichever comes first
	awaitText(s.t, s.log, 0, `(?i)`+quotedPattern(why))
	if !strings.Contains(said, "could not be sent") {
		c.send("000000")
		c.expect(s.t, "could not be sent")
	}
	c.expectOut(s.t)
	s.expectFailures(a, 0)
}

func TestRelayRefusesForGood(t *testing.T) {
	e := delivertest.StartExim(t, delivertest.EximOptions{NoTLS: true})
	s, unknown := smtpReady(t, "unknown", e.Port)
	s.expectUndelivered(unknown, "127.0.0.1")
	awaitText(t, s.log, 0, "550")
}

// taken is a session in which one mail is taken.
func taken() delivertest.Session {
	return delivertest.Script(delivertest.Hello(), delivertest.Accept(), delivertest.Quit())
}

// loginByScript goes through a login whose code is the last mail that the
// scripted server took.
func (s *site) loginByScript(a account, server *delivertest.Server) {
	s.t.Helper()
	c := s.ssh(a)
	start := time.Now()
	c.toCode(s, a)
	if took := time.Since(start); took > 10*time.Second {
		s.t.Errorf("the prompt came only after %v", took)
	}
	eventually(s.t, "the relay takes the mail", func() bool { return len(server.Messages()) > 0 })
	l, err := parseLetter(server.Messages()[0])
	ok(s.t, err)
	code, err := l.code()
	ok(s.t, err)
	c.send(code)
	c.expectIn(s.t)
	ok(s.t, s.stopDaemon()) // and leaves the relay politely
}

func TestRelayBusyAtFirst(t *testing.T) {
	busy := delivertest.Session{{Reply: delivertest.Reply(421, "busy, come back"), Then: delivertest.Hangup}}
	server := delivertest.NewServer(t, delivertest.Options{}, busy, taken())
	s, alice := smtpReady(t, "alice", server.Port)
	s.loginByScript(alice, server)
}

func TestRelayStallsAtFirst(t *testing.T) {
	stall := delivertest.Session{{Then: delivertest.Stall}}
	server := delivertest.NewServer(t, delivertest.Options{}, stall, taken())
	s, alice := smtpReady(t, "alice", server.Port, `email.smtp.timeout = "1s"`)
	s.loginByScript(alice, server)
}

func TestRelayNotThere(t *testing.T) {
	port := freePort(t)
	s, alice := smtpReady(t, "alice", port, `server.login_timeout = "5s"`)
	c := s.ssh(alice)
	start := time.Now()
	c.toCode(s, alice) // the prompt does not wait for the relay
	if took := time.Since(start); took > 4*time.Second {
		t.Errorf("the prompt came only after %v", took)
	}
	awaitText(t, s.log, 0, fmt.Sprintf(`127\.0\.0\.1:%d[^\n]*(refused|timeout)`, port))
	c.send("")
	c.expect(t, "has not left yet")
	awaitText(t, s.log, 0, "code not delivered")
	c.send("000000")
	c.expect(t, "could not be sent")
	c.expectOut(t)
	s.expectFailures(alice, 0)

	s.settings["email.transport"] = `"outbox"`
	s.restartDaemon()
	s.login(alice, 1) // the code that never left is not waited for
}

// A mail as a real mail server takes it: text before HTML that says the same, with what big
// receivers want in its header.
func TestMailIsTextAndHTML(t *testing.T) {
	e := delivertest.StartExim(t, delivertest.EximOptions{NoTLS: true})
	s, alice := smtpReady(t, "alice", e.Port, `email.reply_to = "help@example.org"`, `email.code_in_subject = true`)
	s.loginByExim(alice, e, 1)
	m := e.Mails(t, 1)[0]
	code, err := letter{body: m.Text, raw: m.Raw}.code()
	ok(t, err)
	if strings.Count(m.HTML, ">"+code+"<") != 1 || !strings.Contains(m.HTML, `<html lang="en">`) || strings.Contains(m.HTML, "href") {
		t.Errorf("HTML\n%s", m.HTML)
	}
	for name, want := range map[string]string{
		"To": "<" + alice.email + ">", "Reply-To": "<help@example.org>", "Return-Path": "<mfa@example.org>", "Auto-Submitted": "auto-generated",
		"Content-Language": "en", "Subject": code + ": Login code for " + hostName, "User-Agent": "",
	} {
		if got := m.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if id := m.Header.Get("Message-Id"); !strings.HasSuffix(id, "@example.org>") {
		t.Errorf("Message-ID %q", id)
	}
}

// An administrator's templates count from a reload on; a bad one is named by --check and by the
// reload, which keeps what was, and so is one that others could change.
func TestTemplatesOfMails(t *testing.T) {
	s, alice := ready(t)
	dir := s.path("mail")
	ok(t, os.Mkdir(dir, 0o755))
	put := func(name, text string) { ok(t, os.WriteFile(dir+"/"+name, []byte(text), 0o644)) }
	put("code.txt", "Subject: For {{.User}}\n\nYour code: {{.Code}}\nHelp desk: 555 0100\n")
	s.settings["email.templates"] = quoted(dir)
	s.reload()
	s.login(alice, 1)
	const desk = "\nHelp desk: 555 0100\n"
	if l := s.letterAt(alice, 1); !strings.Contains(l.body, desk) || l.subject != "For "+alice.name || l.html != "" {
		t.Errorf("mail %q", l.raw)
	}
	for want, spoil := range map[string]func(){
		`code\.txt:2:\d+: executing [^\n]*Password`: func() { put("code.txt", "{{.Code}}\n{{.Password}}\n") },
		`notice\.html: does not say what happened`:  func() { put("notice.html", "<p>{{.Code}}</p>") },
		`group or others may write`:                 func() { ok(t, os.Chmod(dir+"/code.txt", 0o666)) },
	} {
		spoil()
		from := s.log.len()
		ok(t, s.signal(syscall.SIGHUP))
		awaitText(t, s.log, from, `refused[^\n]*email\.templates: [^\n]*`+want)
		if said := s.check(); !regexp.MustCompile(`email\.templates: [^\n]*` + want).MatchString(said) {
			t.Errorf("--check says %q", said)
		}
		put("code.txt", "Your code: {{.Code}}\n")
		ok(t, errors.Join(os.Chmod(dir+"/code.txt", 0o644), os.RemoveAll(dir+"/notice.html")))
	}
	s.login(alice, 2)
	if l := s.letterAt(alice, 2); !strings.Contains(l.body, desk) {
		t.Errorf("after refused reloads the mail is %q", l.raw)
	}
	put("code.de.txt", "Hallo")
	if said, _ := s.control("doctor", "--config", s.path("mfa.toml")); !strings.Contains(unwrapped(said), "code.de.txt: does not show the code") {
		t.Errorf("doctor says %q", said)
	}
}
