package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// sources makes a folder with one package the current one. Its target fails for the text
// "an input that fails".
func sources(t *testing.T) {
	t.Helper()
	folder := t.TempDir()
	if err := os.CopyFS(folder, os.DirFS("testdata/module")); err != nil {
		t.Fatal(err)
	}
	t.Chdir(folder)
	if err := os.Mkdir("fuzz", 0o755); err != nil {
		t.Fatal(err)
	}
}

// seed writes an input for the target.
func seed(t *testing.T, folder, text string) {
	t.Helper()
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "seed"), []byte("go test fuzz v1\nstring("+strconv.Quote(text)+")\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestRun: a target is run, its corpus kept, and its line written. All but one of the 7
// statements of Read are reached, and Other does not count.
func TestRun(t *testing.T) {
	sources(t)
	seed(t, "room/testdata/fuzz/FuzzRead", "ab")
	if err := listOrRun(t.Context(), "room FuzzRead$", time.Second, true); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(figures)
	if err != nil {
		t.Fatal(err)
	}
	line := string(text)[strings.LastIndex(strings.TrimSpace(string(text)), "\n")+1:]
	if !strings.HasPrefix(line, "| room FuzzRead | 1s | ") || !strings.HasSuffix(line, " | 85 % |\n") {
		t.Errorf("figures %q", line)
	}
	if strings.Contains(line, " | 0 | ") {
		t.Errorf("no input was tried, or none kept: %q", line)
	}
	folder := t.TempDir()
	if err := unpack("fuzz/corpus/room_FuzzRead.zip", folder); err != nil {
		t.Fatal(err)
	}
	if kept, err := os.ReadDir(folder); err != nil || len(kept) == 0 {
		t.Errorf("corpus %v, %v", kept, err)
	}
}

// TestRunNamesWhatFails: an input that fails is an error with its target's name and what it said.
func TestRunNamesWhatFails(t *testing.T) {
	sources(t)
	seed(t, "room/testdata/fuzz/FuzzRead", "an input that fails")
	targets, err := list(".")
	if err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	err = run(t.Context(), &said, targets, 10*time.Second, false)
	if err == nil || !strings.Contains(err.Error(), "1 of 1 targets failed: FuzzRead") || !strings.Contains(said.String(), "it failed") {
		t.Errorf("error %v\n%s", err, &said)
	}
	if _, err := os.Stat(figures); err == nil {
		t.Error("kept, and nobody asked for it")
	}
}

// TestRunBeginsWithTheCorpus: what an earlier run kept is tried before anything else.
func TestRunBeginsWithTheCorpus(t *testing.T) {
	sources(t)
	folder := t.TempDir()
	seed(t, folder, "an input that fails")
	if err := pack("fuzz/corpus/room_FuzzRead.zip", folder); err != nil {
		t.Fatal(err)
	}
	if err := listOrRun(t.Context(), "", time.Second, false); err == nil {
		t.Error("the kept input that fails was not tried")
	}
}

func TestNothingMatches(t *testing.T) {
	sources(t)
	if err := listOrRun(t.Context(), "FuzzNothing", 0, false); err == nil {
		t.Error("no target, and no error")
	}
}

// TestPackIsTheSame: the same inputs give the same archive, byte for byte.
func TestPackIsTheSame(t *testing.T) {
	folder, archives := t.TempDir(), t.TempDir()
	for _, name := range []string{"b", "a"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte("input "+name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var texts [2][]byte
	for i, name := range []string{"first.zip", "second.zip"} {
		path := filepath.Join(archives, name)
		if err := pack(path, folder); err != nil {
			t.Fatal(err)
		}
		var err error
		if texts[i], err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
		late := time.Now().Add(time.Hour)
		if err := os.Chtimes(filepath.Join(folder, "a"), late, late); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(texts[0], texts[1]) {
		t.Error("two archives of the same inputs differ")
	}
	again := t.TempDir()
	if err := unpack(filepath.Join(archives, "first.zip"), again); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(again, "b")); err != nil || string(text) != "input b" {
		t.Errorf("unpacked %q, %v", text, err)
	}
	if err := unpack(filepath.Join(archives, "none.zip"), again); err != nil {
		t.Errorf("no archive: %v", err)
	}
}

// TestKeepFigure: a target has one line, in its place, and the others keep theirs.
func TestKeepFigure(t *testing.T) {
	path := filepath.Join(t.TempDir(), "F.md")
	for _, line := range []struct {
		of     target
		inputs int
	}{
		{target{dir: "b", name: "FuzzX"}, 1},
		{target{dir: "a", name: "FuzzX"}, 2},
		{target{dir: "b", name: "FuzzXY"}, 3},
		{target{dir: "b", name: "FuzzX"}, 4},
	} {
		if err := keepFigure(path, line.of, figure{long: time.Minute, inputs: line.inputs, corpus: 5}); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := heading + "| a FuzzX | 1m0s | 2 | 5 | – |\n| b FuzzX | 1m0s | 4 | 5 | – |\n| b FuzzXY | 1m0s | 3 | 5 | – |\n"
	if string(text) != want {
		t.Errorf("figures\n%s\nwant\n%s", text, want)
	}
}

func TestReachedLines(t *testing.T) {
	report := `File 'frame.c':
Name        Regions    Miss   Cover     Lines    Miss   Cover  Branches    Miss   Cover
---------------------------------------------------------------------------------------
frame_read       21       3  85.71%        34       4  88.24%        14       4  71.43%
frame_drop        3       0 100.00%         6       0 100.00%         0       0   0.00%
frame.c:lost     15      15   0.00%        10      10   0.00%        10      10   0.00%
---------------------------------------------------------------------------------------
TOTAL            39      18  53.85%        50      14  72.00%        24      14  41.67%
`
	if got, err := reachedLines([]byte(report)); err != nil || got != (percent{36, 40}) {
		t.Errorf("%v, %v, want 36 of 40", got, err)
	}
}

// TestEndedLate: the engine's own end in the middle of an input is no failure; an input is one.
func TestEndedLate(t *testing.T) {
	for out, want := range map[string]bool{
		"--- FAIL: FuzzX (1.00s)\n    context deadline exceeded\nFAIL\n":                                               true,
		"--- FAIL: FuzzX (1.00s)\n    context deadline exceeded\n    Failing input written to testdata/fuzz/FuzzX/1\n": false,
		"--- FAIL: FuzzX (1.00s)\n    a fault\n":                                                                       false,
	} {
		if got := endedLate([]byte(out)); got != want {
			t.Errorf("%q: %v", out, got)
		}
	}
}
