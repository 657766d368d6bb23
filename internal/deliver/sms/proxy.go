package sms

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"

	"mfa/internal/deliver"
	"mfa/internal/deliver/carrier"
)

// A road is how a gateway is reached. The zero road goes straight there.
type road struct {
	proxy   func(*http.Request) (*url.URL, error) // as http.Transport has it
	private []string                              // what no error may quote
}

// newRoad returns the road that cfg names, and reads the file it names. Where it names
// none, the environment of this process does: the one that systemd gives.
func newRoad(cfg deliver.SMSConfig, log *slog.Logger) (road, error) {
	u, err := cfg.ProxyURL()
	switch {
	case err != nil:
		return road{}, err
	case cfg.Proxy == deliver.ProxyNone:
		return road{}, nil
	case u == nil:
		return road{http.ProxyFromEnvironment, environmentSecrets()}, nil
	case cfg.ProxyUsername == "":
		return road{proxy: http.ProxyURL(u)}, nil
	}
	password, err := carrier.ReadSecret("sms.proxy_password_file", cfg.ProxyPasswordFile, log)
	if err != nil {
		return road{}, err
	}
	u.User = url.UserPassword(cfg.ProxyUsername, password)
	return road{http.ProxyURL(u), basicAuth(cfg.ProxyUsername, password)}, nil
}

// environmentSecrets returns what the proxies of the environment log in with, as
// http.ProxyFromEnvironment reads them: one without a scheme too.
func environmentSecrets() (private []string) {
	for _, name := range []string{"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"} {
		text := os.Getenv(name)
		u, err := url.Parse(text)
		if err != nil || u.Scheme == "" || u.Host == "" {
			u, err = url.Parse("http://" + text)
		}
		if err == nil && u.User != nil {
			password, _ := u.User.Password()
			private = append(private, basicAuth(u.User.Username(), password)...)
		}
	}
	return private
}

// The steps on the way through a proxy.
const (
	stepProxy        = "proxy"
	stepProxyResolve = "proxy resolve"
	stepProxyConnect = "proxy connect"
	stepProxyTLS     = "proxy tls"
	stepProxyAuth    = "proxy auth"
	stepTunnel       = "proxy tunnel"
)

// describeProxy says which proxy it is, and who logs in to it.
func describeProxy(u *url.URL) string {
	text := u.Scheme + "://" + u.Host
	if u.User != nil {
		text += ", as " + deliver.MaskUser(u.User.Username())
	}
	return text
}

// A tunnelError is why a proxy opens no way to a gateway (RFC 9110, 9.3.6).
type tunnelError struct {
	error
	step string
}

// Unwrap returns what is marked by who can mend it.
func (e tunnelError) Unwrap() error { return e.error }

// tunnel judges a proxy's answer to CONNECT.
func tunnel(_ context.Context, proxy *url.URL, req *http.Request, resp *http.Response) error {
	said := fmt.Sprintf("proxy %s answered %d", proxy.Host, resp.StatusCode)
	switch status := resp.StatusCode; {
	case status == http.StatusOK:
		return nil
	case isProxyAuth(status) && proxy.User == nil:
		err := fmt.Errorf("%s: it wants a user and a password, and has none", said)
		return tunnelError{deliver.Misconfigured(deliver.Hinted(err, hintProxyAuth)), stepProxyAuth}
	case isProxyAuth(status):
		err := fmt.Errorf("%s: it refuses the user or the password", said)
		return tunnelError{deliver.Misconfigured(deliver.Hinted(err, hintProxyAuth)), stepProxyAuth}
	case status >= http.StatusInternalServerError:
		err := fmt.Errorf("%s: it does not reach %s", said, req.Host)
		return tunnelError{deliver.Hinted(err, hintTunnel), stepTunnel}
	}
	err := fmt.Errorf("%s: it does not let us to %s", said, req.Host)
	return tunnelError{deliver.Misconfigured(deliver.Hinted(err, hintTunnel)), stepTunnel}
}

// isProxyAuth says whether a status asks for a login (RFC 9110, 15.5.8). Some proxies say
// that a password is wrong as a server would.
func isProxyAuth(status int) bool {
	return status == http.StatusProxyAuthRequired || status == http.StatusUnauthorized
}

// proxyCause says why a proxy was not reached, whether trying again can help, and what
// to look at.
func proxyCause(proxy *url.URL, err error) error {
	where := "the proxy"
	if proxy != nil {
		where = "proxy " + proxy.Host
	}
	dns, unknown := errors.AsType[*net.DNSError](err)
	bad, refused := errors.AsType[*tls.CertificateVerificationError](err)
	_, plain := errors.AsType[tls.RecordHeaderError](err)
	switch {
	case refused:
		err = deliver.Misconfigured(fmt.Errorf("certificate of %s is not accepted: %w", where, bad.Err))
	case plain:
		err = deliver.Misconfigured(fmt.Errorf("%s does not speak TLS on this port", where))
	case unknown && dns.IsNotFound:
		err = deliver.Misconfigured(fmt.Errorf("%s is not found: %w", where, err))
	default:
		err = fmt.Errorf("%s is not reached: %w", where, err)
	}
	return deliver.Hinted(err, hintProxyConnect)
}
