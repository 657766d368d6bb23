package carrier

import (
	"cmp"
	"encoding/hex"
	"encoding/json"
	"html"
	"regexp"
	"slices"
	"strings"
)

// Hide replaces every secret in words by with. It finds a secret as it is, and escaped for
// a query, form or path (RFC 3986, 2.1, and "+" for a blank), JSON or a program text
// (RFC 8259, 7) or XML (XML 1.0, 4.1 and 4.6), also one in another, up to three deep. A
// gateway may quote a request as it was sent or as it read it.
func Hide(words, with string, secrets ...string) string {
	var found [][2]int
	seek(unescaped{text: words}, deepest, func(u unescaped) {
		for _, secret := range secrets {
			// Bytes that are no UTF-8 are written as U+FFFD in JSON and XML.
			for _, form := range []string{secret, string([]rune(secret))} {
				found = append(found, u.places(form)...)
			}
		}
	})
	slices.SortFunc(found, func(a, b [2]int) int { return cmp.Compare(a[0], b[0]) })
	var b strings.Builder
	end := 0
	for _, f := range found {
		if f[0] >= end {
			b.WriteString(words[end:f[0]] + with)
		}
		end = max(end, f[1])
	}
	return b.String() + words[end:]
}

// deepest is how many escapings within each other are undone, like those of an address in
// XML in JSON.
const deepest = 3

// seek calls look for u, and for u with each combination of escapings undone.
func seek(u unescaped, depth int, look func(unescaped)) {
	look(u)
	if depth == 0 {
		return
	}
	for _, e := range escapings {
		if inner, ok := u.read(e); ok {
			seek(inner, depth-1, look)
		}
	}
}

// An escaping is a way to write characters that cannot stand as they are.
type escaping struct {
	marked *regexp.Regexp            // what is escaped
	plain  func(found string) string // what that stands for
}

var escapings = []escaping{
	{regexp.MustCompile(`%[0-9A-Fa-f]{2}`), percent},
	{regexp.MustCompile(`%[0-9A-Fa-f]{2}|\+`), percent},
	{regexp.MustCompile(`\\u[Dd][89ABab]\w\w\\u[Dd][C-Fc-f]\w\w|\\u[0-9A-Fa-f]{4}|\\x[0-9A-Fa-f]{2}|\\[^ux]`), backslash},
	{regexp.MustCompile(`&#?\w{1,31};`), html.UnescapeString},
}

func percent(found string) string {
	if found == "+" {
		return " "
	}
	text, _ := hex.DecodeString(found[1:]) // the pattern lets only digits in
	return string(text)
}

func backslash(found string) string {
	if found[1] == 'x' { // in JavaScript a character, no byte
		found = `\u00` + found[2:]
	}
	var text string
	if json.Unmarshal([]byte(`"`+found+`"`), &text) != nil {
		return found[1:] // \'
	}
	return text
}

// An unescaped is a text and where its bytes come from in the one that was quoted.
type unescaped struct {
	text string
	from []int // of each byte of text and of its end; nil: it is the one that was quoted
}

// at returns where in the quoted text byte i comes from.
func (u unescaped) at(i int) int {
	if u.from == nil {
		return i
	}
	return u.from[i]
}

// read returns u with the escaping e undone, and whether that changed it.
func (u unescaped) read(e escaping) (unescaped, bool) {
	marks := e.marked.FindAllStringIndex(u.text, -1)
	if marks == nil {
		return u, false
	}
	var text strings.Builder
	from := make([]int, 0, len(u.text)+1)
	end := 0
	for _, m := range marks {
		text.WriteString(u.text[end:m[0]])
		for i := end; i < m[0]; i++ {
			from = append(from, u.at(i))
		}
		plain := e.plain(u.text[m[0]:m[1]])
		text.WriteString(plain)
		for range len(plain) {
			from = append(from, u.at(m[0]))
		}
		end = m[1]
	}
	text.WriteString(u.text[end:])
	for i := end; i <= len(u.text); i++ {
		from = append(from, u.at(i))
	}
	return unescaped{text.String(), from}, text.String() != u.text
}

// places returns where in the quoted text secret stands.
func (u unescaped) places(secret string) (found [][2]int) {
	for i := 0; secret != ""; {
		j := strings.Index(u.text[i:], secret)
		if j < 0 {
			break
		}
		i += j
		found = append(found, [2]int{u.at(i), u.at(i + len(secret))})
		i += len(secret)
	}
	return found
}
