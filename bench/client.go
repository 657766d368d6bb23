package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

// PAM's codes that the bench expects (_pam_types.h).
const (
	pamSuccess     = 0
	pamUnavailable = 9
	pamMaxTries    = 11
)

// A shot is one login: what the client is asked for.
type shot struct{ service, user, answer string }

// rhost is where logins come from: an address that can be remembered.
const rhost = "203.0.113.9"

// serverHost is where sshd listens.
const serverHost = "203.0.113.10"

// A timing is what the client says of one login.
type timing struct {
	wall, cpu, prompt time.Duration
	code              int
}

// A client is the program that logs in.
type client struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

func startClient(w *world) (*client, error) {
	c := &client{cmd: exec.Command(w.client, w.block)}
	c.cmd.Stderr = os.Stderr
	c.cmd.Env = []string{"PATH=/usr/bin:/bin"}
	in, err := c.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c.in, c.out = in, bufio.NewReaderSize(out, 1<<16)
	return c, c.cmd.Start()
}

func (c *client) close() error {
	_ = c.in.Close()
	return c.cmd.Wait()
}

// say writes one login in the client's words.
func (s shot) say(w io.Writer) error {
	answer := s.answer
	if answer == "" {
		answer = "-"
	}
	_, err := fmt.Fprintf(w, "%s %s %s %s\n", s.service, s.user, rhost, answer)
	return err
}

// login goes through one login; synced adds a synced overwrite of a block.
func (c *client) login(s shot, synced bool) (timing, error) {
	word := "login "
	if synced {
		word = "synced "
	}
	if _, err := io.WriteString(c.in, word); err != nil {
		return timing{}, err
	}
	if err := s.say(c.in); err != nil {
		return timing{}, err
	}
	return c.timing()
}

func (c *client) timing() (t timing, err error) {
	if _, err = fmt.Fscanln(c.out, &t.wall, &t.cpu, &t.prompt, &t.code); err != nil {
		err = fmt.Errorf("read from the client: %w", err)
	}
	return t, err
}

// crowd lets processes share the shots, all at once, and returns how long all took.
func (c *client) crowd(processes int, shots []shot) (each []timing, all time.Duration, err error) {
	w := bufio.NewWriter(c.in)
	fmt.Fprintf(w, "crowd %d %d\n", min(processes, len(shots)), len(shots))
	for _, s := range shots {
		if err := s.say(w); err != nil {
			return nil, 0, err
		}
	}
	if err := w.Flush(); err != nil {
		return nil, 0, err
	}
	for range shots {
		t, err := c.timing()
		if err != nil {
			return nil, 0, err
		}
		each = append(each, t)
	}
	_, err = fmt.Fscanln(c.out, &all)
	return each, all, err
}

// all is crowd for logins that all are to be let in.
func (c *client) all(processes int, shots []shot) (took time.Duration, err error) {
	each, took, err := c.crowd(processes, shots)
	if err != nil {
		return took, err
	}
	for i, t := range each {
		if t.code != pamSuccess {
			return took, fmt.Errorf("%s of %s ended with PAM code %d", shots[i].service, shots[i].user, t.code)
		}
	}
	return took, nil
}
