package config

import (
	"os"
	"reflect"
	"strings"
	"testing"
)

const example = "../../mfa.toml.example"

// TestExample guards mfa.toml.example against drift: it holds every key with its default.
func TestExample(t *testing.T) {
	data, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	c, err := Parse(example, data)
	if err != nil {
		t.Fatal(err)
	}
	if want := Default(); !reflect.DeepEqual(c, want) {
		t.Errorf("the example says\n%+v\nthe defaults are\n%+v", c, want)
	}
	entries, _ := readDocument(data)
	lines := linesOf(entries, map[string]int{})
	for _, s := range settings(&c) {
		if lines[s.name] == 0 {
			t.Errorf("%s is not in the example", s.name)
		}
	}
}

// TestExampleExplainsEveryKey wants a comment above each key, or above the one
// it directly follows.
func TestExampleExplainsEveryKey(t *testing.T) {
	data, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	explained := false
	for text := range strings.Lines(string(data)) {
		switch {
		case strings.HasPrefix(text, "#"):
			explained = true
		case strings.TrimSpace(text) == "", strings.HasPrefix(text, "["):
			explained = false
		case !explained:
			t.Errorf("no comment explains %s", text)
		}
	}
}
