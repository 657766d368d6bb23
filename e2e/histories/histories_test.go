package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mfa/e2e/history"
)

// mfad returns the folder of an mfad that is built as it is shipped.
func mfad(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("mfad believes only root who logs in")
	}
	dir := t.TempDir()
	cmd := exec.Command("go", "build", "-trimpath", "-o", filepath.Join(dir, "mfad"), "mfa/mfad")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build mfad: %v\n%s", err, out)
	}
	return dir
}

func TestHistories(t *testing.T) {
	dir := mfad(t)
	t.Run("five minutes", func(t *testing.T) { allAreGood(t, dir) })
	t.Run("another limit", func(t *testing.T) { findsFailures(t, dir) })
}

// The model allows all that clients see in five minutes; "make torture" runs for longer.
func allAreGood(t *testing.T, dir string) {
	t.Helper()
	length := "5m"
	if testing.Short() {
		length = "20s"
	}
	var out bytes.Buffer
	if code := run([]string{"-for", length, "-pace", "250ms", "-programs", dir}, &out); code != 0 {
		t.Errorf("status %d", code)
	}
	t.Log(out.String())
}

// An mfad that takes one guess too many is found out. Where an unlock that is under way may have
// forgotten the first ones, it is the lock that the model does not have yet. Where the user was
// reset meanwhile the next login says so, and the model has the lock alone.
func findsFailures(t *testing.T, dir string) {
	t.Helper()
	var out bytes.Buffer
	o := options{length: 3 * time.Minute, seed: 1, programs: dir, users: 3, clients: 3, pace: 20 * time.Millisecond, failures: failures - 1}
	err := o.histories(t.Context(), &out)
	if err == nil || !strings.HasPrefix(err.Error(), history.FailureForgotten) && !strings.HasPrefix(err.Error(), history.LockedForNothing) &&
		!(strings.HasPrefix(err.Error(), history.EnrolledAnew) && strings.Contains(err.Error(), "The model has: locked")) {
		t.Errorf("%v\n%s", err, out.String())
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{{"-users", "0"}, {"-users", "13"}, {"-clients", "0"}, {"more"}, {"-nothing"}} {
		if code := run(args, &bytes.Buffer{}); code != 2 {
			t.Errorf("%v: status %d", args, code)
		}
	}
}

// The last wrong code is told apart from others, also where a word about a clock stands between,
// and from one of a login that ends while another one locks.
func TestJudged(t *testing.T) {
	for text, want := range map[string]history.Outcome{
		"That code is not right. Your second factor is locked for 1 hour, after too many wrong codes.":                                                                          history.LastWrong,
		"That code is not right. Your app's clock seems to be 5 minutes behind. Let the phone set its time by itself. Your second factor is locked for 1 hour, after too many.": history.LastWrong,
		"That code is not right. This login ends here. Your second factor is locked for 1 hour, after too many wrong codes.":                                                    history.Wrong,
		"That code is not right. 2 tries left. Code: ":                  history.Wrong,
		"Your second factor is locked by an administrator, for 1 hour.": history.Unknown,
	} {
		if got := (heard{text: text}).judged(); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}
