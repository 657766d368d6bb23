package sms

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"

	"mfa/internal/deliver"
	"mfa/internal/deliver/delivertest"
	"mfa/internal/mfa"
)

func twilioTable(t *testing.T, srv *delivertest.Twilio) deliver.SMSConfig {
	t.Helper()
	return deliver.SMSConfig{Provider: deliver.ProviderTwilio, Twilio: deliver.TwilioConfig{
		AccountSID: srv.AccountSID, AuthTokenFile: delivertest.PasswordFile(t, srv.Password),
		From: "+15005550006", BaseURL: srv.URL, Timeout: mfa.Duration(20 * time.Second),
	}}
}

// twilioReplies returns an SMS that speaks to a Twilio with this script.
func twilioReplies(t *testing.T, replies ...delivertest.TwilioReply) (*SMS, *delivertest.Twilio) {
	t.Helper()
	srv := delivertest.NewTwilio(t, delivertest.TwilioOptions{}, replies...)
	return newSMS(t, twilioTable(t, srv), Options{}), srv
}

func TestTwilioSends(t *testing.T) {
	for name, tc := range map[string]struct {
		opts   delivertest.TwilioOptions
		change func(*deliver.TwilioConfig)
		want   delivertest.Text
	}{
		"token and number": {
			change: func(*deliver.TwilioConfig) {},
			want:   delivertest.Text{From: "+15005550006"},
		},
		"key and service": {
			opts: delivertest.TwilioOptions{User: "SK1", Password: "secret of the key"},
			change: func(c *deliver.TwilioConfig) {
				c.APIKey, c.APISecretFile, c.AuthTokenFile = "SK1", c.AuthTokenFile, ""
				c.From, c.MessagingServiceSID = "", "MG1"
			},
			want: delivertest.Text{MessagingServiceSID: "MG1"},
		},
		"below a path": {
			change: func(c *deliver.TwilioConfig) { c.BaseURL += "/" },
			want:   delivertest.Text{From: "+15005550006"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			srv := delivertest.NewTwilio(t, tc.opts, delivertest.TwilioReply{})
			cfg := twilioTable(t, srv)
			tc.change(&cfg.Twilio)
			var receipt string
			s := newSMS(t, cfg, Options{})
			m := sms("123456")
			m.Text += " 100% & more=£5;\n\n@example.com #123456"
			if err := s.Send(deliver.WithReceipt(t.Context(), &receipt), m); err != nil {
				t.Fatal(err)
			}
			tc.want.To, tc.want.Body, tc.want.SID = m.To, m.Text, "SM00000000000000000000000000000001"
			if got := srv.Texts(); len(got) != 1 || got[0] != tc.want {
				t.Errorf("twilio got %+v, want %+v", got, tc.want)
			}
			if receipt != tc.want.SID {
				t.Errorf("receipt %q, want %q", receipt, tc.want.SID)
			}
		})
	}
}

func TestTwilioRefusals(t *testing.T) {
	for _, tc := range []struct {
		reply delivertest.TwilioReply
		blame string
		says  string
	}{
		{delivertest.TwilioReply{Status: 400, Code: 21211, Message: "Invalid 'To' Phone Number: +14155552671"}, "number", "twilio: error 21211: Invalid 'To' Phone Number: +1*******71"},
		{delivertest.TwilioReply{Status: 400, Code: 21614, Message: "'To' number is not a valid mobile number"}, "number", "21614"},
		{delivertest.TwilioReply{Status: 400, Code: 21610, Message: "Attempt to send to unsubscribed recipient"}, "number", "21610"},
		{delivertest.TwilioReply{Status: 400, Code: 21408, Message: "Permission to send an SMS has not been enabled"}, "number+config", "geo permissions"},
		{delivertest.TwilioReply{Status: 401, Code: 20003, Message: "Authenticate"}, "config", "sms.twilio.account_sid"},
		{delivertest.TwilioReply{Status: 404, Code: 20404, Message: "The requested resource was not found"}, "config", "20404"},
		{delivertest.TwilioReply{Status: 400, Code: 21212, Message: "Invalid From"}, "config", "check sms.twilio.from"},
		{delivertest.TwilioReply{Status: 429, Code: 63038, Message: "Account exceeded the 50 daily messages limit"}, "config", "daily limit"},
		{delivertest.TwilioReply{Status: 400, Code: 29999, Message: "Something new"}, "config", "error 29999: Something new"},
		{delivertest.TwilioReply{Status: 429, Code: 20429, Message: "Too Many Requests"}, "later", "20429"},
		{delivertest.TwilioReply{Status: 429, Code: 29999, Message: "Too Many Requests"}, "later", "29999"},
		{delivertest.TwilioReply{Status: 400, Code: 21611, Message: "Queue is full"}, "later", "21611"},
		{delivertest.TwilioReply{Status: 500, Code: 20500, Message: "Internal Server Error"}, "later", "20500"},
		{delivertest.TwilioReply{Status: 503, Body: "<h1>busy\x1b[1m</h1>"}, "later", "answered 503: <h1>busy?[1m</h1>"},
		{delivertest.TwilioReply{Status: 403, Body: "by the firewall"}, "config", "answered 403: by the firewall"},
		{delivertest.TwilioReply{Status: 302, Body: "elsewhere", Header: http.Header{"Location": {"http://127.0.0.1:1/"}}}, "config", "check sms.twilio.base_url"},
		{delivertest.TwilioReply{Status: 200, Body: "a page"}, "config", "check sms.twilio.base_url"},
		{delivertest.TwilioReply{Then: delivertest.TwilioReset}, "later", "reset"},
		{delivertest.TwilioReply{Status: 400, Code: 21617, Message: "too long: 123456 is your login code, token"}, "config", "too long: [hidden] is your login code, [hidden]"},
	} {
		t.Run(fmt.Sprint(tc.reply.Status, tc.reply.Code), func(t *testing.T) {
			s, srv := twilioReplies(t, tc.reply)
			err := s.Send(t.Context(), sms("123456"))
			if got := blame(err); got != tc.blame {
				t.Errorf("it is for %q to mend, want %q: %v", got, tc.blame, err)
			}
			delivertest.WantSays(t, err, "twilio: ", tc.says)
			for _, secret := range []string{"123456", "4155552671"} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("error holds %q: %v", secret, err)
				}
			}
			if len(srv.Texts()) != 0 {
				t.Error("twilio took it all the same")
			}
		})
	}
}

// Every code in the tables is told as its table says, and no person reads a code.
func TestTwilioTables(t *testing.T) {
	for code, said := range twilioNumber {
		reason := said.String()
		s, _ := twilioReplies(t, delivertest.TwilioReply{Status: 400, Code: code})
		err := s.Send(t.Context(), sms("123456"))
		if !errors.Is(err, deliver.ErrNumber) || !errors.Is(err, deliver.ErrPermanent) || deliver.NumberReason(err).String() != reason {
			t.Errorf("%d: %v, reason %q", code, err, deliver.NumberReason(err))
		}
		if strings.ContainsFunc(reason, unicode.IsDigit) || !strings.HasSuffix(reason, ".") {
			t.Errorf("%d: %q is no sentence for a person", code, reason)
		}
		delivertest.WantSays(t, err, fmt.Sprint(code))
	}
	for code := range twilioConfig {
		s, _ := twilioReplies(t, delivertest.TwilioReply{Status: 503, Code: code})
		if err := s.Send(t.Context(), sms("123456")); !errors.Is(err, deliver.ErrConfig) || !errors.Is(err, deliver.ErrPermanent) {
			t.Errorf("%d: %v", code, err)
		}
	}
	for code := range twilioBusy {
		s, _ := twilioReplies(t, delivertest.TwilioReply{Status: 400, Code: code})
		if err := s.Send(t.Context(), sms("123456")); blame(err) != "later" {
			t.Errorf("%d: %v", code, err)
		}
	}
	if !deliver.NumberReason(errors.New("other")).IsZero() || deliver.NumberReason(deliver.Permanent(deliver.ErrNumber)).IsZero() {
		t.Error("the reason does not follow ErrNumber")
	}
}

func TestTwilioWrongToken(t *testing.T) {
	srv := delivertest.NewTwilio(t, delivertest.TwilioOptions{}, delivertest.TwilioReply{})
	cfg := twilioTable(t, srv)
	cfg.Twilio.AuthTokenFile = delivertest.PasswordFile(t, "another")
	err := newSMS(t, cfg, Options{}).Send(t.Context(), sms("123456"))
	if blame(err) != "config" {
		t.Error(err)
	}
	delivertest.WantSays(t, err, "error 20003: Authenticate")
}

func TestTwilioSaysWhenToComeBack(t *testing.T) {
	now := time.Date(2026, 3, 1, 14, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"7": 7 * time.Second, "0": 0, "Sun, 01 Mar 2026 14:00:30 GMT": 30 * time.Second,
		"Sun, 01 Mar 2026 13:00:00 GMT": 0, "": -1, "soon": -1, "-1": -1, "99999999999999": -1,
	} {
		for _, code := range []int{20429, 0} {
			srv := delivertest.NewTwilio(t, delivertest.TwilioOptions{}, delivertest.TwilioReply{
				Status: 429, Code: code, Header: http.Header{"Retry-After": {value}},
			})
			s := newSMS(t, twilioTable(t, srv), Options{Now: func() time.Time { return now }})
			err := s.Send(t.Context(), sms("123456"))
			if blame(err) != "later" {
				t.Errorf("%q: %v", value, err)
			}
			got := time.Duration(-1)
			var busy interface{ RetryAfter() time.Duration }
			if errors.As(err, &busy) {
				got = busy.RetryAfter()
			}
			if got != want {
				t.Errorf("%q: wait %v, want %v", value, got, want)
			}
		}
	}
}

func TestTwilioTemporaryThenSent(t *testing.T) {
	s, srv := twilioReplies(t,
		delivertest.TwilioReply{Status: 503, Code: 20503},
		delivertest.TwilioReply{Then: delivertest.TwilioReset},
		delivertest.TwilioReply{})
	if err := deliver.Retry(s, time.Microsecond, time.Microsecond).Send(t.Context(), sms("123456")); err != nil {
		t.Fatal(err)
	}
	if n := len(srv.Texts()); n != 1 {
		t.Errorf("%d messages", n)
	}
}

// An answer that is lost on its way back costs the receipt, not a second message.
func TestTwilioAnswerCutOff(t *testing.T) {
	s, srv := twilioReplies(t, delivertest.TwilioReply{Then: delivertest.TwilioCut})
	if err := s.Send(t.Context(), sms("123456")); err != nil || len(srv.Texts()) != 1 {
		t.Errorf("%v, %d messages", err, len(srv.Texts()))
	}
}

func TestTwilioMadeButFailed(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusCreated)
		fmt.Fprint(w, `{"sid":"SM1","status":"failed","error_code":30006,"error_message":"Landline"}`)
	}))
	defer srv.Close()
	cfg := deliver.SMSConfig{Provider: deliver.ProviderTwilio, Twilio: deliver.TwilioConfig{
		AccountSID: "AC1", AuthTokenFile: delivertest.PasswordFile(t, "token"), From: "Login", BaseURL: srv.URL, Timeout: mfa.Duration(time.Minute),
	}}
	err := newSMS(t, cfg, Options{}).Send(t.Context(), sms("123456"))
	if blame(err) != "number" {
		t.Error(err)
	}
	delivertest.WantSays(t, err, "twilio: error 30006: Landline")
}

func TestTwilioSlow(t *testing.T) {
	srv := delivertest.NewTwilio(t, delivertest.TwilioOptions{}, delivertest.TwilioReply{Then: delivertest.TwilioSlow})
	cfg := twilioTable(t, srv)
	cfg.Twilio.Timeout = mfa.Duration(50 * time.Millisecond)
	err := newSMS(t, cfg, Options{}).Send(t.Context(), sms("123456"))
	delivertest.WantTemporary(t, err, "twilio: no answer within 50ms")
}

func TestTwilioClientGone(t *testing.T) {
	gone := errors.New("the client has gone")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(gone)
	s, _ := twilioReplies(t)
	if err := s.Send(ctx, sms("123456")); !errors.Is(err, gone) {
		t.Errorf("error is %v, want the context's cause", err)
	}
}

func TestTwilioNobodyThere(t *testing.T) {
	srv := httptest.NewServer(nil)
	srv.Close()
	cfg := deliver.SMSConfig{Provider: deliver.ProviderTwilio, Twilio: deliver.TwilioConfig{
		AccountSID: "AC1", AuthTokenFile: delivertest.PasswordFile(t, "token"), From: "+15005550006", BaseURL: srv.URL, Timeout: mfa.Duration(time.Minute),
	}}
	delivertest.WantTemporary(t, newSMS(t, cfg, Options{}).Send(t.Context(), sms("123456")), "twilio: ", "connection refused")
}

func TestTwilioReusesConnections(t *testing.T) {
	s, srv := twilioReplies(t, slices.Repeat([]delivertest.TwilioReply{{}, {Status: 429, Code: 20429}}, 5)...)
	for i := range 10 {
		if err := s.Send(t.Context(), sms("123456")); (err == nil) != (i%2 == 0) {
			t.Fatal(err)
		}
	}
	if n := srv.Connections(); n != 1 {
		t.Errorf("%d connections for ten messages", n)
	}
}

func TestTwilioBoundsConnections(t *testing.T) {
	srv := delivertest.NewTwilio(t, delivertest.TwilioOptions{Open: true})
	s := newSMS(t, twilioTable(t, srv), Options{})
	var sending sync.WaitGroup
	for range 100 {
		sending.Go(func() {
			if err := s.Send(t.Context(), sms("123456")); err != nil {
				t.Error(err)
			}
		})
	}
	sending.Wait()
	// One that was opened while another became free is closed unused, and another opened.
	if n := srv.Connections(); n > 2*maxGatewayConns || len(srv.Texts()) != 100 {
		t.Errorf("%d connections, %d messages", n, len(srv.Texts()))
	}
}

// Without base_url the library builds the address from region and edge.
func TestTwilioRegionAndEdge(t *testing.T) {
	t.Setenv("TWILIO_REGION", "leaks")
	t.Setenv("TWILIO_EDGE", "leaks")
	for _, tc := range []struct{ region, edge, host string }{
		{"", "", "api.twilio.com"},
		{"ie1", "", "api.ie1.twilio.com"},
		{"ie1", "dublin", "api.dublin.ie1.twilio.com"},
		{"", "sao-paulo", "api.sao-paulo.us1.twilio.com"},
	} {
		s := newSMS(t, deliver.SMSConfig{Provider: deliver.ProviderTwilio, Twilio: deliver.TwilioConfig{
			AccountSID: "AC1", AuthTokenFile: delivertest.PasswordFile(t, "token"), From: "+15005550006",
			Region: tc.region, Edge: tc.edge, Timeout: mfa.Duration(time.Minute),
		}}, Options{})
		var asked string
		s.way.(*twilio).http.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
			asked = r.URL.String()
			return nil, errors.New("far enough")
		})
		delivertest.WantTemporary(t, s.Send(t.Context(), sms("123456")), "far enough")
		if want := "https://" + tc.host + "/2010-04-01/Accounts/AC1/Messages.json"; asked != want {
			t.Errorf("asked %q, want %q", asked, want)
		}
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
