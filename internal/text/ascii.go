package text

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// spelled has letters of Latin scripts that are no letter of ASCII with a mark, and marks
// that are written with a letter of their own.
var spelled = strings.NewReplacer(
	"ä", "ae", "ö", "oe", "ü", "ue", "Ä", "Ae", "Ö", "Oe", "Ü", "Ue", "ß", "ss",
	"ø", "oe", "Ø", "Oe", "æ", "ae", "Æ", "Ae", "å", "aa", "Å", "Aa", "ł", "l", "Ł", "L", "đ", "d", "Đ", "D",
	"„", `"`, "“", `"`, "”", `"`, "«", `"`, "»", `"`, "‘", "'", "’", "'", "–", "-", "—", "-", "…", "...", "\u00a0", " ",
)

// asciiOf returns the entries spelled in ASCII. One that cannot be is left out.
func asciiOf(entries map[string]entry) map[string]entry {
	spelt := map[string]entry{}
	for english, e := range entries {
		plain := entry{}
		for form, said := range e {
			if s, ok := ascii(said); ok {
				plain[form] = s
			}
		}
		if len(plain) == len(e) {
			spelt[english] = plain
		}
	}
	return spelt
}

// ascii spells s in ASCII, if it can be.
func ascii(s string) (string, bool) {
	s = strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) {
			return -1
		}
		return r
	}, norm.NFD.String(spelled.Replace(norm.NFC.String(s))))
	return s, !strings.ContainsFunc(s, func(r rune) bool { return r > unicode.MaxASCII })
}
