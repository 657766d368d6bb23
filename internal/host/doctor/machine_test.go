package doctor

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestFullDisks: what a full disk does depends on what is on it, and the line that makes room
// looks at that disk and at no other.
func TestFullDisks(t *testing.T) {
	_, dir := aHost(t)
	place := filepath.Join(dir, "place")
	if err := os.Mkdir(place, 0o755); err != nil {
		t.Fatal(err)
	}
	pid := confinedDaemon(t, "mount -t tmpfs -o size=64k tmpfs $0; mkdir -p $0/a/b; cat /dev/zero >$0/fill 2>/dev/null || :", place)
	disk := fmt.Sprintf("/proc/%d/root%s", pid, place)
	for name, tc := range map[string]struct{ store, audit, why string }{
		"store": {disk + "/a/b", "", "refuses logins"},
		"audit": {"/proc", disk + "/a/b/audit.jsonl", "Logins go on"},
	} {
		t.Run(name, func(t *testing.T) {
			e := &exam{}
			e.cfg.Store.Path, e.cfg.Audit.File = tc.store, tc.audit
			e.disk(t.Context())
			expectProblem(t, e.Findings, "the disk is full", "du -x "+disk+" |")
			if len(e.Findings) == 1 && !strings.Contains(e.Findings[0].Why, tc.why) {
				t.Errorf("%+v, want %q", e.Findings, tc.why)
			}
		})
	}
	for dir, want := range map[string]string{"/": "/", "/proc/self/": "/proc", "/dev/shm": "/dev/shm"} {
		if got := mountPoint(dir); got != want {
			t.Errorf("%s is on %s, want %s", dir, got, want)
		}
	}
}
