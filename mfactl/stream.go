package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"mfa/internal/wire"
)

// stream reads an answer that comes in lines: begin gets how many items can come,
// item each of them. It waits for any one line as long as for an answer. An
// answer that is not whole is an error.
func (c *client) stream(ctx context.Context, method, path string, begin func(total int), item func(json.RawMessage) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stuck := time.AfterFunc(requestTimeout, func() { cancel(errStuck) })
	defer stuck.Stop()
	resp, err := c.do(ctx, method, path, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return decode(resp, nil)
	}
	err = readLines(resp.Body, func() { stuck.Reset(requestTimeout) }, begin, item)
	if _, ok := errors.AsType[exitError](err); ok || err == nil {
		return err
	}
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	if errors.Is(err, context.Canceled) {
		err = errors.New("interrupted")
	}
	return exitError{code: exitFailed, err: fmt.Errorf("read mfad's answer: %w", err)}
}

var errStuck = errors.New("mfad says nothing more")

// readLines reads lines until the one that says that it is the last.
func readLines(r io.Reader, alive func(), begin func(total int), item func(json.RawMessage) error) error {
	dec := json.NewDecoder(bufio.NewReader(r))
	for {
		var l wire.Line
		if err := dec.Decode(&l); err != nil {
			return fmt.Errorf("it is not whole: %w", err)
		}
		alive()
		switch {
		case l.Error != "":
			return exitError{code: exitFailed, err: errors.New(l.Error)}
		case l.End:
			return nil
		case l.Total != nil:
			begin(*l.Total)
		default:
			if err := item(l.Item); err != nil {
				return err
			}
		}
	}
}
