package factor

import (
	"strings"
	"testing"
	"unicode"
)

// Answers that people type and paste for the code 123456.
var pasted = map[string]string{
	"plain":                   "123456",
	"blanks":                  "  123 456 ",
	"tabs and line ends":      "\t123456\r\n",
	"no-break space":          "123\u00a0456\u00a0",
	"narrow no-break space":   "123\u202f456",
	"figure space":            "123\u2007456",
	"ideographic space":       "123\u3000456",
	"line separator":          "123456\u2028",
	"zero width space":        "\u200b123\u200b456",
	"zero width joiner":       "123\u200d456",
	"word joiner":             "123\u2060456",
	"byte order mark":         "\ufeff123456",
	"soft hyphen":             "123\u00ad456",
	"bidi marks":              "\u200e\u202d123456\u202c\u2069",
	"Mongolian separator":     "123\u180e456",
	"Hangul filler":           "\u3164123456",
	"keycaps":                 "1\ufe0f\u20e32\ufe0f\u20e33\ufe0f\u20e34\ufe0f\u20e35\ufe0f\u20e36\ufe0f\u20e3",
	"hyphen":                  "123-456",
	"en dash":                 "123\u2013456",
	"em dash":                 "123\u2014456",
	"non-breaking hyphen":     "123\u2011456",
	"minus":                   "123\u2212456",
	"underscore":              "123_456",
	"full stop behind":        "123456.",
	"comma behind":            "123456,",
	"ideographic full stop":   "123456\u3002",
	"exclamation mark":        "123456!",
	"grouped in thousands":    "123,456",
	"with points":             "12.34.56",
	"Swiss thousands":         "123'456",
	"quoted":                  "\"123456\"",
	"typographic quotes":      "\u201e123456\u201c",
	"in brackets":             "[123456]",
	"bold":                    "**123456**",
	"as code":                 "`123456`",
	"full-width":              "\uff11\uff12\uff13\uff14\uff15\uff16",
	"Arabic-Indic":            "\u0661\u0662\u0663\u0664\u0665\u0666",
	"extended Arabic-Indic":   "\u06f1\u06f2\u06f3\u06f4\u06f5\u06f6",
	"Devanagari":              "\u0967\u0968\u0969\u096a\u096b\u096c",
	"mathematical bold":       "\U0001d7cf\U0001d7d0\U0001d7d1\U0001d7d2\U0001d7d3\U0001d7d4",
	"mathematical monospace":  "\U0001d7f7\U0001d7f8\U0001d7f9\U0001d7fa\U0001d7fb\U0001d7fc",
	"scripts mixed":           "1\uff12\u0663\u096a5\uff16",
	"label":                   "Code: 123456",
	"label and no blank":      "code:123456",
	"label of the mail":       "Your code: 123456",
	"full-width colon":        "Code\uff1a 123456",
	"the whole prompt":        "Code (r = resend, m = other method): 123456",
	"a sentence":              "123456 is your code for testhost.",
	"a sentence to the end":   "Your code for testhost is 123456.",
	"another word for it":     "Your passcode is 123456",
	"of a token":              "Token: 123456",
	"the end of a text":       "@login.example.com #123456",
	"label and groups":        "Code: 123 456",
	"a sentence and groups":   "Your code is 123 456.",
	"groups and a sentence":   "123 456 is your code",
	"groups of two":           "Your login code: 12-34-56, for testhost",
	"groups in quotes":        "your code is \"123-456\"",
	"groups in brackets":      "the code (123 456) is yours",
	"a host with digits":      "Your code for host42 is 123 456.",
	"no-break space in it":    "Your code is 123\u00a0456.",
	"assignment":              "code=123456",
	"assignment and groups":   "code = 123 456",
	"assignment, otp":         "OTP=123456",
	"initial":                 "G-123456",
	"initials":                " FB-123456. ",
	"initial, full-width":     "\uff27\uff0d123456",
	"initial in a sentence":   "G-123456 is your code. Code: 123456",
	"bracketed paste":         "\x1b[200~123456\x1b[201~",
	"paste without escapes":   "[200~123456[201~",
	"paste, 8 bits":           "\u009b200~123456\u009b201~",
	"paste, nothing but ends": "200~123456201~",
	"paste of a label":        "[200~Code: 123456[201~",
	"paste of a line":         "[200~123456\r[201~",
	"another number before":   "The code for 222222: 123456",
}

func TestDigitsAsPeoplePasteThem(t *testing.T) {
	for name, answer := range pasted {
		if code, ok := Digits(answer, 6, 6); !ok || code != "123456" {
			t.Errorf("%s: %q is read as %q, %v", name, answer, code, ok)
		}
	}
}

func TestWhatCannotBeACode(t *testing.T) {
	for _, answer := range []string{
		"", " ", "\u200b", "[200~[201~", "12345", "1234567", "alice", "12345x", "x123456", "123456x", "12 34 5",
		"hunter123456", "Zq7-first-factor-Zq7", "123456 654321", "123456 or 123456", "\u00b9\u00b2\u00b3\u2074\u2075\u2076",
		"0x1E240", "١٢٣٤٥", "123456@example.com", "m", "r", "Code:", "12:34:56",
		"Sommer 123456", "pw:123456", "correct horse 778899 staple", "Pa$$:w\u00f6rd:654321", "codeword 123456", "encode:123456",
		"code-123456", "passcode-123456", "code123 456", "my code x123 456", "my code 123 456x", "code/123 456", "code@123 456", "code_123 456",
		"Your code is 123 456 or 123 457.", "code 12 34 567", "code 12 345", "Your code is 123 456, for 10 minutes.",
		"g-123456", "ABC-123456", "G-123456x", "G-12345", "G-123456 654321", "G123456", "G--123456", "1-G-123456",
		"abc123456x", "abc 123 456", "correct=123456", "pin=123456", "summer: 123 456", "Your code " + strings.Repeat("really ", 10) + "is 123 456",
		"1234\u2460\u2461", // circled digits are symbols, not digits
	} {
		if code, ok := Digits(answer, 6, 6); ok {
			t.Errorf("%q is read as %q", answer, code)
		}
	}
	if code, ok := Digits("12345678", 6, 8); !ok || code != "12345678" {
		t.Errorf("eight digits are %q, %v", code, ok)
	}
}

func TestDecimalDigitsOfEveryScript(t *testing.T) {
	n := 0
	for r := range rune(unicode.MaxRune) {
		if !unicode.Is(unicode.Nd, r) {
			continue
		}
		want := "000000" + string('0'+rune(n%10))
		n++
		if code, ok := Digits(strings.Repeat("0", 6)+string(r), 7, 7); !ok || code != want {
			t.Fatalf("%U is read as %q, want %q", r, code, want)
		}
	}
	if n < 600 {
		t.Errorf("only %d digits", n)
	}
}

func TestIsName(t *testing.T) {
	for _, tc := range []struct {
		answer string
		names  []string
		want   bool
	}{
		{"204711", []string{"204711"}, true},
		{"204711", []string{"204711@example.org"}, true},
		{"204711@example.org", []string{"204711"}, true},
		{`EXAMPLE\204711`, []string{"204711"}, true},
		{"204711", []string{`EXAMPLE\204711`}, true},
		{"Alice", []string{"bob", "alice"}, true},
		{" alice ", []string{"alice"}, true},
		{"123456", []string{"123456.example.org"}, true},
		{"host.example.org", []string{"host.example.org"}, true},
		{"204712", []string{"204711"}, false},
		{"", []string{"", "alice"}, false},
		{" ", []string{""}, false},
		{"@example.org", []string{""}, false},
		{"123456", nil, false},
	} {
		if got := IsName(tc.answer, tc.names...); got != tc.want {
			t.Errorf("IsName(%q, %q) = %v", tc.answer, tc.names, got)
		}
	}
}

// Whatever is read as a code has the length and the symbols of one, and is read as
// itself.
func FuzzTyped(f *testing.F) {
	for _, answer := range pasted {
		f.Add(answer)
	}
	f.Add("k7mx-24wp-9hre-3cdf")
	f.Add("alice\x00\xff\xfe")
	f.Fuzz(func(t *testing.T, answer string) {
		if code, ok := Digits(answer, 6, 8); ok {
			if len(code) < 6 || len(code) > 8 || strings.Trim(code, "0123456789") != "" {
				t.Errorf("%q is read as %q", answer, code)
			}
			if again, ok := Digits(code, 6, 8); !ok || again != code {
				t.Errorf("%q is read as %q, %v", code, again, ok)
			}
		}
		if code, ok := recoveryCode(answer); ok {
			if len(code) != recoverySymbols || strings.Trim(code, backupAlphabet) != "" {
				t.Errorf("%q is read as %q", answer, code)
			}
			if again, ok := recoveryCode(code); !ok || again != code {
				t.Errorf("%q is read as %q, %v", code, again, ok)
			}
		}
	})
}
