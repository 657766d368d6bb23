package wire

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"syscall"
	"time"

	"mfa/internal/mfa"
)

// ErrUnreachable is wrapped by every error of a Client whose request got no answer. The
// error of the system is wrapped, too, like syscall.EACCES if the caller may not connect.
var ErrUnreachable = errors.New("mfad does not answer")

// ErrInterrupted means that the context of a request was canceled.
var ErrInterrupted = errors.New("interrupted")

// ErrStuck is wrapped by an error of a Client that was connected and waited in vain: beside
// ErrUnreachable where no part of an answer came.
var ErrStuck = errors.New("mfad says nothing more")

// An Error is a refusal by the daemon.
type Error struct {
	Status int    // of HTTP; 0: a stream or a conversation that had begun was cut short
	Text   string // for people
}

// Error implements error.
func (e *Error) Error() string { return e.Text }

// A Client asks mfad over its control socket. Each request has a connection of its
// own. A Client may be used from many goroutines.
type Client struct {
	// Socket is the path of the control socket.
	Socket string
	// Timeout bounds the wait for an answer, and for each further part of it; 0: 30 seconds.
	// Converse has no timeout.
	Timeout time.Duration
}

func (c *Client) longestWait() time.Duration {
	if c.Timeout > 0 {
		return c.Timeout
	}
	return 30 * time.Second
}

// Call sends in as JSON, if it is not nil, and decodes the answer into out, if that
// is not nil. Unknown keys are ignored, so that an older client can ask a newer daemon.
// Its error is an *Error if the daemon refused, wraps ErrInterrupted or ErrUnreachable, or
// is about an answer that is not whole.
func (c *Client) Call(ctx context.Context, to Resource, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	ctx, w := c.wait(ctx)
	defer w.end()
	resp, err := c.do(ctx, to, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	resp.Body = &awaited{resp.Body, w}
	return w.explain(decode(resp, out))
}

// A wait ends a request when no part of its answer came for too long.
type wait struct {
	ctx   context.Context
	stuck *time.Timer
	least time.Duration
	end   func()
}

// wait returns a context for a request, which ends when no part of the answer came for
// c.Timeout. The caller calls end.
func (c *Client) wait(ctx context.Context) (context.Context, *wait) {
	ctx, cancel := context.WithCancelCause(ctx)
	w := &wait{ctx: ctx, least: c.longestWait()}
	w.stuck = time.AfterFunc(w.least, func() { cancel(ErrStuck) })
	w.end = func() {
		w.stuck.Stop()
		cancel(nil)
	}
	return ctx, w
}

// explain returns why the wait ended, if that is why err happened, else err.
func (w *wait) explain(err error) error {
	if _, ok := errors.AsType[*Error](err); ok || err == nil {
		return err
	}
	switch cause := context.Cause(w.ctx); {
	case errors.Is(cause, context.Canceled):
		return fmt.Errorf("read mfad's answer: %w", ErrInterrupted)
	case cause != nil:
		return fmt.Errorf("read mfad's answer: %w", cause)
	}
	return err
}

// An awaited body restarts the wait with each part that comes.
type awaited struct {
	io.ReadCloser
	wait *wait
}

// Read implements io.Reader.
func (a *awaited) Read(p []byte) (int, error) {
	n, err := a.ReadCloser.Read(p)
	if n > 0 {
		a.wait.stuck.Reset(a.wait.least)
	}
	return n, err
}

// do sends a request on a connection of its own.
func (c *Client) do(ctx context.Context, to Resource, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, to.method, "http://mfad"+to.path, body)
	if err != nil {
		return nil, err
	}
	tr := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return c.dial(ctx)
	}}
	resp, err := (&http.Client{Transport: tr}).Do(req)
	if err != nil {
		return nil, unreachable(err)
	}
	return resp, nil
}

func (c *Client) dial(ctx context.Context) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "unix", c.Socket)
}

// unreachable returns err as ErrUnreachable or ErrInterrupted.
func unreachable(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err // without the address, which is not one
	}
	if errors.Is(err, context.Canceled) {
		return ErrInterrupted
	}
	return fmt.Errorf("%w: %w", ErrUnreachable, err)
}

// decode reads an answer into out, or returns the error that it holds.
func decode(resp *http.Response, out any) error {
	if resp.StatusCode != http.StatusOK {
		var f Fault
		if err := json.NewDecoder(resp.Body).Decode(&f); err != nil || f.Error == "" {
			f.Error = "mfad answered " + resp.Status
		}
		return &Error{Status: resp.StatusCode, Text: f.Error}
	}
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return fmt.Errorf("read mfad's answer: %w", err)
	}
	return nil
}

// Stream reads an answer that comes in lines (see Line). It calls begin with the highest
// number of items, then item for each of them. It waits for each line as long as for an
// answer. Its error is that of Call, or the first of item, which ends it; an answer
// without its last line is an error.
func Stream[T any](ctx context.Context, c *Client, to Resource, begin func(total int), item func(T) error) error {
	ctx, w := c.wait(ctx)
	defer w.end()
	resp, err := c.do(ctx, to, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return decode(resp, nil)
	}
	return w.explain(readLines(&awaited{resp.Body, w}, begin, item))
}

// readLines reads lines until the one that says that it is the last.
func readLines[T any](r io.Reader, begin func(total int), item func(T) error) error {
	dec := json.NewDecoder(bufio.NewReader(r))
	for {
		var l Line
		if err := dec.Decode(&l); err != nil {
			return fmt.Errorf("read mfad's answer: it is not whole: %w", err)
		}
		switch {
		case l.Error != "":
			return &Error{Text: l.Error}
		case l.End:
			return nil
		case l.Total != nil:
			begin(*l.Total)
		default:
			var v T
			err := json.Unmarshal(l.Item, &v)
			if err == nil {
				err = item(v)
			}
			if err != nil {
				return fmt.Errorf("read mfad's answer: %w", err)
			}
		}
	}
}

// Converse holds a conversation with mfad about the caller's own enrollment; to is a
// PostSelf. It passes prompts of mfad to p and the answers back; after an error of p mfad
// ends the conversation. It returns the outcome that mfad sent. Its error wraps
// ErrUnreachable, io.EOF or io.ErrUnexpectedEOF if the connection ended before that, or
// is an *Error if mfad refused.
func (c *Client) Converse(ctx context.Context, to Resource, p mfa.Prompter) (mfa.Outcome, error) {
	conn, err := c.dial(ctx)
	if err != nil {
		return mfa.Broken, unreachable(err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	r, err := switchTo(conn, to)
	if err != nil {
		return mfa.Broken, err
	}
	return talk(ctx, r, conn, p)
}

// switchTo asks mfad for a conversation, and returns the reader of its frames.
func switchTo(conn net.Conn, to Resource) (io.Reader, error) {
	req, err := http.NewRequest(to.method, "http://mfad"+to.path, http.NoBody)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", Upgrade)
	// A daemon that turned us away has hung up already, and its word is there to be read.
	if err := req.Write(conn); err != nil && !errors.Is(err, syscall.EPIPE) {
		return nil, unreachable(err)
	}
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, req)
	if err != nil {
		return nil, unreachable(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusSwitchingProtocols {
		if err := decode(resp, nil); err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("mfad holds no conversation there: it answered %s", resp.Status)
	}
	return r, nil
}

// talk relays prompts and answers until mfad is done.
func talk(ctx context.Context, r io.Reader, w io.Writer, p mfa.Prompter) (mfa.Outcome, error) {
	for {
		f, err := Read(r)
		if err != nil {
			return mfa.Broken, fmt.Errorf("listen to mfad: %w", err)
		}
		if f.Type == Done {
			return DecodeDone(f)
		}
		said, err := DecodePrompt(f)
		if err != nil {
			return mfa.Broken, err
		}
		line, err := p.Prompt(ctx, said)
		if said.Kind != mfa.Ask && said.Kind != mfa.AskHidden {
			continue
		}
		answer := Frame{Type: Answer, Payload: []byte(line)}
		if err != nil || len(line) > MaxAnswer {
			answer = Frame{Type: NoAnswer, Payload: []byte{ConvFailed}}
		}
		// Where mfad has ended the conversation meanwhile, its last words are there to be read.
		if err := Write(w, answer); err != nil && !errors.Is(err, syscall.EPIPE) {
			return mfa.Broken, fmt.Errorf("answer mfad: %w", err)
		}
	}
}
