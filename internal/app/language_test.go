package app

import (
	"regexp"
	"testing"

	"mfa/internal/deliver/delivertest"
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
	m.expect(wire.Prompt, "Ein neuer Code wurde an m***e@example.com geschickt. Der\nvorige ist ungültig.\nCode: ")
	m.answer(wrong(found[1]))
	m.expect(wire.Prompt, "Noch 1 Versuch.\nCode: ")
	m.answer(wrong(found[1]))
	m.expect(wire.Failure, "Der Code ist nicht richtig. Diese Anmeldung endet hier.")
	m.expect(wire.Done, "")
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
