package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"mfa/internal/mfa"
	"mfa/internal/wire"
)

// hostile is text as somebody may write it who wants to steer the terminal of an
// administrator: ESC, CSI in 8 bits, as a rune and a byte, a line of its own, other
// directions, what is not seen, a bell.
const hostile = "a\x1b[31mb\u009b2Jc\x9bd\nfake line\re\u202ef\u2066g\u200bh\u2028i\x7fj\ak\U000e0041l\ufeffm\tn"

// steers says why a text is not fit for a terminal.
func steers(text string) string {
	for _, r := range text {
		if r != '\n' && !unicode.IsGraphic(r) {
			return "it holds " + strings.ToUpper(regexp.QuoteMeta(string(r)))
		}
	}
	if strings.Contains(text, "\nfake line") {
		return "a line of it is another's"
	}
	return ""
}

func TestPrintfSteersNoTerminal(t *testing.T) {
	for name, arg := range map[string]any{
		"string": hostile, "error": errors.New(hostile), "named": mfa.Method(hostile), "Stringer": stringer{},
	} {
		var b bytes.Buffer
		printf(&b, "%s: %d\n", arg, 7)
		if why := steers(b.String()); why != "" || !strings.HasSuffix(b.String(), ": 7\n") || !strings.HasPrefix(b.String(), "a?[31mb?2Jc") {
			t.Errorf("%s: %q: %s", name, b.String(), why)
		}
	}
	var b bytes.Buffer
	printf(&b, "%s\n", "Jürgen Ω 日本 – é ß\u00a0")
	if got := b.String(); got != "Jürgen Ω 日本 – é ß\u00a0\n" {
		t.Errorf("letters are printed as %q", got)
	}
	if got := printableLines("a\tb\nc\x1bd"); got != "a\tb\nc?d" {
		t.Errorf("lines are printed as %q", got)
	}
}

type stringer struct{}

func (stringer) String() string { return hostile }

func TestRowsStepsAndTablesSteerNoTerminal(t *testing.T) {
	var b bytes.Buffer
	printRows(&b, explanationRows(wire.Explanation{
		User: hostile, Service: hostile, Key: hostile, Account: true, Text: hostile, PAM: hostile, Rule: hostile,
		Problems: []string{hostile}, Address: hostile, Sessions: []string{hostile},
	}))
	printSteps(&b, wire.SendTestReport{OK: true, To: hostile, Steps: []wire.Step{{Name: hostile, Detail: hostile, Err: hostile}}})
	if err := printSessions(&b, []wire.Session{{User: hostile, ID: hostile, Service: hostile, Address: hostile, Ended: hostile}}); err != nil {
		t.Fatal(err)
	}
	g := newGrid("USER")
	g.row(hostile)
	g.write(&b, 0)
	if why := steers(b.String()); why != "" {
		t.Errorf("%s:\n%q", why, b.String())
	}
}

func TestJSONSteersNoTerminal(t *testing.T) {
	want := map[string]string{"a": strings.ToValidUTF8(hostile, "\ufffd"), "Jürgen": "日本 <&> \U0001f600"}
	var b bytes.Buffer
	if err := printJSON(&b, want); err != nil {
		t.Fatal(err)
	}
	if why := steers(b.String()); why != "" {
		t.Errorf("%s: %q", why, b.String())
	}
	var got map[string]string
	if err := json.Unmarshal(b.Bytes(), &got); err != nil || got["a"] != want["a"] || got["Jürgen"] != want["Jürgen"] {
		t.Errorf("%q is read as %q, %v", b.String(), got, err)
	}
	b.Reset()
	p := auditPrinter{out: &b, json: true}
	line, _ := json.Marshal(mfa.Event{Event: "login", User: hostile})
	for _, p.json = range []bool{true, false} {
		if err := p.line(string(line)); err != nil || p.bad > 0 {
			t.Fatal(err, p.bad)
		}
	}
	if why := steers(b.String()); why != "" {
		t.Errorf("audit: %s: %q", why, b.String())
	}
}

// An argument that is wrong is told without steering the terminal.
func TestErrorsSteerNoTerminal(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "none.sock")
	for _, args := range [][]string{
		{"explain", hostile},
		{hostile},
		{"--" + hostile},
		{"help", hostile},
		{"explain", "a", hostile},
		{"show", hostile},
		{"audit", "--since", hostile},
		{"setup", hostile},
		{"test", hostile, "a"},
		{"users", "--method", hostile},
		{"backup", hostile},
		{"explain", "a", "--rhost", hostile},
		{"restore", hostile},
	} {
		var out, stderr bytes.Buffer
		run(append([]string{"--socket", socket}, args...), strings.NewReader(""), &out, &stderr)
		said := strings.ReplaceAll(out.String()+stderr.String(), "\t", " ")
		if why := steers(strings.ReplaceAll(said, "\nfake line", "")); why != "" {
			t.Errorf("%.40q: %s: %q", args, why, said)
		}
	}
}

// Text that is not in the source goes through printf, printLines or printJSON.
func TestNothingPrintsPastPrintf(t *testing.T) {
	prints := regexp.MustCompile(`fmt\.F?[pP]rint|cmd\.Print|s\.Println\(`)
	ours := regexp.MustCompile(`fmt\.Sprint|Fprintln\([^,"]+, "[^"]*"\)|Fprintln\([\w.]+\)|cmd\.Println\("[^"]*"\)|s\.Println\((?:"[^"]*"(?: \+)?)?\)?$` +
		`|Fprintf\((?:w, format, args|&b)|Fprint(?:ln)?\([\w.]+, (?:visibleJSON|printableLines|paint)\(|Fprintf?\(m\.w|g\.|Fprintln\(p\.out, text|Fprintln\(w, strings\.TrimRight`)
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if line = strings.TrimSpace(line); prints.MatchString(line) && !ours.MatchString(line) {
				t.Errorf("%s: %s", name, line)
			}
		}
	}
}
