package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
)

// heading is what stands above the lines of the targets.
const heading = `# Fuzzing: figures

` + "`go run ./fuzz -for 20m -keep`" + ` writes a target's line anew, and its corpus to fuzz/corpus. Each
ran by one worker, beside other work, so how many inputs it tried says little of how fast it is.
What is not listed ran for seconds only, in CI. Covered are the statements that the corpus reaches, of those
functions of the package that it reaches at all: a function that has nothing to do with a target
counts neither way. Of pam_mfa they are lines of its C, which runs under AddressSanitizer;
` + "`make c-coverage`" + ` says what all tests together reach of it.

| target | time | inputs tried | corpus | covered |
|---|---|---|---|---|
`

// keepFigure writes the line of a target into the table, in the place of the one before.
func keepFigure(path string, t target, f figure) error {
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	name := fmt.Sprintf("| %s %s |", t.dir, t.name)
	lines := []string{fmt.Sprintf("%s %s | %d | %d | %s |\n", name, f.long, f.inputs, f.corpus, f.covered)}
	for line := range strings.Lines(string(text)) {
		if strings.Contains(line, " Fuzz") && strings.HasPrefix(line, "| ") && !strings.HasPrefix(line, name) {
			lines = append(lines, line)
		}
	}
	slices.Sort(lines)
	return os.WriteFile(path, []byte(heading+strings.Join(lines, "")), 0o644)
}
