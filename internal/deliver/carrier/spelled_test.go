package carrier

import (
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"html"
	"net/url"
	"strings"
	"testing"
	"text/template"
	"unicode/utf16"
	"unicode/utf8"
)

// escapes are the ways in which a request is written, by us or by a gateway that quotes it.
var escapes = map[string]func(string) string{
	"as it is": func(s string) string { return s },
	"query":    url.QueryEscape,
	"path":     url.PathEscape,
	"query with %20, small letters": func(s string) string {
		return strings.ToLower(strings.ReplaceAll(url.QueryEscape(s), "+", "%20"))
	},
	"user of a URL": func(s string) string { return url.User(s).String() },
	"JSON": func(s string) string {
		data, _ := json.Marshal(s)
		return string(data[1 : len(data)-1])
	},
	"JSON of others": func(s string) string {
		return strings.NewReplacer(`\`, `\\`, `"`, `\"`, `/`, `\/`).Replace(s)
	},
	"JSON in ASCII": func(s string) string {
		var b strings.Builder
		for _, unit := range utf16.Encode([]rune(s)) {
			fmt.Fprintf(&b, `\u%04x`, unit)
		}
		return b.String()
	},
	"XML": func(s string) string {
		var b strings.Builder
		_ = xml.EscapeText(&b, []byte(s))
		return b.String()
	},
	"HTML":       html.EscapeString,
	"JavaScript": template.JSEscapeString,
}

func TestHideKnowsEverySpelling(t *testing.T) {
	for _, secret := range []string{
		"p@ss w/rd+9", "abc%def&x=1", `he"llo\wörld9`, `<a'b>&amp;"c`, "100%25", `back\\slash\u0041`, "key😀€", "a+b c+d",
		"sk-live-0123456789", "Bearer s3cret/+==", "tab\tin", base64.StdEncoding.EncodeToString([]byte("me:p?>~ss")),
	} {
		for first, once := range escapes {
			for second, twice := range escapes {
				if strings.Contains(first+second, "small letters") && strings.ToLower(secret) != secret {
					continue // it makes another secret of it
				}
				spelled := twice(once(secret))
				if got := Quote("no <"+spelled+"> here", []string{secret}); got != "no <[hidden]> here" {
					t.Errorf("%q as %s in %s is %q, quoted as %q", secret, first, second, spelled, got)
				}
			}
		}
	}
	if got := Quote("50% off + more & \\ as it was, 123 457", []string{"123 456", ""}); got != "50% off + more & \\ as it was, 123 457" {
		t.Errorf("a text without the secret is quoted as %q", got)
	}
}

// Of a secret that holds another one nothing is left over.
func TestQuoteHidesTheLongestFirst(t *testing.T) {
	if got := Quote("me:secretary", []string{"secret", "secretary", "me:secretary"}); got != "[hidden]" {
		t.Errorf("quoted as %q", got)
	}
}

func FuzzHide(f *testing.F) {
	f.Add("token=p%40ss%20w%2Frd", "p@ss w/rd")
	f.Add(`a\\\"b`, `a\"b`)
	f.Add("&amp;#34;%2525", `"%`)
	f.Fuzz(func(t *testing.T, words, secret string) {
		if len(words) > 1<<10 || len(secret) > 1<<8 || secret == "" || !utf8.ValidString(secret) {
			return
		}
		if got := Hide(words, "\x00", secret); !strings.Contains(secret, "\x00") && strings.Contains(got, secret) {
			t.Errorf("%q becomes %q, which shows %q", words, got, secret)
		}
		for name, escape := range escapes {
			if strings.Contains(name, "small") || name == "XML" || name == "JavaScript" {
				continue // they make another text of what they cannot write
			}
			if got := Hide(escape(secret), "", secret); got != "" {
				t.Errorf("%q as %s is hidden as %q", secret, name, got)
			}
		}
	})
}
