package smtp

import (
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"mfa/internal/deliver"
	"mfa/internal/deliver/carrier"

	"github.com/wneessen/go-mail/smtp"
)

// A mechanism is a way to log in to a relay (RFC 4954).
type mechanism struct {
	config string // as email.smtp.auth names it
	name   string // as the relay does
	clear  bool   // sends the password readable
	auth   func(r *relay) smtp.Auth
}

// mechanisms has the strongest first. choose refuses a clear one on an unencrypted
// connection, with a better reason than the library's, so the library is told to allow it.
var mechanisms = []mechanism{
	{deliver.AuthCRAMMD5, "CRAM-MD5", false, func(r *relay) smtp.Auth {
		return smtp.CRAMMD5Auth(r.cfg.Username, r.password)
	}},
	{deliver.AuthPlain, "PLAIN", true, func(r *relay) smtp.Auth {
		return smtp.PlainAuth("", r.cfg.Username, r.password, r.cfg.Host, true)
	}},
	{deliver.AuthLogin, "LOGIN", true, func(r *relay) smtp.Auth {
		return smtp.LoginAuth(r.cfg.Username, r.password, r.cfg.Host, true)
	}},
}

// checkLogin returns the first thing that is wrong with how cfg logs in, or nil.
func checkLogin(cfg deliver.SMTPConfig) error {
	i := slices.IndexFunc(mechanisms, func(m mechanism) bool { return m.config == cfg.Auth })
	named := i >= 0
	if !named && cfg.Auth != deliver.AuthAuto && cfg.Auth != deliver.AuthNone {
		return fmt.Errorf("email.smtp.auth: %q is none of %q, %q, %q, %q, %q",
			cfg.Auth, deliver.AuthAuto, deliver.AuthNone, deliver.AuthPlain, deliver.AuthLogin, deliver.AuthCRAMMD5)
	}
	if err := checkCredentials(cfg, named); err != nil {
		return err
	}
	if named && mechanisms[i].clear && cfg.TLS == deliver.TLSNone && !deliver.IsLoopback(cfg.Host) {
		return fmt.Errorf("email.smtp.auth: %q would send the password unencrypted, as email.smtp.tls is %q",
			cfg.Auth, deliver.TLSNone)
	}
	return nil
}

// checkCredentials wants a username and its password file, or neither: both if a
// mechanism is named, and no username for "none".
func checkCredentials(cfg deliver.SMTPConfig, named bool) error {
	switch {
	case cfg.Auth == deliver.AuthNone && cfg.Username != "":
		return fmt.Errorf("email.smtp.auth: %q leaves email.smtp.username unused", deliver.AuthNone)
	case named && cfg.Username == "":
		return fmt.Errorf("email.smtp.username: is empty and email.smtp.auth is %q", cfg.Auth)
	case cfg.Username != "" && cfg.PasswordFile == "":
		return errors.New("email.smtp.password_file: is empty and email.smtp.username is set")
	case cfg.Username == "" && cfg.PasswordFile != "":
		return errors.New("email.smtp.username: is empty and email.smtp.password_file is set")
	}
	return nil
}

// readPassword returns the password in password_file without its line end.
func readPassword(cfg deliver.SMTPConfig, log *slog.Logger) (string, error) {
	if cfg.PasswordFile == "" {
		return "", nil
	}
	return carrier.ReadSecret("email.smtp.password_file", cfg.PasswordFile, log)
}

// login logs in if a username is configured, and returns the mechanism used.
func (r *relay) login(client *smtp.Client) (string, error) {
	if r.cfg.Username == "" {
		return "none", nil
	}
	_, offered := client.Extension("AUTH")
	_, encrypted := client.TLSConnectionState()
	m, err := r.choose(strings.Fields(strings.ToUpper(offered)), encrypted)
	if err != nil {
		return "", deliver.Permanent(err)
	}
	return m.config, client.Auth(m.auth(r))
}

// choose returns the strongest mechanism that the configuration, the relay and
// the state of the connection allow.
func (r *relay) choose(offered []string, encrypted bool) (mechanism, error) {
	unsafe := false
	for _, m := range mechanisms {
		if r.cfg.Auth != deliver.AuthAuto && r.cfg.Auth != m.config || !slices.Contains(offered, m.name) {
			continue
		}
		if m.clear && !encrypted && !deliver.IsLoopback(r.cfg.Host) {
			unsafe = true
			continue
		}
		return m, nil
	}
	if unsafe {
		return mechanism{}, fmt.Errorf("refused to send the password unencrypted; set email.smtp.tls to %q or %q",
			deliver.TLSStartTLS, deliver.TLSImplicit)
	}
	return mechanism{}, fmt.Errorf("no way to log in with email.smtp.auth = %q; the relay offers: %s",
		r.cfg.Auth, carrier.Quote(strings.Join(append(offered, "no more"), ", "), nil))
}

// privateLogin returns the forms in which the password is sent: a relay can repeat a
// command in its answer.
func (r *relay) privateLogin() []string {
	if r.password == "" {
		return nil
	}
	b64 := base64.StdEncoding.EncodeToString
	return []string{
		b64([]byte("\x00" + r.cfg.Username + "\x00" + r.password)),
		b64([]byte(r.password)), r.password,
	}
}
