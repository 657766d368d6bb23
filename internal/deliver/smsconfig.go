package deliver

import (
	"strings"

	"mfa/internal/mfa"
)

// Values of SMSConfig.Provider. Empty: there are no text messages.
const (
	ProviderTwilio  = "twilio"
	ProviderHTTP    = "http"
	ProviderCommand = "command"
)

// SMSConfig is the table [sms] of mfa.toml. A spend.Ledger enforces its limits; an SMS
// sends whatever it is given.
type SMSConfig struct {
	Provider         string   `toml:"provider"`            // twilio, http, command or empty
	FallbackToEmail  bool     `toml:"fallback_to_email"`   // a text that cannot be sent goes by email
	Regions          []string `toml:"regions"`             // ISO 3166-1 codes whose numbers are allowed; empty: all
	PerUserPerDay    int      `toml:"per_user_per_day"`    // messages
	PerNumberPerDay  int      `toml:"per_number_per_day"`  // messages
	PerPrefixPerHour int      `toml:"per_prefix_per_hour"` // messages to numbers that begin alike
	PerHour          int      `toml:"per_hour"`            // messages to everybody
	Template         string   `toml:"template"`            // text of a message, see CheckSMSTemplate; empty: ours
	AutofillDomain   string   `toml:"autofill_domain"`     // host that phones offer the code to; empty: none

	Proxy             string `toml:"proxy"`               // of Twilio and HTTP: an address, ProxyNone, or empty: as the environment of mfad says
	ProxyUsername     string `toml:"proxy_username"`      // of basic authentication (RFC 7617); empty: none
	ProxyPasswordFile string `toml:"proxy_password_file"` // read at start and at reload; trailing newline dropped

	Call    CallConfig       `toml:"call"`
	Twilio  TwilioConfig     `toml:"twilio"`
	HTTP    HTTPConfig       `toml:"http"`
	Command SMSCommandConfig `toml:"command"`
}

// CallConfig is the table [sms.call]: what calls may cost, which a spend.Ledger of their
// own enforces.
type CallConfig struct {
	PerUserPerDay    int `toml:"per_user_per_day"`
	PerNumberPerDay  int `toml:"per_number_per_day"`
	PerPrefixPerHour int `toml:"per_prefix_per_hour"` // calls to numbers that begin alike
	PerHour          int `toml:"per_hour"`            // calls to everybody
}

// TwilioConfig is the table [sms.twilio]. The account proves itself by its auth
// token, or by an API key and its secret.
type TwilioConfig struct {
	AccountSID          string       `toml:"account_sid"`           // AC…
	AuthTokenFile       string       `toml:"auth_token_file"`       // read at start and at reload; trailing newline dropped
	APIKey              string       `toml:"api_key"`               // SK…
	APISecretFile       string       `toml:"api_secret_file"`       // read as AuthTokenFile
	From                string       `toml:"from"`                  // number, short code, sender ID, or a number behind WhatsAppPrefix
	ContentSID          string       `toml:"content_sid"`           // HX…: the template of WhatsApp messages, with the code as {{1}}
	CallFrom            string       `toml:"call_from"`             // number that calls come from; empty: From
	MessagingServiceSID string       `toml:"messaging_service_sid"` // MG…; in place of From
	Region              string       `toml:"region"`                // "ie1"; empty: us1
	Edge                string       `toml:"edge"`                  // "dublin"; empty: the public internet
	BaseURL             string       `toml:"base_url"`              // in place of https://api.twilio.com, Region and Edge
	Timeout             mfa.Duration `toml:"timeout"`               // for one attempt
}

// WhatsAppPrefix begins a TwilioConfig.From that sends by WhatsApp.
const WhatsAppPrefix = "whatsapp:"

// WhatsApp says whether texts go by WhatsApp.
func (cfg TwilioConfig) WhatsApp() bool { return strings.HasPrefix(cfg.From, WhatsAppPrefix) }

// Caller returns the number that calls come from; empty if there is none.
func (cfg TwilioConfig) Caller() string {
	if cfg.CallFrom == "" && mfa.IsNumber(cfg.From) {
		return cfg.From
	}
	return cfg.CallFrom
}

// HTTPConfig is the table [sms.http]: one request a message, to any gateway.
// URL, the values of Headers, and Body are templates of text/template with these
// fields, escaped for the place where they stand:
//
//	{{.To}}      the number, as +17891234567
//	{{.Digits}}  the number without its plus
//	{{.Text}}    the message
//	{{.From}}    the key from
//
// {{json .Text}} writes a whole JSON string with its quotes, {{query .Text}} a
// value for a query, {{file "/path"}} the one line of a file, escaped like a
// field, so that no secret stands in mfa.toml. Files are read at start and at
// reload.
type HTTPConfig struct {
	URL     string            `toml:"url"`    // http or https; a certificate must verify
	Method  string            `toml:"method"` // POST, PUT or GET; empty: POST
	Headers map[string]string `toml:"headers"`
	Body    string            `toml:"body"` // its Content-Type, one of Headers, decides how fields are escaped
	From    string            `toml:"from"` // a sender's name or number, for {{.From}}
	Timeout mfa.Duration      `toml:"timeout"`
}

// SMSCommandConfig is the table [sms.command]: one run of a program a message,
// which comes on standard input. There is no shell.
type SMSCommandConfig struct {
	Path    string       `toml:"path"` // absolute
	Args    []string     `toml:"args"` // templates with {{.To}} and {{.Digits}}; empty: the number as +17891234567
	Timeout mfa.Duration `toml:"timeout"`
}
