package mail

import (
	"strings"
	"testing"

	"mfa/internal/deliver"
	"mfa/internal/text"
)

// Whatever the fields hold, a mail has the same lines, and the same HTML around them.
func FuzzCode(f *testing.F) {
	f.Add("alice", "203.0.113.7", "sshd", "web1")
	f.Add("a\r\nBcc: x@y.z\r\n\r\n", "::1%eth0", "\x1b]0;x\a", strings.Repeat("ü", 300))
	f.Add("<a href=x>", `"><script>`, "&lt;</td>", "{{.Code}}")
	w := newWriter(f, deliver.EmailConfig{HTML: true})
	f.Fuzz(func(t *testing.T, user, address, service, host string) {
		n := codeNotice("")
		n.User, n.Address, n.Service, n.Host = user, address, service, host
		m := w.Code("m1", n)
		lines := strings.Split(m.Text, "\n")
		n.User, n.Address, n.Host = "u", "a", "h"
		if want := strings.Count(w.Code("1", n).Text, "\n") + 1; len(lines) != want {
			t.Errorf("%d lines, want %d: %q", len(lines), want, m.Text)
		}
		for _, l := range lines {
			if len(l) > columns || strings.ContainsFunc(l, func(r rune) bool { return r < ' ' || r > '~' }) {
				t.Errorf("line %q", l)
			}
		}
		elements := strings.Count(w.Code("1", n).HTML, "<")
		if got := strings.Count(m.HTML, "<"); got != elements {
			t.Errorf("%d tags, want %d: %q", got, elements, m.HTML)
		}
		if shown := readHTML(t, m.HTML).text; !strings.Contains(shown, strings.Join(strings.Fields(short(user)), " ")) {
			t.Errorf("%q is not shown in %q", user, shown)
		}
	})
}

// A template that is taken writes a mail with the code in text and HTML, one line of subject,
// and what it is given escaped; one that is not is refused by name. None takes long.
func FuzzTemplates(f *testing.F) {
	f.Add("Subject: {{.User}}\n\n{{.Code}}", "<p>{{.Code}} {{.User}}", "alice")
	f.Add(ourText, ourHTML, `"><script>`)
	f.Add("{{.Code}}{{range .Facts}}{{.}}{{end}}", "{{.Code}}<p title='{{.User}}'><a href=\"https://x/\">{{.Host}}</a>", "javascript:alert(1)")
	f.Add("{{.Code}}{{with .Service}}{{if gt (len .) 5}}{{.}}{{end}}{{else}}-{{end}}", "{{.Code}}<p title={{.User}} style='color: red'>", "x\nBcc: y")
	f.Fuzz(func(t *testing.T, plain, html, user string) {
		dir := folderOf(t, map[string]string{"code.txt": plain, "code.html": html})
		w, err := New(deliver.EmailConfig{HTML: true, Templates: dir})
		if err != nil {
			if !strings.HasPrefix(err.Error(), "email.templates: "+dir) {
				t.Errorf("%v", err)
			}
			return
		}
		n := codeNotice("")
		n.User, n.Host, n.Words = user, user, text.In("de")
		m := w.Code("1", n)
		if !strings.Contains(m.Text, n.Code) || !strings.Contains(m.HTML, n.Code) || strings.Contains(m.Subject, n.Code) {
			t.Errorf("mail %q", m)
		}
		if strings.ContainsAny(m.Subject, "\r\n") {
			t.Errorf("subject %q", m.Subject)
		}
		const hostile = "<script"
		if !strings.Contains(strings.ToLower(html), hostile) && strings.Contains(strings.ToLower(m.HTML), hostile) {
			t.Errorf("HTML %q", m.HTML)
		}
	})
}
