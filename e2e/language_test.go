package e2e

import (
	"regexp"
	"testing"
)

// codeCalled returns the code of the nth mail to a, which is called so in its language.
func (s *site) codeCalled(a account, n int, called string) (code string) {
	s.t.Helper()
	line := regexp.MustCompile(`(?m)^` + called + `: (\d{6})$`)
	eventually(s.t, "the mail comes", func() bool {
		found, err := s.letters(a.email)
		ok(s.t, err)
		if len(found) < n {
			return false
		}
		m := line.FindStringSubmatch(found[n-1].body)
		if m == nil {
			s.t.Fatalf("no code called %q in %q", called, found[n-1].raw)
		}
		code = m[1]
		return true
	})
	return code
}

// A login over ssh in the language of the site, and then in that of the user, who sets it
// with mfactl. Programs find the ends of prompts that they wait for in each.
func TestLanguages(t *testing.T) {
	s, _ := inProcess(t, `prompt.language = "ja"`)
	alice := newAccount(t, "alice")
	s.mustControl("enroll", alice.name, "--email", alice.email, "--no-message")
	c := s.begin(alice)
	c.expect(t, `有効時間は10分です。rで新しいコードを送信します。\nコードを入力\nCode: $`)
	c.send("000000")
	c.expect(t, `コードが正しくありません。あと2回試せます。\nコードを入力\nCode: $`)
	c.send(s.codeCalled(alice, 1, "コード"))
	c.expectIn(t)

	s.mustControl("language", "de", "--user", alice.name)
	expectSaid(t, s.mustControl("show", alice.name), "de")
	c = s.begin(alice)
	c.expect(t, `Mit r bekommen Sie einen neuen\.\nCode: $`)
	c.send(s.codeCalled(alice, 2, "Ihr Code"))
	c.expectIn(t)

	c = s.own(alice, "language", "default")
	c.expect(t, `Mit r bekommen Sie einen neuen\.\nCode: $`)
	c.send(s.codeCalled(alice, 3, "Ihr Code"))
	c.expectStatus(t, 0)
	c = s.begin(alice)
	c.expect(t, `コードを入力\nCode: $`)
}
