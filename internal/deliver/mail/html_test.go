package mail

import (
	"strings"
	"testing"

	"mfa/internal/deliver"
)

// HTML has the elements and attributes that are written down, and loads nothing, however that
// is written.
func TestHTMLLoadsNothing(t *testing.T) {
	const nothing, loads, inTag = "is nothing for a mail", "has something loaded", "{{ }} in a tag"
	for html, want := range map[string]string{
		`<svg><image href="http://x/"></svg>`:                      "<svg> " + nothing,
		`<image href="http://x/">`:                                 "<image> " + nothing,
		`<p xlink:href="http://x/">`:                               "<p xlink:href> " + nothing,
		`<p href="http://x/">`:                                     "<p href> " + nothing,
		`<p src="data:image/png;base64,AA==">`:                     "<p src> " + nothing,
		`<img src="http://x/">`:                                    "<img src> " + loads,
		`<img srcset="http://x/">`:                                 "<img srcset> " + nothing,
		`<img src="data:text/html,x">`:                             "<img src> " + loads,
		`<IMG SRC=//x/>`:                                           "<img src> " + loads,
		`<table background="http://x/">`:                           "<table background> " + nothing,
		`<p onclick="x">`:                                          "<p onclick> " + nothing,
		`<meta http-equiv="refresh" content="1; url=http://x/">`:   "<meta http-equiv> " + nothing,
		`<link rel=stylesheet>`:                                    "<link> " + nothing,
		`<p style="background:u\72l(http://x/)">`:                  "<p style> " + loads,
		`<p style="background:&#117;rl(http://x/)">`:               "<p style> " + loads,
		`<p style="background:u/* */rl(http://x/)">`:               "<p style> " + loads,
		`<p style="content:'/*';background:url(//x/);x:'*/'">`:     "<p style> " + loads,
		`<p style='background:image-set("http://x/" 1x)'>`:         "<p style> " + loads,
		`<p style='background:-webkit-IMAGE-SET("http://x/" 1x)'>`: "<p style> " + loads,
		`<p style='background:image("http://x/")'>`:                "<p style> " + loads,
		`<p style='background:src("http://x/")'>`:                  "<p style> " + loads,
		`<p style="width:expression(1)">`:                          "<p style> " + loads,
		`<style>@\69mport "http://x/";</style>`:                    "a style " + loads,
		`<style>@IMPORT "http://x/";</style>`:                      "a style " + loads,
		`<style>p{background:url(x)}</style>`:                      "a style " + loads,
		`<style>p{color:{{.User}}}</style>`:                        inTag,
		`<img {{"src"}}="http://x/">`:                              inTag,
		`<img {{"src"}}>`:                                          inTag,
		`<img src="{{.Host}}">`:                                    inTag,
		`<a href="https://x/?c={{.Code}}">x</a>`:                   inTag,
		`<a href="https://x/?c={{if .Code}}1{{end}}">x</a>`:        inTag,
		`<p style="color:{{.User}}">`:                              inTag,
		`<p title="{{if .User}}x{{end}}">`:                         inTag,
		`<p{{.User}}>`:                                             inTag,
		`</p {{.User}}>`:                                           inTag,
		`</p title="{{.User}}">`:                                   inTag,
		`<p title{{/* x */}}="x">`:                                 inTag,
		`<!-- {{.User}} -->`:                                       "a comment ",
		`</script>`:                                                "<script> " + nothing,

		// What one reader of HTML takes for something else than another does.
		`<!{{/* x */}}-- <img src="http://x/"> -->`:                                      "a comment ",
		`<!x <img src="http://x/">>`:                                                     "a comment ",
		`<?x <img src="http://x/">>`:                                                     "a comment ",
		`<!--><p title="--><img src=http://x/>">`:                                        "a comment ",
		`<!---><p title="--><img src=http://x/>">`:                                       "a comment ",
		`<!-- --!><p title="--><img src=http://x/>">`:                                    "a comment ",
		`<!doctype html <img src="http://x/">>`:                                          "a doctype ",
		`</p title="x">`:                                                                 "</p> has attributes",
		`{{if gt .User "<p title='"}}<img src="http://x/">{{end}}<p title='x'>`:          "<img src> " + loads,
		`{{if .Code}}<p title="{{else}}<img src='http://x/' title=" dir={{end}}">`:       inTag,
		`{{if .Code}}<style>{{else}}<img src='http://x/'></style><style>{{end}}</style>`: inTag,
		`{{if .Code}}<title>{{else}}<img src='http://x/'></title><title>{{end}}</title>`: inTag,
		`{{if .Code}}<!--{{else}}<img src='http://x/'><!--{{end}}-->`:                    "a comment ",
	} {
		for _, line := range []struct{ before, number string }{{"", ":1: "}, {"{{.Code -}}\n\n<p>", ":3: "}, {"{{range .Facts}}\n{{.}}{{end}}", ":2: "}} {
			_, err := New(deliver.EmailConfig{HTML: true, Templates: folderOf(t, map[string]string{"code.html": line.before + html + "{{.Code}}"})})
			if err == nil || !strings.Contains(err.Error(), "code.html"+line.number+want) {
				t.Errorf("%s%s: %v, want %q", line.before, html, err, line.number+want)
			}
		}
	}
}

// HTML that mails are written with is taken.
func TestHTMLThatIsTaken(t *testing.T) {
	for _, html := range []string{
		ourHTML,
		`<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN" "http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd">` +
			`<html lang={{.Language}} dir="{{.Language}}"><head><title>{{.Subject}}</title><style>/* ours */ p > b, h1 { color: #123 }</style></head>`,
		`<!-- a <b> --><img src="data:image/png;base64,AA==" alt="{{.Host}}, {{.User}}" width=1><br/><a href="https://help.example.com/?a=1&amp;b=2">x</a><a href="HTTPS://help.example.com/">x</a>`,
		`<{{/* x */}}img src="http://x/">`, // as html/template writes it, this is text
		`<table role="presentation" aria-label=x cellpadding=0><tr><td colspan=2 bgcolor="#fff" style="background: linear-gradient(red, blue)">1 < 2</td></table>`,
		`{{if .Service}}<p>{{.Service}}</p>{{else}}<p>-</p>{{end}}{{range .Facts}}<p title='{{.Name}}'>{{.Value}}</p>{{end}}`,
	} {
		newWriter(t, deliver.EmailConfig{HTML: true, Templates: folderOf(t, map[string]string{"code.html": html + "{{.Code}}"})})
	}
}
