package text

import (
	"strings"
	"unicode"

	"golang.org/x/text/width"
)

// Width returns how many columns s takes on a terminal: two for a wide letter (UAX #11),
// none for a mark that stands on another.
func Width(s string) (columns int) {
	for _, r := range s {
		columns += widthOf(r)
	}
	return columns
}

func widthOf(r rune) int {
	if unicode.Is(unicode.Mn, r) {
		return 0
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	return 1
}

// Key returns what was typed as a key or a number: who writes Japanese or Chinese may type
// wide letters and digits.
func Key(typed string) string { return strings.ToLower(width.Narrow.String(typed)) }

// Pad returns s with blanks behind it, up to so many columns.
func Pad(s string, columns int) string {
	return s + strings.Repeat(" ", max(0, columns-Width(s)))
}

// Fold breaks lines that are wider than columns: at their blanks, and between wide letters,
// which are written without any. Words stay whole, and lines without letters, such as those
// of a QR code, as they are.
func Fold(s string, columns int) string {
	var b strings.Builder
	for line := range strings.Lines(s) {
		if Width(line) <= columns || !strings.ContainsFunc(line, unicode.IsLetter) {
			b.WriteString(line)
			continue
		}
		folded := ""
		for _, part := range parts(line) {
			if folded != "" && Width(folded)+Width(strings.TrimRight(part, " \n")) > columns {
				b.WriteString(strings.TrimRight(folded, " ") + "\n")
				folded = ""
			}
			folded += part
		}
		b.WriteString(folded)
	}
	return b.String()
}

// parts splits a line where it may break.
func parts(line string) (all []string) {
	begin := 0
	var before rune
	for i, r := range line {
		if i > 0 && mayBreak(before, r) {
			all, begin = append(all, line[begin:i]), i
		}
		before = r
	}
	return append(all, line[begin:])
}

// Characters that no line begins with, and that none ends with (JIS X 4051).
const (
	notFirst = "、。，．,.!?！？：；:;）」』】〕〉》)]}ー々ぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮ〜… "
	notLast  = "（「『【〔〈《([{"
)

// mayBreak says whether a line may break between two letters.
func mayBreak(before, after rune) bool {
	switch {
	case before == ' ':
		return after != ' ' && after != '\n'
	case after == '\n' || widthOf(before) < 2 && widthOf(after) < 2:
		return false
	}
	return !strings.ContainsRune(notFirst, after) && !strings.ContainsRune(notLast, before)
}
