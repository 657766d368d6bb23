package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/creack/pty"
	"golang.org/x/term"
)

// A session is one real ssh in a terminal of its own, between whose screen and the
// person's we stand.
type session struct {
	s       *stage
	ssh     *exec.Cmd
	file    *os.File
	out     chan []byte
	said    strings.Builder // all of it
	line    string          // what stands behind the last line's end
	held    []byte          // not shown yet, until a mail is there
	until   time.Time       // when held is shown anyway
	answers func(prompt string) string
	quiet   time.Time // when ssh spoke last
	asked   int       // how much was said when the last answer was typed
}

// prompt matches a line that waits for an answer.
var prompt = regexp.MustCompile(`[:?\]] ?$`)

// login logs the user in by ssh, and tells whether sshd let them in. Without a person
// answers are typed: what is asked for gives them.
func (s *stage) login(user string, answers func(prompt string) string) (bool, error) {
	_, _ = fmt.Fprintf(s.out, "\n$ ssh -p %s %s@127.0.0.1        (the password is \"demo\")\n", s.port, user)
	c := &session{s: s, ssh: exec.Command("ssh", s.sshArgs(user)...), out: make(chan []byte, 16), answers: answers}
	size := &pty.Winsize{Rows: 24, Cols: 80}
	if s.person != nil {
		if real, err := pty.GetsizeFull(os.Stdin); err == nil {
			size = real
		}
	}
	before, err := os.ReadFile(s.sshdLog)
	if err != nil {
		return false, err
	}
	s.logAt = len(before)
	if c.file, err = pty.StartWithSize(c.ssh, size); err != nil {
		return false, fmt.Errorf("start ssh: %w", err)
	}
	go func() { // ends with ssh
		defer close(c.out)
		for {
			buf := make([]byte, 4096)
			n, err := c.file.Read(buf)
			if n > 0 {
				c.out <- buf[:n]
			}
			if err != nil {
				return
			}
		}
	}()
	err = c.run()
	s.screen = c.said.String()
	in := c.ssh.Wait() == nil && (strings.Contains(s.screen, "You are in: uid=") || s.inShell && atShell(s.screen))
	_ = c.file.Close()
	return in, err
}

// sshArgs returns the arguments of ssh for a login.
func (s *stage) sshArgs(user string) []string {
	args := []string{
		"-F", "none", "-t", "-p", s.port, "-o", "UserKnownHostsFile=/dev/null", "-o", "StrictHostKeyChecking=no",
		"-o", "LogLevel=ERROR", "-o", "PreferredAuthentications=keyboard-interactive", "-o", "NumberOfPasswordPrompts=1",
	}
	command := `echo "You are in: $(id)"`
	if s.inShell { // ssh calls the server by the name that its key has
		args = append(args, "-o", "HostKeyAlias="+server)
		command = "exec env PS1='" + user + "@" + server + ":~" + shellPrompt + "' sh -i"
	}
	return append(args, user+"@127.0.0.1", command)
}

// atShell tells whether a shell has said that it waits.
func atShell(screen string) bool { return strings.Contains(screen, ":~"+shellPrompt) }

// run carries between ssh and the person until ssh ends.
func (c *session) run() error {
	var typed chan []byte
	if c.s.person != nil {
		typed = c.s.person.typed
		before, err := term.MakeRaw(0)
		if err != nil {
			return fmt.Errorf("prepare the terminal: %w", err)
		}
		defer func() { _ = term.Restore(0, before) }()
		resized := make(chan os.Signal, 1)
		signal.Notify(resized, syscall.SIGWINCH)
		defer signal.Stop(resized)
		go func() {
			for range resized {
				_ = pty.InheritSize(os.Stdin, c.file)
			}
		}()
		defer close(resized)
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case text, ok := <-c.out:
			if !ok {
				c.release()
				return nil
			}
			c.hear(text)
		case text, ok := <-typed:
			if !ok {
				return errors.Join(errors.New("the terminal is gone"), c.ssh.Process.Kill())
			}
			_, _ = c.file.Write(text)
		case <-tick.C:
			c.look()
		}
	}
}

// hear takes what ssh says. A prompt that waits for what a phone shows is held back,
// for that to be shown first.
func (c *session) hear(text []byte) {
	c.quiet = time.Now()
	c.said.Write(text)
	c.held = append(c.held, text...)
	if len(c.held) == len(text) {
		c.until = time.Now().Add(2 * time.Second)
	}
	if !c.waits() {
		c.release()
	}
}

// waits tells whether what is held back waits for what a phone shows.
func (c *session) waits() bool {
	text := string(c.held)
	return c.waitsForMail() || c.waitsForApp(text) || asksForEarlier(text)
}

// asksForEarlier tells whether a text asks for a code that was sent in an earlier
// login: its mail has left the screen.
func asksForEarlier(text string) bool {
	return prompt.MatchString(text) && strings.Contains(text, "Code") && strings.Contains(text, " sent to ") && strings.Contains(text, " ago")
}

// waitsForMail tells whether what is held back speaks of a mail, which is not there
// yet, and asks something.
func (c *session) waitsForMail() bool {
	text := string(c.held)
	return prompt.MatchString(text) && strings.Contains(text, " sent to ") && !asksForEarlier(text) && time.Now().Before(c.until)
}

// waitsForApp tells whether a text is short and asks for a code of an app.
func (c *session) waitsForApp(text string) bool {
	return c.s.phone.secret != nil && prompt.MatchString(text) && strings.Contains(text, "Code") &&
		!strings.Contains(text, " sent to ") && strings.Count(text, "\n") < 8
}

// release shows what was held back.
func (c *session) release() {
	_, _ = c.s.out.Write(c.held)
	c.line = lastLine(c.line + string(c.held))
	c.held = nil
}

// lastLine is what stands behind the last end of a line.
func lastLine(text string) string { return text[strings.LastIndexByte(text, '\n')+1:] }

// look sees to what arrived, and to a prompt that waits.
func (c *session) look() {
	for _, mail := range c.s.phone.unseen() {
		c.insert(boxed("a mail arrives", short(mail)))
	}
	asked := c.said.String()[c.asked:]
	if c.s.inShell && atShell(asked) {
		c.asked = c.said.Len()
		_, _ = io.WriteString(c.file, "exit\n")
		return
	}
	if time.Since(c.quiet) > 200*time.Millisecond && !c.waitsForMail() && asked != "" && prompt.MatchString(lastLine(asked)) {
		c.asked = c.said.Len()
		if c.s.phone.scan(asked) || c.waitsForApp(asked) {
			c.insert(boxed("an authenticator app shows", c.s.phone.code()+"   (an app that scanned the QR code shows the same)"))
		}
		if mail := c.s.phone.holding(codeLine); mail != "" && asksForEarlier(asked) {
			c.insert(boxed("the mail that came before", short(mail)))
		}
		c.release()
		if c.s.person == nil {
			_, _ = io.WriteString(c.file, c.answers(asked)+"\n")
		}
	}
	if !c.waits() {
		c.release()
	}
}

// insert shows a text above the prompt, which becomes the last line again.
func (c *session) insert(text string) {
	if c.line != "" {
		_, _ = io.WriteString(c.s.out, "\r\n")
	}
	_, _ = io.WriteString(c.s.out, text)
	if len(c.held) > 0 {
		c.release()
		return
	}
	_, _ = io.WriteString(c.s.out, c.line)
}

// reason tells why a login was not let in: what ssh, the daemon and sshd said.
func (s *stage) reason(user string) error {
	audit, err := s.ctl("audit", "--user", user)
	if err != nil {
		audit = err.Error()
	}
	log, err := os.ReadFile(s.sshdLog)
	if err != nil {
		log = []byte(err.Error())
	}
	log = log[min(s.logAt, len(log)):]
	return fmt.Errorf("the login was not let in.\nmfad says (mfactl audit --user %s):\n%ssshd says:\n%s", user, tail(audit), tail(string(log)))
}

// tail returns the last lines of a text, indented.
func tail(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return "  " + strings.Join(lines[max(0, len(lines)-4):], "\n  ") + "\n"
}
