package main

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// pollEvery is how often a followed file is looked at.
const pollEvery = 200 * time.Millisecond

// A tail reads the lines of a file that others append to, that is moved away and
// made anew, or copied and cut down to nothing (logrotate(8), copytruncate).
type tail struct {
	path string
	f    *os.File
	half []byte // of a line whose end is not written yet
}

func openTail(path string) (*tail, error) {
	f, err := os.Open(path)
	return &tail{path: path, f: f}, err
}

func (t *tail) close() { _ = t.f.Close() }

// skip leaves out what is there.
func (t *tail) skip() error {
	_, err := t.f.Seek(0, io.SeekEnd)
	return err
}

// read passes on the lines that are whole, up to the end of the file.
func (t *tail) read(line func(string) error) error {
	r := bufio.NewReader(t.f)
	for {
		part, err := r.ReadBytes('\n')
		t.half = append(t.half, part...)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		text := string(t.half)
		t.half = t.half[:0]
		if err := line(text); err != nil {
			return err
		}
	}
}

// follow passes on the lines that come, until ctx ends, which is no error.
func (t *tail) follow(ctx context.Context, line func(string) error) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	moved := false // the file at the path was another one at the last look
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := t.cutDown(); err != nil {
			return err
		}
		if err := t.read(line); err != nil {
			return err
		}
		next, err := t.successor()
		switch {
		case err != nil:
			return err
		case next != nil && !moved: // who was writing into the old one may still be
			moved = true
			_ = next.Close()
		case next != nil:
			t.close()
			t.f, t.half, moved = next, nil, false
			if err := t.read(line); err != nil {
				return err
			}
		}
	}
}

// cutDown goes back to the beginning of a file that was cut down.
func (t *tail) cutDown() error {
	info, err := t.f.Stat()
	if err != nil {
		return err
	}
	at, err := t.f.Seek(0, io.SeekCurrent)
	if err == nil && info.Size() < at {
		t.half = nil
		_, err = t.f.Seek(0, io.SeekStart)
	}
	return err
}

// successor opens the file at the path if it is not the one that is read; nil if
// it is, or if there is none yet.
func (t *tail) successor() (*os.File, error) {
	next, err := os.Open(t.path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	here, err := t.f.Stat()
	there, err2 := next.Stat()
	if err := errors.Join(err, err2); err != nil || os.SameFile(here, there) {
		return nil, errors.Join(err, next.Close())
	}
	return next, nil
}

// rotated returns the files that log rotation made of path and that were written
// since, oldest first.
func rotated(path string, since time.Time) []string {
	times := map[string]time.Time{}
	for _, pattern := range []string{path + ".[0-9]*", path + "-[0-9]*"} {
		names, err := filepath.Glob(pattern)
		if err != nil {
			continue // path has what Glob takes for a pattern: none are found
		}
		for _, name := range names {
			if info, err := os.Stat(name); err == nil && info.Mode().IsRegular() && !info.ModTime().Before(since) {
				times[name] = info.ModTime()
			}
		}
	}
	names := make([]string, 0, len(times))
	for name := range times {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return times[a].Compare(times[b]) })
	return names
}

// readWhole passes on the lines of a file that is complete, packed or not.
func readWhole(path string, line func(string) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	var in io.Reader = f
	if strings.HasSuffix(path, ".gz") {
		if in, err = gzip.NewReader(f); err != nil {
			return fmt.Errorf("unpack %q: %w", path, err)
		}
	}
	for r := bufio.NewReader(in); ; {
		text, err := r.ReadString('\n')
		if text != "" {
			if err := line(text); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read %q: %w", path, err)
		}
	}
}
