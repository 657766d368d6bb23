package main

import (
	"regexp"
	"strings"
)

// A command is one line that a person types at a shell, and what they see then.
type command struct {
	line  string // without the prompt of the shell
	root  bool   // typed by root
	seen  []string
	shell string // the prompt of the shell that a login ends in; empty: it ends in none
}

// shellLine is the prompt of a shell behind a login: alice@server:~$.
var shellLine = regexp.MustCompile(`^\w+@\w+:~\$ ?$`)

// commandsOf returns the commands of a console block.
func commandsOf(text string) (all []command) {
	for line := range strings.Lines(sent(text)) {
		line = strings.TrimRight(line, "\n")
		rest, user := strings.CutPrefix(line, "$ ")
		if !user {
			var root bool
			if rest, root = strings.CutPrefix(line, "# "); !root {
				if len(all) > 0 {
					last := &all[len(all)-1]
					last.seen = append(last.seen, line)
				}
				continue
			}
		}
		all = append(all, command{line: rest, root: !user})
	}
	for i := range all {
		c := &all[i]
		for len(c.seen) > 0 && c.seen[len(c.seen)-1] == "" {
			c.seen = c.seen[:len(c.seen)-1]
		}
		if n := len(c.seen); n > 0 && shellLine.MatchString(c.seen[n-1]) {
			c.shell = strings.TrimSpace(c.seen[n-1])
			c.seen = c.seen[:n-1]
		}
	}
	return all
}

// questions are what a person answers: a line begins with any text, and with one of these
// its answer begins.
var questions = regexp.MustCompile(`^(.*?(?:\[[yY]/[nN]\]:?|(?:[Pp]assword(?: for (?:user )?'?\w+'?)?|Code(?: \([^)]*\))?|Choice \[[^\]]*\]|Backup code|Recovery code|Email address|Phone number \([^)]*\)|are kept|confirm|continue|Verification code):)) ?(.*)$`)

// asks splits a line of a console block into a question and the answer that is typed, if
// it is a question.
func asks(line string) (question, answer string, is bool) {
	m := questions.FindStringSubmatch(line)
	if m == nil {
		return "", "", false
	}
	return m[1], m[2], true
}

// onItsWay is what is said of a code that goes out, but has not left yet.
var onItsWay = regexp.MustCompile(`A code is being sent to (\S+?)(?:,\s+but\s+has\s+not\s+left\s+yet)?\.\n`)

// sent returns a text with each code sent: whether it has left already is a matter of the
// machine's load.
func sent(text string) string { return onItsWay.ReplaceAllString(text, "A code was sent to $1.\n") }

// Texts that differ from run to run: numbers, times, keys, codes.
var (
	backupCode = `[2-9a-z]{4}(?:-[2-9a-z]{4}){3}`
	differs    = regexp.MustCompile(backupCode + `|[A-Z2-7]{4}(?: [A-Z2-7]{4}){7}|\d{4}-\d\d-\d\d[ T]\d\d:\d\d(?::\d\d)?|\d\d:\d\d:\d\d|\d{4,}`)
)

// pattern returns what a line of output has to match to be a line of a page: "…" stands for
// any text, and of codes, keys and times only the shape counts.
func pattern(line string) *regexp.Regexp {
	var b strings.Builder
	b.WriteString("^")
	for i, part := range strings.Split(strings.TrimRight(line, " "), "…") {
		if i > 0 {
			b.WriteString(".*")
		}
		at := 0
		for _, m := range differs.FindAllStringIndex(part, -1) {
			b.WriteString(regexp.QuoteMeta(part[at:m[0]]) + shape(part[m[0]:m[1]]))
			at = m[1]
		}
		b.WriteString(regexp.QuoteMeta(part[at:]))
	}
	return regexp.MustCompile(b.String() + "$")
}

// shape returns the expression of all that may stand for a text that differs.
func shape(text string) string {
	switch {
	case regexp.MustCompile(`^` + backupCode + `$`).MatchString(text):
		return backupCode
	case strings.Contains(text, " ") && !strings.Contains(text, ":"):
		return `[A-Z2-7]{4}(?: [A-Z2-7]{4})*`
	case regexp.MustCompile(`^\d+$`).MatchString(text):
		return `\d+`
	}
	return regexp.MustCompile(`\d`).ReplaceAllString(regexp.QuoteMeta(text), `\d`)
}

// compare returns the first line of a page that was not seen, and where, or true. A line of
// "…" alone stands for any number of lines.
func compare(want, got []string) (missing string, same bool) {
	var lines []string
	for _, line := range got {
		lines = append(lines, strings.TrimRight(line, " "))
	}
	return compareFrom(want, lines)
}

func compareFrom(want, got []string) (string, bool) {
	for len(want) > 0 {
		if want[0] == "…" {
			missing := ""
			for skip := range len(got) + 1 {
				m, same := compareFrom(want[1:], got[skip:])
				if same {
					return "", true
				}
				if missing == "" {
					missing = m
				}
			}
			return missing, false
		}
		if len(got) == 0 || !pattern(want[0]).MatchString(got[0]) {
			return want[0], false
		}
		want, got = want[1:], got[1:]
	}
	if len(got) > 0 {
		return "nothing more, but there is: " + got[0], false
	}
	return "", true
}
