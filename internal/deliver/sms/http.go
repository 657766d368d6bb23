package sms

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"mime"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
	"text/template"
	"time"

	"mfa/internal/deliver"
	"mfa/internal/deliver/carrier"
	"mfa/internal/mfa"
)

// An httpGateway hands messages to a gateway that takes one HTTP request for each.
type httpGateway struct {
	method  string
	url     *part
	headers map[string]*part
	body    *part
	from    string
	files   map[string]string // the lines of the files that templates name, by path; read only once loading is over
	loading *slog.Logger      // not nil: newHTTPGateway still reads files
	timeout time.Duration
	http    *http.Client
	by      road
	now     func() time.Time
}

// A part of a request is a template and how fields are escaped in it.
type part struct {
	key      string // of mfa.toml
	template *template.Template
	escape   func(string) string
}

// gatewayFields are the fields of the templates in [sms.http].
type gatewayFields struct{ To, Digits, Text, From gatewayField }

// A gatewayField prints itself escaped for the part where it stands.
type gatewayField struct {
	raw    string
	escape func(string) string
}

// String implements fmt.Stringer, which templates print by.
func (f gatewayField) String() string { return f.escape(f.raw) }

// unescaped returns the text behind a template's value.
func unescaped(v any) string {
	if f, ok := v.(gatewayField); ok {
		return f.raw
	}
	return fmt.Sprint(v)
}

func newHTTPGateway(cfg deliver.HTTPConfig, by road, opts Options) (*httpGateway, error) {
	if err := deliver.CheckTimeout("sms.http.timeout", cfg.Timeout); err != nil {
		return nil, err
	}
	g := &httpGateway{
		method: cfg.Method, from: cfg.From, headers: map[string]*part{},
		files: map[string]string{}, loading: opts.Log,
		timeout: time.Duration(cfg.Timeout), http: newHTTPClient(by), by: by, now: opts.Now,
	}
	if g.method == "" {
		g.method = http.MethodPost
	}
	if !slices.Contains([]string{http.MethodGet, http.MethodPost, http.MethodPut}, g.method) {
		return nil, fmt.Errorf("sms.http.method: %q is none of \"POST\", \"PUT\", \"GET\"", g.method)
	}
	if err := g.parse(cfg); err != nil {
		return nil, err
	}
	if err := g.rehearse(opts.Log); err != nil {
		return nil, err
	}
	g.loading = nil
	return g, nil
}

// parse reads the templates of the request.
func (g *httpGateway) parse(cfg deliver.HTTPConfig) (err error) {
	if g.url, err = g.newPart("sms.http.url", cfg.URL, queryEscape); err != nil {
		return err
	}
	kind := ""
	for _, name := range slices.Sorted(maps.Keys(cfg.Headers)) {
		value := cfg.Headers[name]
		canonical := textproto.CanonicalMIMEHeaderKey(name)
		if strings.ContainsFunc(name, func(r rune) bool { return !deliver.IsWord(r) && r != '-' }) || g.headers[canonical] != nil {
			return fmt.Errorf("sms.http.headers: %q is not the name of a header, or is there twice", name)
		}
		if canonical == "Content-Type" {
			kind = value
		}
		if g.headers[canonical], err = g.newPart("sms.http.headers."+name, value, carrier.OneLine); err != nil {
			return err
		}
	}
	if cfg.Body == "" {
		return nil
	}
	if g.method == http.MethodGet {
		return fmt.Errorf("sms.http.body: is set and sms.http.method is %q", g.method)
	}
	escape, err := bodyEscape(kind)
	if err != nil {
		return err
	}
	g.body, err = g.newPart("sms.http.body", cfg.Body, escape)
	return err
}

// bodyEscape returns how fields are escaped in a body of this Content-Type.
func bodyEscape(kind string) (func(string) string, error) {
	media, _, err := mime.ParseMediaType(kind)
	switch {
	case kind == "":
		return nil, errors.New("sms.http.headers: has no Content-Type for sms.http.body")
	case err != nil:
	case media == "application/json" || strings.HasSuffix(media, "+json"):
		return jsonEscape, nil
	case media == "application/x-www-form-urlencoded":
		return queryEscape, nil
	case media == "application/xml" || media == "text/xml" || strings.HasSuffix(media, "+xml"):
		return xmlEscape, nil
	case media == "text/plain":
		return func(s string) string { return s }, nil
	}
	return nil, fmt.Errorf("sms.http.headers: Content-Type %q is not json, xml, text/plain or application/x-www-form-urlencoded", kind)
}

// queryEscape escapes for a query, a form and a path alike.
func queryEscape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

func xmlEscape(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a Builder takes everything
	return b.String()
}

// jsonEscape returns what stands between the quotes of a JSON string.
func jsonEscape(s string) string {
	quoted := jsonString(s)
	return quoted[1 : len(quoted)-1]
}

// jsonString returns s as a JSON string with its quotes.
func jsonString(s string) string {
	data, _ := json.Marshal(s) // a string has no way to fail
	return string(data)
}

func (g *httpGateway) newPart(key, text string, escape func(string) string) (*part, error) {
	t, err := template.New(key).Funcs(template.FuncMap{
		"json":  func(v any) string { return jsonString(unescaped(v)) },
		"query": func(v any) string { return queryEscape(unescaped(v)) },
		"file": func(path string) (gatewayField, error) {
			line, err := g.file(path)
			return gatewayField{line, escape}, err
		},
	}).Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: is no template: %w", key, err)
	}
	return &part{key: key, template: t, escape: escape}, nil
}

// file returns the line in the file at path. It reads files only while loading.
func (g *httpGateway) file(path string) (string, error) {
	if line, ok := g.files[path]; ok {
		return line, nil
	}
	if g.loading == nil {
		return "", fmt.Errorf("file %q was not read at start", path)
	}
	line, err := carrier.ReadSecret("file", path, g.loading)
	if err == nil {
		g.files[path] = line
	}
	return line, err
}

// fill returns the part for one message.
func (p *part) fill(m mfa.Message, from string) (string, error) {
	field := func(s string) gatewayField { return gatewayField{s, p.escape} }
	var b strings.Builder
	err := p.template.Execute(&b, gatewayFields{
		To: field(m.To), Digits: field(strings.TrimPrefix(m.To, "+")), Text: field(m.Text), From: field(from),
	})
	if err != nil {
		return "", fmt.Errorf("%s: cannot be filled in: %w", p.key, err)
	}
	return b.String(), nil
}

// request writes the request for one message.
func (g *httpGateway) request(ctx context.Context, m mfa.Message) (*http.Request, error) {
	address, err := g.url.fill(m, g.from)
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, errors.New("sms.http.url: is not an address that begins with https:// or http://")
	}
	body := ""
	if g.body != nil {
		if body, err = g.body.fill(m, g.from); err != nil {
			return nil, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, g.method, address, strings.NewReader(body))
	if err != nil {
		return nil, errors.New("sms.http.url: is not an address") // err repeats it, and the message in it
	}
	req.Header.Set("User-Agent", "mfa/"+mfa.Version)
	for name, p := range g.headers {
		value, err := p.fill(m, g.from)
		if err != nil {
			return nil, err
		}
		req.Header.Set(name, value)
		if name == "Host" {
			req.Host = value
		}
	}
	return req, nil
}

// rehearse writes requests without sending them, to find at load what is wrong with the
// templates.
func (g *httpGateway) rehearse(log *slog.Logger) error {
	m := mfa.Message{To: deliver.PhoneExample, Text: "012345 \"is\" <your> & 100%\ncode"}
	first, plain, err := g.written(m)
	if err != nil {
		return err
	}
	other := m
	other.To = "+441632960001"
	if again, _, err := g.written(other); err != nil || again == first {
		return cmp.Or(err, errors.New("sms.http.body: the number is nowhere in the request; write {{.To}} where it shall stand"))
	}
	other = m
	other.Text = "543210"
	if again, _, err := g.written(other); err != nil || again == first {
		return cmp.Or(err, errors.New("sms.http.body: the message is nowhere in the request; write {{.Text}} where it shall stand"))
	}
	if plain {
		log.Warn("sms.http.url begins with http://: codes cross the network unencrypted")
	}
	return nil
}

// written returns a request as text, and whether it would cross the network
// unencrypted.
func (g *httpGateway) written(m mfa.Message) (text string, plain bool, err error) {
	req, err := g.request(context.Background(), m)
	if err != nil {
		return "", false, err
	}
	var body bytes.Buffer
	if _, err := body.ReadFrom(req.Body); err != nil {
		return "", false, err
	}
	if g.body != nil && strings.Contains(req.Header.Get("Content-Type"), "json") && !json.Valid(body.Bytes()) {
		return "", false, errors.New("sms.http.body: is not JSON once it is filled in")
	}
	plain = req.URL.Scheme == "http" && !deliver.IsLoopback(req.URL.Hostname())
	return fmt.Sprintf("%v\n%v\n%s", req.URL, req.Header, &body), plain, nil
}

func (g *httpGateway) close() { g.http.CloseIdleConnections() }

func (g *httpGateway) text(ctx context.Context, m mfa.Message) (receipt string, err error) {
	ctx, cancel := withTimeout(ctx, g.timeout)
	defer cancel()
	req, err := g.request(ctx, m)
	if err != nil {
		return "", deliver.Misconfigured(err)
	}
	a, err := exchange(g.http, req)
	if err != nil {
		return "", fmt.Errorf("sms gateway: %w", err)
	}
	if a.status/100 == 2 {
		a.tell(ctx, nil)
		return "", nil
	}
	err = fmt.Errorf("sms gateway: %s answered %d: %s", req.URL.Host, a.status,
		quoteAnswer(string(a.body), m, g.private(req)...))
	err = deliver.Hinted(a.judge(a.byStatus(err, g.now())), hintStatus(a.status))
	a.tell(ctx, err)
	return "", err
}

// private returns what no error may quote: the content of files and headers, the login in
// the address, and values of its query that may be secrets.
func (g *httpGateway) private(req *http.Request) []string {
	private := append(slices.Collect(maps.Values(g.files)), g.by.private...)
	if req.URL.User != nil {
		password, _ := req.URL.User.Password()
		private = append(private, basicAuth(req.URL.User.Username(), password)...)
	}
	if user, password, ok := req.BasicAuth(); ok {
		private = append(private, basicAuth(user, password)...)
	}
	private = append(private, privateHeaders(req.Header)...)
	for name, values := range req.URL.Query() {
		for _, value := range values {
			if value != g.from && len(value) >= longWord {
				private = append(private, value)
			}
		}
		if len(values) == 1 && values[0] == "" { // "?KEY"
			private = append(private, longWords(name)...)
		}
	}
	return private
}

// privateHeaders returns the values in headers that no error may quote.
func privateHeaders(headers http.Header) (private []string) {
	for name, values := range headers {
		if name == "Content-Type" || name == "Accept" || name == "User-Agent" {
			continue
		}
		value := strings.Join(values, " ")
		private = append(private, longWords(value)...)
		if len(value) >= shortKey {
			private = append(private, value)
		}
		if _, key, ok := strings.Cut(value, " "); ok && name == "Authorization" {
			private = append(private, key)
		}
	}
	return private
}

const (
	// longWord is the shortest length of a word among others that may be a secret: shorter
	// ones are plain words, like Bearer.
	longWord = 8
	// shortKey is the shortest length of a whole value that may be a secret.
	shortKey = 4
)

// longWords returns the words of a text that may be secrets.
func longWords(text string) []string {
	return slices.DeleteFunc(strings.Fields(text), func(w string) bool { return len(w) < longWord })
}

// basicAuth returns what no error may quote of a login with a name and password (RFC 7617):
// some gateways take a key as the name.
func basicAuth(user, password string) []string {
	pair := user + ":" + password
	private := []string{password, base64.StdEncoding.EncodeToString([]byte(pair)), pair}
	if password == "" || len(user) >= longWord {
		private = append(private, user)
	}
	return private
}
