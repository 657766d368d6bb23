package mfa

import "testing"

func TestIsWithheld(t *testing.T) {
	for answer, want := range map[string]int{
		"\b": 1, "\b\n\r\x7fIN": 6, "\b\n\r\x7fINCORRECT": 13, "\b\n\r\x7fINCORRECT\b\n\r": 16, "\b\n\r\x7fINCORRECT\b\n\r\x7fINCORRECT\b": 27,
	} {
		if w, is := IsWithheld(answer); !is || int(w) != want {
			t.Errorf("%q: %d, %v", answer, w, is)
		}
	}
	for _, answer := range []string{"", "123456", "IN", "INCORRECT", "\n", "\b\n\r\x7fIn", "\b\n\r\x7fINCORRECTI", "x\b"} {
		if w, is := IsWithheld(answer); is {
			t.Errorf("%q: %d", answer, w)
		}
	}
}
