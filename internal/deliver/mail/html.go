package mail

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"text/template/parse"

	"golang.org/x/net/html"
)

// HTML may have these: elements and attributes that show text and load nothing. In the values
// of filled, and in text, {{ }} may stand.
var (
	elements = strings.Fields("html head title meta style body div span p br hr h1 h2 h3 h4 h5 h6 " +
		"b strong i em u small big code pre center font blockquote a img " +
		"table thead tbody tfoot tr td th ul ol li dl dt dd")
	attributes = strings.Fields("style class id lang dir title alt align valign width height border " +
		"cellpadding cellspacing bgcolor color face size colspan rowspan role name content charset")
	filled = strings.Fields("lang dir title alt")
)

// loading is what a style has something loaded by, or hides that it has. A name of CSS can be
// written with a backslash, too.
var loading = []string{`\`, "url(", "src(", "image(", "image-set(", "@import", "expression("}

// cssComment is what CSS leaves out.
var cssComment = regexp.MustCompile(`(?s)/\*.*?\*/`)

var (
	errInTag   = errors.New("{{ }} in a tag stands only in the values of " + strings.Join(filled, ", ") + ", without if, with and range; none stands in a style")
	errComment = errors.New("a comment is written <!-- like this -->, without {{ }}")
	errDoctype = errors.New("a doctype has no tags and no {{ }} in it")
)

// tryTags refuses what the HTML of a template must not have. What is loaded when a mail is
// opened tells others who reads it, and when; what is filled in beside the text could be. A
// picture within the mail (RFC 2397) may stay. An error begins with path and line.
//
// Each branch begins and ends in text, as no {{if}} stands elsewhere: so all can be looked at
// one behind the other.
func tryTags(path, source string, tree *parse.Tree) error {
	o, at, within := outlineOf(tree), 0, ""
	for z := html.NewTokenizer(strings.NewReader(o.html.String())); ; {
		kind := z.Next()
		if kind == html.ErrorToken {
			return nil
		}
		raw := string(z.Raw())
		t := z.Token()
		if err := tryToken(t, raw, within); err != nil {
			return fmt.Errorf("%s:%d: %w", path, o.line(source, at), err)
		}
		at += len(raw)
		within = inside(t, within)
	}
}

// inside returns the element whose text follows a token: title, style, or "" for others.
func inside(t html.Token, before string) string {
	switch {
	case t.Type == html.TextToken:
		return before
	case t.Type != html.EndTagToken && (t.Data == "title" || t.Data == "style"):
		return t.Data
	}
	return ""
}

// tryToken refuses a token of HTML that a mail must not have.
func tryToken(t html.Token, raw, within string) error {
	holed := strings.Contains(raw, hole)
	switch t.Type {
	case html.TextToken:
		return tryText(raw, within)
	case html.CommentToken:
		// The shortest is <!---->. Readers differ in where another ends (HTML, 13.2.5.43 to 52).
		if holed || len(raw) < len("<!---->") || !strings.HasPrefix(raw, "<!--") || !strings.HasSuffix(raw, "-->") {
			return errComment
		}
		return nil
	case html.DoctypeToken:
		if holed || strings.LastIndex(raw, "<") > 0 {
			return errDoctype
		}
		return nil
	}
	return tryTag(t, raw)
}

// tryTag refuses a tag of an element.
func tryTag(t html.Token, raw string) error {
	end := t.Type == html.EndTagToken
	switch {
	case strings.Contains(t.Data, hole), end && strings.Contains(raw, hole):
		return errInTag
	case !slices.Contains(elements, t.Data):
		return fmt.Errorf("<%s> is nothing for a mail", t.Data)
	case end && !strings.EqualFold(strings.TrimSpace(strings.Trim(raw, "</>")), t.Data):
		return fmt.Errorf("</%s> has attributes", t.Data)
	}
	for _, a := range t.Attr {
		if err := tryAttribute(t.Data, a); err != nil {
			return err
		}
	}
	return nil
}

// tryText refuses text within an element, or within none.
func tryText(text, within string) error {
	switch {
	case within == "style" && strings.Contains(text, hole), within == "title" && strings.Contains(text, aTurn):
		return errInTag
	case within == "style" && loads(text):
		return errors.New("a style has something loaded when the mail is opened, or has a backslash")
	}
	return nil
}

// tryAttribute refuses an attribute of an element.
func tryAttribute(element string, a html.Attribute) error {
	picture := element == "img" && a.Key == "src"
	switch {
	case strings.Contains(a.Key, hole),
		strings.Contains(a.Val, hole) && !slices.Contains(filled, a.Key),
		strings.Contains(a.Val, aTurn):
		return errInTag
	case picture && !strings.HasPrefix(a.Val, "data:image/"), a.Key == "style" && loads(a.Val):
		return fmt.Errorf("<%s %s> has something loaded when the mail is opened, or has a backslash", element, a.Key)
	case element == "a" && a.Key == "href" && !leads(a.Val):
		return errors.New("<a href> may lead to https://, mailto: and tel: only")
	case !picture && !slices.Contains(attributes, a.Key) && !strings.HasPrefix(a.Key, "aria-") && (element != "a" || a.Key != "href"):
		return fmt.Errorf("<%s %s> is nothing for a mail", element, a.Key)
	}
	return nil
}

// leads says whether a link leads where a person may be led.
func leads(to string) bool {
	to = strings.ToLower(to)
	return slices.ContainsFunc([]string{"https://", "mailto:", "tel:"}, func(scheme string) bool { return strings.HasPrefix(to, scheme) })
}

// loads says whether a style has something loaded, or could hide it. It is looked at with
// comments and without: what looks like one may stand in a string.
func loads(style string) bool {
	style = strings.ToLower(style)
	bare := cssComment.ReplaceAllString(style, "")
	return slices.ContainsFunc(loading, func(s string) bool { return strings.Contains(style, s) || strings.Contains(bare, s) })
}

// shown returns the text that the HTML of a mail shows. It fails if the code is not in it, or
// is in a tag, from where it could leave. The error begins with name.
func shown(said, name, code string) (string, error) {
	var text strings.Builder
	within := ""
	for z := html.NewTokenizer(strings.NewReader(said)); ; {
		kind := z.Next()
		raw := string(z.Raw())
		switch {
		case kind == html.ErrorToken:
			if !strings.Contains(text.String(), code) {
				return "", noCode(name)
			}
			return text.String(), nil
		case kind != html.TextToken && code != "" && strings.Contains(raw, code):
			return "", fmt.Errorf("%s: has the code within a tag; it belongs into the text", name)
		}
		t := z.Token()
		if kind == html.TextToken && within == "" {
			text.WriteString(t.Data)
		}
		within = inside(t, within)
	}
}
