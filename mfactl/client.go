package main

import (
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
)

// A client talks to mfad over its control socket.
type client struct {
	socket string
}

// requestTimeout bounds one request: the daemon answers at once or is stuck.
const requestTimeout = 30 * time.Second

// call sends in as JSON, if it is not nil, and decodes the answer into out. Its
// errors carry the exit code.
func (c *client) call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return exitError{code: exitFailed, err: err}
		}
		body = bytes.NewReader(b)
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	resp, err := c.do(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return decode(resp, out)
}

// do sends a request on a connection of its own.
func (c *client) do(ctx context.Context, method, path string, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://mfad"+path, body)
	if err != nil {
		return nil, exitError{code: exitFailed, err: err}
	}
	tr := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", c.socket)
	}}
	resp, err := (&http.Client{Transport: tr}).Do(req)
	if err != nil {
		return nil, c.unreachable(err)
	}
	return resp, nil
}

// unreachable explains why there was no answer.
func (c *client) unreachable(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err // without the address, which is not one
	}
	e := exitError{
		code: exitUnreachable,
		err:  fmt.Errorf("mfad does not answer: %w", err),
		hint: "Is it running? Try 'systemctl status mfad', or start it with 'mfad --config /etc/mfa/mfa.toml'.",
	}
	switch {
	case errors.Is(err, syscall.EACCES):
		e.code, e.hint = exitNotAllowed, "The socket's folder is closed to you. Try it as root."
	case errors.Is(err, context.Canceled):
		e.code, e.err, e.hint = exitFailed, errors.New("interrupted"), ""
	}
	return e
}

// decode reads an answer, or the error it holds.
func decode(resp *http.Response, out any) error {
	if resp.StatusCode != http.StatusOK {
		var fault struct {
			Error string `json:"error"`
		}
		if err := json.NewDecoder(resp.Body).Decode(&fault); err != nil || fault.Error == "" {
			fault.Error = "mfad answered " + resp.Status
		}
		e := exitError{code: exitFailed, err: errors.New(fault.Error), status: resp.StatusCode}
		switch resp.StatusCode {
		case http.StatusBadRequest:
			e.code = exitUsage
		case http.StatusForbidden:
			e.code, e.hint = exitNotAllowed, "Try it as root, for example with sudo."
		case http.StatusNotFound:
			e.code = exitNotFound
		case http.StatusUnprocessableEntity:
			e.hint = "Until it is mended this user is kept out. Mend it, or clear it with 'mfactl reset USER'."
		case http.StatusInsufficientStorage:
			e.hint = "The disk is full. Nothing was changed."
		}
		return e
	}
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return exitError{code: exitFailed, err: fmt.Errorf("read mfad's answer: %w", err)}
	}
	return nil
}

// userPath is the resource of a user.
func userPath(user, rest string) string { return "/v1/users/" + url.PathEscape(user) + rest }
