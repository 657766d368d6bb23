package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Pieces of C that matter here: comments, lines of the preprocessor, strings, brackets, ends.
var piece = regexp.MustCompile(`(?s)/\*.*?\*/|(?m:^#[^\n]*(?:\\\n[^\n]*)*)|"(?:[^"\\\n]|\\.)*"|\w+\s*\(|[();,?:]`)

// cStrings returns the strings of the module: arguments of its functions, and texts that are
// declared. Neighbours are one string (C11, 6.4.5).
func cStrings(pattern string) (all []said, err error) {
	paths, err := filepath.Glob(pattern)
	if err != nil {
		return nil, err
	}
	for _, path := range paths {
		source, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		var calls []string
		var text string
		end := func() {
			call := ""
			if len(calls) > 0 {
				call = calls[len(calls)-1]
			}
			if s := (said{path: path, text: text}); s.ofModule(call) && !slices.ContainsFunc(all, func(o said) bool { return o.path == path && o.text == text }) {
				all = append(all, s)
			}
			text = ""
		}
		for _, p := range piece.FindAllString(string(source), -1) {
			switch {
			case p[0] == '"':
				if s, err := strconv.Unquote(p); err == nil {
					text += s
				}
			case p == "(":
				calls = append(calls, "")
			case strings.HasSuffix(p, "("):
				end()
				calls = append(calls, strings.TrimSpace(strings.TrimSuffix(p, "(")))
			case p == ")":
				end()
				calls = calls[:max(0, len(calls)-1)]
			case strings.Contains(",;?:", p):
				end()
			}
		}
	}
	return all, nil
}

// ofModule says who reads a string of the module that is an argument of call, and of what
// kind it is; false if nobody does.
func (s *said) ofModule(call string) bool {
	switch {
	case !letters(s.text) || !strings.Contains(s.text, " "):
		return false
	case call == "pam_prompt" || strings.HasSuffix(s.text, "."):
		s.to, s.kind = users, "text"
	default:
		s.to, s.kind = logs, "log"
	}
	return true
}
