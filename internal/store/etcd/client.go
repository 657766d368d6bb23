package etcd

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"

	"mfa/internal/host/file"
	"mfa/internal/store"
)

type dialOption = grpc.DialOption

// How soon a connection that says nothing any more is given up. Etcd takes no pings more
// often than each 5 seconds.
const (
	pingEvery = 10 * time.Second
	pingWaits = 3 * time.Second
)

// clientConfig returns how the client is made.
func clientConfig(cfg store.EtcdConfig, log *slog.Logger, dial []dialOption) (clientv3.Config, error) {
	conf := clientv3.Config{
		Endpoints: cfg.Endpoints, DialTimeout: time.Duration(cfg.Timeout), Username: cfg.Username, Logger: zap.NewNop(),
		DialKeepAliveTime: pingEvery, DialKeepAliveTimeout: pingWaits, PermitWithoutStream: true, DialOptions: append(new(lines).options(), dial...),
	}
	var err error
	if cfg.PasswordFile != "" {
		if conf.Password, err = readSecret("store.etcd.password_file", cfg.PasswordFile, log); err != nil {
			return conf, err
		}
	}
	conf.TLS, err = tlsConfig(cfg, log)
	return conf, err
}

// tlsConfig returns nil if no endpoint has TLS.
func tlsConfig(cfg store.EtcdConfig, log *slog.Logger) (*tls.Config, error) {
	if !slices.ContainsFunc(cfg.Endpoints, isTLS) {
		return nil, nil
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if cfg.CAFile != "" {
		pem, err := readFile("store.etcd.ca_file", cfg.CAFile)
		if err != nil {
			return nil, err
		}
		if conf.RootCAs = x509.NewCertPool(); !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("store.etcd.ca_file: %q holds no certificate", cfg.CAFile)
		}
	}
	if cfg.CertFile == "" {
		return conf, nil
	}
	cert, err := readFile("store.etcd.cert_file", cfg.CertFile)
	if err != nil {
		return nil, err
	}
	key, err := readFile("store.etcd.key_file", cfg.KeyFile)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	warnIfOpen("store.etcd.key_file", cfg.KeyFile, log)
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("store.etcd.cert_file %q and store.etcd.key_file %q: %w", cfg.CertFile, cfg.KeyFile, err)
	}
	conf.Certificates = []tls.Certificate{pair}
	return conf, nil
}

// isTLS reports whether an endpoint is spoken to over TLS.
func isTLS(endpoint string) bool {
	u, err := url.Parse(endpoint) // which makes small letters of the scheme
	return err == nil && u.Scheme == "https"
}

// readSecret returns the one line in a file, by the same rules as all secret files.
func readSecret(key, path string, log *slog.Logger) (string, error) {
	data, err := readFile(key, path)
	if err != nil {
		return "", err
	}
	secret := string(bytes.TrimSuffix(bytes.TrimSuffix(data, []byte("\n")), []byte("\r")))
	if secret == "" || strings.ContainsAny(secret, "\r\n\x00") {
		return "", fmt.Errorf("%s: %q does not hold one line", key, path)
	}
	warnIfOpen(key, path, log)
	return secret, nil
}

// warnIfOpen logs that every user can read a secret file.
func warnIfOpen(key, path string, log *slog.Logger) {
	if file.OpenToAll(path) {
		log.Warn(key+" can be read by every user; chmod it to 0600", "file", path)
	}
}

// diagnose returns err, or what is wrong with an endpoint, if no endpoint can be spoken
// with: the client only says that it waited long enough.
func diagnose(ctx context.Context, cfg store.EtcdConfig, conf *tls.Config, err error) error {
	if !isNoAnswer(err) && !errors.Is(err, store.ErrUnreachable) {
		return (&Store{prefix: cfg.Prefix}).explain(reading, err)
	}
	var found error
	for _, e := range cfg.Endpoints {
		wrong := knock(ctx, e, conf, min(time.Duration(cfg.Timeout), 2*time.Second))
		switch {
		case wrong == nil:
		case found == nil:
			found = fmt.Errorf("%s: %w", e, wrong)
		default:
			found = fmt.Errorf("%w; %s: %w", found, e, wrong)
		}
	}
	return cmp.Or(found, err)
}

// knock connects to one endpoint and returns why it could not be spoken with.
func knock(ctx context.Context, endpoint string, conf *tls.Config, within time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	conn, err := connectTo(ctx, endpoint, conf)
	if err != nil {
		return err
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline)
	}
	secure, is := conn.(*tls.Conn)
	if !is {
		return greet(conn)
	}
	// With TLS 1.3 a member refuses our certificate only after the handshake.
	if _, err := secure.Read(make([]byte, 1)); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		return refused(conf, err)
	}
	return nil
}

// greet begins to speak HTTP/2 without TLS, and returns an error if what answers does not: a
// server sends its SETTINGS first (RFC 9113, sections 3.4 and 4.1). Silence is no error.
func greet(conn net.Conn) error {
	const preface, noSettings = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "\x00\x00\x00\x04\x00\x00\x00\x00\x00"
	const typeOfFrame, settings = 3, 4
	_, err := conn.Write([]byte(preface + noSettings))
	head := make([]byte, typeOfFrame+1)
	if err == nil {
		_, err = io.ReadFull(conn, head)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) || err == nil && head[typeOfFrame] == settings {
		return nil
	}
	return errors.New("it does not speak as etcd does without TLS; if it has TLS, write https:// in store.etcd.endpoints")
}

// connectTo connects to one endpoint, with TLS a tls.Conn whose handshake is done.
func connectTo(ctx context.Context, endpoint string, conf *tls.Config) (net.Conn, error) {
	u, err := url.Parse(endpoint)
	if err != nil {
		return nil, err
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", u.Host)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", store.ErrUnreachable, err)
	}
	if u.Scheme != "https" {
		return conn, nil
	}
	conf = conf.Clone()
	conf.ServerName, conf.NextProtos = u.Hostname(), []string{"h2"}
	secure := tls.Client(conn, conf)
	if err := secure.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(refused(conf, err), conn.Close())
	}
	return secure, nil
}

// expiry returns when the certificate of an endpoint expires; the zero time if it has none,
// or cannot be spoken with.
func expiry(ctx context.Context, endpoint string, conf *tls.Config) (at time.Time) {
	conn, err := connectTo(ctx, endpoint, conf)
	if err != nil {
		return at
	}
	if secure, is := conn.(*tls.Conn); is {
		at = secure.ConnectionState().PeerCertificates[0].NotAfter
	}
	_ = conn.Close()
	return at
}

// refused says which key of mfa.toml a failed handshake by conf is about.
func refused(conf *tls.Config, err error) error {
	var authority x509.UnknownAuthorityError
	var name x509.HostnameError
	var alert *net.OpError // with the text of the alert
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &authority):
		return fmt.Errorf("its certificate is of an authority that store.etcd.ca_file does not have: %w", err)
	case errors.As(err, &name):
		return fmt.Errorf("its certificate is for another name than store.etcd.endpoints has: %w", err)
	case errors.As(err, &record):
		return fmt.Errorf("it does not speak TLS; if this is right, write http:// in store.etcd.endpoints: %w", err)
	case errors.As(err, &alert) && alert.Op == "remote error" && len(conf.Certificates) == 0:
		return fmt.Errorf("it wants a certificate of this host, and store.etcd.cert_file is empty: %w", err)
	case errors.As(err, &alert) && alert.Op == "remote error":
		return fmt.Errorf("it refuses this host's certificate (store.etcd.cert_file): %w", err)
	}
	return err
}
