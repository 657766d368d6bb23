package config

import (
	"os"
	"regexp"
	"slices"
	"testing"
)

// TestStandardsNameKeys holds docs/standards.md to the keys there are.
func TestStandardsNameKeys(t *testing.T) {
	doc, err := os.ReadFile("../../docs/standards.md")
	if err != nil {
		t.Fatal(err)
	}
	c := Default()
	all := settings(&c)
	tables := []string{}
	for _, s := range all {
		table, _ := split(s.name)
		tables = append(tables, table)
	}
	found := 0
	for _, m := range regexp.MustCompile("`([a-z]+)\\.([a-z_.]+)`").FindAllStringSubmatch(string(doc), -1) {
		if !slices.Contains(tables, m[1]) {
			continue
		}
		found++
		if name := m[1] + "." + m[2]; !slices.ContainsFunc(all, func(s setting) bool { return s.name == name }) {
			t.Errorf("docs/standards.md names %s, which is no key", name)
		}
	}
	if found < 20 {
		t.Errorf("only %d keys are named: are they where the test looks?", found)
	}
}
