package factor

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Digits returns the code of least to most decimal digits that an answer means,
// as people type and paste codes (see typed). It is false for an answer that cannot be
// such a code; that is no attempt.
func Digits(answer string, least, most int) (code string, ok bool) {
	return typed(answer, func(text string) (string, bool) {
		return text, len(text) >= least && len(text) <= most && isDigits(text)
	})
}

func isDigits(text string) bool { return strings.Trim(text, "0123456789") == "" }

// typed returns the code that an answer means. Shaped returns the code that a text
// without separators is, and whether it is one.
//
// The whole answer counts. Of one that speaks of a code, as the prompts and messages
// do, also the text behind its last colon counts ("Code: 123456"), else its only word
// that is a code ("123456 is your code"), else its only number, which may be in groups
// (see number). Of another answer none does: it may be a password with digits in it, and
// a password at the prompt for a code shall be no wrong code. Only "G-123456" is read
// without a word for it, for it has no other digit or letter.
// White space, control and format characters, marks of a bracketed paste, dashes,
// points, commas and apostrophes do not count, nor do punctuation and symbols
// around it. Digits of every script are digits, full-width letters are letters.
func typed(answer string, shaped func(string) (string, bool)) (code string, ok bool) {
	text := strings.Map(plain, pasteMarks.ReplaceAllString(answer, " "))
	if code, ok = shaped(joined(text)); ok {
		return code, true
	}
	if m := lettered.FindStringSubmatch(text); m != nil {
		return shaped(m[1])
	}
	if !announced.MatchString(text) {
		return "", false
	}
	if i := strings.LastIndexByte(text, ':'); i >= 0 {
		if code, ok = shaped(joined(text[i+1:])); ok {
			return code, true
		}
	}
	found := 0
	for word := range strings.FieldsSeq(text) {
		if c, is := shaped(joined(word)); is {
			code = c
			found++
		}
	}
	switch found {
	case 0:
		return shaped(number(text))
	case 1:
		return code, true
	}
	return "", false // nobody knows which
}

// longestSentence bounds, in bytes, what is searched for a number in groups: messages about
// codes are shorter, and more is not typed or pasted at a prompt by intent.
const longestSentence = 80

var (
	// lettered matches a code behind the initials of a sender and a dash, and nothing else.
	lettered = regexp.MustCompile(`^ *[A-Z]{1,2}-([0-9]+)[ .]*$`)
	// numbers match digits with separators between them.
	numbers = regexp.MustCompile(`[0-9](?:[` + separators + `]*[0-9])*`)
)

// number returns the digits of a short text's only number: "123 456 is your code",
// "code=123456". It is empty if there is none or another one, for then nobody knows which,
// and if letters or signs touch it ("host42", "x123 456", "code-123456", "1/2"): then it is
// part of a word, as in a password.
func number(text string) string {
	if len(text) > longestSentence {
		return ""
	}
	digits := ""
	for _, m := range numbers.FindAllStringIndex(text, -1) {
		before, _ := utf8.DecodeLastRuneInString(text[:m[0]])
		after, _ := utf8.DecodeRuneInString(text[m[1]:])
		if m[0] > 0 && !strings.ContainsRune(` =:#"'([{<*`, before) ||
			m[1] < len(text) && !strings.ContainsRune(` .,;:!?"')]}>*`, after) {
			continue
		}
		if digits != "" {
			return ""
		}
		digits = joined(text[m[0]:m[1]])
	}
	return digits
}

// announced matches a text that says it holds a code: by a word for it, as the last line of
// a text message ("@host #123456"), or as a line of a list of backup codes ("3. ...").
var announced = regexp.MustCompile(`(?i)\b(?:(?:pass)?code|otp|token)\b|@\S+ +#|^ *[0-9]{1,2}[.)] `)

// pasteMarks are what a terminal puts around pasted text (bracketed paste of
// xterm), with or without the control bytes at their head: those may be gone.
var pasteMarks = regexp.MustCompile(`(?:\x1b?\[|\x{9b})?20[01]~`)

// invisible is what takes no room or only changes the look of what is before it.
var invisible = []*unicode.RangeTable{
	unicode.Cc, unicode.Cf, unicode.M, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector,
}

// plain returns the rune of ASCII that somebody meant who typed r, ' ' for white
// space, -1 for what does not count, and r itself for the rest.
func plain(r rune) rune {
	switch {
	case unicode.IsSpace(r), unicode.Is(unicode.Z, r):
		return ' '
	case unicode.In(r, invisible...):
		return -1
	case unicode.Is(unicode.Nd, r):
		return '0' + digit(r)
	case r >= 0xFF01 && r <= 0xFF5E: // the full-width forms of ASCII
		return r - 0xFF01 + '!'
	case unicode.In(r, unicode.Pd, unicode.Pc), r == 0x2212: // the minus sign
		return '-'
	}
	return r
}

// digit returns the value of a decimal digit: Unicode has each script's ten in a
// row, 0 first.
func digit(r rune) rune {
	for _, rs := range unicode.Nd.R16 {
		if rune(rs.Lo) <= r && r <= rune(rs.Hi) {
			return (r - rune(rs.Lo)) % 10
		}
	}
	for _, rs := range unicode.Nd.R32 {
		if rune(rs.Lo) <= r && r <= rune(rs.Hi) {
			return (r - rune(rs.Lo)) % 10
		}
	}
	return 0
}

// separators may stand between the symbols of a code.
const separators = " .,'\u2019\u00b7\u3002\u3001\u060c\u066b\u066c-"

// joined removes separators, and the punctuation around a code.
func joined(text string) string {
	text = strings.TrimFunc(text, func(r rune) bool { return r == ' ' || unicode.IsPunct(r) || unicode.IsSymbol(r) })
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(separators, r) {
			return -1
		}
		return r
	}, text)
}

// IsName reports whether an answer is one of names, with or without a realm or domain, in
// either case. Programs give them in place of a code. Such an answer is no attempt, even
// if it has the shape of a code.
func IsName(answer string, names ...string) bool {
	answer = strings.TrimSpace(answer)
	if answer == "" {
		return false
	}
	for _, name := range names {
		for _, form := range forms(strings.TrimSpace(name)) {
			if form != "" && (strings.EqualFold(answer, form) || strings.EqualFold(bare(answer), form)) {
				return true
			}
		}
	}
	return false
}

// forms are the spellings of a name: as it is, without its realm (user@realm,
// DOMAIN\user), and the first label of a host's.
func forms(name string) []string {
	label, _, _ := strings.Cut(name, ".")
	return []string{name, bare(name), label}
}

// bare returns a user's name without its realm or domain.
func bare(name string) string {
	if i := strings.LastIndexAny(name, `\/`); i >= 0 {
		name = name[i+1:]
	}
	name, _, _ = strings.Cut(name, "@")
	return name
}
