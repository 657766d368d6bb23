package server

import (
	"strings"
	"testing"
)

// The backup holds every secret and is root's, also where others administer.
func TestBackupIsForRootOnly(t *testing.T) {
	path, _ := controlDesk(t, "nogroup")
	enrolled(t, path, "alice")
	for _, way := range [][3]string{{"GET", "/v1/backup"}, {"POST", "/v1/restore", `{}`}} {
		lines := callLines(t, path, 65534, way[0], way[1], way[2])
		if lines[0] != "403" || len(lines) != 2 || !strings.Contains(lines[1], `"error":"only root may`) {
			t.Errorf("%v: %q", way, lines)
		}
	}
	lines := callLines(t, path, 0, "GET", "/v1/backup", "")
	if len(lines) != 5 || !strings.Contains(lines[2], `"format":"mfa-backup"`) || !strings.Contains(lines[3], "alice@example.com") {
		t.Errorf("%q", lines)
	}
}

func TestRestoreAnswers(t *testing.T) {
	path, records := controlDesk(t, "")
	for body, code := range map[string]int{
		`{`:                               400,
		`{"saved": {"user": "alice"}}`:    400, // no header
		`{"saved": {"user": "broken"}}`:   500, // NSS cannot say who that is
		`{"saves": {}}`:                   400,
		`{"saved": {"user": "nobody-x"}}`: 400,
	} {
		if got, out := call(t, path, 0, "POST", "/v1/restore", body); got != code {
			t.Errorf("%s: %d %v, want %d", body, got, out, code)
		}
	}
	if keys, err := records.S.Keys(t.Context(), ""); err != nil || len(keys) != 0 {
		t.Errorf("stored: %q %v", keys, err)
	}
}
