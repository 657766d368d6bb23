package smtp

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mfa/internal/deliver"
	"mfa/internal/deliver/delivertest"
)

// TestNewEmailNamesTheKey changes one value of a good table at a time.
func TestNewEmailNamesTheKey(t *testing.T) {
	dir := t.TempDir()
	file := func(name, data string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	password := file("password", "word\n")
	cases := []struct {
		want   string
		change func(*deliver.EmailConfig)
	}{
		{"", func(*deliver.EmailConfig) {}},
		{"", func(c *deliver.EmailConfig) { c.From = "" }},
		{"", func(c *deliver.EmailConfig) { c.SMTP.Username, c.SMTP.PasswordFile = "mfa", password }},
		{`email.transport: "pigeon" is none of "smtp"`, func(c *deliver.EmailConfig) { c.Transport = "pigeon" }},
		{`email.from: "nobody" is not an address`, func(c *deliver.EmailConfig) { c.From = "nobody" }},
		{`email.reply_to: "nobody" is not an address`, func(c *deliver.EmailConfig) { c.ReplyTo = "nobody" }},
		{`email.reply_to: "hélp@exämple.com" is not an address`, func(c *deliver.EmailConfig) { c.ReplyTo = "hélp@exämple.com" }},
		{"email.smtp.host: ", func(c *deliver.EmailConfig) { c.SMTP.Host = "" }},
		{"email.smtp.port: 0 ", func(c *deliver.EmailConfig) { c.SMTP.Port = 0 }},
		{"email.smtp.port: 65536 ", func(c *deliver.EmailConfig) { c.SMTP.Port = 65536 }},
		{`email.smtp.timeout: "0s" `, func(c *deliver.EmailConfig) { c.SMTP.Timeout = 0 }},
		{`email.smtp.tls: "ssl" `, func(c *deliver.EmailConfig) { c.SMTP.TLS = "ssl" }},
		{`email.smtp.auth: "ntlm" `, func(c *deliver.EmailConfig) { c.SMTP.Auth = "ntlm" }},
		{"email.smtp.ca_file: read ", func(c *deliver.EmailConfig) { c.SMTP.CAFile = dir + "/none" }},
		{"email.smtp.ca_file: ", func(c *deliver.EmailConfig) { c.SMTP.CAFile = password }},
		{"email.smtp.username: ", func(c *deliver.EmailConfig) { c.SMTP.Auth = deliver.AuthPlain }},
		{"email.smtp.username: ", func(c *deliver.EmailConfig) { c.SMTP.PasswordFile = password }},
		{"email.smtp.password_file: ", func(c *deliver.EmailConfig) { c.SMTP.Username = "mfa" }},
		{`email.smtp.password_file: read "` + dir + `/none": no such file`, func(c *deliver.EmailConfig) {
			c.SMTP.Username, c.SMTP.PasswordFile = "mfa", dir+"/none"
		}},
		{"email.smtp.password_file: ", func(c *deliver.EmailConfig) {
			c.SMTP.Username, c.SMTP.PasswordFile = "mfa", file("empty", "\n")
		}},
		{"email.smtp.password_file: ", func(c *deliver.EmailConfig) {
			c.SMTP.Username, c.SMTP.PasswordFile = "mfa", file("two", "one\ntwo\n")
		}},
		{"email.smtp.auth: ", func(c *deliver.EmailConfig) {
			c.SMTP.Auth, c.SMTP.Username, c.SMTP.PasswordFile = deliver.AuthNone, "mfa", password
		}},
		{`email.smtp.auth: "plain" would send the password unencrypted`, func(c *deliver.EmailConfig) {
			c.SMTP.Auth, c.SMTP.Username, c.SMTP.PasswordFile = deliver.AuthPlain, "mfa", password
		}},
		{"email.sendmail.path: ", func(c *deliver.EmailConfig) { c.Transport, c.Sendmail.Path = deliver.TransportSendmail, "sendmail" }},
		{"email.outbox.path: ", func(c *deliver.EmailConfig) { c.Transport = deliver.TransportOutbox }},
	}
	for _, c := range cases {
		cfg := smtpConfig("relay.example.com", 25)
		c.change(&cfg)
		_, err := New(cfg, Options{Host: "web1.example.com"})
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%+v: %v", cfg, err)
		case c.want != "" && (err == nil || !strings.HasPrefix(err.Error(), c.want)):
			t.Errorf("error is %v, want %q", err, c.want)
		}
	}
}

func TestNewEmailHost(t *testing.T) {
	for host, want := range map[string]string{
		"web1.example.com": "web1.example.com", "": "localhost", "a b": "localhost", "x\r\nQUIT": "localhost", ".": "localhost",
	} {
		cfg := smtpConfig("relay.example.com", 25)
		cfg.From = ""
		e, err := New(cfg, Options{Host: host})
		if err != nil {
			t.Errorf("host %q: %v", host, err)
			continue
		}
		if e.host != want || e.from.Address != "mfa@"+want {
			t.Errorf("host %q became %q, sender %q", host, e.host, e.from.Address)
		}
	}
}

func TestNewEmailWarnsOfOpenPassword(t *testing.T) {
	cfg := smtpConfig("relay.example.com", 25)
	cfg.SMTP.Username, cfg.SMTP.PasswordFile = "mfa", delivertest.PasswordFile(t, "s3cret-word")
	var log bytes.Buffer
	opts := Options{Log: slog.New(slog.NewTextHandler(&log, nil)), Now: time.Now}
	if _, err := New(cfg, opts); err != nil || log.Len() != 0 {
		t.Fatalf("private file: %v, log %q", err, log.String())
	}
	dir := filepath.Dir(cfg.SMTP.PasswordFile)
	if err := errors.Join(os.Chmod(cfg.SMTP.PasswordFile, 0o644), os.Chmod(dir, 0o755), os.Chmod(filepath.Dir(dir), 0o755)); err != nil {
		t.Fatal(err)
	}
	if _, err := New(cfg, opts); err != nil {
		t.Fatal(err)
	}
	if s := log.String(); !strings.Contains(s, "email.smtp.password_file") || strings.Contains(s, "s3cret-word") {
		t.Errorf("log is %q", s)
	}
}

func TestReadPasswordKeepsSpaces(t *testing.T) {
	for data, want := range map[string]string{" a b \n": " a b ", "ab\r\n": "ab", "ab": "ab"} {
		cfg := deliver.SMTPConfig{PasswordFile: filepath.Join(t.TempDir(), "password")}
		if err := os.WriteFile(cfg.PasswordFile, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := readPassword(cfg, slog.New(slog.DiscardHandler))
		if err != nil || got != want {
			t.Errorf("file %q: %q, %v", data, got, err)
		}
	}
}
