package config

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode"
)

var shape = regexp.MustCompile(`^F:([0-9]+): .`)

// FuzzParse: nothing panics; what is accepted meets every rule and comparison;
// what is refused says so in lines of the promised shape, in order.
func FuzzParse(f *testing.F) {
	for _, tc := range refusals {
		f.Add([]byte(tc.document))
	}
	for _, tc := range otherRule {
		f.Add([]byte("[[policy.rule]]\nusers = ['x']\nmode = 'off'\n[[policy.rule]]\n" + tc.key + " = " + tc.value))
		f.Add([]byte("policy.rule = [{" + tc.key + " = " + tc.value + "}]"))
	}
	if data, err := os.ReadFile(example); err == nil {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse("F", data)
		if err != nil {
			checkShape(t, err, strings.Count(string(data), "\n")+1)
			return
		}
		for _, s := range settings(&c) {
			if what := rules[s.name].wrong(s.at); what != "" {
				t.Errorf("accepted %s: %s", s.name, what)
			}
		}
		for i, rule := range c.Policy.Rules {
			if !rule.Changes() || i < len(c.Policy.Rules)-1 && rule.MatchesAll() {
				t.Errorf("accepted %+v as rule %d of %d", rule, i+1, len(c.Policy.Rules))
			}
		}
		for _, rule := range comparisons {
			if what := rule.wrong(&c); what != "" {
				t.Errorf("accepted %v: %s", rule.keys, what)
			}
		}
	})
}

func checkShape(t *testing.T, err error, lines int) {
	last := 1
	for text := range strings.SplitSeq(err.Error(), "\n") {
		m := shape.FindStringSubmatch(text)
		if m == nil {
			t.Fatalf("no file and line in %q", text)
		}
		if strings.ContainsFunc(text, unicode.IsControl) {
			t.Errorf("a control character in %q", text)
		}
		line, _ := strconv.Atoi(m[1])
		if line < last || line > lines {
			t.Errorf("line %d after %d, of %d: %q", line, last, lines, text)
		}
		last = line
	}
}
