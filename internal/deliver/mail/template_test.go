package mail

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"mfa/internal/deliver"
)

// folderOf returns a folder with these files.
func folderOf(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestTemplates(t *testing.T) {
	w := newWriter(t, deliver.EmailConfig{HTML: true, Subject: "by the key", Templates: folderOf(t, map[string]string{
		"code.txt":       "\ufeffSubject: Code of {{.User}}: {{.Subject}}\r\n\r\nHello {{.User}},\r\nyour code is {{.Code}}.\r\n",
		"code.html":      "<p>Hello {{.User}}, <b>{{.Code}}</b> <img src=\"data:image/png;base64,AA==\"> <a href=\"https://help.example.com/\">help</a>",
		"code.de.txt":    "Hallo {{.Code}}",
		"notice.ja.html": "{{range .Opening}}{{.Text}}{{end}}{{range .Advice}}{{with .Code}}<i title='{{$.Host}}'>{{.}}</i>{{end}}{{end}}",
		"README":         "{{", "code.txt~": "{{", ".code.txt": "{{", "code.txt.dpkg-old": "{{",
	})})
	n := codeNotice("")
	n.User = "<al>"
	m := w.Code("1", n)
	if m.Subject != "Code of <al>: by the key" || m.Text != "Hello <al>,\nyour code is 123456.\n" || !strings.HasPrefix(m.HTML, "<p>Hello &lt;al&gt;, <b>123456</b>") {
		t.Errorf("message %+v", m)
	}
	if m = w.Code("1", codeNotice("de")); m.Text != "Hallo 123456\n" || m.HTML != "" || m.Subject != "by the key" {
		t.Errorf("where the text is an administrator's and the HTML is not, the mail is text alone: %+v", m)
	}
	var none *Writer
	if m = w.Notice("1", lockNotice("ja")); m.Text != none.Notice("1", lockNotice("ja")).Text || !strings.HasSuffix(m.HTML, "<i title='web1.example.com'>"+recoveryCode+"</i>") {
		t.Errorf("the text is ours: %+v", m)
	}
	if m = w.Notice("1", lockNotice("de")); m.Text != none.Notice("1", lockNotice("de")).Text || !strings.Contains(m.HTML, "<!DOCTYPE html>") {
		t.Errorf("all of it is ours: %+v", m)
	}
	w.html = false
	if m = w.Code("1", n); m.HTML != "" || !strings.HasPrefix(m.Text, "Hello") {
		t.Errorf("message %+v", m)
	}
}

// A template that fails only for somebody, or shows them no code, or all who see their phone,
// keeps nobody out: the mail is ours.
func TestTemplateThatFailsForOne(t *testing.T) {
	ours := newWriter(t, deliver.EmailConfig{HTML: true})
	for _, tc := range [][2]string{
		{"code.txt", `{{.Code}}{{if eq .User "bob"}}{{lt .User 1}}{{end}}`},
		{"code.en.txt", `{{if ne .User "bob"}}{{.Code}}{{end}}`},
		{"code.html", `{{if ne .User "bob"}}{{.Code}}{{end}}`},
		{"code.txt", "Subject: x{{if eq .User `bob`}}{{.Code}}{{end}}\n\n{{.Code}} y"},
		{"code.txt", "Subject: {{if ne .User `bob`}}x{{end}}\n\n{{.Code}} y"},
	} {
		file, text := tc[0], tc[1]
		w := newWriter(t, deliver.EmailConfig{HTML: true, Templates: folderOf(t, map[string]string{file: text})})
		n := codeNotice("")
		if got := w.Code("1", n); got == ours.Code("1", n) {
			t.Errorf("%s: the template %q does not count", file, text)
		}
		n.User = "bob"
		if got, want := w.Code("1", n), ours.Code("1", n); got != want {
			t.Errorf("%s: %q: message %+v, want %+v", file, text, got, want)
		}
	}
}

// HTML that has the code in a tag for somebody alone, or hides it, is not sent to them.
func TestCodeLeavesInNoTag(t *testing.T) {
	ours := newWriter(t, deliver.EmailConfig{HTML: true})
	for _, html := range []string{
		`{{if eq .User "alice"}}{{.Code}}{{else}}{{.Code}}<p title="{{.Code}}">x</p>{{end}}`,
		`{{if eq .User "alice"}}{{.Code}}{{else}}<p title="{{.Code}}">x</p>{{end}}`,
		`{{if eq .User "alice"}}{{.Code}}{{else}}<title>{{.Code}}</title>{{end}}`,
	} {
		w := newWriter(t, deliver.EmailConfig{HTML: true, Templates: folderOf(t, map[string]string{"code.html": html})})
		n := codeNotice("")
		n.User = "bob"
		if got, want := w.Code("1", n), ours.Code("1", n); got != want {
			t.Errorf("%s: message %+v, want %+v", html, got, want)
		}
	}
}

// What an administrator gets to copy are our templates.
func TestOurTemplatesAreGood(t *testing.T) {
	w := newWriter(t, deliver.EmailConfig{HTML: true, Templates: folderOf(t, map[string]string{
		"code.txt": ourText, "code.html": ourHTML, "notice.txt": ourText, "notice.html": ourHTML,
	})})
	ours := newWriter(t, deliver.EmailConfig{HTML: true})
	if got, want := w.Code("1", codeNotice("")), ours.Code("1", codeNotice("")); got != want {
		t.Errorf("message is\n%+v\nwant\n%+v", got, want)
	}
	if got, want := w.Notice("1", lockNotice("de")), ours.Notice("1", lockNotice("de")); got != want {
		t.Errorf("message is\n%+v\nwant\n%+v", got, want)
	}
}

// A subject with a code in it has it once.
func TestCodeInSubjectOfATemplate(t *testing.T) {
	w := newWriter(t, deliver.EmailConfig{CodeInSubject: true, Templates: folderOf(t, map[string]string{
		"code.txt": "Subject: Your code is {{.Code}}\n\n{{.Code}}", "code.de.txt": "Subject: Ihr Code\n\n{{.Code}}",
	})})
	if got := w.Code("1", codeNotice("")).Subject; got != "Your code is 123456" {
		t.Errorf("subject %q", got)
	}
	if got := w.Code("1", codeNotice("de")).Subject; got != "123456: Ihr Code" {
		t.Errorf("subject %q", got)
	}
}

// Each template is tried before it counts, and what is wrong is named with file and line.
func TestBadTemplates(t *testing.T) {
	const notice = "{{range .Opening}}{{.Text}}{{end}}{{.Code}}"
	for _, tc := range []struct{ file, text, want string }{
		{"code.txt", "{{.Code}}\n\n{{end}}", "code.txt:3: unexpected {{end}}"},
		{"code.txt", "Subject: x\n\n{{.Code}} {{.Secret}}", "code.txt:3:12: executing \"FILE\" at <.Secret>: can't evaluate field Secret"},
		{"code.txt", "{{.Code}}{{if eq .Language \"ja\"}}{{.Secret}}{{end}}", "code.txt:1:"},
		{"code.txt", "Hello", "code.txt: does not show the code"},
		{"code.txt", "", "code.txt: does not show the code"},
		{"code.txt", "{{if ne .Language \"de\"}}{{.Code}}{{end}}", "code.txt: does not show the code"},
		{"code.txt", "{{.Code}}\n\xff", "code.txt:2: it is not text in UTF-8"},
		{"code.html", "{{.Code}}\n<p \x01v>", "code.html:2: it is not text in UTF-8"},
		{"code.txt", "{{.Code}}\x00", "code.txt:1: it is not text in UTF-8"},
		{"code.txt", strings.Repeat("x", mostBytes+1), "code.txt: it is larger than 64 KiB"},
		{"code.txt", "{{.Code}}{{range .Facts}}" + strings.Repeat("x", mostBytes/4) + "{{end}}", "code.txt: makes more than 64 KiB"},
		{"code.txt", "{{.Code}}{{range 1000000000000}}{{end}}", "code.txt:1:17: range goes over"},
		{"code.txt", "{{.Code}}\n{{if .Code}}{{range .Facts}}{{range $.Facts}}{{end}}{{end}}{{end}}", "code.txt:2:36: range goes over"},
		{"code.txt", "{{.Code}}{{define \"x\"}}{{template \"x\"}}{{end}}{{template \"x\"}}", "code.txt:1:57: a template of a mail calls no other"},
		{"code.txt", "Subject: Hi\n{{range 9}}{{end}}", "code.txt:2:8: range goes over"},
		{"code.txt", "Subject: {{.Nothing}}\n\n{{.Code}}", "code.txt:1:3: executing"},
		{"code.txt", "Subject:\n\n{{.Code}}", "code.txt:1: the subject is empty"},
		{"code.txt", "Subject: a{{\"\\n\"}}Bcc: b@example.com\n\n{{.Code}}", "code.txt:1: a control character in the subject"},
		{"code.txt", "Subject: {{.Host}}{{.Host}}{{.Host}}{{.Host}}\n\n{{.Code}}", "is too long; allowed: 200"},
		{"code.txt", "Subject: {{.Code}}\n\n{{.Code}}", "code.txt:1: the code is in the subject, or decides what stands there, which is seen while a phone is locked"},
		{"code.txt", "Subject: a{{if .Code}}b{{end}}\n\n{{.Code}}", "code.txt:1: the code is in the subject, or decides"},
		{"code.txt", "Subject: a{{range .Opening}}{{if .Code}}b{{end}}{{end}}\n\n{{.Code}}", "code.txt:1: the code is in the subject, or decides"},
		{"code.html", "{{.Code}\n", "code.html:1: "},
		{"code.html", "\n<p>{{.Cod}}</p>", "code.html:2:5: executing"},
		{"code.html", "<p title=\"{{.Code}}\">Hello", "code.html: has the code within a tag"},
		{"code.html", "<title>{{.Code}}</title>", "code.html: does not show the code"},
		{"code.html", "{{.Code}}\n<img\nsrc=\"https://example.com/x.png\">", "code.html:2: <img src> has something loaded"},
		{"code.html", "{{.Code}}\n\n<p style=\"background: URL(//x)\">", "code.html:3: <p style> has something loaded"},
		{"code.html", "{{.Code}}<style>\n@import 'x'</style>", "code.html:1: a style has something loaded"},
		{"code.html", "{{.Code}}<body background=x>", "code.html:1: <body background> is nothing for a mail"},
		{"code.html", "{{.Code}}<meta http-equiv=refresh content=1>", "code.html:1: <meta http-equiv> is nothing for a mail"},
		{"code.html", "{{.Code}}<a href='javascript:alert(1)'>x</a>", "code.html:1: <a href> may lead to https://"},
		{"code.html", "{{.Code}}<script>1</script>", "code.html:1: <script> is nothing for a mail"},
		{"code.html", "{{.Code}}<p {{.User}}>", "code.html:1: {{ }} in a tag"},
		{"notice.txt", "{{.Code}}", "notice.txt: does not say what happened"},
		{"notice.txt", "{{range .Opening}}{{.}}{{end}}", "notice.txt: does not show the code"},
		{"notice.txt", "Subject: {{.Code}}.\n\n" + notice, "notice.txt:1: the code is in the subject"},
		{"notice.html", "{{.Code}}{{range .Opening}}<p title=\"{{.}}\">{{end}}", "notice.html: does not say what happened"},
		{"codes.txt", "{{.Code}}", "codes.txt: no mail is written by this name; there are code and notice"},
		{"code.fr.txt", "{{.Code}}", `code.fr.txt: no mail is in "fr"; there are en, de, ja`},
		{"code..html", "{{.Code}}", `code..html: no mail is in ""`},
	} {
		dir := folderOf(t, map[string]string{tc.file: tc.text})
		want := strings.ReplaceAll(tc.want, "FILE", filepath.Join(dir, tc.file))
		_, err := New(deliver.EmailConfig{Templates: dir, CodeInSubject: tc.file == "notice.txt"})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "email.templates: "+filepath.Join(dir, tc.file)) {
			t.Errorf("%s %.80q: %v, want %q", tc.file, tc.text, err, want)
		}
	}
}

// The functions of a template are written down, so that it can take neither memory nor time that is
// not bounded by its size: it has no variables, and of the functions those that compare.
func TestTemplatesAreBounded(t *testing.T) {
	double := `{{$x := "aaaaaaaaaaaaaaaa"}}` + strings.Repeat(`{{$x = printf "%s%s" $x $x}}`, 30)
	for text, want := range map[string]string{
		"{{.Code}}\n" + double:                                   "code.txt:2:2: $x: a template of a mail has no variables but $",
		"{{.Code}}{{with $x := .Host}}{{end}}":                   "code.txt:1:16: $x: ",
		"{{.Code}}{{if $x := .Host}}{{end}}":                     "code.txt:1:14: $x: ",
		"{{.Code}}{{range $i, $x := .Facts}}{{end}}":             "code.txt:1:17: $i: ",
		"{{.Code}}\n{{printf \"%1000000d\" 1}}":                  "code.txt:2:2: printf: a template of a mail calls no function but and, ",
		"Subject: {{print 1}}\n\n{{.Code}}":                      "code.txt:1:3: print: ",
		"{{.Code}}{{println 1}}":                                 "code.txt:1:11: println: ",
		"{{.Code}}{{html 1}}":                                    "code.txt:1:11: html: ",
		"{{.Code}}{{.Host | js}}":                                "code.txt:1:19: js: ",
		"{{.Code}}{{if true}}{{else}}{{urlquery 1}}{{end}}":      "code.txt:1:30: urlquery: ",
		"{{.Code}}{{range .Facts}}{{index .Name 1}}{{end}}":      "code.txt:1:27: index: ",
		"{{.Code}}{{with slice .Host 1}}{{end}}":                 "code.txt:1:16: slice: ",
		"{{.Code}}{{if and true (eq (call .Host) 1)}}{{end}}":    "code.txt:1:28: call: ",
		"{{.Code}}{{(print .Host).X}}":                           "code.txt:1:12: print: ",
		"{{.Code}}{{with 1}}{{else with print 1}}{{end}}{{end}}": "code.txt:1:",
	} {
		if _, err := New(deliver.EmailConfig{Templates: folderOf(t, map[string]string{"code.txt": text})}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.80q: %v, want %q", text, err, want)
		}
	}
	newWriter(t, deliver.EmailConfig{Templates: folderOf(t, map[string]string{"code.txt": `{{.Code}}{{if and (eq .User $.User "x") (ne .Host "")}}{{len .Facts}}` +
		`{{else if or (lt 1 2) (le 1 2) (gt 1 2) (ge 1 2) (not true)}}{{"x"}}{{end}}`})})
}

// No mail differs for some codes only: its subject is seen while a phone is locked, and ours in
// its place would tell the same.
func TestTemplatesCompareNoCode(t *testing.T) {
	for text, want := range map[string]string{
		"Subject: a{{if lt .Code \"9\"}}b{{end}}\n\n{{.Code}}":             "code.txt:1:7: lt: ",
		"Subject: a{{if eq .Code \"123456\"}}b{{end}}\n\n{{.Code}}":        "code.txt:1:7: eq: ",
		"{{if ge .Code \"1\"}}{{.Code}}{{end}}":                            "code.txt:1:5: ge: ",
		"{{if ge $.Code \"1\"}}{{.Code}}{{end}}":                           "code.txt:1:5: ge: ",
		"{{.Code}}{{if le \"1\" (or .Code \"\")}}{{end}}":                  "code.txt:1:14: le: ",
		"{{.Code}}{{if not (ne .Code \"1\")}}{{end}}":                      "code.txt:1:19: ne: ",
		"{{.Code}}{{if .Code | gt \"1\"}}{{end}}":                          "code.txt:1:14: gt: ",
		"{{.Code}}{{if .Code | or \"\" | gt \"1\"}}{{end}}":                "code.txt:1:14: gt: ",
		"{{.Code}}{{eq (.Code) \"1\"}}":                                    "code.txt:1:11: eq: ",
		"{{.Code}}{{len .Code}}":                                           "code.txt:1:11: len: ",
		"{{with .Code}}{{.}}{{if eq . \"1\"}}{{end}}{{end}}":               "code.txt:1:24: eq: ",
		"{{.Code}}{{range .Opening}}{{if gt .Code \"1\"}}{{end}}{{end}}":   "code.txt:1:32: gt: ",
		"{{.Code}}{{range .Opening}}{{if gt .Text \"1\"}}{{end}}{{end}}":   "code.txt:1:32: gt: ",
		"{{.Code}}{{range .Opening}}{{if gt .String \"1\"}}{{end}}{{end}}": "code.txt:1:32: gt: ",
		"{{.Code}}{{eq $ \"1\"}}":                                          "code.txt:1:11: eq: ",
		"{{.Code}}{{if true}}{{else if eq .Code \"1\"}}{{end}}":            "code.txt:1:30: eq: ",
	} {
		if _, err := New(deliver.EmailConfig{Templates: folderOf(t, map[string]string{"code.txt": text})}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	newWriter(t, deliver.EmailConfig{Templates: folderOf(t, map[string]string{"notice.txt": `{{range .Opening}}{{if .Text}}{{.}}{{end}}{{end}}{{if .Code}}x{{.Code}}{{end}}` +
		`{{if and .Code (or (eq .Service "sshd") (gt (len .Advice) 1))}}y{{end}}{{range .Facts}}{{if ne .Name "x"}}{{.Value}}{{end}}{{end}}`})})
}

// All that is wrong is told at once; a folder that is none is no folder without templates.
func TestBadFolder(t *testing.T) {
	dir := folderOf(t, map[string]string{"code.txt": "{{", "notice.html": "{{"})
	_, err := New(deliver.EmailConfig{Templates: dir})
	if err == nil || !strings.Contains(err.Error(), "code.txt:1") || !strings.Contains(err.Error(), "notice.html:1") {
		t.Errorf("%v", err)
	}
	dir = folderOf(t, map[string]string{"code.txt": "{{.Code}}", "code.de.txt": "x", "code.ja.html": "y", "notice.html": "z"})
	_, err = New(deliver.EmailConfig{Templates: dir})
	for _, want := range []string{"code.de.txt: does not", "code.ja.html: does not", "notice.html: does not"} {
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "code.txt") {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if _, err = New(deliver.EmailConfig{Templates: filepath.Join(dir, "none")}); err == nil || !strings.HasPrefix(err.Error(), "email.templates: open ") {
		t.Errorf("%v", err)
	}
	dir = t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(dir, "code.txt"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err = New(deliver.EmailConfig{Templates: dir}); err == nil || !strings.Contains(err.Error(), "code.txt: it is not a regular file") {
		t.Errorf("%v", err)
	}
}
