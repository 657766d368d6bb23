package main

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/creack/pty"
)

// onTerminal runs mfactl audit on a terminal and returns what that gets.
func onTerminal(t *testing.T, file string, env ...string) string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := &exec.Cmd{
		Path: exe, Args: []string{"mfactl", "audit", "--file", file},
		Env: append([]string{"GORACE=atexit_sleep_ms=0"}, env...),
	}
	f, err := pty.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	text, _ := io.ReadAll(f) // EIO: the other side is closed
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return string(text)
}

// Colors are for a terminal that knows them and a person who wants them.
func TestColors(t *testing.T) {
	file := filepath.Join(t.TempDir(), "audit.jsonl")
	appendTo(t, file, `{"time":"2026-01-02T03:04:05Z","event":"login","user":"a","outcome":"accepted"}`+"\n")
	const colored = "\x1b[32maccepted\x1b[0m"
	if s := onTerminal(t, file, "TERM=xterm"); !strings.Contains(s, colored) {
		t.Errorf("no colors on a terminal: %q", s)
	}
	for _, env := range [][]string{{"TERM=xterm", "NO_COLOR=1"}, {"TERM=dumb"}} {
		if s := onTerminal(t, file, env...); strings.Contains(s, "\x1b") || !strings.Contains(s, "accepted") {
			t.Errorf("colors with %q: %q", env, s)
		}
	}
	var out strings.Builder
	if code := run([]string{"audit", "--file", file}, nil, &out, io.Discard); code != exitOK || strings.Contains(out.String(), "\x1b") {
		t.Errorf("colors where there is no terminal: %q", out.String())
	}
}
