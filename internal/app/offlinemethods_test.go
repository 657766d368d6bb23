package app

import (
	"context"
	"strings"
	"testing"
	"time"

	"mfa/internal/config"
	"mfa/internal/deliver/delivertest"
	"mfa/internal/factor/otp"
	"mfa/internal/host/nss"
	"mfa/internal/mfa"
)

// A user who has more ways of proof has their app and backup codes without etcd: no code is sent
// then, and no token's code is taken, as other hosts may have seen it.
func TestOfflineMethods(t *testing.T) {
	f := newOfflineFleet(t, 1, func(c *config.Config) { c.Policy.Methods = []mfa.Method{mfa.TOTP, mfa.HOTP, mfa.Email, mfa.Backup} })
	a := f.hosts[0]
	id, err := nss.Lookup(t.Context(), f.user)
	if err != nil {
		t.Fatal(err)
	}
	token := otp.NewSecret("SHA1")
	err = a.records.UpdateEnrollment(t.Context(), f.user, func(en *mfa.Enrollment) error {
		en.Preferred = mfa.Email
		en.Email = &mfa.Address{Address: "somebody@example.com", Confirmed: f.at}
		en.HOTP = &mfa.HOTPSecret{Secret: a.accounts().SealHOTP(id, token), Algorithm: "SHA1", Digits: 6, Confirmed: f.at}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	shown := func(count int64) string {
		code, err := otp.Code(token, count, appParams)
		if err != nil {
			t.Fatal(err)
		}
		return code
	}
	login := func(choose, answer string) (v mfa.Verdict, heard string) {
		p := &chooser{choose: choose, answer: answer}
		v, _ = a.cur.Load().engine.Login(t.Context(), mfa.Request{Service: "su", User: f.user}, p)
		return v, p.heard.String()
	}
	if v, heard := login("oken", shown(0)); v.Outcome != mfa.Accepted {
		t.Fatalf("a token, online: %+v\n%s", v, heard)
	}
	sent := len(delivertest.WaitMaildir(t, a.cur.Load().cfg.Email.Outbox.Path, 1))
	awaitKept(t, a, 1)
	f.cut(t, a)
	f.pass(2 * time.Minute)
	if v, heard := login("oken", shown(1)); v.Outcome == mfa.Accepted || strings.Contains(heard, "oken") || strings.Contains(heard, "mail") {
		t.Errorf("a token, offline: %+v\n%s", v, heard)
	}
	if v, heard := login("mail", "123456"); v.Outcome == mfa.Accepted {
		t.Errorf("by mail, offline: %+v\n%s", v, heard)
	}
	if v, heard := login("app", f.app(t, 0)); v.Outcome != mfa.Accepted {
		t.Errorf("the app, offline: %+v\n%s", v, heard)
	}
	if now := len(delivertest.WaitMaildir(t, a.cur.Load().cfg.Email.Outbox.Path, 1)); now != sent {
		t.Errorf("%d mails were sent offline", now-sent)
	}
	f.mend(t, a)
	if v, heard := login("oken", shown(1)); v.Outcome != mfa.Accepted {
		t.Errorf("the token, online again: %+v\n%s", v, heard)
	}
}

// A chooser asks for one method in a menu, and answers one question for a code.
type chooser struct {
	choose, answer string
	chosen         bool
	heard          strings.Builder
}

// Prompt implements mfa.Prompter.
func (c *chooser) Prompt(_ context.Context, p mfa.Prompt) (string, error) {
	c.heard.WriteString(p.Text + "\n")
	switch {
	case p.Kind != mfa.Ask && p.Kind != mfa.AskHidden:
		return "", nil
	case strings.Contains(p.Text, "Choice ["):
		for line := range strings.Lines(p.Text) {
			if number, what, ok := strings.Cut(strings.TrimSpace(line), "  "); ok && strings.Contains(what, c.choose) {
				c.chosen = true
				return number, nil
			}
		}
		return "", mfa.ErrNoConversation
	case !c.chosen && strings.Contains(p.Text, "m = other method"):
		return "m", nil
	case c.answer != "":
		answer := c.answer
		c.answer = ""
		return answer, nil
	}
	return "", mfa.ErrNoConversation
}
