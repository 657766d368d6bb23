package e2e

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// The record is edited by hand while a code is waited for that was sent. "An edit counts
// at once" (mfactl(1)), so the code opens nothing, and is not counted as wrong.
func TestRecordEditedWhileAsked(t *testing.T) {
	for name, tc := range map[string]struct {
		edit func(record string) string // "": the file goes
		next string                     // what is asked or said then
	}{
		"address": {func(r string) string { return strings.ReplaceAll(r, "alice@", "other@") }, `changed meanwhile[^\0]*o\*\*\*r@example.com[^\0]*Code[^\n]*: $`},
		"uid":     {func(r string) string { return regexp.MustCompile(`(?m)^uid = .*`).ReplaceAllString(r, "uid = 4711") }, `changed meanwhile[^\0]*` + choicePrompt},
		"removed": {func(string) string { return "" }, `changed meanwhile[^\0]*` + choicePrompt},
		"broken":  {func(r string) string { return r + "uid = \n" }, `cannot be checked`},
	} {
		t.Run(name, func(t *testing.T) {
			s, alice := ready(t)
			c := s.ssh(alice)
			c.toCode(s, alice)
			code, file := s.code(alice, 1), s.path("store/users/"+alice.name+".toml")
			if next := tc.edit(s.record(alice)); next != "" {
				ok(t, os.WriteFile(file, []byte(next), 0o600))
			} else {
				ok(t, os.Remove(file))
			}
			c.send(code)
			c.expect(t, tc.next)
			c.close()
			if strings.Contains(c.said.String(), welcome) {
				t.Error("let in")
			}
			for _, e := range s.events(alice, "factor.failed") {
				t.Errorf("counted: %v", e)
			}
		})
	}
}
