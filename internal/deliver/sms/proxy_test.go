package sms

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"mfa/internal/deliver"
	"mfa/internal/deliver/carrier"
	"mfa/internal/deliver/delivertest"
)

// A fakeProxy opens tunnels, and answers what comes without one.
type fakeProxy struct {
	*httptest.Server
	status  int    // answered in place of a tunnel; 0: it opens
	login   string // user:password that it wants; empty: none
	tunnels atomic.Int32
}

// newProxy starts a proxy, which speaks TLS if a certificate is given.
func newProxy(t *testing.T, p *fakeProxy, certificate ...tls.Certificate) *fakeProxy {
	t.Helper()
	p.Server = httptest.NewUnstartedServer(http.HandlerFunc(p.serve))
	p.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	if len(certificate) > 0 {
		p.TLS = &tls.Config{Certificates: certificate, NextProtos: []string{"http/1.1"}}
		p.StartTLS()
	} else {
		p.Start()
	}
	t.Cleanup(p.Close)
	return p
}

func (p *fakeProxy) serve(w http.ResponseWriter, r *http.Request) {
	want := "Basic " + base64.StdEncoding.EncodeToString([]byte(p.login))
	switch {
	case p.login != "" && r.Header.Get("Proxy-Authorization") != want:
		w.WriteHeader(http.StatusProxyAuthRequired)
		_, _ = io.WriteString(w, "you sent "+r.Header.Get("Proxy-Authorization"))
	case p.status != 0:
		w.WriteHeader(p.status)
	case r.Method != http.MethodConnect:
		p.tunnels.Add(1)
		w.WriteHeader(http.StatusOK)
	default:
		p.tunnels.Add(1)
		p.open(w, r.Host)
	}
}

// open lets bytes through to address until either end is done.
func (p *fakeProxy) open(w http.ResponseWriter, address string) {
	to, err := net.Dial("tcp", address)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	c, buffered, err := w.(http.Hijacker).Hijack()
	if err != nil {
		_ = to.Close()
		return
	}
	_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(to, buffered)
		_ = to.Close()
	}()
	_, _ = io.Copy(c, to)
	_ = c.Close()
	<-done
}

// safeGateway is a gateway with TLS of which the authority ca is known to those who trust.
func safeGateway(t *testing.T, certificate tls.Certificate) *httptest.Server {
	t.Helper()
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return srv
}

// byProxy returns the table for a gateway behind a proxy.
func byProxy(gateway, proxy string) deliver.SMSConfig {
	cfg := httpTable(jsonGateway(gateway + "/?text={{.Text}}"))
	cfg.Proxy = proxy
	return cfg
}

// newTrusting is newSMS for a carrier that knows ca.
func newTrusting(t *testing.T, cfg deliver.SMSConfig, ca *delivertest.CA, log io.Writer) *SMS {
	t.Helper()
	s := newSMS(t, cfg, Options{Log: slog.New(slog.NewTextHandler(log, nil))})
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(delivertest.ReadFile(t, ca.File))) {
		t.Fatal("no certificate in " + ca.File)
	}
	s.way.(*httpGateway).http.Transport.(*http.Transport).TLSClientConfig.RootCAs = roots
	return s
}

// Every step through a proxy is seen, and the one that fails is the last.
func TestStepsByProxy(t *testing.T) {
	const user, password = "mfa-proxy", "s3cret proxy word"
	ca, other := delivertest.NewCA(t), delivertest.NewCA(t)
	gateway, strange := safeGateway(t, ca.Issue(t, "127.0.0.1")), safeGateway(t, other.Issue(t, "127.0.0.1"))
	open := newProxy(t, &fakeProxy{})
	locked := newProxy(t, &fakeProxy{login: user + ":" + password})
	safe := newProxy(t, &fakeProxy{login: user + ":" + password}, ca.Issue(t, "127.0.0.1"))
	odd := newProxy(t, &fakeProxy{}, other.Issue(t, "127.0.0.1"))
	gone := newProxy(t, &fakeProxy{})
	gone.Close()

	const where = `127\.0\.0\.1:\d+`
	tunnelled := []string{`proxy tunnel to ` + where, `tls TLS 1\.3, certificate of 127\.0\.0\.1 .*`}
	taken := append(tunnelled, `request POST https://`+where+`, \d+ bytes`, `status 200 OK`, `accepted `)
	begun := func(scheme, who string) []string {
		steps := []string{`proxy ` + scheme + `://` + where + who, `proxy connect ` + where}
		if scheme == "https" {
			steps = append(steps, `proxy tls TLS 1\.3, certificate of .*`)
		}
		return steps
	}
	as, auth := `, as m\*\*\*y`, `proxy auth basic, as m\*\*\*y`
	for name, tc := range map[string]struct {
		proxy, gateway string
		password       string // empty: nobody logs in
		steps          []string
		hint           string // empty: it goes well
		permanent      bool
	}{
		"open":              {proxy: open.URL, steps: append(begun("http", ""), taken...)},
		"nobody needed":     {proxy: open.URL, password: password, steps: append(append(begun("http", as), auth), taken...)},
		"login":             {proxy: locked.URL, password: password, steps: append(append(begun("http", as), auth), taken...)},
		"encrypted":         {proxy: safe.URL, password: password, steps: append(append(begun("https", as), auth), taken...)},
		"not there":         {proxy: gone.URL, steps: []string{`proxy http://` + where, `proxy connect ` + where + ` ! sms gateway: proxy ` + where + ` is not reached: .*refused`}, hint: "sms.proxy"},
		"unknown":           {proxy: "http://proxy.invalid:3128", steps: []string{`proxy http://proxy.invalid:3128`, `proxy resolve proxy.invalid ! .*not found.*`}, hint: "sms.proxy", permanent: true},
		"no login":          {proxy: locked.URL, steps: append(begun("http", ""), `proxy auth `+where+` ! .*answered 407: it wants a user and a password.*`), hint: "sms.proxy_username", permanent: true},
		"wrong login":       {proxy: locked.URL, password: "wr0ng password", steps: append(begun("http", as), `proxy auth `+where+` ! .*answered 407: it refuses the user or the password`), hint: "sms.proxy_password_file", permanent: true},
		"forbidden":         {proxy: newProxy(t, &fakeProxy{status: 403}).URL, steps: append(begun("http", ""), `proxy tunnel `+where+` ! .*answered 403: it does not let us to `+where), hint: "CONNECT", permanent: true},
		"gateway not there": {proxy: open.URL, gateway: "https://127.0.0.1:1", steps: append(begun("http", ""), `proxy tunnel `+where+` ! .*answered 502: it does not reach 127\.0\.0\.1:1`), hint: "CONNECT"},
		"no TLS behind":     {proxy: open.URL, gateway: "https://" + strings.TrimPrefix(open.URL, "http://"), steps: append(begun("http", ""), `proxy tunnel to `+where, `tls  ! .*does not speak TLS.*`), hint: "https://", permanent: true},
		"other authority":   {proxy: open.URL, gateway: strange.URL, steps: append(begun("http", ""), `proxy tunnel to `+where, `tls certificate of .* ! .*certificate of `+where+` is not accepted.*`), hint: "authority", permanent: true},
		"proxy's authority": {proxy: odd.URL, steps: []string{`proxy https://` + where, `proxy connect ` + where, `proxy tls certificate of .* ! .*certificate of proxy ` + where + ` is not accepted.*`}, hint: "sms.proxy", permanent: true},
		"no TLS to proxy":   {proxy: "https://" + strings.TrimPrefix(open.URL, "http://"), steps: []string{`proxy https://` + where, `proxy connect ` + where, `proxy tls  ! .*proxy ` + where + ` does not speak TLS.*`}, hint: "sms.proxy", permanent: true},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.gateway == "" {
				tc.gateway = gateway.URL
			}
			cfg := byProxy(tc.gateway, tc.proxy)
			if tc.password != "" {
				cfg.ProxyUsername, cfg.ProxyPasswordFile = user, delivertest.PasswordFile(t, tc.password)
			}
			var log bytes.Buffer
			s := newTrusting(t, cfg, ca, &log)
			steps, err := carrier.Test(t.Context(), s, sms("123456"))
			plain := s.Send(t.Context(), sms("123456"))
			if (err == nil) != (tc.hint == "") || (plain == nil) != (err == nil) {
				t.Fatalf("%v, without steps %v\n%s", err, plain, delivertest.Told(steps))
			}
			want := tc.steps
			if err != nil { // the last is told without who tells it
				want = append([]string{}, tc.steps...)
				want[len(want)-1] = strings.Replace(want[len(want)-1], "! sms gateway: ", "! ", 1)
				delivertest.WantHint(t, err, tc.hint)
				for _, e := range []error{err, plain} {
					if tc.permanent {
						delivertest.WantPermanent(t, e)
					} else {
						delivertest.WantTemporary(t, e)
					}
				}
			}
			delivertest.WantSteps(t, steps, want...)
			delivertest.WantPrivate(t, steps, "123456", password, "wr0ng", base64.StdEncoding.EncodeToString([]byte(user+":"+password)))
			if strings.Contains(log.String(), password) {
				t.Errorf("the log holds the password: %s", &log)
			}
		})
	}
}

// A gateway without TLS is asked for by the proxy, whose word against us is known as its own.
func TestPlainGatewayByProxy(t *testing.T) {
	locked := newProxy(t, &fakeProxy{login: "mfa:word"})
	cfg := byProxy("http://gateway.invalid", locked.URL)
	cfg.ProxyUsername, cfg.ProxyPasswordFile = "mfa", delivertest.PasswordFile(t, "word")
	s := newSMS(t, cfg, Options{})
	if err := s.Send(t.Context(), sms("123456")); err != nil || locked.tunnels.Load() != 1 {
		t.Errorf("%v, by the proxy: %d", err, locked.tunnels.Load())
	}
	cfg.ProxyPasswordFile = delivertest.PasswordFile(t, "wrong-w0rd")
	steps, err := carrier.Test(t.Context(), newSMS(t, cfg, Options{}), sms("123456"))
	delivertest.WantPermanent(t, err)
	delivertest.WantHint(t, err, "sms.proxy_password_file")
	if last := steps[len(steps)-1]; last.Name != stepProxyAuth {
		t.Errorf("the last step is %+v", last)
	}
	delivertest.WantPrivate(t, steps, "wrong-w0rd", base64.StdEncoding.EncodeToString([]byte("mfa:wrong-w0rd")))
}

// Twilio goes by the proxy, too: the carrier sends nothing straight.
func TestTwilioByProxy(t *testing.T) {
	p := newProxy(t, &fakeProxy{status: 403})
	tw := delivertest.NewTwilio(t, delivertest.TwilioOptions{})
	cfg := twilioTable(t, tw)
	cfg.Proxy = p.URL
	if err := newSMS(t, cfg, Options{}).Send(t.Context(), sms("123456")); err == nil {
		t.Error("the proxy forbids it, and it was sent")
	}
	if tw.Requests() != 0 || tw.Connections() != 0 {
		t.Error("it went straight")
	}
}

// The environment's proxy is for who names none; "none" is no proxy at all.
func TestWhichProxy(t *testing.T) {
	for value, want := range map[string]bool{"": true, deliver.ProxyNone: false, "http://proxy.example.com:3128": true} {
		by, err := newRoad(deliver.SMSConfig{Proxy: value}, slog.New(slog.DiscardHandler))
		if err != nil || (by.proxy != nil) != want {
			t.Errorf("%q: %v, %v", value, by.proxy != nil, err)
		}
	}
	for _, value := range []string{"http://mfa:env-w0rd@proxy.example.com:3128", "mfa:env-w0rd@proxy.example.com:3128"} {
		t.Setenv("HTTPS_PROXY", value)
		by, err := newRoad(deliver.SMSConfig{}, slog.New(slog.DiscardHandler))
		if err != nil || !strings.Contains(strings.Join(by.private, " "), "env-w0rd") {
			t.Errorf("what the environment logs in with may be quoted: %v, %v", by.private, err)
		}
	}
}

func TestProxyRefused(t *testing.T) {
	for want, cfg := range map[string]deliver.SMSConfig{
		"sms.proxy: is not an address like":                                                 {Proxy: "proxy.example.com:3128"},
		"sms.proxy: is not an address like \"http://proxy.example.com:3128\", nor \"none\"": {Proxy: "socks5://proxy.example.com:1080"},
		"has no port": {Proxy: "http://proxy.example.com"},
		"sms.proxy: holds a user or a password; leave them out":        {Proxy: "http://mfa:s3cret@proxy.example.com:3128"},
		"has something behind the port":                                {Proxy: "http://proxy.example.com:3128/pac"},
		"sms.proxy_username: is set and sms.proxy names no proxy":      {ProxyUsername: "mfa", ProxyPasswordFile: "/x"},
		"sms.proxy_username: is empty and sms.proxy_password_file":     {Proxy: "http://proxy.example.com:3128", ProxyPasswordFile: "/x"},
		"sms.proxy_password_file: is empty and sms.proxy_username":     {Proxy: "http://proxy.example.com:3128", ProxyUsername: "mfa"},
		`sms.proxy: is set and sms.provider is "command"`:              {Proxy: "http://proxy.example.com:3128", Provider: deliver.ProviderCommand},
		"sms.proxy_password_file: read \"/nonexistent\": no such file": {Proxy: "http://proxy.example.com:3128", ProxyUsername: "mfa", ProxyPasswordFile: "/nonexistent"},
	} {
		if cfg.Provider == "" {
			cfg.Provider, cfg.HTTP = deliver.ProviderHTTP, httpTable(jsonGateway("https://gateway.example.com")).HTTP
		}
		_, err := New(cfg, Options{})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
