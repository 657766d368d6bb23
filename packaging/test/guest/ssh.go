package main

import (
	"fmt"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// password is every user's.
const password = "correct horse"

// patience is how long anybody waits for anything.
const patience = 60 * time.Second

// A login is one over ssh, by keyboard-interactive. The password is typed by
// itself; every other prompt waits for the step to answer.
type login struct {
	user    string
	prompts chan string
	answers chan string
	gone    chan struct{}
	once    sync.Once
	ended   chan error // nil: in
}

// begin starts to log in.
func begin(user string) *login { return beginFor(user, enter) }

// beginFor starts to log in for the sake of a deed.
func beginFor(user string, deed func(string, ssh.AuthMethod) error) *login {
	l := &login{
		user:    user,
		prompts: make(chan string), answers: make(chan string),
		gone: make(chan struct{}), ended: make(chan error, 1),
	}
	go func() { l.ended <- deed(user, ssh.KeyboardInteractive(l.ask)) }()
	return l
}

func (l *login) ask(_, instruction string, questions []string, _ []bool) ([]string, error) {
	var answers []string
	for _, q := range questions {
		if strings.HasSuffix(q, "Password: ") {
			answers = append(answers, password)
			continue
		}
		select {
		case l.prompts <- instruction + q:
		case <-l.gone:
			return nil, fmt.Errorf("the user is gone")
		}
		select {
		case a := <-l.answers:
			answers = append(answers, a)
		case <-l.gone:
			return nil, fmt.Errorf("the user is gone")
		}
	}
	return answers, nil
}

// enter logs in and runs a program, to see that the session works.
func enter(user string, method ssh.AuthMethod) error {
	s, leave, err := session(user, method)
	if err != nil {
		return err
	}
	defer leave()
	who, err := s.Output("id -un")
	if err == nil && strings.TrimSpace(string(who)) != user {
		err = fmt.Errorf("logged in as %q", who)
	}
	return err
}

// stay logs in and remains; nil once somebody else ended that.
func stay(user string, method ssh.AuthMethod) error {
	s, leave, err := session(user, method)
	if err != nil {
		return err
	}
	defer leave()
	if err := s.Run("echo here >/tmp/stays; sleep 600"); err == nil {
		return fmt.Errorf("%s was left alone", user)
	}
	return nil
}

func session(user string, method ssh.AuthMethod) (s *ssh.Session, leave func(), err error) {
	c, err := ssh.Dial("tcp", "127.0.0.1:22", &ssh.ClientConfig{
		User: user, Auth: []ssh.AuthMethod{method}, HostKeyCallback: ssh.InsecureIgnoreHostKey(), Timeout: patience,
	})
	if err != nil {
		return nil, nil, err
	}
	if s, err = c.NewSession(); err != nil {
		_ = c.Close()
		return nil, nil, err
	}
	return s, func() { _ = s.Close(); _ = c.Close() }, nil
}

// expect waits for a prompt that holds the text, and returns it.
func (l *login) expect(text string) string {
	select {
	case p := <-l.prompts:
		contains(p, text)
		return p
	case err := <-l.ended:
		failf("the login ended (%v) before it said %q", err, text)
	case <-time.After(patience):
		failf("the login never said %q", text)
	}
	return ""
}

// quiet waits a while and sees nothing.
func (l *login) quiet(d time.Duration) {
	select {
	case p := <-l.prompts:
		failf("said too early: %q", p)
	case err := <-l.ended:
		failf("ended too early: %v", err)
	case <-time.After(d):
	}
}

func (l *login) send(answer string) {
	select {
	case l.answers <- answer:
	case <-time.After(patience):
		failf("nobody takes the answer %q", answer)
	}
}

// outcome waits for the end; nil is in.
func (l *login) outcome() error {
	defer l.leave()
	select {
	case err := <-l.ended:
		return err
	case p := <-l.prompts:
		return fmt.Errorf("asked once more: %s", p)
	case <-time.After(patience):
		return fmt.Errorf("%s: no end", l.user)
	}
}

func (l *login) in() { check(l.outcome()) }

// out waits for a refusal.
func (l *login) out() {
	err := l.outcome()
	if err == nil || !strings.Contains(err.Error(), "unable to authenticate") {
		failf("not refused: %v", err)
	}
}

func (l *login) leave() { l.once.Do(func() { close(l.gone) }) }

// byPassword logs in with nothing but the password, as before there was a module.
func byPassword(user string) error { return enter(user, ssh.Password(password)) }

var codeLine = regexp.MustCompile(`(?m)^Your code: ([0-9]+)`)

// mails returns the codes that were mailed to an address, the last one last.
func mails(address string) []string {
	folder := outbox + "/new/"
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil
	}
	type mail struct {
		code string
		at   time.Time
	}
	var found []mail
	for _, e := range entries {
		info, err := e.Info()
		check(err)
		text := strings.ReplaceAll(read(folder+e.Name()), "\r", "")
		if code := codeLine.FindStringSubmatch(text); code != nil && strings.Contains(text, "To: <"+address+">") {
			found = append(found, mail{code[1], info.ModTime()})
		}
	}
	slices.SortStableFunc(found, func(a, b mail) int { return a.at.Compare(b.at) })
	var codes []string
	for _, m := range found {
		codes = append(codes, m.code)
	}
	return codes
}

// mailed returns the code that a prompt speaks of: one that was sent before, or
// the one that is on its way, when there were already so many.
func mailed(address string, prompt string, already int) string {
	if !strings.Contains(prompt, " ago") {
		eventually("a mail to "+address, func() bool { return len(mails(address)) > already })
	}
	codes := mails(address)
	if len(codes) == 0 {
		failf("no mail to %s, but a prompt that says %q", address, prompt)
	}
	return codes[len(codes)-1]
}

// An emailLogin is one that waits for the code that was mailed.
type emailLogin struct {
	*login
	code string
}

func beginByEmail(user string) emailLogin {
	address := user + "@example.com"
	already := len(mails(address))
	l := begin(user)
	return emailLogin{l, mailed(address, l.expect("Code"), already)}
}

// loginByEmail logs a user in who has an address.
func loginByEmail(user string) error {
	l := beginByEmail(user)
	l.send(l.code)
	return l.outcome()
}

// listens tells whether sshd does.
func listens() bool {
	c, err := net.Dial("tcp", "127.0.0.1:22")
	if err == nil {
		_ = c.Close()
	}
	return err == nil
}
