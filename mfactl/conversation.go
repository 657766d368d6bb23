package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"syscall"

	"github.com/spf13/cobra"

	"mfa/internal/mfa"
	"mfa/internal/wire"
)

// converse holds a conversation with mfad about the caller's own enrollment, in
// the words that a login uses.
func (c *client) converse(cmd *cobra.Command, path string) error {
	ctx := cmd.Context()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", c.socket)
	if err != nil {
		return c.unreachable(err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() }) // Ctrl-C
	defer stop()
	r, err := switchTo(conn, path)
	if err != nil {
		return err
	}
	outcome, err := talk(r, conn, newTerminal(cmd))
	switch {
	case ctx.Err() != nil:
		return exitError{code: exitFailed, err: errors.New("interrupted; nothing was changed but what was confirmed")}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return exitError{code: exitUnreachable, err: errors.New("mfad ended in the middle of the conversation")}
	case err != nil:
		return exitError{code: exitFailed, err: err}
	case outcome == mfa.Accepted || outcome == mfa.Exempt:
		return nil
	case outcome == mfa.MustEnroll:
		return exitError{code: exitNotAllowed, err: errors.New("not done")}
	}
	return exitError{code: exitFailed, err: errors.New("not done")}
}

// switchTo asks mfad for a conversation.
func switchTo(conn net.Conn, path string) (io.Reader, error) {
	req, err := http.NewRequest(http.MethodPost, "http://mfad"+path, http.NoBody)
	if err != nil {
		return nil, exitError{code: exitFailed, err: err}
	}
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", wire.Upgrade)
	if err := req.Write(conn); err != nil {
		return nil, exitError{code: exitUnreachable, err: err}
	}
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, req)
	if err != nil {
		return nil, exitError{code: exitUnreachable, err: fmt.Errorf("mfad does not answer: %w", err)}
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusSwitchingProtocols {
		return nil, decode(resp, nil)
	}
	return r, nil
}

// talk relays prompts and answers until mfad is done.
func talk(r io.Reader, w io.Writer, t *terminal) (mfa.Outcome, error) {
	for {
		f, err := wire.Read(r)
		if err != nil {
			return mfa.Broken, fmt.Errorf("listen to mfad: %w", err)
		}
		if f.Type == wire.Done {
			return wire.DecodeDone(f)
		}
		p, err := wire.DecodePrompt(f)
		if err != nil {
			return mfa.Broken, err
		}
		line, asked, err := t.show(p)
		if !asked {
			continue
		}
		answer := wire.Frame{Type: wire.Answer, Payload: []byte(line)}
		if err != nil || len(line) > wire.MaxAnswer {
			answer = wire.Frame{Type: wire.NoAnswer, Payload: []byte{wire.ConvFailed}}
		}
		// Where mfad has ended the conversation meanwhile, its last words are there to be read.
		if err := wire.Write(w, answer); err != nil && !errors.Is(err, syscall.EPIPE) {
			return mfa.Broken, fmt.Errorf("answer mfad: %w", err)
		}
	}
}
