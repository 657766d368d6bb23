package house

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// install returns the commands that the README has under Install, in their order.
func install(readme string) (commands []string) {
	_, section, _ := strings.Cut(readme, "\n## Install\n")
	section, _, _ = strings.Cut(section, "\n## ")
	for _, m := range regexp.MustCompile("(?ms)^```(sh|console)[^\n]*\n(.*?)^```").FindAllStringSubmatch(section, -1) {
		for line := range strings.Lines(m[2]) {
			line = strings.TrimSpace(line)
			typed := strings.HasPrefix(line, "# ") || strings.HasPrefix(line, "$ ")
			switch {
			case m[1] == "sh" && line != "" && !typed:
				commands = append(commands, line)
			case m[1] == "console" && typed:
				commands = append(commands, line[2:])
			}
		}
	}
	return commands
}

// TestTranscripts: what is recorded of an installation on each Debian is what the README
// says now, in under ten commands and ten minutes, and ends in a login. Make transcripts
// records it anew.
func TestTranscripts(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	want := install(string(readme))
	if len(want) < 5 {
		t.Fatalf("the README has only %q: is its section where the test looks?", want)
	}
	found, err := filepath.Glob("docs/transcripts/debian-*.md")
	if err != nil || len(found) != 2 {
		t.Fatalf("transcripts of %q, %v: want one of each Debian", found, err)
	}
	typed := regexp.MustCompile("(?m)^## [0-9]+\\. `(.*)`$")
	total := regexp.MustCompile(`(?m)^\*\*([0-9]+) commands, ([0-9.]+) minutes\*\*`)
	for _, path := range found {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, m := range typed.FindAllStringSubmatch(string(text), -1) {
			got = append(got, m[1])
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s has the commands\n%s\nand the README\n%s\nmake transcripts", path, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		m := total.FindStringSubmatch(string(text))
		if m == nil {
			t.Fatalf("%s says nothing of commands and minutes", path)
		}
		if minutes, err := strconv.ParseFloat(m[2], 64); err != nil || minutes >= 10 || len(got) >= 10 || m[1] != strconv.Itoa(len(got)) {
			t.Errorf("%s: %s, with %d commands: want fewer than 10 of both", path, m[0], len(got))
		}
		for _, seen := range []string{"Code: ", "\nalice@server:~$ exit\n", "alice logged in (email"} {
			if !strings.Contains(string(text), seen) {
				t.Errorf("%s does not show %q", path, seen)
			}
		}
		if strings.Contains(string(text), "/mfa-test") || strings.Contains(string(text), "/work") {
			t.Errorf("%s names a folder of the test", path)
		}
	}
}
