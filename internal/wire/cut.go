package wire

import "mfa/internal/mfa"

// A CUT frame is a list of endings, in the order in which they are looked for. Each is a
// kind, a number of symbols, the length of a text, and that text: the symbols there are,
// or a word. The module knows nothing else of codes (pam_mfa/split.c).
const (
	endDigits  = 'd' // symbols, right behind the password
	endComma   = ',' // symbols behind a comma
	endGrouped = 'g' // the same, with a blank or dash between some of them
	endWord    = 'w' // a word behind a comma
)

// MaxCut bounds the endings of a CUT frame, in bytes.
const MaxCut = 512

// EncodeCut returns the frame that says what may stand behind a password. Endings that
// find no room are left out.
func EncodeCut(endings []mfa.Ending) Frame {
	var b []byte
	for _, e := range endings {
		kind, text := byte(endDigits), e.Of
		switch {
		case e.Word != "":
			kind, text = endWord, e.Word
		case e.Grouped:
			kind = endGrouped
		case e.Comma:
			kind = endComma
		}
		if e.Symbols > 0xff || len(text) > 0xff || len(b)+3+len(text) > MaxCut {
			continue
		}
		b = append(b, kind, byte(e.Symbols), byte(len(text)))
		b = append(b, text...)
	}
	return Frame{Cut, b}
}
