package pamstack

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

func TestEditionOf(t *testing.T) {
	newer, older := "\x7fELF...\x00"+mark+"\x00", "\x7fELF...\x00maximum level of substacks reached\x00"
	for _, c := range []struct {
		files map[string]string
		want  edition
	}{
		{nil, since160},
		{map[string]string{"usr/lib/x86_64-linux-gnu/libpam.so.0": newer}, since160},
		{map[string]string{"usr/lib/x86_64-linux-gnu/libpam.so.0": older}, before160},
		{map[string]string{"lib/aarch64-linux-gnu/libpam.so.0": older}, before160},
		{map[string]string{"usr/lib64/libpam.so.0": older}, before160},
		{map[string]string{"usr/lib64/libpam.so.0": "no library", "lib64/libpam.so.0": older}, before160},
		{map[string]string{"usr/lib64/libpam.so.0": "no library"}, since160},
	} {
		fsys := fstest.MapFS{}
		for name, text := range c.files {
			fsys[name] = &fstest.MapFile{Data: []byte(text)}
		}
		if got := editionOf(fsys); got != c.want {
			t.Errorf("%v: %v, want %v", c.files, got, c.want)
		}
	}
}

func TestLines(t *testing.T) {
	for name, c := range map[string]struct {
		text          string
		before, since []string // "!" behind them: not read to the end
	}{
		"plain":                     {"auth a\n\n# x\nauth b # y\n", []string{"auth a", "auth b"}, []string{"auth a", "auth b"}},
		"continued":                 {"auth \\\n a\n", []string{"auth a"}, []string{"auth a"}},
		"a comment within":          {"auth \\\n# x\n a\n", []string{"auth a"}, []string{"auth", "a"}},
		"an empty line within":      {"auth \\\n\n a\n", []string{"auth a"}, []string{"auth", "a"}},
		"blanks within":             {"auth \\\n \t\n a\n", []string{"auth a"}, []string{"auth", "a"}},
		"continued at the end":      {"auth a\nauth \\\n", []string{"auth a", "!"}, []string{"auth a", "!"}},
		"and then a comment":        {"auth \\\n# x\n", []string{"!"}, []string{"auth"}},
		"a backslash in a comment":  {"auth a # x \\\nauth b\n", []string{"auth a", "auth b"}, []string{"auth a", "auth b"}},
		"longer than the buffer":    {strings.Repeat(" ", 1020) + "auth a\n", []string{"aut", "h a"}, []string{"auth a"}},
		"continued past the buffer": {"auth " + strings.Repeat(" ", 1016) + "\\\n\\\na\n", []string{"!"}, []string{"auth a"}},
	} {
		for ed, want := range map[edition][]string{before160: c.before, since160: c.since} {
			lines, whole := ed.lines(c.text)
			var got []string
			for _, l := range lines {
				got = append(got, strings.Join(strings.Fields(l.text), " "))
			}
			if !whole {
				got = append(got, "!")
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s: edition %d reads %q, want %q", name, ed, got, want)
			}
		}
	}
}
