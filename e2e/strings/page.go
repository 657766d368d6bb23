package main

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// head is what the list begins with.
const head = `# Every string that people meet

Made from the source by ` + "`go run ./e2e/strings -write`" + `; a test fails while it is old. The rules
that all of them keep are in e2e/strings/rules.go. Line breaks are written as ` + "`\\n`" + `.
`

// headings are those of the audiences.
var headings = map[audience]string{
	users:          "People who log in",
	administrators: "Administrators",
	logs:           "The log and the audit file",
}

// render writes the list: by audience, by file.
func render(all []said) string {
	var b strings.Builder
	b.WriteString(head)
	for _, to := range []audience{users, administrators, logs} {
		fmt.Fprintf(&b, "\n## %s\n", headings[to])
		mine := slices.DeleteFunc(slices.Clone(all), func(s said) bool { return s.to != to })
		slices.SortStableFunc(mine, func(a, b said) int { return cmp.Compare(a.path, b.path) })
		path := ""
		for _, s := range mine {
			if s.path != path {
				path = s.path
				fmt.Fprintf(&b, "\n### %s\n\n", path)
			}
			fmt.Fprintf(&b, "- %s: %s%s\n", s.kind, quoted(s.text), beside(s.keys))
		}
	}
	return b.String()
}

// quoted writes a string as code in one line.
func quoted(text string) string {
	text = strconv.Quote(text)
	text = strings.ReplaceAll(text[1:len(text)-1], `\"`, `"`)
	if strings.Contains(text, "`") {
		return "`` " + text + " ``"
	}
	return "`" + text + "`"
}

func beside(keys []string) string {
	if len(keys) == 0 {
		return ""
	}
	return " with " + strings.Join(keys, ", ")
}
