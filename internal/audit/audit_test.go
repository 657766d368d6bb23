package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"mfa/internal/mfa"
)

func read(t *testing.T, path string) []mfa.Event {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var evs []mfa.Event
	for line := range strings.Lines(string(data)) {
		var ev mfa.Event
		if err := json.Unmarshal([]byte(line), &ev); err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		evs = append(evs, ev)
	}
	return evs
}

func TestRecordSurvivesRotation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log", "audit.jsonl")
	l, err := Open(Config{File: path}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	l.Record(mfa.Event{Event: Login, User: "before"})
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	l.Record(mfa.Event{Event: Login, User: "after"})
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if evs := read(t, path+".1"); len(evs) != 1 || evs[0].User != "before" {
		t.Errorf("old file: %v", evs)
	}
	if evs := read(t, path); len(evs) != 1 || evs[0].User != "after" {
		t.Errorf("new file: %v", evs)
	}
}

func TestRecordKeepsLinesWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	l, err := Open(Config{File: path}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			for range 50 {
				l.Record(mfa.Event{Event: Failed, User: "two\nlines\x00", Reason: strings.Repeat("x", 300)})
			}
		})
	}
	wg.Wait()
	evs := read(t, path)
	if len(evs) != 1000 {
		t.Fatalf("%d lines, want 1000", len(evs))
	}
	for _, ev := range evs {
		if ev.User != "two\nlines\x00" {
			t.Fatalf("user %q", ev.User)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode: %v %v", info.Mode(), err)
	}
}

func TestRecordToAFullDiskIsLogged(t *testing.T) {
	var buf bytes.Buffer
	l := &Log{path: "/dev/full", log: slog.New(slog.NewTextHandler(&buf, nil))}
	l.Record(mfa.Event{Event: Login, User: "alice", Outcome: "accepted"})
	if s := buf.String(); !strings.Contains(s, "audit line not written") || !strings.Contains(s, "alice") {
		t.Errorf("log: %q", s)
	}
}

func TestNoFileIsNoError(t *testing.T) {
	l, err := Open(Config{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	l.Record(mfa.Event{Event: Login})
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// What keeps lines out of the file is known until one is in it again.
func TestProblem(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	l, err := Open(Config{File: filepath.Join(dir, "audit.jsonl")}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	record := func(good bool) {
		t.Helper()
		l.Record(mfa.Event{Event: Login})
		if err := l.Problem(); (err == nil) != good {
			t.Errorf("good %v, the problem is %v", good, err)
		}
	}
	record(true)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	record(false)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	record(true)
	if err := errors.Join(l.Close(), (*Log)(nil).Problem()); err != nil {
		t.Error(err)
	}
}
