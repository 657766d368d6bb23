package mail

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/net/html"
)

// loading are the attributes by which a mail has something loaded, or sent, elsewhere; and
// foreign are the elements that do, or that no mail program shows.
var (
	loading = []string{"src", "srcset", "background", "poster", "data", "action", "formaction", "ping", "http-equiv"}
	foreign = []string{"script", "link", "base", "form", "iframe", "object", "embed"}
)

// tryTags refuses what a template has loaded when its mail is opened: that would tell others
// who reads it, and when. A picture within the mail (RFC 2397) may stay.
func tryTags(path, source string) error {
	line := 1
	for z := html.NewTokenizer(strings.NewReader(source)); ; {
		kind := z.Next()
		if kind == html.ErrorToken {
			return nil
		}
		at := line
		line += strings.Count(string(z.Raw()), "\n")
		t := z.Token()
		if kind == html.TextToken && loads(t.Data) {
			return fmt.Errorf("%s:%d: a style has something loaded when the mail is opened", path, at)
		}
		if kind == html.TextToken || kind == html.EndTagToken {
			continue
		}
		if slices.Contains(foreign, t.Data) {
			return fmt.Errorf("%s:%d: <%s> is nothing for a mail", path, at, t.Data)
		}
		for _, a := range t.Attr {
			if slices.Contains(loading, a.Key) && !strings.HasPrefix(a.Val, "data:image/") || a.Key == "style" && loads(a.Val) {
				return fmt.Errorf("%s:%d: <%s %s> has something loaded when the mail is opened", path, at, t.Data, a.Key)
			}
		}
	}
}

// loads says whether a style has something loaded.
func loads(style string) bool {
	style = strings.ToLower(style)
	return strings.Contains(style, "url(") || strings.Contains(style, "@import")
}

// tryHTML says what is wrong with the HTML of a mail: it must show what the mail is about, and
// have the code in no tag, from where it could leave.
func tryHTML(said, name, kind string, fields Fields) error {
	var shown strings.Builder
	for z := html.NewTokenizer(strings.NewReader(said)); ; {
		switch token := z.Next(); {
		case token == html.ErrorToken:
			if !strings.Contains(shown.String(), fields.Code) {
				return noCode(name)
			}
			return tell(shown.String(), name, kind, fields)
		case token == html.TextToken:
			shown.WriteString(z.Token().Data)
		case fields.Code != "" && strings.Contains(string(z.Raw()), fields.Code):
			return fmt.Errorf("%s: has the code within a tag; it belongs into the text", name)
		}
	}
}
