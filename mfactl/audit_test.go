package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"
)

func auditLine(user string) string {
	return fmt.Sprintf(`{"time":"2026-01-02T03:04:05Z","event":"login","user":%q}`, user) + "\n"
}

func appendTo(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err == nil {
		_, err = f.WriteString(text)
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Follow loses no line and says none twice, whichever way the file is rotated.
func TestAuditFollowsAcrossRotation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	appendTo(t, path, auditLine("first"))
	r, w := io.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	root := newRoot()
	root.SetArgs([]string{"audit", "--file", path, "--follow", "--since", "2000-01-01", "--json"})
	root.SetOut(w)
	done := make(chan error, 1)
	go func() {
		err := root.ExecuteContext(ctx)
		_ = w.Close()
		done <- err
	}()
	lines := bufio.NewReader(r)
	expect := func(user string) {
		t.Helper()
		got, err := lines.ReadString('\n')
		if err != nil || got != auditLine(user) {
			t.Fatalf("got %q, %v, want %s", got, err, user)
		}
	}
	expect("first")
	appendTo(t, path, auditLine("second"))
	expect("second")

	// Half a line waits for its other half.
	whole := auditLine("halves")
	appendTo(t, path, auditLine("whole")+whole[:20])
	expect("whole")
	appendTo(t, path, whole[20:])
	expect("halves")

	// Moved away, with a late line, and made anew.
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	appendTo(t, path+".1", auditLine("late"))
	appendTo(t, path, auditLine("anew"))
	expect("late")
	expect("anew")

	// Copied and cut down.
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	appendTo(t, path, auditLine("x"))
	expect("x")

	cancel()
	if rest, err := io.ReadAll(lines); err != nil || len(rest) > 0 {
		t.Errorf("left: %q, %v", rest, err)
	}
	if err := <-done; err != nil {
		t.Errorf("interrupted: %v", err)
	}
}

func TestAuditReadsPackedFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	fmt.Fprint(z, auditLine("oldest"))
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	appendTo(t, path+".2.gz", packed.String())
	appendTo(t, path+".1", auditLine("older"))
	appendTo(t, path, auditLine("now"))
	appendTo(t, path+".old", auditLine("not ours"))
	for i, name := range []string{".2.gz", ".1"} {
		at := time.Now().Add(time.Duration(i-10) * time.Hour)
		if err := os.Chtimes(path+name, at, at); err != nil {
			t.Fatal(err)
		}
	}
	var out, errs bytes.Buffer
	if code := run([]string{"audit", "--file", path, "--since", "2026-01-01", "--json"}, nil, &out, &errs); code != exitOK {
		t.Fatalf("exit code %d: %s", code, &errs)
	}
	if want := auditLine("oldest") + auditLine("older") + auditLine("now"); out.String() != want {
		t.Errorf("got\n%swant\n%s", &out, want)
	}
}

func TestMoment(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.Local)
	for text, want := range map[string]time.Time{
		"":                     {},
		"90m":                  now.Add(-90 * time.Minute),
		"7d":                   now.Add(-7 * 24 * time.Hour),
		"2026-11-01":           time.Date(2026, 11, 1, 0, 0, 0, 0, time.Local),
		"2026-11-01 08:30":     time.Date(2026, 11, 1, 8, 30, 0, 0, time.Local),
		"2026-11-01 08:30:01":  time.Date(2026, 11, 1, 8, 30, 1, 0, time.Local),
		"2026-11-01T08:30:01Z": time.Date(2026, 11, 1, 8, 30, 1, 0, time.UTC),
	} {
		if got, err := moment(text, now); err != nil || !got.Equal(want) {
			t.Errorf("%q is %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"soon", "-1h", "2026-13-01"} {
		if _, err := moment(text, now); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

// Whatever stands in the file, a line for people is one line that steers nothing.
func FuzzAuditLine(f *testing.F) {
	f.Add(auditLine("alice"))
	f.Add(`{"event":"login","user":"\u001b[2J\n\u202e","reason":"\u0085","outcome":"\u009b"}`)
	f.Add(`{"event":"\b"}`)
	f.Fuzz(func(t *testing.T, line string) {
		var out bytes.Buffer
		p := auditPrinter{out: &out}
		if err := p.line(line); err != nil {
			t.Fatal(err)
		}
		text := strings.TrimSuffix(out.String(), "\n")
		if strings.ContainsFunc(text, unicode.IsControl) || strings.ContainsRune(text, '\u202e') {
			t.Errorf("%q is shown as %q", line, text)
		}
	})
}
