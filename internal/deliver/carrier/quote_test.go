package carrier

import (
	"slices"
	"strings"
	"testing"
)

func FuzzQuote(f *testing.F) {
	f.Add("5.1.1 <alice@example.com>\nunknown", "secret")
	f.Fuzz(func(t *testing.T, words, private string) {
		got := Quote(words, []string{private})
		if strings.ContainsFunc(got, func(r rune) bool { return r < ' ' || r > '~' }) || len(got) > AnswerLimit {
			t.Errorf("quote(%q) = %q", words, got)
		}
	})
}

// A relay may quote the message in its answer, and answers are logged.
func TestPrivateWords(t *testing.T) {
	got := PrivateWords("Your code: 123456\nRecovery code: k7mx-24wp-9hre-3cdf\nabcd-efhk-mnpr-twxy\nIt is a well-known text of 2026.\n")
	if want := []string{"123456", "k7mx-24wp-9hre-3cdf", "abcd-efhk-mnpr-twxy"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
