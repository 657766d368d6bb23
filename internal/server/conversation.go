package server

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"mfa/internal/mfa"
	"mfa/internal/wire"
)

// A conversation is the Prompter over one connection, for one goroutine. A module that
// goes away ends the login: at once while an answer is waited for, since Prompt reads
// then; and while the login does something else after readerDelay at the latest, since a
// reader begins then. Most logins end before that, and need no reader: it costs
// two wake-ups of threads for each answer.
type conversation struct {
	c      *peerConn
	in     *bufio.Reader // of c; belongs to the reader once there is one
	ctx    context.Context
	cancel context.CancelCauseFunc
	frames chan wire.Frame // from the reader; a frame nobody asked for breaks the protocol
	reader sync.WaitGroup

	mu      sync.Mutex  // guards the fields below
	later   *time.Timer // begins the reader
	reading bool        // there is one
	busy    bool        // Prompt reads, or nobody shall any more
}

// readerDelay is how long a login may do something else before a reader watches whether
// the module is still there.
const readerDelay = 20 * time.Millisecond

// errGone is the cause of a login whose module closed the connection.
var errGone = errors.New("the client is gone")

// newInput returns a reader of what comes from a connection.
func newInput(c net.Conn) *bufio.Reader { return bufio.NewReaderSize(c, inputRoom) }

// newConversation begins one. In reads what comes from c.
func newConversation(ctx context.Context, c *peerConn, in *bufio.Reader) *conversation {
	v := &conversation{c: c, in: in, frames: make(chan wire.Frame, 1)}
	v.ctx, v.cancel = context.WithCancelCause(ctx)
	v.later = time.AfterFunc(readerDelay, v.beginReader)
	return v
}

// beginReader begins the reader, unless Prompt reads.
func (v *conversation) beginReader() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.busy && !v.reading {
		v.reading = true
		v.reader.Go(v.read)
	}
}

func (v *conversation) read() {
	for {
		f, err := wire.ReadAnswer(v.in)
		if errors.Is(err, wire.ErrFrame) {
			_ = v.broken(err)
			return
		}
		if err != nil {
			v.cancel(errGone)
			return
		}
		select {
		case v.frames <- f:
		default:
			_ = v.broken(fmt.Errorf("%w: two answers to one prompt", wire.ErrFrame))
			return
		}
	}
}

// broken ends the login, as the other end does not keep to the protocol.
func (v *conversation) broken(err error) error {
	v.cancel(mfa.Ended{Outcome: mfa.Broken, Err: err})
	return err
}

// close ends the reader and waits for it. The verdict can still be written.
func (v *conversation) close() {
	reading := v.take()
	v.cancel(nil)
	if reading {
		_ = v.c.CloseRead()
		v.reader.Wait()
	}
}

// take keeps a reader from beginning, and says whether there is one already.
func (v *conversation) take() (reading bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.later.Stop()
	v.busy = true
	return v.reading
}

// release lets a reader begin, in a while.
func (v *conversation) release() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.busy = false
	if !v.reading {
		v.later.Reset(readerDelay)
	}
}

// Prompt implements login.Prompter. Control bytes are dropped both ways.
func (v *conversation) Prompt(ctx context.Context, p mfa.Prompt) (string, error) {
	if p.Kind == mfa.Ask || p.Kind == mfa.AskHidden {
		return v.ask(ctx, p)
	}
	return "", v.say(p)
}

// say writes what p says.
func (v *conversation) say(p mfa.Prompt) error {
	p.Text = strings.Map(printable, p.Text)
	_ = v.c.SetWriteDeadline(time.Now().Add(writeTimeout))
	if err := wire.Write(v.c, wire.EncodePrompt(p)); err != nil {
		return fmt.Errorf("prompt: %w: %w", errGone, err)
	}
	return nil
}

func (v *conversation) ask(ctx context.Context, p mfa.Prompt) (string, error) {
	reading := v.take()
	defer v.release()
	if len(v.frames) > 0 || !reading && (v.in.Buffered() > 0 || arrived(v.c)) {
		return "", v.broken(fmt.Errorf("%w: an answer before its prompt", wire.ErrFrame))
	}
	if err := v.say(p); err != nil {
		return "", err
	}
	f, err := v.hear(ctx, reading)
	if err != nil {
		return "", err
	}
	answer, err := wire.DecodeAnswer(f)
	if errors.Is(err, wire.ErrFrame) {
		return "", v.broken(err)
	}
	if w, is := mfa.IsWithheld(answer); is {
		return "", w
	}
	return strings.TrimSpace(strings.Map(printable, answer)), err
}

// hear waits for one frame, from the reader if there is one.
func (v *conversation) hear(ctx context.Context, reading bool) (wire.Frame, error) {
	if reading {
		select {
		case f := <-v.frames:
			return f, nil
		case <-ctx.Done():
			return wire.Frame{}, fmt.Errorf("prompt: %w", context.Cause(ctx))
		}
	}
	return v.hearAlone(ctx)
}

// hearAlone waits for one frame where there is no reader.
func (v *conversation) hearAlone(ctx context.Context) (f wire.Frame, err error) {
	woken := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(woken)
		_ = v.c.SetReadDeadline(time.Unix(1, 0))
	})
	_, err = v.in.Peek(1)
	begun := err == nil
	if begun {
		f, err = wire.ReadAnswer(v.in)
	}
	ended := !stop()
	if ended {
		<-woken
		_ = v.c.SetReadDeadline(time.Time{})
	}
	switch {
	case err == nil:
		return f, nil
	case errors.Is(err, wire.ErrFrame):
		return f, v.broken(err)
	case ended && !begun: // no part of a frame is lost
		return f, fmt.Errorf("prompt: %w", context.Cause(ctx))
	}
	v.cancel(errGone)
	return f, fmt.Errorf("prompt: %w", errGone)
}

// arrived says whether there is something to read. That the other end is gone is not.
func arrived(c *peerConn) bool {
	raw, ok := c.Conn.(syscall.Conn)
	if !ok {
		return false
	}
	there := false
	if rc, err := raw.SyscallConn(); err == nil {
		_ = rc.Control(func(fd uintptr) {
			var b [1]byte
			n, _, err := unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
			there = err == nil && n > 0
		})
	}
	return there
}

// printable keeps what may stand on a terminal.
func printable(r rune) rune {
	if r == '\n' || r >= ' ' && r != 0x7f && (r < 0x80 || r >= 0xa0) {
		return r
	}
	return -1
}
