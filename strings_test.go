package house

import (
	"os/exec"
	"testing"
)

// TestStrings: docs/strings.md lists every string that a person can meet as the source has
// it, and each keeps the rules of e2e/strings.
func TestStrings(t *testing.T) {
	if said, err := exec.Command("go", "run", "./e2e/strings").CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, said)
	}
}
