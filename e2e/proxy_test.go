package e2e

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"mfa/internal/deliver/delivertest"
)

// tinyproxy runs a real proxy until the test ends, and returns its address and its log.
// Login is "USER PASSWORD", or empty for a proxy that everybody may use.
func tinyproxy(t *testing.T, login string) (address string, said *record) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ok(t, err)
	port := l.Addr().(*net.TCPAddr).Port
	ok(t, l.Close())
	conf := fmt.Sprintf("Port %d\nListen 127.0.0.1\nTimeout 20\nAllow 127.0.0.1\nLogLevel Info\n", port)
	if login != "" {
		conf += "BasicAuth " + login + "\n"
	}
	name := filepath.Join(t.TempDir(), "tinyproxy.conf")
	ok(t, os.WriteFile(name, []byte(conf), 0o600))
	said, stop := service(t, exec.Command("tinyproxy", "-d", "-c", name))
	t.Cleanup(func() { _ = stop(syscall.SIGTERM) })
	address = fmt.Sprintf("127.0.0.1:%d", port)
	eventually(t, "tinyproxy answers (package tinyproxy-bin, see install.sh)", func() bool {
		c, err := net.Dial("tcp", address)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
	return address, said
}

// A farGateway takes text messages over TLS, and says who connected.
type farGateway struct {
	url   string
	ca    string // file of its authority
	texts atomic.Int32
}

func newFarGateway(t *testing.T) *farGateway {
	t.Helper()
	g := &farGateway{}
	ca := delivertest.NewCA(t)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { g.texts.Add(1) }))
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{ca.Issue(t, "127.0.0.1", "localhost")}}
	srv.StartTLS()
	t.Cleanup(srv.Close)
	g.url, g.ca = srv.URL, ca.File
	return g
}

// settings have text messages go to the gateway.
func (g *farGateway) settings() []string {
	return []string{
		`sms.provider = "http"`, "sms.http.url = " + quoted(g.url+"/send"),
		`sms.http.headers = {Content-Type = "application/json"}`, `sms.http.body = '{"to":"{{.To}}","text":{{json .Text}}}'`,
	}
}

// Text messages go by a real proxy that wants a login, which is a file's; every step is
// shown, and the one that fails.
func TestTextsByAProxy(t *testing.T) {
	const password = "s3cret-proxy-w0rd"
	address, said := tinyproxy(t, "mfa "+password)
	g := newFarGateway(t)
	s := newSite(t)
	s.env = []string{"SSL_CERT_FILE=" + g.ca}
	secret := s.path("proxy-password")
	ok(t, os.WriteFile(secret, []byte(password+"\n"), 0o600))
	s.set(g.settings()...)
	s.set("sms.proxy = "+quoted("http://"+address), `sms.proxy_username = "mfa"`, "sms.proxy_password_file = "+quoted(secret))
	s.startDaemon()
	expectSaid(t, s.mustControl("send-test", "sms", number),
		"proxy          http://"+address+", as m***a", "proxy connect  "+address, "proxy auth     basic, as m***a",
		"proxy tunnel   to "+strings.TrimPrefix(g.url, "https://"), "tls            TLS 1.3", "status         200 OK")
	awaitText(t, said, 0, `CONNECT 127\.0\.0\.1`)
	alice := s.withPhone("alice")
	if n := g.texts.Load(); n != 1 {
		t.Fatalf("%d messages, want 1", n)
	}
	from := said.len()
	_, err := s.knock(alice.name, "203.0.113.1")
	ok(t, err)
	awaitText(t, said, from, `CONNECT 127\.0\.0\.1`)
	eventually(t, "the code arrives", func() bool { return g.texts.Load() == 2 })

	for name, tc := range map[string]struct {
		settings []string
		words    []string
	}{
		"wrong password": {nil, []string{`proxy auth +` + address + `: failed: .* it refuses the user or the password`, "sms.proxy_password_file"}},
		"no login":       {[]string{`sms.proxy_username = ""`, `sms.proxy_password_file = ""`}, []string{"proxy auth .*answered 407: it wants a user and a password"}},
		"not there":      {[]string{`sms.proxy = "http://127.0.0.1:1"`}, []string{`proxy connect +127\.0\.0\.1:1: failed: .*refused`}},
	} {
		t.Run(name, func(t *testing.T) {
			before := map[string]string{}
			for key, value := range s.settings {
				before[key] = value
			}
			if tc.settings == nil {
				ok(t, os.WriteFile(secret, []byte("wr0ng-w0rd\n"), 0o600))
			}
			s.set(tc.settings...)
			s.reload()
			out, status := s.control("send-test", "sms", number)
			for _, word := range tc.words {
				if !regexp.MustCompile(word).MatchString(out) || status != 1 {
					t.Errorf("status %d, %q is not in\n%s", status, word, out)
				}
			}
			s.settings = before
			ok(t, os.WriteFile(secret, []byte(password+"\n"), 0o600))
		})
	}
	s.reload()
	s.mustControl("send-test", "sms", number)
	if text := s.log.String() + s.auditText(); strings.Contains(text, password) || strings.Contains(text, "wr0ng-w0rd") {
		t.Errorf("a password of the proxy is in a log:\n%s", text)
	}
}

// The environment that mfad was started with names the proxy; that of who asks, or logs
// in, never does. "none" goes straight.
func TestProxyOfTheEnvironment(t *testing.T) {
	address, said := tinyproxy(t, "")
	g := newFarGateway(t)
	_, port, err := net.SplitHostPort(strings.TrimPrefix(g.url, "https://"))
	ok(t, err)
	// Loopback addresses never go by the environment's proxy, so the gateway has a name.
	const name = "gateway.mfa.example"
	ok(t, appendFile("/etc/hosts", "127.0.0.1 "+name))
	g.url = "https://" + name + ":" + port
	s := newSite(t)
	s.env = []string{"SSL_CERT_FILE=" + g.ca, "HTTPS_PROXY=http://" + address}
	s.set(g.settings()...)
	s.startDaemon()
	out, _ := s.control("send-test", "sms", number) // the certificate has another name
	expectSaid(t, out, "proxy tunnel   to "+name, "certificate of "+name)
	awaitText(t, said, 0, "CONNECT "+name)

	s.set(`sms.proxy = "none"`)
	s.reload()
	out, _ = s.control("send-test", "sms", number)
	if strings.Contains(out, "proxy connect") {
		t.Errorf("it goes by a proxy:\n%s", out)
	}
	ok(t, s.stopDaemon())

	// The caller has a proxy in the environment, and mfad has none.
	s.env = []string{"SSL_CERT_FILE=" + g.ca}
	s.set(`sms.proxy = ""`)
	s.startDaemon()
	at := len(said.String())
	t.Setenv("HTTPS_PROXY", "http://"+address)
	t.Setenv("https_proxy", "http://"+address)
	out, _ = s.control("send-test", "sms", number)
	if strings.Contains(out, "proxy connect") {
		t.Errorf("a caller's proxy counts:\n%s", out)
	}
	alice := s.withPhone("alice")
	_, err = s.knock(alice.name, "203.0.113.1")
	ok(t, err)
	ok(t, s.stopDaemon())
	if rest := said.String()[at:]; strings.Contains(rest, "CONNECT") {
		t.Errorf("mfad went by a caller's proxy:\n%s", rest)
	}
}
