package sms

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mfa/internal/deliver"
	"mfa/internal/deliver/delivertest"
	"mfa/internal/mfa"
)

// sms returns a message with a code, as a login sends it.
func sms(code string) mfa.Message {
	return mfa.Message{ID: "id1", Carrier: mfa.SMS, To: "+14155552671", Text: code + " is your login code for web1."}
}

func newSMS(t *testing.T, cfg deliver.SMSConfig, opts Options) *SMS {
	t.Helper()
	s, err := New(cfg, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// blame says who can mend an error: "later", "number", "config" or a mix.
func blame(err error) string {
	var who []string
	if errors.Is(err, deliver.ErrNumber) {
		who = append(who, "number")
	}
	if errors.Is(err, deliver.ErrConfig) {
		who = append(who, "config")
	}
	switch {
	case !errors.Is(err, deliver.ErrPermanent):
		who = append(who, "later")
	case len(who) == 0:
		who = append(who, "final")
	}
	return strings.Join(who, "+")
}

func TestSMSClose(t *testing.T) {
	s, _ := twilioReplies(t)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Send(t.Context(), sms("123456")); !errors.Is(err, deliver.ErrClosed) || !errors.Is(err, deliver.ErrPermanent) {
		t.Errorf("error is %v", err)
	}
}

// A slowGateway takes a message when it is told to.
type slowGateway struct{ proceed chan struct{} }

func (g slowGateway) text(context.Context, mfa.Message) (string, error) {
	<-g.proceed
	return "", nil
}

func (g slowGateway) close() {}

func TestSMSCloseWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := slowGateway{make(chan struct{})}
		s := &SMS{way: g}
		sent, closed := make(chan error, 1), make(chan error, 1)
		go func() { sent <- s.Send(t.Context(), sms("123456")) }()
		synctest.Wait()
		go func() { closed <- s.Close() }()
		synctest.Wait()
		if len(closed) != 0 {
			t.Error("closed before the message was sent")
		}
		close(g.proceed)
		synctest.Wait()
		if err := <-sent; err != nil || len(closed) != 1 {
			t.Errorf("%v, closed %d times", err, len(closed))
		}
	})
}

func TestSMSRefusesMessages(t *testing.T) {
	s, _ := twilioReplies(t)
	m := sms("123456")
	m.Carrier = mfa.Email
	delivertest.WantPermanent(t, s.Send(t.Context(), m), `nothing of [sms] carries "email"`)
	for _, to := range []string{"", "4155552671", "+", "+1415-555", "+1234567890123456", "+1&From=2", "+12345", "+07891234567", "alice@example.com"} {
		m := sms("123456")
		m.To = to
		delivertest.WantPermanent(t, s.Send(t.Context(), m), "is not a number like +17891234567")
	}
}

// TestNewSMSNamesTheKey changes one value of a good table at a time.
func TestNewSMSNamesTheKey(t *testing.T) {
	token := delivertest.PasswordFile(t, "token")
	for _, tc := range []struct {
		want   string
		change func(*deliver.SMSConfig)
	}{
		{"", func(*deliver.SMSConfig) {}},
		{"", func(c *deliver.SMSConfig) { c.Twilio.BaseURL = "http://localhost:8080/twilio" }},
		{"", func(c *deliver.SMSConfig) { c.Regions = []string{"US", "DE"} }},
		{`sms.provider: "pigeon" is none of "twilio"`, func(c *deliver.SMSConfig) { c.Provider = "pigeon" }},
		{`sms.provider: "" `, func(c *deliver.SMSConfig) { c.Provider = "" }},
		{"sms.regions: ", func(c *deliver.SMSConfig) { c.Regions = []string{"us"} }},
		{"sms.template: ", func(c *deliver.SMSConfig) { c.Template = "no code" }},
		{"sms.autofill_domain: ", func(c *deliver.SMSConfig) { c.AutofillDomain = "x" }},
		{"sms.twilio.account_sid: is empty", func(c *deliver.SMSConfig) { c.Twilio.AccountSID = "" }},
		{`sms.twilio.account_sid: "XX1" `, func(c *deliver.SMSConfig) { c.Twilio.AccountSID = "XX1" }},
		{`sms.twilio.account_sid: "AC1/../x" `, func(c *deliver.SMSConfig) { c.Twilio.AccountSID = "AC1/../x" }},
		{"sms.twilio.auth_token_file: is empty", func(c *deliver.SMSConfig) { c.Twilio.AuthTokenFile = "" }},
		{"sms.twilio.auth_token_file: is set and so is an API key", func(c *deliver.SMSConfig) { c.Twilio.APIKey = "SK1" }},
		{"sms.twilio.auth_token_file: read ", func(c *deliver.SMSConfig) { c.Twilio.AuthTokenFile += "x" }},
		{"sms.twilio.auth_token_file: ", func(c *deliver.SMSConfig) { c.Twilio.AuthTokenFile = delivertest.PasswordFile(t, "two\nlines") }},
		{"sms.twilio.api_secret_file: is empty", func(c *deliver.SMSConfig) { c.Twilio.APIKey, c.Twilio.AuthTokenFile = "SK1", "" }},
		{"sms.twilio.api_key: ", func(c *deliver.SMSConfig) { c.Twilio.APIKey, c.Twilio.AuthTokenFile = "AC1", "" }},
		{"sms.twilio.from: is empty", func(c *deliver.SMSConfig) { c.Twilio.From = "" }},
		{"sms.twilio.from: is set and so is", func(c *deliver.SMSConfig) { c.Twilio.MessagingServiceSID = "MG1" }},
		{"sms.twilio.messaging_service_sid: ", func(c *deliver.SMSConfig) { c.Twilio.From, c.Twilio.MessagingServiceSID = "", "SM1" }},
		{"sms.twilio.region: ", func(c *deliver.SMSConfig) { c.Twilio.Region = "ie1.evil.com/" }},
		{"sms.twilio.edge: ", func(c *deliver.SMSConfig) { c.Twilio.Edge = "a.b" }},
		{"sms.twilio.timeout: ", func(c *deliver.SMSConfig) { c.Twilio.Timeout = 0 }},
		{"sms.twilio.base_url: ", func(c *deliver.SMSConfig) { c.Twilio.BaseURL = "api.twilio.com" }},
		{"sms.twilio.base_url: ", func(c *deliver.SMSConfig) { c.Twilio.BaseURL = "https://user:pw@api.twilio.com" }},
		{"sms.twilio.base_url: ", func(c *deliver.SMSConfig) { c.Twilio.BaseURL = "http://api.twilio.com" }},
		{"sms.twilio.base_url: is set and so is", func(c *deliver.SMSConfig) { c.Twilio.BaseURL, c.Twilio.Edge = "https://x.test", "dublin" }},
	} {
		cfg := deliver.SMSConfig{Provider: deliver.ProviderTwilio, Twilio: deliver.TwilioConfig{
			AccountSID: "AC1", AuthTokenFile: token, From: "+15005550006", Timeout: mfa.Duration(time.Second),
		}}
		tc.change(&cfg)
		s, err := New(cfg, Options{})
		if tc.want == "" {
			if err != nil {
				t.Error(err)
			}
			continue
		}
		if err == nil || !strings.HasPrefix(err.Error(), tc.want) || s != nil {
			t.Errorf("error is %v, want %q", err, tc.want)
		}
	}
}

func TestNewSMSWarnsOfOpenSecrets(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte("token\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(path)
	if err := errors.Join(os.Chmod(path, 0o644), os.Chmod(dir, 0o755), os.Chmod(filepath.Dir(dir), 0o755)); err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	cfg := deliver.SMSConfig{Provider: deliver.ProviderTwilio, Twilio: deliver.TwilioConfig{
		AccountSID: "AC1", AuthTokenFile: path, From: "+15005550006", Timeout: mfa.Duration(time.Second),
	}}
	if _, err := New(cfg, Options{Log: slog.New(slog.NewTextHandler(&log, nil))}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "sms.twilio.auth_token_file can be read by every user") {
		t.Errorf("log is %q", log.String())
	}
}
