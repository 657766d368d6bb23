package config

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const manual = "../../packaging/man/mfa.toml.5"

// keyItem is how the manual begins what it says of a key.
var keyItem = regexp.MustCompile(`^\.It Ic (\S+) = (.*)$`)

// manualKeys returns what mfa.toml(5) says of each dotted key: the item's line
// and the lines below it. A table is a subsection: .Ss Table NAME
func manualKeys(t *testing.T) map[string][]string {
	t.Helper()
	data, err := os.ReadFile(manual)
	if err != nil {
		t.Fatal(err)
	}
	said := map[string][]string{}
	table, key := "", ""
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case strings.HasPrefix(line, ".Sh "), strings.HasPrefix(line, ".El"):
			key = ""
		case strings.HasPrefix(line, ".Ss Table "):
			table, key = strings.TrimPrefix(line, ".Ss Table "), ""
		case keyItem.MatchString(line):
			key = join(table, keyItem.FindStringSubmatch(line)[1])
		}
		if key != "" {
			said[key] = append(said[key], line)
		}
	}
	return said
}

// item is how the manual must begin what it says of a setting: with its default,
// as the example writes it.
func item(t *testing.T, s setting) []string {
	_, name := split(s.name)
	value, _ := exampleOf(t, s.name)
	if value == "" {
		value = asTOML(t, s.at)
	}
	return []string{
		".It Ic " + name + " = " + strings.ReplaceAll(value, `"`, `\(dq`),
		"Allowed: " + rules[s.name].allowed + ".",
	}
}

// TestManual guards mfa.toml(5) against drift: it has every key with its default
// and what is allowed, and none that there is not. What is missing is printed as
// it can be pasted.
func TestManual(t *testing.T) {
	said := manualKeys(t)
	c := Default()
	var names []string
	for _, s := range settings(&c) {
		names = append(names, s.name)
		want, lines := item(t, s), said[s.name]
		table, _ := split(s.name)
		switch {
		case len(lines) < 2 || lines[0] != want[0] || !strings.HasPrefix(strings.Join(lines[1:], " "), want[1]):
			_, draft := exampleOf(t, s.name)
			t.Errorf("%s: write under .Ss Table %s\n%s\n%s", s.name, table, strings.Join(want, "\n"), draft)
		case strings.Join(lines[1:], " ") == want[1]:
			t.Errorf("%s: the manual does not explain it", s.name)
		}
	}
	for name := range said {
		if !slices.Contains(names, name) {
			t.Errorf("%s: the manual explains it, and it is no key", name)
		}
	}
}

// exampleOf returns the value that the example gives a key, and what it says of
// it, as a draft.
func exampleOf(t *testing.T, name string) (value, draft string) {
	t.Helper()
	data, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	table := ""
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		key, value, _ := strings.Cut(line, " = ")
		switch {
		case strings.HasPrefix(line, "#"):
			said = append(said, strings.TrimSpace(line[1:]))
		case strings.HasPrefix(line, "["):
			table, said = strings.Trim(line, "[]"), nil
		case line == "":
			said = nil
		case join(table, key) == name:
			return value, strings.Join(said, "\n")
		}
	}
	return "", ""
}
