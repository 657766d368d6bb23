package smtp

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mfa/internal/deliver"
	"mfa/internal/deliver/delivertest"
	"mfa/internal/deliver/mail"
	"mfa/internal/mfa"
)

// eximConfig returns the table [email] for e, and writes its password file.
func eximConfig(t *testing.T, e *delivertest.Exim, mode, auth, username, password string) deliver.EmailConfig {
	t.Helper()
	cfg := smtpConfig(e.Host, e.Port)
	cfg.SMTP.TLS, cfg.SMTP.Auth, cfg.SMTP.CAFile = mode, auth, e.CAFile
	if mode == deliver.TLSImplicit {
		cfg.SMTP.Port = e.TLSPort
	}
	if username != "" {
		cfg.SMTP.Username = username
		cfg.SMTP.PasswordFile = filepath.Join(t.TempDir(), "password")
		if err := os.WriteFile(cfg.SMTP.PasswordFile, []byte(password+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cfg
}

func TestEximWithLogin(t *testing.T) {
	e := delivertest.StartExim(t, delivertest.EximOptions{Username: "mfa", Password: "s3cret-word"})
	cases := []struct{ tls, auth, want string }{
		{deliver.TLSNone, deliver.AuthPlain, "protocol=esmtpa auth=plain"}, // on loopback
		{deliver.TLSNone, deliver.AuthCRAMMD5, "protocol=esmtpa auth=cram"},
		{deliver.TLSStartTLS, deliver.AuthPlain, "protocol=esmtpsa auth=plain"},
		{deliver.TLSStartTLS, deliver.AuthLogin, "protocol=esmtpsa auth=login"},
		{deliver.TLSStartTLS, deliver.AuthCRAMMD5, "protocol=esmtpsa auth=cram"},
		{deliver.TLSOpportunistic, deliver.AuthAuto, "protocol=esmtpsa auth=cram"},
		{deliver.TLSImplicit, deliver.AuthAuto, "protocol=esmtpsa auth=cram"},
	}
	for i, c := range cases {
		t.Run(c.tls+" "+c.auth, func(t *testing.T) {
			s := newEmail(t, eximConfig(t, e, c.tls, c.auth, "mfa", "s3cret-word"))
			if err := s.Send(t.Context(), message("246810")); err != nil {
				t.Fatal(err)
			}
			mails := e.Mails(t, i+1)
			m := mails[len(mails)-1]
			if got := m.Header.Get("X-Exim"); got != c.want {
				t.Errorf("X-Exim: %q, want %q", got, c.want)
			}
			if !strings.HasPrefix(m.Text, "Your code: 246810\n") {
				t.Errorf("text is %q", m.Text)
			}
			if got := m.Header.Get("Return-Path"); got != "<mfa@web1.example.com>" {
				t.Errorf("Return-Path: %q", got)
			}
		})
	}
	t.Run("wrong password", func(t *testing.T) {
		for _, auth := range []string{deliver.AuthPlain, deliver.AuthLogin, deliver.AuthCRAMMD5} {
			s := newEmail(t, eximConfig(t, e, deliver.TLSStartTLS, auth, "mfa", "an0ther-word"))
			delivertest.WantPermanent(t, s.Send(t.Context(), message("1")), ": login: 535 ")
		}
	})
	t.Run("no login", func(t *testing.T) {
		s := newEmail(t, eximConfig(t, e, deliver.TLSStartTLS, deliver.AuthAuto, "", ""))
		delivertest.WantPermanent(t, s.Send(t.Context(), message("1")),
			": recipient a***e@example.com: 550 authentication required")
	})
	t.Run("unknown authority", func(t *testing.T) {
		cfg := eximConfig(t, e, deliver.TLSStartTLS, deliver.AuthPlain, "mfa", "s3cret-word")
		cfg.SMTP.CAFile = ""
		delivertest.WantPermanent(t, newEmail(t, cfg).Send(t.Context(), message("1")),
			"tls: certificate of 127.0.0.1 is not accepted:", "email.smtp.ca_file")
	})
}

func TestEximWithoutLogin(t *testing.T) {
	e := delivertest.StartExim(t, delivertest.EximOptions{NoTLS: true})
	s := newEmail(t, eximConfig(t, e, deliver.TLSOpportunistic, deliver.AuthAuto, "", ""))
	if err := s.Send(t.Context(), message("135790")); err != nil {
		t.Fatal(err)
	}
	if got := e.Mails(t, 1)[0].Header.Get("X-Exim"); got != "protocol=esmtp auth=" {
		t.Errorf("X-Exim: %q", got)
	}

	m := message("1")
	m.To = "unknown@example.com"
	delivertest.WantPermanent(t, s.Send(t.Context(), m), "u***n@example.com: 550 no such person: u***n@example.com")

	m.To = "busy@example.com"
	err := s.Send(t.Context(), m)
	if err == nil || errors.Is(err, deliver.ErrPermanent) || !strings.Contains(err.Error(), "451 try again later") {
		t.Errorf("busy: %v, want a temporary 451", err)
	}

	// After refusals the same connection carries on.
	if err := s.Send(t.Context(), message("135791")); err != nil {
		t.Fatal(err)
	}
	if mails := e.Mails(t, 2); len(mails) != 2 {
		t.Errorf("%d mails, want 2", len(mails))
	}
}

func TestEximSendmail(t *testing.T) {
	e := delivertest.StartExim(t, delivertest.EximOptions{NoTLS: true})
	s := newEmail(t, deliver.EmailConfig{
		Transport: deliver.TransportSendmail, From: "Login <mfa@web1.example.com>",
		Sendmail: deliver.SendmailConfig{Path: e.Sendmail},
	})
	if err := s.Send(t.Context(), message("112358")); err != nil {
		t.Fatal(err)
	}
	m := e.Mails(t, 1)[0]
	if !strings.HasPrefix(m.Text, "Your code: 112358\n") {
		t.Errorf("text is %q", m.Text)
	}
	for name, want := range map[string]string{
		"Return-Path": "<mfa@web1.example.com>", "Envelope-To": "alice@example.com",
		"From": `"Login" <mfa@web1.example.com>`, "To": "<alice@example.com>",
	} {
		if got := m.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// message returns what a login sends.
func message(code string) mfa.Message {
	w, _ := mail.New(deliver.EmailConfig{HTML: true}) // without templates nothing can fail
	return w.Code("m-"+code, deliver.CodeNotice{
		Code: code, Host: "web1.example.com", User: "alice", Service: "sshd",
		Address: "203.0.113.7", Sent: testTime, Lifetime: testLifetime, To: "alice@example.com",
	})
}

func newEmail(t *testing.T, cfg deliver.EmailConfig) *Email {
	t.Helper()
	e, err := New(cfg, Options{Host: "web1.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}
