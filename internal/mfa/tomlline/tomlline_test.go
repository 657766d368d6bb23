package tomlline

import (
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
)

const document = `# a comment
version = 1

[email]
address = "a"
note = """
long
"""

[a.b]
c = 1

d.e.f = 2
`

func TestOf(t *testing.T) {
	for key, want := range map[string]int{
		"version": 2, "email": 4, "email.address": 5, "email.none": 4, "none": 1, "": 1,
		"email.note": 6, // not where it ends
		"a.b":        10, "a.b.c": 11, "a.b.d": 13, "a.b.d.e.f": 13, "a.b.d.none": 13,
	} {
		if got := Of(document, strings.Split(key, ".")); got != want {
			t.Errorf("%q: line %d, want %d", key, got, want)
		}
	}
	if got := Of("= no TOML", toml.Key{"version"}); got != 1 {
		t.Errorf("no TOML: line %d", got)
	}
}

// Whatever the document, a line is one of it.
func FuzzOf(f *testing.F) {
	f.Add(document, "email.note")
	f.Add("a = [{b = 1},\n{b = 2}]", "a.b")
	f.Fuzz(func(t *testing.T, text, key string) {
		if got := Of(text, strings.Split(key, ".")); got < 1 || got > 1+strings.Count(text, "\n") {
			t.Errorf("line %d", got)
		}
	})
}
