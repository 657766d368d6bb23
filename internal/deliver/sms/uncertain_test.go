package sms

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"mfa/internal/deliver"
	"mfa/internal/deliver/delivertest"
	"mfa/internal/mfa"
)

// A request whose answer never came may have been taken; one that was refused,
// or never left, was not.
func TestTwilioUncertain(t *testing.T) {
	for _, c := range []struct {
		reply     delivertest.TwilioReply
		uncertain bool
	}{
		{delivertest.TwilioReply{Then: delivertest.TwilioReset}, true},
		{delivertest.TwilioReply{Then: delivertest.TwilioSlow}, true},
		{delivertest.TwilioReply{Status: 504, Body: "no answer from upstream"}, true},
		{delivertest.TwilioReply{Status: 503, Code: 20503}, false},
		{delivertest.TwilioReply{Status: 429, Code: 20429}, false},
		{delivertest.TwilioReply{Status: 400, Code: 21211}, false},
	} {
		srv := delivertest.NewTwilio(t, delivertest.TwilioOptions{}, c.reply)
		cfg := twilioTable(t, srv)
		if c.reply.Then == delivertest.TwilioSlow {
			cfg.Twilio.Timeout = mfa.Duration(100 * time.Millisecond)
		}
		err := newSMS(t, cfg, Options{}).Send(t.Context(), sms("123456"))
		if err == nil || errors.Is(err, deliver.ErrUncertain) != c.uncertain {
			t.Errorf("%+v: uncertain %v, want %v: %v", c.reply, !c.uncertain, c.uncertain, err)
		}
		if c.uncertain && errors.Is(err, deliver.ErrPermanent) {
			t.Errorf("%+v: final: %v", c.reply, err)
		}
	}
}

func TestHTTPGatewayUncertain(t *testing.T) {
	for status, uncertain := range map[int]bool{504: true, 503: false, 200: true} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if status == 200 {
				panic(http.ErrAbortHandler)
			}
			w.WriteHeader(status)
		}))
		s := newSMS(t, deliver.SMSConfig{Provider: deliver.ProviderHTTP, HTTP: deliver.HTTPConfig{
			URL: srv.URL + "/?to={{.To}}&text={{.Text}}", Timeout: mfa.Duration(20 * time.Second),
		}}, Options{})
		if err := s.Send(t.Context(), sms("123456")); err == nil || errors.Is(err, deliver.ErrUncertain) != uncertain {
			t.Errorf("%d: %v", status, err)
		}
		srv.Close()
	}
}

func TestSMSCommandUncertain(t *testing.T) {
	program := filepath.Join(t.TempDir(), "gateway")
	for script, uncertain := range map[string]bool{"exec sleep 60": true, "exit 75": false} {
		if err := os.WriteFile(program, []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		s := newSMS(t, deliver.SMSConfig{Provider: deliver.ProviderCommand, Command: deliver.SMSCommandConfig{
			Path: program, Timeout: mfa.Duration(200 * time.Millisecond),
		}}, Options{})
		if err := s.Send(t.Context(), sms("123456")); err == nil || errors.Is(err, deliver.ErrUncertain) != uncertain {
			t.Errorf("%s: %v", script, err)
		}
	}
}

func TestTwilioNeverTakesThree(t *testing.T) {
	reset := delivertest.TwilioReply{Then: delivertest.TwilioReset}
	s, srv := twilioReplies(t, reset, reset)
	err := deliver.Retry(s, time.Microsecond, time.Microsecond).Send(t.Context(), sms("123456"))
	if !errors.Is(err, deliver.ErrUncertain) || srv.Requests() != 2 {
		t.Errorf("%d requests: %v", srv.Requests(), err)
	}
}
