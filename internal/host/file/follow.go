package file

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// pollEvery is how often a followed file is looked at.
const pollEvery = 200 * time.Millisecond

// memory is how many of the bytes read last are compared at the next look, to tell a
// file that was cut down and has grown again from one that only grew.
const memory = 256

// A Tail reads the lines of a file that others append to. It follows log rotation: the
// file may be moved away and made anew, or copied and truncated (logrotate(8),
// copytruncate). One goroutine at a time may use it. Close it.
type Tail struct {
	path  string
	f     *os.File // nil: there is none yet
	half  []byte   // of a line whose end is not written yet
	last  []byte   // the bytes before the place where reading goes on
	moved bool     // the file at the path was another one at the last look
}

// OpenTail opens the file at path. The error wraps os.ErrNotExist if there is none.
func OpenTail(path string) (*Tail, error) {
	t, err := ExpectTail(path)
	if err == nil && t.f == nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: syscall.ENOENT}
	}
	return t, err
}

// ExpectTail is OpenTail for a file that may not be there yet. Once it is, all of it
// is read.
func ExpectTail(path string) (*Tail, error) {
	t := &Tail{path: path}
	f, err := t.successor()
	if err != nil {
		return nil, err
	}
	t.f = f
	return t, nil
}

// Close ends the reading.
func (t *Tail) Close() {
	if t.f != nil {
		_ = t.f.Close() // it was only read
	}
}

// Skip goes to the end of the file: the lines that are there are not read.
func (t *Tail) Skip() error {
	if t.f == nil {
		return nil
	}
	if _, err := t.f.Seek(0, io.SeekEnd); err != nil {
		return err
	}
	return t.remember()
}

// Read calls line with each whole line, with its line end, up to the end of the file. An
// error of line ends the reading after that line, and is returned.
func (t *Tail) Read(line func(string) error) error {
	if t.f == nil {
		return nil
	}
	r := bufio.NewReader(t.f)
	for {
		part, err := r.ReadBytes('\n')
		t.half = append(t.half, part...)
		if errors.Is(err, io.EOF) {
			return t.remember()
		}
		if err != nil {
			return err
		}
		text := string(t.half)
		t.half = t.half[:0]
		if err := line(text); err != nil {
			if _, back := t.f.Seek(-int64(r.Buffered()), io.SeekCurrent); back != nil {
				return errors.Join(err, back)
			}
			return errors.Join(err, t.remember())
		}
	}
}

// Follow calls line with the lines that are there and those that are appended, until ctx
// ends, which is no error. An error of line ends it, and is returned.
func (t *Tail) Follow(ctx context.Context, line func(string) error) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		if err := t.look(line); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return t.look(line) // up to the end, and into a new file
		case <-tick.C:
		}
	}
}

// look reads what came since the last look. A file in the place of the one that is
// read waits for one look: a program that was writing into the old one may still be.
func (t *Tail) look(line func(string) error) error {
	if err := t.cutDown(); err != nil {
		return err
	}
	if err := t.Read(line); err != nil {
		return err
	}
	next, err := t.successor()
	switch {
	case err != nil || next == nil:
		return err
	case t.f != nil && !t.moved:
		t.moved = true
		return next.Close()
	}
	t.Close()
	t.f, t.half, t.last, t.moved = next, nil, nil, false
	return t.Read(line)
}

// cutDown goes back to the beginning of a file that was truncated, even if it has grown
// beyond the place where reading goes on.
func (t *Tail) cutDown() error {
	if t.f == nil {
		return nil
	}
	at, err := t.f.Seek(0, io.SeekCurrent)
	if err != nil {
		return err
	}
	info, err := t.f.Stat()
	if err != nil {
		return err
	}
	now := make([]byte, len(t.last))
	n, err := t.f.ReadAt(now, at-int64(len(now)))
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if info.Size() >= at && bytes.Equal(now[:n], t.last) {
		return nil
	}
	t.half, t.last = nil, nil
	_, err = t.f.Seek(0, io.SeekStart)
	return err
}

// remember keeps the bytes before the place where reading goes on.
func (t *Tail) remember() error {
	at, err := t.f.Seek(0, io.SeekCurrent)
	if err != nil {
		return err
	}
	t.last = make([]byte, min(at, memory))
	n, err := t.f.ReadAt(t.last, at-int64(len(t.last)))
	t.last = t.last[:n]
	if errors.Is(err, io.EOF) {
		return nil // cut down just now
	}
	return err
}

// successor opens the file at the path if it is not the one that is read; nil if
// it is, or if there is none yet.
func (t *Tail) successor() (*os.File, error) {
	next, err := os.Open(t.path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil || t.f == nil {
		return next, err
	}
	here, err := t.f.Stat()
	there, err2 := next.Stat()
	if err := errors.Join(err, err2); err != nil || os.SameFile(here, there) {
		return nil, errors.Join(err, next.Close())
	}
	return next, nil
}

// Rotated returns the files that log rotation made of path and that were written
// since, oldest first.
func Rotated(path string, since time.Time) []string {
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

// ReadWhole calls line with each line of the file at path, with its line end; a file whose
// name ends with .gz is unpacked. An error of line ends it, and is returned.
func ReadWhole(path string, line func(string) error) error {
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
