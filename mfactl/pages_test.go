package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestPagesNameRealVerbs: each mfactl that a page names within a sentence or a table has a
// verb and flags that there are. make pages-test runs those that stand in blocks.
func TestPagesNameRealVerbs(t *testing.T) {
	paths, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	named, looked := regexp.MustCompile("`mfactl ([^`\n]+)`"), 0
	for _, path := range append(paths, "../README.md", "../NEWS.md", "../CONTRIBUTING.md", "../SECURITY.md") {
		if filepath.Base(path) == "strings.md" {
			continue // what is said, and nothing to type
		}
		page, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range named.FindAllStringSubmatch(string(page), -1) {
			looked++
			cmd, rest, err := newRoot().Find(strings.Fields(m[1]))
			if err == nil && !cmd.HasParent() {
				if strings.HasPrefix(m[1], "help ") || strings.HasPrefix(m[1], "completion ") {
					continue // cobra's
				}
				t.Errorf("%s: mfactl %s: there is no such verb", path, m[1])
				continue
			}
			if err == nil {
				cmd.InitDefaultHelpFlag()
				err = cmd.ParseFlags(rest)
			}
			if err == nil && cmd.HasSubCommands() && cmd.Flags().NArg() > 0 {
				t.Errorf("%s: mfactl %s: %s has no such verb", path, m[1], cmd.Name())
			}
			if err != nil {
				t.Errorf("%s: mfactl %s: %v", path, m[1], err)
			}
		}
	}
	if looked < 100 {
		t.Errorf("only %d were looked at", looked)
	}
}
