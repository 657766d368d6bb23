package carrier

import (
	"strings"

	"mfa/internal/deliver"
)

// OneLine keeps a header's value to one line.
func OneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}

// PrivateWords returns the words of a message that may be a code. A relay can
// quote the message in its answer, and answers are logged.
func PrivateWords(text string) []string {
	var words []string
	for _, w := range strings.FieldsFunc(text, func(r rune) bool { return !deliver.IsWord(r) && r != '-' }) {
		grouped := strings.Count(w, "-") >= 2 // as codes are that may have letters only
		if len(w) >= 6 && (grouped || strings.ContainsAny(w, "0123456789")) {
			words = append(words, w)
		}
	}
	return words
}

// AnswerLimit bounds, in bytes, what an error quotes of another program's words.
const AnswerLimit = 1024

// Quote makes another program's words fit to stand in an error: one line,
// bounded, without control bytes and without what is private, however it is spelled.
func Quote(words string, private []string) string {
	words = Hide(words, "[hidden]", private...)
	words = strings.ReplaceAll(strings.TrimSpace(words), "\n", " ")
	return deliver.ASCII(words, AnswerLimit)
}
