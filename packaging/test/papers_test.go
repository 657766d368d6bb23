package packages

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// leftOut are what the pages in the package lead to and what is not in it: what is large, and
// what only developers read, or what lies where its program looks for it.
var leftOut = []string{
	"CONTRIBUTING.md", "docs/strings.md", "fuzz/README.md", "docs/bench/README.md", "docs/bench/bench.svg", "docs/pictures/login.svg", "docs/pictures/enroll.svg",
	"packaging/fail2ban", "packaging/man/mfa-programs.7",
}

// linked finds where the links of a page lead to, pictures too.
var linked = regexp.MustCompile(`\]\(([^()\s#]+)[^()\s]*\)`)

// TestPagesLead follows each link of the pages in the package: README.md named a folder docs
// that there was not.
func TestPagesLead(t *testing.T) {
	folder := t.TempDir()
	say(t, time.Minute, "dpkg-deb", "-x", dist(t, "amd64.deb"), folder)
	folder += "/usr/share/doc/mfa"
	var missed []string
	looked := 0
	err := filepath.WalkDir(folder, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".md" {
			return err
		}
		for _, m := range linked.FindAllStringSubmatch(read(t, path), -1) {
			if strings.Contains(m[1], "://") || strings.HasPrefix(m[1], "mailto:") {
				continue
			}
			looked++
			to := filepath.Join(filepath.Dir(path), m[1])
			if _, err := os.Stat(to); err == nil {
				continue
			}
			from, target := below(t, folder, path), below(t, folder, to)
			if missed = append(missed, target); !slices.Contains(leftOut, target) {
				t.Errorf("%s leads to %s, which the package has not", from, target)
			}
		}
		return nil
	})
	if err != nil || looked < 50 {
		t.Fatalf("only %d links: are they where the test looks? %v", looked, err)
	}
	for _, path := range leftOut {
		if !slices.Contains(missed, path) {
			t.Errorf("%s is in the package, or no page leads to it: take it from leftOut", path)
		}
	}
}

// below returns a path as it is seen from a folder.
func below(t *testing.T, folder, path string) string {
	t.Helper()
	rel, err := filepath.Rel(folder, path)
	if err != nil {
		t.Fatal(err)
	}
	return rel
}
