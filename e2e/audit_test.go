package e2e

import (
	"encoding/json"
	"os"
	"strings"
)

// Events in the audit file, and the keys of a line that tests read.
const (
	eventFailed = "factor.failed"
	eventLogin  = "login"
	keyEvent    = "event"
	keyUser     = "user"
)

// events returns the audit lines about a user with that event, oldest first. An
// empty event stands for all.
func (s *site) events(a account, event string) []map[string]any {
	s.t.Helper()
	text, err := os.ReadFile(s.path("audit.jsonl"))
	if os.IsNotExist(err) {
		return nil
	}
	ok(s.t, err)
	var found []map[string]any
	for line := range strings.Lines(string(text)) {
		if !strings.HasSuffix(line, "\n") {
			break // still being written
		}
		var e map[string]any
		ok(s.t, json.Unmarshal([]byte(line), &e))
		if e[keyUser] == a.name && (event == "" || e[keyEvent] == event) {
			found = append(found, e)
		}
	}
	return found
}

// auditText is the whole audit file.
func (s *site) auditText() string {
	s.t.Helper()
	text, err := os.ReadFile(s.path("audit.jsonl"))
	ok(s.t, err)
	return string(text)
}

// expectFailures ends the test unless exactly n wrong codes of a were counted.
func (s *site) expectFailures(a account, n int) {
	s.t.Helper()
	if got := s.events(a, eventFailed); len(got) != n {
		s.t.Fatalf("%d wrong codes of %s were counted, want %d: %v", len(got), a.name, n, got)
	}
}
