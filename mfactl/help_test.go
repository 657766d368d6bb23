package main

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// Every verb explains itself, with an example that begins as it is typed.
func TestEveryVerbHasAnExample(t *testing.T) {
	verbs := 0
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		for _, sub := range cmd.Commands() {
			if sub.Name() == "help" || sub.Name() == "completion" {
				continue // cobra's
			}
			verbs++
			if sub.Short == "" || strings.HasSuffix(sub.Short, ".") {
				t.Errorf("%s: short %q", sub.CommandPath(), sub.Short)
			}
			if !strings.HasPrefix(sub.Example, "  "+sub.CommandPath()) {
				t.Errorf("%s: example %q", sub.CommandPath(), sub.Example)
			}
			for line := range strings.Lines(sub.Long + "\n" + sub.Example) {
				if len(strings.TrimSuffix(line, "\n")) > 85 {
					t.Errorf("%s: wider than 85 columns: %q", sub.CommandPath(), line)
				}
			}
			walk(sub)
		}
	}
	walk(newRoot())
	if verbs < 10 {
		t.Errorf("only %d verbs were looked at", verbs)
	}
}
