package main

import (
	"fmt"
	"regexp"
	"strings"
)

// A block is one thing that a page has its reader do, or that it only has the test do.
type block struct {
	kind kind
	line int    // of the page, at which it begins
	path string // of a file or of settings
	text string

	hidden bool // shell: seen by no reader
	stays  bool // console: the last command goes on when the block ends
	more   bool // console: it begins with more of that command
}

// A kind says what is done with a block.
type kind int

const (
	shell    kind = iota // run by root, one shell a block
	settings             // a part of the file at path
	file                 // the whole content of the file at path
	console              // what is typed at a terminal, and what is seen there
)

var (
	// fileLine ends the text before a block that is the whole of a file.
	fileLine = regexp.MustCompile("`(/[^`]+)`[^`]*:$")
	// hiddenLine begins what only the test does: <!-- test: ... -->.
	hiddenLine = regexp.MustCompile(`^<!-- test:\s*(.*)$`)
)

// languages are those that a block may have, and what it is then.
var languages = map[string]kind{"sh": shell, "console": console, "toml": settings, "conf": file}

// parse returns the blocks of a page. A block of no language is only looked at by people, and
// one behind a comment "run by:" is done elsewhere (TestCommandsAreRun of the house).
func parse(page string) (blocks []block, err error) {
	lines := strings.Split(page, "\n")
	before := "" // the last line with text before a block
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		if m := hiddenLine.FindStringSubmatch(line); m != nil {
			b := block{kind: shell, line: i + 1, hidden: true}
			if b.text, i, err = hidden(lines, i, m[1]); err != nil {
				return nil, err
			}
			blocks = append(blocks, b)
			continue
		}
		info, is := strings.CutPrefix(strings.TrimSpace(line), "```")
		language, how, _ := strings.Cut(info, " ")
		if !is {
			if strings.TrimSpace(line) != "" {
				before = strings.TrimSpace(line)
			}
			continue
		}
		begin := i
		var text string
		if text, i, err = fenced(lines, i); err != nil {
			return nil, err
		}
		if language == "" || language == "mermaid" || strings.HasPrefix(before, "<!-- run by:") {
			before = "" // the next block is no longer about it
			continue
		}
		kind, known := languages[language]
		if !known {
			return nil, fmt.Errorf("line %d: no such language as %q", begin+1, language)
		}
		b := block{kind: kind, line: begin + 1, text: text, stays: how == "stays", more: how == "more"}
		if kind == file || kind == settings {
			m := fileLine.FindStringSubmatch(before)
			if m == nil {
				return nil, fmt.Errorf("line %d: the text before it does not end with the path of its file and a colon", begin+1)
			}
			b.path = m[1]
		}
		blocks = append(blocks, b)
	}
	if len(blocks) == 0 {
		return nil, fmt.Errorf("it has nothing to do")
	}
	return blocks, nil
}

// fenced returns the text of the block that begins in line i, and its last line.
func fenced(lines []string, i int) (text string, last int, err error) {
	indent := len(lines[i]) - len(strings.TrimLeft(lines[i], " "))
	for last = i + 1; last < len(lines); last++ {
		if strings.TrimSpace(lines[last]) == "```" {
			return text, last, nil
		}
		text += lines[last][min(indent, len(lines[last])):] + "\n"
	}
	return "", 0, fmt.Errorf("line %d: a block without an end", i+1)
}

// hidden returns the text of a comment that begins in line i with first, and its last line.
func hidden(lines []string, i int, first string) (text string, last int, err error) {
	text = first
	for last = i; !strings.Contains(lines[last], "-->"); text += "\n" + lines[last] {
		if last++; last == len(lines) {
			return "", 0, fmt.Errorf("line %d: a comment without an end", i+1)
		}
	}
	text, _, _ = strings.Cut(text, "-->")
	return text, last, nil
}
