package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/creack/pty"
)

// patience is how long anything may take to be said.
const patience = 60 * time.Second

// A terminal is a command that runs in one.
type terminal struct {
	file *os.File
	cmd  *exec.Cmd
	out  chan string
	said string // all of it, without carriage returns
	read int    // how much of said was waited for
	over bool
}

func open(c command) (*terminal, error) {
	t := &terminal{cmd: exec.Command("sh", "-c", c.line), out: make(chan string, 100)}
	t.cmd.Dir, t.cmd.Env = "/root", environment()
	var err error
	if t.file, err = pty.StartWithSize(t.cmd, &pty.Winsize{Rows: 50, Cols: 200}); err != nil {
		return nil, err
	}
	go func() { // ends with the command
		defer close(t.out)
		for {
			buf := make([]byte, 4096)
			n, err := t.file.Read(buf)
			if n > 0 {
				t.out <- strings.ReplaceAll(string(buf[:n]), "\r", "")
			}
			if err != nil {
				return
			}
		}
	}()
	return t, nil
}

// expect waits until text is said, behind all that was waited for before.
func (t *terminal) expect(text string) error {
	late := time.After(patience)
	for {
		if i := strings.Index(t.said[t.read:], text); i >= 0 {
			t.read += i + len(text)
			return nil
		}
		select {
		case piece, more := <-t.out:
			if !more {
				t.over = true
				return fmt.Errorf("it ended before it said %q", text)
			}
			t.said += piece
		case <-late:
			return fmt.Errorf("it did not say %q", text)
		}
	}
}

// end waits for the end of the command.
func (t *terminal) end() error {
	late := time.After(patience)
	for !t.over {
		select {
		case piece, more := <-t.out:
			t.said += piece
			t.over = !more
		case <-late:
			return errors.Join(errors.New("it does not end"), t.cmd.Process.Kill())
		}
	}
	err := t.cmd.Wait()
	return errors.Join(err, t.file.Close())
}

// A scene is a command at a terminal that goes on.
type scene struct {
	command
	on    *terminal
	from  int // of seen: not played yet
	began time.Time
	noted int // how much of what it said is in the transcript
}

// play types what a console block says is typed, and compares what is seen.
func (w *world) play(b block) error {
	text := b.text
	if b.more {
		s := w.left
		if s == nil {
			return errors.New("no command goes on")
		}
		w.left = nil
		more := commandsOf("$ \n" + text)
		s.seen, s.shell = append(s.seen, more[0].seen...), more[0].shell
		if err := w.finish(s); err != nil {
			return fmt.Errorf("%s: %w", s.line, err)
		}
		return w.playAll(more[1:], false)
	}
	return w.playAll(commandsOf(text), b.stays)
}

// playAll plays commands. With stays the last of them goes on.
func (w *world) playAll(all []command, stays bool) error {
	for i, c := range all {
		err := w.playOne(c, stays && i == len(all)-1)
		for late := time.Now().Add(patience); errors.Is(err, errAway) && time.Now().Before(late); {
			awaitServer()
			err = w.playOne(c, false)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", c.line, err)
		}
	}
	return nil
}

// playOne plays a command, and with stays leaves it going on.
func (w *world) playOne(c command, stays bool) error {
	w.begin(userOf(c.line))
	t, err := open(c)
	if err != nil {
		return err
	}
	s := &scene{command: c, on: t, began: time.Now()}
	if !stays {
		return w.finish(s)
	}
	w.left = s
	if err := w.converse(s); err != nil {
		return err
	}
	if w.notes != nil {
		t.settle()
		w.note(s)
	}
	return nil
}

// note adds what a scene said since it was noted last to the transcript.
func (w *world) note(s *scene) {
	said := s.on.said[s.noted:]
	if s.noted == 0 {
		w.notes.command(s.line, s.root, said, time.Since(s.began))
	} else {
		w.notes.more(s.line, said)
	}
	s.noted = len(s.on.said)
}

// settle reads what is said until nothing more comes for a moment.
func (t *terminal) settle() {
	for {
		select {
		case piece, more := <-t.out:
			if t.said += piece; !more {
				t.over = true
				return
			}
		case <-time.After(300 * time.Millisecond):
			return
		}
	}
}

// errAway: sshd did not listen. One that was told of a change is away for a moment.
var errAway = errors.New("nobody listens")

// awaitServer waits until sshd listens.
func awaitServer() {
	for late := time.Now().Add(patience); time.Now().Before(late); time.Sleep(20 * time.Millisecond) {
		if c, err := net.Dial("tcp", "127.0.0.1:22"); err == nil {
			_ = c.Close()
			return
		}
	}
}

// finish plays the rest of a command until its end, and compares all that was seen.
func (w *world) finish(s *scene) error {
	t := s.on
	err := w.converse(s)
	if err == nil && s.shell != "" {
		if err = t.expect(s.shell); err == nil {
			_, err = t.file.WriteString("exit\n")
		}
	}
	if err != nil {
		_ = t.cmd.Process.Kill()
	}
	ended := t.end()
	w.saw(t.said)
	got := sent(t.said)
	if s.shell != "" {
		got, _, _ = strings.Cut(got, "\n"+s.shell)
	}
	var lines []string
	if got = strings.TrimRight(got, "\n "); got != "" {
		lines = strings.Split(got, "\n")
	}
	missing, same := compare(withoutAnswers(s.seen), withoutAnswers(lines))
	if err == nil && !same {
		err = fmt.Errorf("the page shows: %s", missing)
	}
	var status *exec.ExitError // a page shows what a refused login looks like, too
	if err == nil && !errors.As(ended, &status) {
		err = ended
	}
	if strings.Contains(t.said, "port 22: Connection refused") {
		err = errAway
	}
	if err != nil {
		return fmt.Errorf("%w\nit said:\n%s", err, t.said)
	}
	w.note(s)
	return nil
}

// converse answers the questions that were not answered yet, and waits for the last line
// that is no question.
func (w *world) converse(s *scene) error {
	t, last := s.on, ""
	for ; s.from < len(s.seen); s.from++ {
		question, typed, is := asks(s.seen[s.from])
		if !is {
			if line := strings.Trim(s.seen[s.from], "… "); line != "" && !differs.MatchString(line) {
				last = line
			}
			continue
		}
		last = ""
		if i := strings.LastIndex(question, "…"); i >= 0 {
			question = question[i+len("…"):]
		}
		from := t.read
		if err := t.expect(question); err != nil {
			return err
		}
		answer, err := w.answer(question, typed, t.said[from:])
		if err != nil {
			return err
		}
		if _, err := t.file.WriteString(answer + "\n"); err != nil {
			return err
		}
	}
	if last == "" {
		return nil
	}
	if err := t.expect(last); err != nil && !t.over {
		return err
	}
	return nil
}

// withoutAnswers returns lines with what was typed left out.
func withoutAnswers(lines []string) (all []string) {
	for _, line := range lines {
		if question, _, is := asks(line); is {
			line = question
		}
		all = append(all, line)
	}
	return all
}

// userOf returns whom a command logs in: ssh NAME@..., curl --user NAME, or nobody.
func userOf(line string) string {
	words := strings.Fields(line)
	for i, word := range words {
		if i > 0 && words[i-1] == "--user" {
			return word
		}
		if name, _, is := strings.Cut(word, "@"); is && name != "" {
			return name
		}
	}
	return ""
}
