package main

import (
	"io"
	"os"

	"golang.org/x/term"
)

// A checkedWriter remembers the first error of a write, for callers that print and
// do not look at it.
type checkedWriter struct {
	w   io.Writer
	err error // the first
}

// Write implements io.Writer.
func (c *checkedWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	if err != nil && c.err == nil {
		c.err = err
	}
	return n, err
}

// checked returns a writer to use in place of w, and a function that returns its
// first error. A terminal is returned as it is: verbs ask whether it is one.
func checked(w io.Writer) (io.Writer, func() error) {
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return w, func() error { return nil }
	}
	c := &checkedWriter{w: w}
	return c, func() error { return c.err }
}
