package carrier

import (
	"strings"

	"mfa/internal/deliver"
)

// OneLine returns s with a space in place of each control character, for the value of a
// header.
func OneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}

// PrivateWords returns the words of a message that may be a code, for Quote: a relay can
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

// AnswerLimit bounds, in bytes, what Quote returns.
const AnswerLimit = 1024

// Quote returns the words of another program for use in an error: one line of at most
// AnswerLimit printable ASCII characters, in which Hide has replaced what is private.
func Quote(words string, private []string) string {
	words = Hide(words, "[hidden]", private...)
	words = strings.ReplaceAll(strings.TrimSpace(words), "\n", " ")
	return deliver.ASCII(words, AnswerLimit)
}
