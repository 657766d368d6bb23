package e2e

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"

	"mfa/internal/mfa"
	"mfa/internal/wire"
)

// A tap is a socket in the place of the daemon's. It carries everything to the
// daemon and back, and keeps it.
type tap struct {
	listener net.Listener
	read     record // everything the module wrote
	told     record // everything the daemon wrote
	running  sync.WaitGroup
}

// newTap makes a tap in front of the site's daemon and returns it with the
// module argument that names it.
func (s *site) newTap() (*tap, string) {
	s.t.Helper()
	dir := s.path("tap")
	ok(s.t, os.Mkdir(dir, 0o700))
	l, err := net.Listen("unix", dir+"/pam.sock")
	ok(s.t, err)
	p := &tap{listener: l}
	p.running.Go(func() { p.serve(s.path("run/pam.sock")) })
	s.t.Cleanup(func() {
		_ = l.Close()
		p.running.Wait()
	})
	return p, "socket=" + dir + "/pam.sock"
}

// serve carries connections until the listener is closed.
func (p *tap) serve(daemon string) {
	for {
		module, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.running.Go(func() { p.carry(module, daemon) })
	}
}

// carry carries one connection in both directions until either side ends.
func (p *tap) carry(module net.Conn, daemon string) {
	defer func() { _ = module.Close() }()
	far, err := net.Dial("unix", daemon)
	if err != nil {
		return
	}
	back := make(chan struct{})
	go func() {
		defer close(back)
		_, _ = io.Copy(io.MultiWriter(module, &p.told), far)
		_ = module.Close()
	}()
	_, _ = io.Copy(io.MultiWriter(far, &p.read), module)
	_ = far.Close()
	<-back
}

// frames returns the frames that were read, of connections one after another.
func (p *tap) frames(t *testing.T) []wire.Frame {
	t.Helper()
	return framesOf(t, p.text())
}

// prompts returns what the daemon showed, of connections one after another.
func (p *tap) prompts(t *testing.T) []mfa.Prompt {
	t.Helper()
	text, _, _ := p.told.next()
	var all []mfa.Prompt
	for _, f := range framesOf(t, text) {
		if f.Type == wire.Done {
			continue
		}
		prompt, err := wire.DecodePrompt(f)
		ok(t, err)
		all = append(all, prompt)
	}
	return all
}

// framesOf returns the frames of one direction.
func framesOf(t *testing.T, text string) []wire.Frame {
	t.Helper()
	in := strings.NewReader(text)
	var all []wire.Frame
	for {
		f, err := wire.Read(in)
		if errors.Is(err, io.EOF) {
			return all
		}
		ok(t, err)
		all = append(all, f)
	}
}

// text returns every byte that was read.
func (p *tap) text() string { text, _, _ := p.read.next(); return text }

// expectNoPassword ends the test if the password crossed the socket, or if
// nothing did, which would prove nothing.
func (p *tap) expectNoPassword(t *testing.T, a account) {
	t.Helper()
	if !strings.Contains(p.text(), a.name) {
		t.Fatal("the daemon read nothing about the user through the tap")
	}
	if strings.Contains(p.text(), password) {
		t.Fatal("the password crossed the socket")
	}
}

// required is the control word of PAM lines that everybody writes.
const required = "required"

// recoverable is a control for the module, for sshd's that offer password and
// keyboard-interactive both. It refuses what "required" refuses: under "ok" a
// code that is not PAM_SUCCESS becomes the result of the stack, and no later
// line undoes that. The difference: sshd runs password in its monitor and
// keyboard-interactive in a child, and afterwards pam_setcred in the monitor,
// where libpam takes the actions that the last pam_authenticate there took. After
// a failed password "required" means "bad", and sshd ends a login that was
// accepted ("PAM: pam_setcred(): Permission denied"), with and without us.
const recoverable = "[success=ok ignore=ignore default=ok]"

// tapped is ready with a tap between module and daemon.
func tapped(t *testing.T, control, echo string, conf ...string) (*site, *tap, account) {
	t.Helper()
	s := newSite(t)
	s.settings["prompt.echo"] = echo
	p, arg := s.newTap()
	s.stack("sshd", "auth requisite pam_unix.so nodelay", "auth "+control+" "+artefact("pam_mfa.so")+" "+arg)
	s.startDaemon()
	s.sshd(conf...)
	return s, p, s.newUser("alice")
}

func TestPasswordMethod(t *testing.T) {
	for name, echo := range map[string]string{"visible prompt": "true", "hidden prompt": "false"} {
		t.Run(name, func(t *testing.T) {
			s, p, alice := tapped(t, required, echo, "PasswordAuthentication yes")
			from := syslog.len()
			c := s.ssh(alice, "PreferredAuthentications=password")
			c.expect(t, `assword: $`)
			c.send(password)
			c.expectOut(t)
			s.expectFailures(alice, 0)
			p.expectNoPassword(t, alice)
			if !advised(s, from) {
				t.Errorf("no log says to use keyboard-interactive")
			}
		})
	}
}

// advised tells whether a log tells the administrator of keyboard-interactive.
func advised(s *site, from int) bool {
	text := syslog.String()[from:] + s.log.String()
	return strings.Contains(text, "keyboard-interactive") || strings.Contains(text, "KbdInteractiveAuthentication")
}

func TestPasswordThenKeyboardInteractiveInOneConnection(t *testing.T) {
	for name, echo := range map[string]string{"visible prompt": "true", "hidden prompt": "false"} {
		t.Run(name, func(t *testing.T) {
			s, p, alice := tapped(t, recoverable, echo, "PasswordAuthentication yes")
			c := s.ssh(alice, "PreferredAuthentications=password,keyboard-interactive")
			c.expect(t, `'s password: $`)
			c.send(password)
			c.expect(t, `\) Password: $`)
			c.send(password)
			c.expect(t, codePrompt(alice))
			c.send(s.code(alice, 1))
			c.expectIn(t)
			s.expectLetters(alice, 1)
			s.expectFailures(alice, 0)
			p.expectNoPassword(t, alice)
		})
	}
}

func TestRecoverableControlRefusesLikeRequired(t *testing.T) {
	for name, ending := range map[string][]string{
		"last line":        nil,
		"line behind":      {"auth required pam_permit.so"},
		"sufficient after": {"auth sufficient pam_permit.so"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			lines := []string{"auth requisite pam_unix.so nodelay", "auth " + recoverable + " " + s.module()}
			s.stack("sshd", append(lines, ending...)...)
			s.startDaemon()
			s.sshd("PasswordAuthentication yes")
			alice := s.newUser("alice")
			c := s.ssh(alice)
			c.toCode(s, alice)
			code := s.code(alice, 1)
			for range 2 {
				c.send(wrong(code))
				c.expect(t, `not right[^\0]*Code[^\n]*: $`)
			}
			c.send(wrong(code))
			c.expectOut(t)

			c = s.ssh(alice, "PreferredAuthentications=password")
			c.expect(t, `assword: $`)
			c.send(password)
			c.expectOut(t)

			_ = s.stop(syscall.SIGKILL)
			expectSaid(t, s.expectDenied(alice), "cannot be checked")
		})
	}
}

func TestPasswordNeverCrossesTheSocket(t *testing.T) {
	s, p, alice := tapped(t, required, "true")
	c := s.ssh(alice)
	c.toCode(s, alice)
	c.send(password)
	c.expect(t, `Code[^\n]*: $`)
	code := s.code(alice, 1)
	c.send(code)
	c.expectIn(t)
	p.expectNoPassword(t, alice)

	frames := p.frames(t)
	hello, err := wire.DecodeHello(frames[0])
	ok(t, err)
	if hello.User != alice.name || hello.Service != "sshd" || hello.RHost != "127.0.0.1" {
		t.Errorf("HELLO says %+v", hello)
	}
	var kept, sent bool
	for _, f := range frames[1:] {
		_, err := wire.DecodeAnswer(f)
		kept = kept || errors.Is(err, mfa.ErrPasswordTyped)
		sent = sent || f.Type == wire.Answer && bytes.Equal(f.Payload, []byte(code))
	}
	if !kept || !sent {
		t.Errorf("password kept back: %v, code sent: %v, in %q", kept, sent, frames)
	}
}

func TestWrongPasswordSendsNoMail(t *testing.T) {
	s, p, alice := tapped(t, required, "true")
	c := s.ssh(alice)
	c.expect(t, `Password: $`)
	c.send("not-" + password)
	if said := c.expectOut(t); strings.Contains(said, "Code") {
		t.Errorf("asked for a code after a wrong password: %q", said)
	}
	if p.text() != "" {
		t.Errorf("the daemon was asked: %q", p.text())
	}
	s.login(alice, 1)
	s.expectLetters(alice, 1)
}

func TestUnknownUserSeesTheSamePrompts(t *testing.T) {
	s, alice := ready(t)
	ghost := account{name: "ghost", email: "ghost@example.com"}
	c := s.ssh(ghost)
	c.expect(t, `Password: $`)
	c.send(password)
	c.expectOut(t)
	s.login(alice, 1)
	s.expectLetters(ghost, 0)
}

func TestBatchModeIsRefused(t *testing.T) {
	s := newSite(t)
	s.stack("sshd", s.codeOnly()...)
	s.startDaemon()
	s.sshd("AuthenticationMethods publickey,keyboard-interactive:pam")
	alice := s.newUser("alice")
	c := s.ssh(alice, "BatchMode=yes", "PreferredAuthentications=publickey,keyboard-interactive")
	if said := c.expectOut(t); !strings.Contains(said, "Permission denied") {
		t.Errorf("BatchMode is told %q", said)
	}
	awaitText(t, s.sshdLog, 0, `Partial publickey for `+alice.name)
	s.expectFailures(alice, 0)
}

func TestWithoutTerminalIsRefused(t *testing.T) {
	s := newSite(t)
	s.stack("sshd", s.codeOnly()...)
	s.startDaemon()
	s.sshd("AuthenticationMethods publickey,keyboard-interactive:pam")
	alice := s.newUser("alice")
	cmd := s.sshCommand(alice, "PreferredAuthentications=publickey,keyboard-interactive")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // no /dev/tty, as under cron
	out, _ := service(t, cmd)
	eventually(t, "ssh ends", func() bool { _, ended, _ := out.next(); return ended })
	expectSaid(t, out.String(), "Permission denied")
	if strings.Contains(out.String(), welcome) {
		t.Errorf("let in: %s", out)
	}
	awaitText(t, s.sshdLog, 0, `Partial publickey for `+alice.name)
	s.expectFailures(alice, 0)
}
