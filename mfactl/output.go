package main

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// jsonFlag adds --json to a command.
func jsonFlag(cmd *cobra.Command, into *bool) {
	cmd.Flags().BoolVar(into, "json", false, "print JSON, for programs")
}

// printJSON prints one value, for programs.
func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return exitError{code: exitFailed, err: fmt.Errorf("print: %w", err)}
	}
	return nil
}

// printRows prints names and values, for people.
func printRows(w io.Writer, rows [][2]any) {
	width := 0
	for _, r := range rows {
		width = max(width, len(fmt.Sprint(r[0])))
	}
	for _, r := range rows {
		fmt.Fprintf(w, "%-*v  %v\n", width+1, fmt.Sprint(r[0])+":", r[1])
	}
}
