package app

import (
	"regexp"
	"strings"
	"testing"

	"mfa/internal/deliver/delivertest"
	"mfa/internal/host/nss"
	"mfa/internal/mfa"
	"mfa/internal/wire"
)

// A login in German, from the prompt over the mail to what ends it. What programs wait for
// stays in English.
func TestLoginInGerman(t *testing.T) {
	cfg := goodConfig(shortDir(t))
	cfg.Prompt.Language = "de-AT"
	r := run(t, cfg)
	m := r.dial()
	m.expect(wire.Prompt, "Er gilt 10 Minuten. Mit r bekommen Sie einen neuen.\nCode: ")
	mail := delivertest.WaitMaildir(t, cfg.Email.Outbox.Path, 1)[0]
	found := regexp.MustCompile(`(?m)^Ihr Code: (\d+)$`).FindStringSubmatch(mail.Text)
	if found == nil || !regexp.MustCompile(`(?m)^  Konto:    `+r.user+`$`).MatchString(mail.Text) {
		t.Fatalf("mail %q", mail.Text)
	}
	m.answer(wrong(found[1]))
	m.expect(wire.Prompt, "Der Code ist nicht richtig. Noch 2 Versuche.\nCode: ")
	m.answer("r")
	m.expect(wire.Prompt, "Ein neuer Code w") // wurde or wird: the outbox may take longer than the prompt waits
	m.answer(wrong(found[1]))
	m.expect(wire.Prompt, "Noch 1 Versuch.\nCode: ")
	m.answer(wrong(found[1]))
	m.expect(wire.Failure, "Der Code ist nicht richtig. Diese Anmeldung endet hier.")
	m.expect(wire.Done, "")
}

// A login in Japanese: lines are folded by columns, and the mail comes through whole. The
// console shows none of it, so it is asked in English there, and German is spelled out.
func TestLoginInJapanese(t *testing.T) {
	cfg := goodConfig(shortDir(t))
	cfg.Prompt.Language = "ja"
	r := run(t, cfg)
	m := r.dial()
	m.expect(wire.Prompt, "有効時間は10分です。rで新しいコードを送信します。\nコードを入力\nCode: ")
	mail := delivertest.WaitMaildir(t, cfg.Email.Outbox.Path, 1)[0]
	found := regexp.MustCompile(`(?m)^コード: (\d+)$`).FindStringSubmatch(mail.Text)
	if found == nil || !strings.Contains(mail.Text, "\n  ホスト:    ") {
		t.Fatalf("mail %q", mail.Text)
	}
	m.answer("000")
	m.expect(wire.Prompt, "それはコードではありません。回数には数えていません。コードを\n入力してください。新しいコードはrで送信します。\n")
	m.answer(found[1])
	m.expect(wire.Done, "s")

	m = r.dialAt("/dev/tty1")
	m.expect(wire.Prompt, "It is good for 10 minutes. Type r for a new one.\nCode: ")
	cfg.Prompt.Language = "de"
	if err := r.Reload(cfg); err != nil {
		t.Fatal(err)
	}
	m = r.dialAt("ttyS0")
	m.expect(wire.Prompt, " Mit r bekommen Sie einen neuen.\nCode: ")
	m.answer("")
	m.expect(wire.Prompt, "Geben Sie den Code ein, oder r fuer einen neuen.\nCode: ")
}

// The user's own language goes before that of the site, in prompts and mails, also when
// they are locked; one that nobody speaks is English. A change of it is none of a factor.
func TestLoginInTheUsersLanguage(t *testing.T) {
	cfg := goodConfig(shortDir(t))
	cfg.Prompt.Language = "ja"
	r := run(t, cfg)
	id, err := nss.Lookup(t.Context(), r.user)
	if err != nil {
		t.Fatal(err)
	}
	s := r.cur.Load()
	choose := func(tag string) error {
		return s.enroll.SetLanguage(t.Context(), s.accounts.ByAdministrator(id), tag, "root")
	}
	m := r.dial()
	m.expect(wire.Prompt, "コードを入力\nCode: ")
	if err := choose("de"); err != nil {
		t.Fatal(err)
	}
	first := code(t, cfg.Email.Outbox.Path, 1, `コード`)
	m.answer(first) // the conversation stands, and so does its code
	m.expect(wire.Done, "s")

	m = r.dial()
	m.expect(wire.Prompt, "Mit r bekommen Sie einen neuen.\nCode: ")
	m.answer(code(t, cfg.Email.Outbox.Path, 2, `Ihr Code`))
	m.expect(wire.Done, "s")

	if err := choose("tlh"); err == nil || !strings.Contains(err.Error(), "in these: en, de, ja.") {
		t.Errorf("a language that nobody speaks: %v", err)
	}
	if _, err := s.accounts.Lock(t.Context(), id, 0, "root"); err != nil {
		t.Fatal(err)
	}
	m = r.dial()
	m.expect(wire.Failure, "Ihr zweiter Faktor ist von einem Administrator gesperrt")
	m.expect(wire.Done, "")
	if _, err := s.accounts.Unlock(t.Context(), r.user, "root"); err != nil {
		t.Fatal(err)
	}
	edit := func(en *mfa.Enrollment) error { en.Language = "no language"; return nil }
	if err := r.records.UpdateEnrollment(t.Context(), r.user, edit); err != nil {
		t.Fatal(err)
	}
	m = r.dial()
	m.expect(wire.Prompt, "Type r for a new one.\nCode: ")
	if err := choose("default"); err != nil {
		t.Fatal(err)
	}
	m = r.dial()
	m.expect(wire.Prompt, "コードを入力\nCode: ")
}

// A language that nobody speaks is English: no login fails because of it.
func TestLoginInNoLanguage(t *testing.T) {
	cfg := goodConfig(shortDir(t))
	cfg.Prompt.Language = "tlh"
	r := run(t, cfg)
	m := r.dial()
	m.expect(wire.Prompt, "It is good for 10 minutes. Type r for a new one.\nCode: ")
	m.answer(code(t, r.cfg.Email.Outbox.Path, 1))
	m.expect(wire.Done, "s")
}

// wrong returns another code than the right one.
func wrong(right string) string {
	if right[0] == '9' {
		return "0" + right[1:]
	}
	return string(right[0]+1) + right[1:]
}
