package setup

import (
	"bytes"

	"github.com/rogpeppe/go-internal/diff"
)

// Diff returns the change as a unified diff, as diff -u writes it; nothing, if there is none.
func (c Change) Diff() string {
	from, to := c.Path, c.Path
	if c.Before == nil {
		from = "/dev/null"
	}
	if c.After == nil {
		to = "/dev/null"
	}
	made := diff.Diff(from, c.Before, to, c.After)
	_, unified, _ := bytes.Cut(made, []byte("\n")) // behind the command that would make it
	return string(unified)
}
