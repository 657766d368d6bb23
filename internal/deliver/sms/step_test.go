package sms

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"mfa/internal/deliver"
	"mfa/internal/deliver/carrier"
	"mfa/internal/deliver/delivertest"
	"mfa/internal/mfa"
)

func TestStepsOfTwilio(t *testing.T) {
	s, srv := twilioReplies(t, delivertest.TwilioReply{}, delivertest.TwilioReply{},
		delivertest.TwilioReply{Status: 400, Code: 21211, Message: "Invalid +14155552671 123456"},
		delivertest.TwilioReply{Then: delivertest.TwilioReset})
	var receipt string
	if err := s.Send(t.Context(), sms("123456")); err != nil {
		t.Fatal(err)
	}
	opened := []string{`connect 127\.0\.0\.1:\d+`, `tls none: the address begins with http://`, `login basic, as A\*\*\*0`, `request POST http://127\.0\.0\.1:\d+, \d+ bytes`}
	steps, err := carrier.Test(deliver.WithReceipt(t.Context(), &receipt), s, sms("123456"))
	if err != nil || receipt != srv.Texts()[1].SID {
		t.Errorf("%v, receipt %q", err, receipt)
	}
	delivertest.WantSteps(t, steps, append(opened, "status 201 Created", "accepted "+receipt)...)

	steps, err = carrier.Test(t.Context(), s, sms("123456"))
	delivertest.WantSteps(t, steps, append(opened, `status 400 Bad Request ! error 21211: Invalid \+1\*\*\*\*\*\*\*71 \[hidden\]`)...)
	delivertest.WantPrivate(t, steps, "123456", "4155552671", srv.Password)
	delivertest.WantHint(t, err, "/21211")

	steps, err = carrier.Test(t.Context(), s, sms("123456"))
	delivertest.WantSteps(t, steps, append(opened, `status  ! .*reset.*`)...)
	delivertest.WantHint(t, err, "may still arrive")
}

func TestStepsOfHTTPGateway(t *testing.T) {
	status := http.StatusOK
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
	srv.Config.ErrorLog = log.New(io.Discard, "", 0) // of handshakes that fail
	srv.StartTLS()
	defer srv.Close()
	port := srv.Listener.Addr().(*net.TCPAddr).Port
	s := newSMS(t, deliver.SMSConfig{Provider: deliver.ProviderHTTP, HTTP: deliver.HTTPConfig{
		URL: fmt.Sprintf("https://localhost:%d/{{.To}}?text={{.Text}}", port), Method: "GET",
		Headers: map[string]string{"Authorization": "Bearer s3cret-token"}, Timeout: mfa.Duration(20 * time.Second),
	}}, Options{})

	steps, err := carrier.Test(t.Context(), s, sms("123456"))
	delivertest.WantSteps(t, steps, `resolve localhost -> .*`, `connect 127.*`, `tls certificate of example\.com.* ! certificate of .* is not accepted.*`)
	delivertest.WantHint(t, err, "update-ca-certificates")

	roots := srv.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	tlsConfig := s.way.(*httpGateway).http.Transport.(*http.Transport).TLSClientConfig
	tlsConfig.RootCAs, tlsConfig.ServerName = roots, "example.com"
	opened := []string{
		`resolve localhost -> .*`, `connect 127.*`, `tls TLS 1\.3, certificate of example\.com, .* until .*`,
		`login by the header Authorization`, `request GET https://localhost:\d+, 0 bytes`,
	}
	steps, err = carrier.Test(t.Context(), s, sms("123456"))
	if err != nil {
		t.Error(err)
	}
	delivertest.WantSteps(t, steps, append(opened, "status 200 OK", "accepted ")...)
	for code, hint := range map[int]string{
		401: "credentials", 404: "sms.http.url", 302: "no redirect", 400: "sms.http.body", 503: "out of order", 429: "enough for now", 407: "sms.proxy_username",
	} {
		status = code
		steps, err = carrier.Test(t.Context(), s, sms("123456"))
		delivertest.WantSteps(t, steps, append(opened, fmt.Sprintf("status %d .* ! .* answered %d: .*", code, code))...)
		delivertest.WantHint(t, err, hint)
		delivertest.WantPrivate(t, steps, "123456", "14155552671", "s3cret-token")
	}
}

func TestStepsOfGatewayOutOfReach(t *testing.T) {
	srv := httptest.NewServer(nil)
	srv.Close()
	for url, c := range map[string]struct{ step, hint string }{
		srv.URL:                     {"connect 127.* ! .*refused", "firewall"},
		"http://gateway.invalid:80": {"resolve gateway.invalid ! .*", "resolv.conf"},
	} {
		s := newSMS(t, deliver.SMSConfig{Provider: deliver.ProviderHTTP, HTTP: deliver.HTTPConfig{
			URL: url + "/{{.To}}?text={{.Text}}", Timeout: mfa.Duration(20 * time.Second),
		}}, Options{})
		steps, err := carrier.Test(t.Context(), s, sms("123456"))
		delivertest.WantSteps(t, steps, c.step)
		delivertest.WantHint(t, err, c.hint)
		if errors.Is(err, deliver.ErrUncertain) {
			t.Errorf("nothing was sent, and yet: %v", err)
		}
	}
}

func TestStepsOfCommand(t *testing.T) {
	cfg, dir := smsProgram(t, "cat >/dev/null; test ! -e DIR/no || { echo no 123456 >&2; exit 67; }")
	s := newSMS(t, cfg, Options{})
	steps, err := carrier.Test(t.Context(), s, sms("123456"))
	if err != nil {
		t.Error(err)
	}
	delivertest.WantSteps(t, steps, "run .*", "accepted ")
	if err := os.WriteFile(filepath.Join(dir, "no"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	steps, err = carrier.Test(t.Context(), s, sms("123456"))
	delivertest.WantSteps(t, steps, `run .* ! .*exit status 67: no \[hidden\]`)
	delivertest.WantHint(t, err, "sms.command.path")
}
