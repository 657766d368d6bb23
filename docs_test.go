package house

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"
)

// pages returns the text of the pages that people read, by path.
func pages(t *testing.T) map[string]string {
	t.Helper()
	paths := []string{"README.md", "CONTRIBUTING.md", "NEWS.md", "SECURITY.md"}
	for _, pattern := range []string{"docs/*.md", "docs/*/*.md"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, found...)
	}
	all := map[string]string{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all[filepath.ToSlash(path)] = string(text)
	}
	return all
}

// A fence begins or ends a block of code.
var fence = regexp.MustCompile("(?ms)^ *```.*?^ *```$")

// anchors returns those that GitHub gives the headings of a page.
func anchors(page string) map[string]bool {
	all := map[string]bool{}
	for line := range strings.Lines(fence.ReplaceAllString(page, "")) {
		title, is := strings.CutPrefix(strings.TrimLeft(line, "#"), " ")
		if !is || !strings.HasPrefix(line, "#") {
			continue
		}
		anchor := anchorOf(title)
		for i := 1; all[anchor]; i++ {
			anchor = fmt.Sprintf("%s-%d", anchorOf(title), i)
		}
		all[anchor] = true
	}
	return all
}

// anchorOf returns what GitHub makes of a heading: small letters, and dashes for spaces; of a
// link its text.
func anchorOf(title string) string {
	title = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`).ReplaceAllString(strings.TrimSpace(title), "$1")
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case unicode.IsLetter(r) || unicode.IsDigit(r) || r == '-' || r == '_':
			return unicode.ToLower(r)
		}
		return -1
	}, title)
}

// TestLinks: each link of a page into this repository leads to something, with its anchor.
func TestLinks(t *testing.T) {
	link, looked := regexp.MustCompile(`\]\(([^()\s]+)\)`), 0
	for path, page := range pages(t) {
		for _, m := range link.FindAllStringSubmatch(fence.ReplaceAllString(page, ""), -1) {
			if strings.Contains(m[1], "://") || strings.HasPrefix(m[1], "mailto:") {
				continue
			}
			looked++
			to, anchor, _ := strings.Cut(m[1], "#")
			target := path
			if to != "" {
				target = filepath.Join(filepath.Dir(path), to)
			}
			text, err := os.ReadFile(target)
			if info, failed := os.Stat(target); failed == nil && info.IsDir() {
				err = nil
			}
			switch {
			case err != nil:
				t.Errorf("%s: %s leads nowhere", path, m[1])
			case anchor != "" && !anchors(string(text))[anchor]:
				t.Errorf("%s: %s has no heading for %s", path, target, m[1])
			}
		}
	}
	if looked < 70 {
		t.Errorf("only %d links: are they where the test looks?", looked)
	}
}

func TestAnchors(t *testing.T) {
	const page = "# One, two\n```sh\n# no heading\n```\n## `mfa.toml` and [a link](to)\n## Same\n## Same\n#no heading\n"
	got := anchors(page)
	for _, want := range []string{"one-two", "mfatoml-and-a-link", "same", "same-1"} {
		if !got[want] {
			t.Errorf("no %q in %v", want, got)
		}
	}
	if len(got) != 4 {
		t.Errorf("%v", got)
	}
}

// notPlayed are pages with commands that make pages-test does not play, and what tries them.
var notPlayed = map[string]string{
	"docs/fleet.md": "machines of a fleet are more than one: e2e/fleet",
}

// TestCommandsAreRun: each command that a page shows is run: make pages-test plays the page,
// or a comment before the block names what runs it: tests, or a target of the Makefile.
func TestCommandsAreRun(t *testing.T) {
	block := regexp.MustCompile("(?:<!-- run by: ([^>]*) -->\n *)?```(sh|console)\\b")
	played := regexp.MustCompile(`(?m)^<!-- played( from nothing)? -->$`)
	tests, blocks := testRooms(t), 0
	makefile, err := os.ReadFile("Makefile")
	if err != nil {
		t.Fatal(err)
	}
	for path, page := range pages(t) {
		for _, m := range block.FindAllStringSubmatch(page, -1) {
			blocks++
			switch {
			case m[1] != "":
				for name := range strings.SplitSeq(m[1], ", ") {
					target, is := strings.CutPrefix(name, "make ")
					if is && !strings.Contains(string(makefile), "\n"+target+":") || !is && tests[name] == nil {
						t.Errorf("%s: there is no %s", path, name)
					}
				}
			case !played.MatchString(page) && notPlayed[path] == "":
				t.Errorf("%s has commands that nothing runs: mark it with <!-- played -->, and a block that cannot be played with <!-- run by: TestX -->", path)
			}
		}
	}
	if blocks < 50 {
		t.Errorf("only %d blocks: are they where the test looks?", blocks)
	}
	for path := range notPlayed {
		if played.MatchString(pages(t)[path]) {
			t.Errorf("%s is played: take it from notPlayed", path)
		}
	}
}

// testRooms returns the rooms of each test, by its name.
func testRooms(t *testing.T) map[string][]string {
	t.Helper()
	rooms, declared := map[string][]string{}, regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range declared.FindAllSubmatch(text, -1) {
			rooms[string(m[1])] = append(rooms[string(m[1])], filepath.ToSlash(filepath.Dir(path)))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return rooms
}
