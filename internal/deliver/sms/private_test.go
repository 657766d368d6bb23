package sms

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"mfa/internal/deliver"
	"mfa/internal/deliver/carrier"
	"mfa/internal/deliver/delivertest"
)

// newEcho serves a gateway that refuses every message and quotes the whole request, each part
// as it came and as a JSON string.
func newEcho(t *testing.T) *httptest.Server {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		user, password, _ := r.BasicAuth()
		w.WriteHeader(400)
		for _, part := range []string{
			r.RequestURI, r.URL.Path, r.URL.RawQuery, fmt.Sprint(r.URL.Query()), string(body), user + ":" + password,
			r.Header.Get("Authorization"), r.Header.Get("X-Key"),
		} {
			fmt.Fprintf(w, "%s %s;", part, jsonString(part))
		}
	}))
	t.Cleanup(srv.Close)
	return srv
}

func TestHTTPGatewayHidesEverySpelling(t *testing.T) {
	srv := newEcho(t)
	for _, secret := range []string{"p@ss w/rd+9", "abc%def&x=1", `he"llo\wörld9`, "k<e>y'&amp;", "s3cr3t"} {
		file := delivertest.PasswordFile(t, secret)
		named := `{{file "` + file + `"}}`
		host := strings.TrimPrefix(srv.URL, "http://")
		login := url.UserPassword("me", secret).String()
		pair := base64.StdEncoding.EncodeToString([]byte("me:" + secret))
		for name, cfg := range map[string]deliver.HTTPConfig{
			"query":             {URL: srv.URL + "/?key=" + named, Body: `{"to":"{{.To}}","text":{{json .Text}}}`},
			"path":              {URL: srv.URL + "/a/" + named + "/b", Body: `{"to":"{{.To}}","text":{{json .Text}}}`},
			"JSON":              {Body: `{"key":"` + named + `","also":{{json (file "` + file + `")}},"to":"{{.To}}","text":{{json .Text}}}`},
			"form":              {Body: `key=` + named + `&to={{.To}}&text={{.Text}}`},
			"XML":               {Body: `<m key="` + named + `"><to>{{.To}}</to><text>{{.Text}}</text></m>`},
			"text/plain":        {Body: named + ` {{.To}} {{.Text}}`},
			"all in the query":  {URL: srv.URL + "/?key=" + named + "&to={{.To}}&text={{.Text}}", Method: "GET"},
			"header":            {Headers: map[string]string{"X-Key": named}},
			"header, literal":   {Headers: map[string]string{"X-Key": strings.ReplaceAll(secret, "ö", "o")}},
			"bearer":            {Headers: map[string]string{"Authorization": "Bearer " + named}},
			"login":             {URL: "http://" + login + "@" + host},
			"login, by header":  {Headers: map[string]string{"Authorization": "Basic " + pair}},
			"key as the user":   {URL: "http://" + url.User(secret).String() + "@" + host},
			"literal key":       {URL: srv.URL + "/?key=" + url.QueryEscape(secret+"-long")},
			"literal, no value": {URL: srv.URL + "/?" + url.QueryEscape(strings.ReplaceAll(secret, " ", "")+"-long")},
		} {
			if cfg.Headers == nil {
				cfg.Headers = map[string]string{}
			}
			cfg.Headers["Content-Type"] = map[string]string{
				"form": "application/x-www-form-urlencoded", "XML": "text/xml", "text/plain": "text/plain",
			}[name]
			if cfg.Headers["Content-Type"] == "" {
				cfg.Headers["Content-Type"] = "application/json"
			}
			if cfg.URL == "" {
				cfg.URL = srv.URL
			}
			if cfg.Body == "" && cfg.Method == "" {
				cfg.Body = `{"to":"{{.To}}","text":"{{.Text}}"}`
			}
			steps, err := carrier.Test(t.Context(), newSMS(t, httpTable(cfg), Options{}), sms("123456"))
			if err == nil {
				t.Fatalf("%s: the gateway took it", name)
			}
			said := err.Error()
			for _, s := range steps {
				said += "\n" + s.Detail + "\n" + s.Err
			}
			// The words in a secret are left of it if a spelling is missed.
			fragments := strings.FieldsFunc(secret, func(r rune) bool { return !deliver.IsWord(r) })
			for _, leak := range append(fragments, pair, base64.StdEncoding.EncodeToString([]byte(secret+":")), "123456", "4155552671") {
				if len(leak) > 3 && leak != "amp" && strings.Contains(said, leak) {
					t.Errorf("%s with %q shows %q:\n%s", name, secret, leak, said)
				}
			}
			if !strings.Contains(said, "[hidden]") {
				t.Errorf("%s: the answer is not quoted: %s", name, said)
			}
		}
	}
}

// A number in the address is masked like any other: "+" is not as it is there.
func TestHTTPGatewayMasksTheNumberInEverySpelling(t *testing.T) {
	m := sms("123456")
	for _, text := range []string{"to=%2B14155552671", `"\u002b14155552671"`, "&#43;14155552671", "14155552671", "%252B14155552671"} {
		if got := quoteAnswer(text, m); !strings.Contains(got, "+1*******71") || strings.Contains(got, "2B") || strings.Contains(got, "002b") {
			t.Errorf("%s is quoted as %s", text, got)
		}
	}
}

// A program's words are bounded in memory, not only in the log.
func TestSMSCommandBoundsWhatItKeeps(t *testing.T) {
	cfg, _ := smsProgram(t, `cat >/dev/null; head -c 50000000 /dev/zero | tr '\0' x >&2; exit 1`)
	s := newSMS(t, cfg, Options{Log: slog.New(slog.NewTextHandler(new(bytes.Buffer), nil))})
	var err error
	if grown := delivertest.Allocated(func() { err = s.Send(t.Context(), sms("123456")) }); grown > 4<<20 {
		t.Errorf("50 MB of standard error took %d bytes", grown)
	}
	delivertest.WantPermanent(t, err, "xxxx")
	if n := len(err.Error()); n > carrier.AnswerLimit+300 {
		t.Errorf("error of %d bytes", n)
	}
}
