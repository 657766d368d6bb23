package smtp

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mfa/internal/deliver"
	"mfa/internal/deliver/delivertest"
)

// A probe goes up to the end of the greeting and sends nothing.
func TestProbeSMTP(t *testing.T) {
	e, srv := scripted(t, delivertest.Script(delivertest.Hello(), delivertest.Quit()))
	if err := e.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	srv.Finish()
	if n := len(srv.Messages()); n != 0 {
		t.Errorf("%d messages were sent", n)
	}
}

// It fails as a message would.
func TestProbeFails(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := l.Addr().(*net.TCPAddr).Port
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	demanding := smtpConfig("127.0.0.1", closed)
	demanding.SMTP.TLS = deliver.TLSStartTLS
	srv := delivertest.NewServer(t, delivertest.Options{}, delivertest.Script(delivertest.Hello(), delivertest.Gone()))
	demanding.SMTP.Host, demanding.SMTP.Port = srv.Host, srv.Port
	for name, tc := range map[string]struct {
		cfg deliver.EmailConfig
		say string
	}{
		"nobody listens":    {smtpConfig("127.0.0.1", closed), "connect"},
		"no STARTTLS":       {demanding, "STARTTLS"},
		"no program":        {deliver.EmailConfig{Transport: deliver.TransportSendmail, Sendmail: deliver.SendmailConfig{Path: "/nowhere/sendmail"}}, "no such file"},
		"not a program":     {deliver.EmailConfig{Transport: deliver.TransportSendmail, Sendmail: deliver.SendmailConfig{Path: file}}, "permission denied"},
		"a folder":          {deliver.EmailConfig{Transport: deliver.TransportSendmail, Sendmail: deliver.SendmailConfig{Path: t.TempDir()}}, "is a directory"},
		"a file for folder": {deliver.EmailConfig{Transport: deliver.TransportOutbox, Outbox: deliver.OutboxConfig{Path: file}}, "not a folder"},
	} {
		t.Run(name, func(t *testing.T) {
			err := newEmail(t, tc.cfg).Probe(t.Context())
			if err == nil || !strings.Contains(err.Error(), tc.say) {
				t.Errorf("error %v, want one with %q", err, tc.say)
			}
		})
	}
}

func TestProbeOutbox(t *testing.T) {
	for _, path := range []string{t.TempDir(), "/nowhere/yet"} {
		e := newEmail(t, deliver.EmailConfig{Transport: deliver.TransportOutbox, Outbox: deliver.OutboxConfig{Path: path}})
		if err := e.Probe(t.Context()); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}
