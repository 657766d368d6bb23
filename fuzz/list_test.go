package main

import (
	"bytes"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestListIsTheTree holds the list to what git knows: each function in a test file that begins
// as a fuzz target does, found by its text, is on it, and nothing else.
func TestListIsTheTree(t *testing.T) {
	out, err := exec.Command("git", "-C", "..", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "*_test.go").Output()
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for name := range strings.SplitSeq(strings.TrimRight(string(out), "\x00"), "\x00") {
		if strings.Contains(name, "/testdata/") {
			continue
		}
		text, err := os.ReadFile("../" + name)
		if os.IsNotExist(err) {
			continue // deleted, and not committed yet
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?m)^func (Fuzz\w*)\(\w+ \*testing\.F\)`).FindAllSubmatch(text, -1) {
			line := "./" + name[:strings.LastIndexByte(name, '/')] + " " + string(m[1])
			if bytes.HasPrefix(text, []byte("package main\n")) {
				line += " main"
			}
			want = append(want, line)
		}
	}
	targets, err := list("..")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, target := range targets {
		got = append(got, target.String())
	}
	slices.Sort(got)
	slices.Sort(want)
	if len(want) < 40 || !slices.Equal(got, want) {
		t.Errorf("the list has %d targets, want %d\n%v\n%v", len(got), len(want), got, want)
	}
}

// TestBuildTakesTheList: OSS-Fuzz gets what the program lists, and no name by hand.
func TestBuildTakesTheList(t *testing.T) {
	script, err := os.ReadFile("build.sh")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(script, []byte("go run ./fuzz")) {
		t.Error("build.sh does not run the program that lists")
	}
	if m := regexp.MustCompile(`Fuzz[A-Z]\w*`).Find(bytes.ReplaceAll(script, []byte("OSS-Fuzz"), nil)); m != nil {
		t.Errorf("build.sh names %s by hand", m)
	}
}
