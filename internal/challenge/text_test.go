package challenge

import (
	"strings"
	"testing"
)

func TestFold(t *testing.T) {
	long := strings.Repeat("x", 70)
	for in, want := range map[string]string{
		"":                               "",
		"short\nCode: ":                  "short\nCode: ",
		long + "\nCode: ":                long + "\nCode: ",
		strings.Repeat("## ", 30) + "\n": strings.Repeat("## ", 30) + "\n",
		"a " + long:                      "a\n" + long,
		strings.Repeat("abcd ", 13) + "end\nCode (r = resend, m = other method): ": strings.TrimSpace(strings.Repeat("abcd ", 12)) + "\nabcd end\nCode (r = resend, m = other method): ",
		strings.Repeat("\u2580", 60) + "\n" + strings.Repeat("\u2580", 60) + "\n":  strings.Repeat("\u2580", 60) + "\n" + strings.Repeat("\u2580", 60) + "\n",
	} {
		if got := fold(in); got != want {
			t.Errorf("%q is folded to %q, want %q", in, got, want)
		}
	}
}
