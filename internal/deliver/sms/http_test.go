package sms

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"encoding/xml"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"
	"unicode"

	"mfa/internal/deliver"
	"mfa/internal/deliver/carrier"
	"mfa/internal/deliver/delivertest"
	"mfa/internal/mfa"
)

// A gatewayRequest is what a gateway got.
type gatewayRequest struct {
	method, uri, body string
	header            http.Header
}

// newGatewayServer starts a gateway that answers every request like this.
func newGatewayServer(t *testing.T, status int, body string) (*httptest.Server, chan gatewayRequest) {
	t.Helper()
	got := make(chan gatewayRequest, 10)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		data, _ := io.ReadAll(r.Body)
		got <- gatewayRequest{r.Method, r.RequestURI, string(data), r.Header}
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(srv.Close)
	return srv, got
}

func httpTable(cfg deliver.HTTPConfig) deliver.SMSConfig {
	if cfg.Timeout == 0 {
		cfg.Timeout = mfa.Duration(20 * time.Second)
	}
	return deliver.SMSConfig{Provider: deliver.ProviderHTTP, HTTP: cfg}
}

// jsonGateway is a good table for the gateway at address.
func jsonGateway(address string) deliver.HTTPConfig {
	return deliver.HTTPConfig{
		URL: address, Headers: map[string]string{"Content-Type": "application/json"},
		Body: `{"to":"{{.To}}","text":{{json .Text}}}`,
	}
}

// oddText has what each kind of escaping must stop.
const oddText = "123456 \"x\" <b> & 100% + {{.To}} \\ 'é'\n@example.com #123456\""

func TestHTTPGatewayEscapes(t *testing.T) {
	inJSON := func(body string) string {
		var v struct{ To, Text string }
		if err := json.Unmarshal([]byte(body), &v); err != nil {
			t.Errorf("%v: %q", err, body)
		}
		return v.To + " " + v.Text
	}
	inForm := func(body string) string {
		v, err := url.ParseQuery(body)
		if err != nil || len(v) != 2 {
			t.Errorf("%v: %q", err, body)
		}
		return v.Get("to") + " " + v.Get("text")
	}
	inXML := func(body string) string {
		var v struct{ To, Text string }
		if err := xml.Unmarshal([]byte(body), &v); err != nil {
			t.Errorf("%v: %q", err, body)
		}
		return v.To + " " + v.Text
	}
	for _, tc := range []struct {
		kind, body string
		read       func(string) string
	}{
		{"application/json", `{"to":"{{.To}}","text":"{{.Text}}"}`, inJSON},
		{"application/json; charset=utf-8", `{"to":{{json .To}},"text":{{json .Text}}}`, inJSON},
		{"application/vnd.gateway+json", `{"to":"{{.To}}","text":"{{printf "%s" .Text}}"}`, inJSON},
		{"application/x-www-form-urlencoded", `to={{.To}}&text={{.Text}}`, inForm},
		{"application/x-www-form-urlencoded", `to={{query .To}}&text={{query .Text}}`, inForm},
		{"application/xml", `<m><To>{{.To}}</To><Text>{{.Text}}</Text></m>`, inXML},
		{"text/plain", `{{.To}} {{.Text}}`, func(s string) string { return s }},
	} {
		srv, got := newGatewayServer(t, 202, "queued")
		s := newSMS(t, httpTable(deliver.HTTPConfig{
			URL: srv.URL, Headers: map[string]string{"content-type": tc.kind}, Body: tc.body,
		}), Options{})
		m := sms("")
		m.Text = oddText
		if err := s.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		r := <-got
		if read := tc.read(r.body); read != m.To+" "+oddText {
			t.Errorf("%s %s: the gateway reads %q, want %q", tc.kind, tc.body, read, m.To+" "+oddText)
		}
		if r.method != "POST" || r.header.Get("Content-Type") != tc.kind {
			t.Errorf("%s, Content-Type %q", r.method, r.header.Get("Content-Type"))
		}
	}
}

func TestHTTPGatewayRequest(t *testing.T) {
	srv, got := newGatewayServer(t, 200, "")
	token := delivertest.PasswordFile(t, "s3cr3t token")
	s := newSMS(t, httpTable(deliver.HTTPConfig{
		URL: srv.URL + "/send/{{.Digits}}?text={{.Text}}&from={{.From}}", Method: "GET", From: "My Firm",
		Headers: map[string]string{"Authorization": `Bearer {{file "` + token + `"}}`, "X-Text": "{{.Text}}"},
	}), Options{})
	if err := os.Remove(token); err != nil { // read at start and never again
		t.Fatal(err)
	}
	m := sms("")
	m.Text = oddText
	if err := s.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	r := <-got
	u, err := url.ParseRequestURI(r.uri)
	if err != nil {
		t.Fatal(err)
	}
	if u.Path != "/send/14155552671" || u.Query().Get("text") != oddText || u.Query().Get("from") != "My Firm" {
		t.Errorf("asked for %q", r.uri)
	}
	if r.method != "GET" || r.body != "" || r.header.Get("Authorization") != "Bearer s3cr3t token" {
		t.Errorf("request is %+v", r)
	}
	if want := strings.ReplaceAll(oddText, "\n", " "); r.header.Get("X-Text") != want {
		t.Errorf("X-Text is %q, want %q", r.header.Get("X-Text"), want)
	}
}

func TestHTTPGatewayStatus(t *testing.T) {
	for status, want := range map[int]string{
		200: "", 201: "", 202: "", 204: "", 301: "config", 307: "config", 400: "final", 401: "config", 403: "config",
		404: "config", 408: "later", 409: "final", 422: "final", 429: "later", 500: "later", 502: "later", 503: "later",
	} {
		body := "no: 123456 to +14155552671 with s3cr3t-of-ours\x1b[1m"
		if status == 204 {
			body = ""
		}
		srv, got := newGatewayServer(t, status, body)
		cfg := jsonGateway(srv.URL)
		cfg.Headers["X-Api-Key"] = "s3cr3t-of-ours"
		err := newSMS(t, httpTable(cfg), Options{}).Send(t.Context(), sms("123456"))
		if n := len(got); n != 1 {
			t.Errorf("%d: %d requests", status, n)
		}
		if want == "" {
			if err != nil {
				t.Errorf("%d: %v", status, err)
			}
			continue
		}
		if blame(err) != want {
			t.Errorf("%d: it is for %q to mend, want %q: %v", status, blame(err), want, err)
		}
		delivertest.WantSays(t, err, "sms gateway: ", "no: [hidden] to +1*******71 with [hidden]?[1m")
	}
}

func TestHTTPGatewayKeepsFilesSecret(t *testing.T) {
	srv, got := newGatewayServer(t, 400, `bad key k&"y`)
	cfg := jsonGateway(srv.URL)
	key := delivertest.PasswordFile(t, `k&"y`)
	cfg.URL += `/?key={{file "` + key + `"}}`
	cfg.Body = `{"to":"{{.To}}","text":"{{.Text}}","key":"{{file "` + key + `"}}"}`
	err := newSMS(t, httpTable(cfg), Options{}).Send(t.Context(), sms("123456"))
	delivertest.WantPermanent(t, err, "bad key [hidden]")
	r := <-got
	var v struct{ Key string }
	if err := json.Unmarshal([]byte(r.body), &v); err != nil || v.Key != `k&"y` || r.uri != "/?key=k%26%22y" {
		t.Errorf("%s %s: %v", r.uri, r.body, err)
	}
}

func TestHTTPGatewayBoundsWhatItReads(t *testing.T) {
	srv, _ := newGatewayServer(t, 400, strings.Repeat("much too much ", 10000))
	err := newSMS(t, httpTable(jsonGateway(srv.URL)), Options{}).Send(t.Context(), sms("123456"))
	delivertest.WantPermanent(t, err, "much too much")
	if n := len(err.Error()); n > carrier.AnswerLimit+200 {
		t.Errorf("error of %d bytes", n)
	}
}

func TestHTTPGatewayVerifiesTLS(t *testing.T) {
	ca := delivertest.NewCA(t)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{ca.Issue(t, "127.0.0.1")}}
	srv.StartTLS()
	t.Cleanup(srv.Close)
	s := newSMS(t, httpTable(jsonGateway(srv.URL+"/?text={{.Text}}")), Options{})
	err := s.Send(t.Context(), sms("123456"))
	if blame(err) != "config" {
		t.Error(err)
	}
	delivertest.WantSays(t, err, "certificate of 127.0.0.1:", "is not accepted")
	if strings.Contains(err.Error(), "123456") {
		t.Errorf("error holds the code: %v", err)
	}
	data, _ := pem.Decode([]byte(delivertest.ReadFile(t, ca.File)))
	root, err := x509.ParseCertificate(data.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(root)
	s.way.(*httpGateway).http.Transport.(*http.Transport).TLSClientConfig.RootCAs = roots
	if err := s.Send(t.Context(), sms("123456")); err != nil {
		t.Error(err)
	}
}

// A gateway that is not there costs no code: the address in the error of
// net/http would hold it.
func TestHTTPGatewayNobodyThere(t *testing.T) {
	srv := httptest.NewServer(nil)
	srv.Close()
	s := newSMS(t, httpTable(deliver.HTTPConfig{URL: srv.URL + "/?to={{.To}}&text={{.Text}}", Method: "GET"}), Options{})
	err := s.Send(t.Context(), sms("123456"))
	delivertest.WantTemporary(t, err, "sms gateway: ", "connection refused")
	if strings.Contains(err.Error(), "123456") || strings.Contains(err.Error(), "4155552671") {
		t.Errorf("error holds the message: %v", err)
	}
}

func TestHTTPGatewayNotTLS(t *testing.T) {
	srv, _ := newGatewayServer(t, 200, "")
	address := strings.Replace(srv.URL, "http://", "https://", 1)
	err := newSMS(t, httpTable(jsonGateway(address)), Options{}).Send(t.Context(), sms("123456"))
	if blame(err) == "later" && !strings.Contains(err.Error(), "HTTP response to HTTPS client") || err == nil {
		t.Error(err)
	}
}

func TestHTTPGatewaySlow(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}))
	t.Cleanup(srv.Close)
	cfg := jsonGateway(srv.URL)
	cfg.Timeout = mfa.Duration(50 * time.Millisecond)
	delivertest.WantTemporary(t, newSMS(t, httpTable(cfg), Options{}).Send(t.Context(), sms("1")), "sms gateway: no answer within 50ms")
}

func TestHTTPGatewayNamesTheKey(t *testing.T) {
	for _, tc := range []struct {
		want   string
		change func(*deliver.HTTPConfig)
	}{
		{"sms.http.url: ", func(c *deliver.HTTPConfig) { c.URL = "" }},
		{"sms.http.url: ", func(c *deliver.HTTPConfig) { c.URL = "gateway.example.com/send" }},
		{"sms.http.url: ", func(c *deliver.HTTPConfig) { c.URL = "ftp://gateway.example.com" }},
		{"sms.http.url: is no template", func(c *deliver.HTTPConfig) { c.URL = "https://x.test/{{.To" }},
		{"sms.http.url: cannot be filled in", func(c *deliver.HTTPConfig) { c.URL = "https://x.test/{{.User}}" }},
		{`sms.http.method: "post" `, func(c *deliver.HTTPConfig) { c.Method = "post" }},
		{"sms.http.timeout: ", func(c *deliver.HTTPConfig) { c.Timeout = 0 }},
		{"sms.http.body: is set and sms.http.method is", func(c *deliver.HTTPConfig) { c.Method = "GET" }},
		{"sms.http.body: is no template", func(c *deliver.HTTPConfig) { c.Body = "{{" }},
		{"sms.http.body: is not JSON", func(c *deliver.HTTPConfig) { c.Body = `{"to":"{{.To}}","text":"{{json .Text}}"}` }},
		{"sms.http.body: the message is nowhere", func(c *deliver.HTTPConfig) { c.Body = `{"to":"{{.To}}"}` }},
		{"sms.http.body: the number is nowhere", func(c *deliver.HTTPConfig) { c.Body = `{"text":"{{.Text}}"}` }},
		{"sms.http.headers: has no Content-Type", func(c *deliver.HTTPConfig) { c.Headers = nil }},
		{"sms.http.headers: Content-Type \"multipart/form-data\" ", func(c *deliver.HTTPConfig) { c.Headers["Content-Type"] = "multipart/form-data" }},
		{"sms.http.headers: Content-Type \"/\" ", func(c *deliver.HTTPConfig) { c.Headers["Content-Type"] = "/" }},
		{`sms.http.headers: "X Key" `, func(c *deliver.HTTPConfig) { c.Headers["X Key"] = "1" }},
		{`sms.http.headers: "x-key" `, func(c *deliver.HTTPConfig) { c.Headers["X-Key"], c.Headers["x-key"] = "1", "2" }},
		{"sms.http.headers.X-Key: cannot be filled in", func(c *deliver.HTTPConfig) { c.Headers["X-Key"] = `{{file "/nowhere/key"}}` }},
	} {
		cfg := jsonGateway("https://gateway.example.com/")
		cfg.Timeout = mfa.Duration(time.Second)
		tc.change(&cfg)
		_, err := New(deliver.SMSConfig{Provider: deliver.ProviderHTTP, HTTP: cfg}, Options{})
		if err == nil || !strings.HasPrefix(err.Error(), tc.want) {
			t.Errorf("error is %v, want %q", err, tc.want)
		}
	}
}

func TestHTTPGatewayWarnsOfPlainHTTP(t *testing.T) {
	for address, warns := range map[string]bool{
		"http://gateway.example.com/": true, "https://gateway.example.com/": false, "http://127.0.0.1:8080/": false,
	} {
		var log bytes.Buffer
		newSMS(t, httpTable(jsonGateway(address)), Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
		if got := strings.Contains(log.String(), "unencrypted"); got != warns {
			t.Errorf("%s: log is %q", address, &log)
		}
	}
}

// A branch that no rehearsal takes reads no file behind the administrator's back.
func TestHTTPGatewayReadsFilesAtStartOnly(t *testing.T) {
	srv, got := newGatewayServer(t, 200, "")
	cfg := jsonGateway(srv.URL)
	cfg.Headers["X-Key"] = `{{if eq (print .To) "+14155552671"}}{{file "` + delivertest.PasswordFile(t, "key") + `"}}{{end}}`
	err := newSMS(t, httpTable(cfg), Options{}).Send(t.Context(), sms("123456"))
	if blame(err) != "config" || len(got) != 0 {
		t.Errorf("%v, %d requests", err, len(got))
	}
	delivertest.WantSays(t, err, "was not read at start")
}

// FuzzHTTPGateway: no message breaks out of its place in any kind of body.
func FuzzHTTPGateway(f *testing.F) {
	f.Add(oddText, `{"to":"{{.To}}","text":"{{.Text}}"}`)
	f.Add("\x00\xff\u2028\"", `{{json .Text}}{{query .To}}{{.From}}{{.Digits}}`)
	f.Add("", `{{`)
	f.Fuzz(func(t *testing.T, text, body string) {
		quoted := jsonEscape(text)
		var back string
		if err := json.Unmarshal([]byte(`"`+quoted+`"`), &back); err != nil || back != strings.ToValidUTF8(text, "\uFFFD") && !strings.ContainsFunc(text, func(r rune) bool { return r > unicode.MaxASCII }) {
			t.Errorf("%q became %q, read as %q, %v", text, quoted, back, err)
		}
		if v, err := url.ParseQuery("a=" + queryEscape(text) + "&b=1"); err != nil || v.Get("a") != text || len(v) != 2 {
			t.Errorf("%q became %q", text, queryEscape(text))
		}
		if err := xml.Unmarshal([]byte("<a>"+xmlEscape(text)+"</a>"), &back); err != nil {
			t.Errorf("%q became %q: %v", text, xmlEscape(text), err)
		}
		if strings.ContainsAny(carrier.OneLine(text), "\r\n\x00") {
			t.Errorf("%q stays more than a line", text)
		}
		if strings.Contains(body, "file") || strings.ContainsAny(body, "$%|") {
			return // reads files; a program to get lost in
		}
		cfg := jsonGateway("https://gateway.example.com/")
		cfg.Body, cfg.Timeout = body, mfa.Duration(time.Second)
		g, err := newHTTPGateway(cfg, road{}, Options{Log: slog.New(slog.DiscardHandler), Now: time.Now})
		if err != nil {
			return
		}
		m := sms("")
		m.Text = text
		if _, _, err := g.written(m); err != nil && !errors.Is(err, deliver.ErrPermanent) && strings.Contains(err.Error(), "is not JSON") &&
			!strings.Contains(body, "{{if") && !strings.Contains(body, "{{with") && !strings.Contains(body, "query") {
			t.Errorf("body %q with %q: %v", body, text, err)
		}
	})
}
