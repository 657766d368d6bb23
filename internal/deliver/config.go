package deliver

import "mfa/internal/mfa"

// Values of EmailConfig.Transport.
const (
	TransportSMTP     = "smtp"
	TransportSendmail = "sendmail"
	TransportOutbox   = "outbox"
)

// EmailConfig is the table [email] of mfa.toml.
type EmailConfig struct {
	Transport     string         `toml:"transport"`       // smtp, sendmail or outbox
	From          string         `toml:"from"`            // address, with or without a display name (RFC 5322); empty: mfa@HOST
	ReplyTo       string         `toml:"reply_to"`        // address for answers; empty: that of From
	Subject       string         `toml:"subject"`         // empty: a subject that names the host
	CodeInSubject bool           `toml:"code_in_subject"` // where it is seen while a phone is locked
	HTML          bool           `toml:"html"`            // beside the text
	Templates     string         `toml:"templates"`       // folder; empty: ours
	SMTP          SMTPConfig     `toml:"smtp"`
	Sendmail      SendmailConfig `toml:"sendmail"`
	Outbox        OutboxConfig   `toml:"outbox"`
}

// Values of SMTPConfig.TLS.
const (
	TLSNone          = "none"          // never
	TLSOpportunistic = "opportunistic" // STARTTLS when offered; then the certificate must verify, except on loopback
	TLSStartTLS      = "starttls"      // STARTTLS or nothing is sent (RFC 3207)
	TLSImplicit      = "implicit"      // TLS from the first byte (RFC 8314)
)

// Values of SMTPConfig.Auth.
const (
	AuthAuto    = "auto" // with a username the strongest the server offers, else none
	AuthNone    = "none"
	AuthPlain   = "plain"
	AuthLogin   = "login"
	AuthCRAMMD5 = "cram-md5"
)

// SMTPConfig is the table [email.smtp].
type SMTPConfig struct {
	Host         string       `toml:"host"`
	Port         int          `toml:"port"`
	TLS          string       `toml:"tls"`
	CAFile       string       `toml:"ca_file"` // PEM; empty: the system's authorities
	Auth         string       `toml:"auth"`
	Username     string       `toml:"username"`
	PasswordFile string       `toml:"password_file"` // read at start and at reload; trailing newline dropped
	Timeout      mfa.Duration `toml:"timeout"`       // for one attempt
}

// SendmailConfig is the table [email.sendmail].
type SendmailConfig struct {
	Path string `toml:"path"` // sendmail(1) of any mail system
}

// OutboxConfig is the table [email.outbox].
type OutboxConfig struct {
	Path string `toml:"path"` // a maildir; made when missing
}
