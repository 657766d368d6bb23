package main

import (
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"strings"
	"unicode"
	"unicode/utf16"

	"github.com/spf13/cobra"
)

// jsonFlag adds --json to a command.
func jsonFlag(cmd *cobra.Command, into *bool) {
	cmd.Flags().BoolVar(into, "json", false, "print JSON, for programs")
}

// printJSON prints one value, for programs.
func printJSON(w io.Writer, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err == nil {
		_, err = fmt.Fprintln(w, visibleJSON(string(data)))
	}
	if err != nil {
		return exitError{code: exitFailed, err: fmt.Errorf("print: %w", err)}
	}
	return nil
}

// visibleJSON writes in a JSON text what would steer a terminal as "\u..." (RFC 8259, 7),
// which stands for the same.
func visibleJSON(text string) string {
	var b strings.Builder
	for _, r := range text {
		if r == '\n' || unicode.IsGraphic(r) {
			b.WriteRune(r)
			continue
		}
		for _, unit := range utf16.AppendRune(nil, r) {
			fmt.Fprintf(&b, `\u%04x`, unit)
		}
	}
	return b.String()
}

// printRows prints names and values, for people.
func printRows(w io.Writer, rows [][2]any) {
	width := 0
	for _, r := range rows {
		width = max(width, len(fmt.Sprint(r[0])))
	}
	for _, r := range rows {
		printf(w, "%-*s  %v\n", width+1, fmt.Sprint(r[0])+":", r[1])
	}
}

// printf prints for people. An argument that is text stands as one line that steers no
// terminal, wherever it came from: the command line, a file, or mfad. Only format can
// begin a line.
func printf(w io.Writer, format string, args ...any) {
	for i, a := range args {
		switch a := a.(type) {
		case error:
			args[i] = printable(a.Error())
		case fmt.Stringer:
			args[i] = printable(a.String())
		default:
			if v := reflect.ValueOf(a); v.Kind() == reflect.String {
				args[i] = printable(v.String())
			}
		}
	}
	fmt.Fprintf(w, format, args...)
}

// printLines prints text of several lines, none of which steers a terminal.
func printLines(w io.Writer, text string) { fmt.Fprintln(w, printableLines(text)) }

// printableLines is printable for a text of lines, which may have tabs.
func printableLines(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return r
		}
		return visible(r)
	}, text)
}

// printable replaces with a question mark each character that would steer the terminal,
// begin a line, or turn the direction of writing, or that cannot be seen.
func printable(text string) string { return strings.Map(visible, text) }

func visible(r rune) rune {
	if unicode.IsGraphic(r) {
		return r
	}
	return '?'
}
