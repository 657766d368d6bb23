package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"mfa/internal/mfa"
)

// A terminal asks and tells through standard input, output and error, which need not
// be a terminal.
type terminal struct {
	in   *bufio.Reader
	file *os.File // of in, if it is a terminal
	out  io.Writer
	err  io.Writer
}

func newTerminal(cmd *cobra.Command) *terminal {
	t := &terminal{in: bufio.NewReader(cmd.InOrStdin()), out: cmd.OutOrStdout(), err: cmd.ErrOrStderr()}
	if f, ok := cmd.InOrStdin().(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		t.file = f
	}
	return t
}

// Prompt implements mfa.Prompter: it shows p and reads a line if p asks for one. When
// ctx ends, it waits no longer.
func (t *terminal) Prompt(ctx context.Context, p mfa.Prompt) (line string, err error) {
	switch p.Kind {
	case mfa.Info:
		printLines(t.out, p.Text)
		return "", nil
	case mfa.Failure:
		printLines(t.err, p.Text)
		return "", nil
	}
	if p.Kind == mfa.AskHidden && t.file != nil {
		show, err := hide(int(t.file.Fd()))
		if err != nil {
			return "", err
		}
		defer fmt.Fprintln(t.out)
		defer show()
	}
	fmt.Fprint(t.out, printableLines(p.Text)) // when it shows, the echo is off already
	if err := t.await(ctx); err != nil {
		return "", err
	}
	line, err = t.in.ReadString('\n')
	return strings.TrimRight(line, "\r\n"), err
}

// hide turns the echo of a terminal off; show turns it on again.
func hide(fd int) (show func(), err error) {
	was, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return nil, fmt.Errorf("turn the echo off: %w", err)
	}
	quiet := *was
	quiet.Lflag &^= unix.ECHO
	quiet.Lflag |= unix.ICANON | unix.ISIG
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, &quiet); err != nil {
		return nil, fmt.Errorf("turn the echo off: %w", err)
	}
	return func() { _ = unix.IoctlSetTermios(fd, unix.TCSETS, was) }, nil
}

var errInterrupted = errors.New("interrupted")

// await returns when a line was typed, or with an error when ctx ends: a read of a
// terminal cannot be interrupted.
func (t *terminal) await(ctx context.Context) error {
	if t.file == nil || t.in.Buffered() > 0 {
		return nil
	}
	end, ending, err := os.Pipe()
	if err != nil {
		return err
	}
	defer end.Close()
	stop := context.AfterFunc(ctx, func() { _ = ending.Close() })
	defer func() {
		if stop() {
			_ = ending.Close()
		}
	}()
	fds := []unix.PollFd{{Fd: int32(t.file.Fd()), Events: unix.POLLIN}, {Fd: int32(end.Fd())}}
	for {
		_, err := unix.Poll(fds, -1)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return fmt.Errorf("wait for the terminal: %w", err)
		case fds[1].Revents != 0:
			return errInterrupted
		default:
			return nil
		}
	}
}
