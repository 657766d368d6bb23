package config

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode"

	"mfa/internal/account"
	"mfa/internal/deliver"
	"mfa/internal/login"
	"mfa/internal/mfa"
	"mfa/internal/store"
)

// A rule says which values one key may have.
type rule struct {
	allowed string              // for people
	wrong   func(at any) string // what is wrong with the field at points to, "" if nothing
}

// newRule makes a rule for fields of type T. A field of another type panics: a
// test passes every default through its rule.
func newRule[T any](allowed string, wrong func(v T) string) rule {
	return rule{allowed, func(at any) string { return wrong(*at.(*T)) }}
}

// rules holds one rule for each key of this version.
var rules = map[string]rule{
	"server.pam_socket":     socket,
	"server.control_socket": socket,
	"server.admin_group":    group,
	"server.trusted_users":  names("users"),
	"server.max_logins":     count(1, 65536),
	"server.login_timeout":  span(time.Second, 10*time.Minute),

	"store.backend":    word(store.BackendLocal, store.BackendEtcd),
	"store.path":       somePath,
	"secrets.key_file": secretFile,

	"store.etcd.endpoints":     endpoints,
	"store.etcd.prefix":        etcdPrefix,
	"store.etcd.username":      text(256),
	"store.etcd.password_file": optionalSecretFile,
	"store.etcd.ca_file":       optionalSecretFile,
	"store.etcd.cert_file":     optionalSecretFile,
	"store.etcd.key_file":      optionalSecretFile,
	"store.etcd.timeout":       span(100*time.Millisecond, 30*time.Second),
	"store.etcd.offline":       word(store.OfflineDeny, store.OfflineTOTP),
	"store.etcd.offline_for":   span(time.Minute, 30*24*time.Hour),

	"policy.mode":    word(login.ModeOff, login.ModeOptional, login.ModeRequired),
	"policy.methods": some(mfa.TOTP, mfa.HOTP, mfa.Email, mfa.SMS, mfa.Call, mfa.Backup),

	"policy.opt_out":            flag,
	"policy.enroll_at_login":    flag,
	"policy.enroll_grace":       span(0, 365*24*time.Hour),
	"policy.self_contacts":      flag,
	"policy.reenroll_after_off": flag,
	"policy.nist":               flag,

	"session.scope":       word(login.ScopeHost, login.ScopeFleet),
	"session.remember":    word(login.RememberNever, login.RememberAsk, login.RememberAlways),
	"session.lifetime":    span(time.Minute, 365*24*time.Hour),
	"session.bind":        some(login.BindAddress, login.BindKey),
	"session.ipv4_prefix": count(8, 32),
	"session.ipv6_prefix": count(32, 128),

	"code.digits":        count(6, 10),
	"code.lifetime":      span(time.Second, time.Hour),
	"code.entry_timeout": span(time.Second, 10*time.Minute),
	"code.resend_after":  span(0, time.Hour),
	"code.max_sends":     count(1, 100),
	"code.send_window":   span(time.Second, 24*time.Hour),

	"totp.issuer": issuer,
	"totp.digits": newRule("6 or 8", func(n int) string {
		return when(n != 6 && n != 8, "%d is out of range", n)
	}),
	"totp.period":    span(15*time.Second, 5*time.Minute),
	"totp.algorithm": word("SHA1", "SHA256", "SHA512"),
	"totp.skew":      count(0, 10),
	"hotp.window":    count(0, 50),
	"backup.codes":   count(1, 100),

	// NIST SP 800-63B-4, 3.2.2: no more than 100 consecutive failures.
	"lockout.failures": count(1, 100),
	"lockout.window":   span(time.Second, 30*24*time.Hour),
	"lockout.duration": span(0, 365*24*time.Hour),

	"lockout.preset":                word("", "cis", "stig"),
	"lockout.recovery":              flag,
	"lockout.notify":                flag,
	"lockout.force_password_change": flag,

	"email.transport":          word(deliver.TransportSMTP, deliver.TransportSendmail, deliver.TransportOutbox),
	"email.from":               sender,
	"email.reply_to":           replyTo,
	"email.subject":            text(200),
	"email.code_in_subject":    flag,
	"email.html":               flag,
	"email.templates":          optionalPath,
	"email.smtp.host":          host,
	"email.smtp.port":          count(1, 65535),
	"email.smtp.tls":           word(deliver.TLSNone, deliver.TLSOpportunistic, deliver.TLSStartTLS, deliver.TLSImplicit),
	"email.smtp.ca_file":       optionalSecretFile,
	"email.smtp.auth":          word(deliver.AuthAuto, deliver.AuthNone, deliver.AuthPlain, deliver.AuthLogin, deliver.AuthCRAMMD5),
	"email.smtp.username":      text(256),
	"email.smtp.password_file": optionalSecretFile,
	"email.smtp.timeout":       span(time.Second, 2*time.Minute),
	"email.sendmail.path":      somePath,
	"email.outbox.path":        optionalPath,

	"sms.provider":            word("", deliver.ProviderTwilio, deliver.ProviderHTTP, deliver.ProviderCommand),
	"sms.fallback_to_email":   flag,
	"sms.regions":             words(`a list of country codes like "US" or "DE"`),
	"sms.per_user_per_day":    count(0, 10000),
	"sms.per_number_per_day":  count(0, 10000),
	"sms.per_prefix_per_hour": count(0, 1000000),
	"sms.per_hour":            count(0, 1000000),
	"sms.template":            text(500),
	"sms.autofill_domain":     text(253),
	"sms.proxy":               text(500),
	"sms.proxy_username":      text(256),
	"sms.proxy_password_file": optionalSecretFile,

	"sms.call.per_user_per_day":    count(0, 1000),
	"sms.call.per_number_per_day":  count(0, 1000),
	"sms.call.per_prefix_per_hour": count(0, 100000),
	"sms.call.per_hour":            count(0, 100000),

	"sms.twilio.account_sid":           text(64),
	"sms.twilio.auth_token_file":       optionalSecretFile,
	"sms.twilio.api_key":               text(64),
	"sms.twilio.api_secret_file":       optionalSecretFile,
	"sms.twilio.from":                  text(64),
	"sms.twilio.messaging_service_sid": text(64),
	"sms.twilio.content_sid":           text(64),
	"sms.twilio.call_from":             text(64),
	"sms.twilio.region":                text(64),
	"sms.twilio.edge":                  text(64),
	"sms.twilio.base_url":              text(500),
	"sms.twilio.timeout":               span(time.Second, time.Minute),

	"sms.http.url":     text(2000),
	"sms.http.method":  word("", "POST", "PUT", "GET"),
	"sms.http.headers": headers,
	"sms.http.body":    newRule("a text, with {{.To}} and {{.Text}} for number and message", func(string) string { return "" }),
	"sms.http.from":    text(64),
	"sms.http.timeout": span(time.Second, time.Minute),

	"sms.command.path":    optionalPath,
	"sms.command.args":    words("a list of arguments, with {{.To}} for the number"),
	"sms.command.timeout": span(time.Second, time.Minute),

	"contacts.source":             word("", account.SourceLDAP, account.SourceUserDB, account.SourceCommand),
	"contacts.confirmed":          flag,
	"contacts.prefer":             word(account.PreferUser, account.PreferDirectory),
	"contacts.keep":               span(0, 90*24*time.Hour),
	"contacts.ldap.urls":          words(`a list like ["ldaps://ldap.example.com"]`),
	"contacts.ldap.starttls":      flag,
	"contacts.ldap.ca_file":       optionalSecretFile,
	"contacts.ldap.bind_dn":       text(1000),
	"contacts.ldap.password_file": optionalSecretFile,
	"contacts.ldap.base":          text(1000),
	"contacts.ldap.filter":        text(1000),
	"contacts.ldap.email":         attribute,
	"contacts.ldap.phone":         attribute,
	"contacts.ldap.timeout":       span(time.Second, 10*time.Second),
	"contacts.command.path":       optionalPath,
	"contacts.command.args":       words("a list of arguments, with {{.User}} for the name"),
	"contacts.command.timeout":    span(time.Second, 10*time.Second),

	"prompt.echo": flag,
	"prompt.qr":   word("utf8", "ascii", "off"),
	"audit.file":  optionalPath,

	"prompt.language": language,

	"metrics.listen": listener,

	"log.level": word("debug", "info", "warn", "error"),
}

var flag = newRule("true or false, without quotes", func(bool) string { return "" })

// issuer has no colon: in an otpauth URI it divides issuer and account.
var issuer = newRule("one line of at most 64 bytes, without a colon", func(s string) string {
	switch {
	case strings.ContainsFunc(s, unicode.IsControl) || strings.Contains(s, ":"):
		return "a control character or a colon in the text"
	case len(s) > 64:
		return fmt.Sprintf("%d bytes are too long", len(s))
	}
	return ""
})

// attribute is the name of an attribute of LDAP (RFC 4512, 2.5), or nothing.
var attribute = newRule(`the name of an attribute, like "mail", or ""`, func(s string) string {
	odd := strings.ContainsFunc(s, func(r rune) bool { return !deliver.IsWord(r) && !strings.ContainsRune("-;.", r) })
	return when(odd || len(s) > 100, "%.40q is not the name of an attribute", s)
})

func count(least, most int) rule {
	return newRule(fmt.Sprintf("%d to %d", least, most), func(n int) string {
		if n < least || n > most {
			return fmt.Sprintf("%d is out of range", n)
		}
		return ""
	})
}

func span(least, most time.Duration) rule {
	lo, hi := mfa.Duration(least), mfa.Duration(most)
	return newRule(fmt.Sprintf("%q to %q", lo, hi), func(d mfa.Duration) string {
		switch {
		case d < lo:
			return fmt.Sprintf("%q is too short", d)
		case d > hi:
			return fmt.Sprintf("%q is too long", d)
		}
		return ""
	})
}

func word(words ...string) rule {
	return newRule(either(words), func(s string) string { return unknownWord(s, words) })
}

func unknownWord[S ~string](s S, words []S) string {
	return when(!slices.Contains(words, s), "%q is unknown", s)
}

// either lists words for people: "a", "b" or "c".
func either[S ~string](words []S) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = fmt.Sprintf("%q", w)
	}
	last := len(quoted) - 1
	if last == 0 {
		return quoted[0]
	}
	return strings.Join(quoted[:last], ", ") + " or " + quoted[last]
}

// some allows some of the words known, each once.
func some[S ~string](known ...S) rule {
	return newRule("a list of "+either(known), func(list []S) string {
		if len(list) == 0 {
			return "the list is empty"
		}
		for i, m := range list {
			if what := unknownWord(m, known); what != "" {
				return what
			}
			if slices.Contains(list[:i], m) {
				return fmt.Sprintf("%q is in the list twice", m)
			}
		}
		return ""
	})
}

// words allows any list of texts; comparisons check their meaning.
func words(allowed string) rule {
	return newRule(allowed, func([]string) string { return "" })
}

var headers = newRule(`names and values, like Authorization = "Bearer {{file \"/etc/mfa/gateway\"}}"`, func(m map[string]string) string {
	for name, value := range m {
		if strings.ContainsFunc(name+value, unicode.IsControl) {
			return "a control character in a header"
		}
	}
	return ""
})

// wrongPath does not quote the path: somebody may have put a password there.
func wrongPath(s string) string {
	switch {
	case s == "":
		return "empty"
	case !filepath.IsAbs(s):
		return "not an absolute path"
	case strings.ContainsFunc(s, unicode.IsControl):
		return "a control character in the path"
	}
	return ""
}

var somePath = newRule(`a path that begins with "/"`, wrongPath)

var optionalPath = newRule(`a path that begins with "/", or ""`, func(s string) string {
	if s == "" {
		return ""
	}
	return wrongPath(s)
})

// longestSocket is the size of sun_path in unix(7), less its closing zero.
const longestSocket = 107

var socket = newRule(fmt.Sprintf(`a path that begins with "/", of at most %d bytes`, longestSocket), func(s string) string {
	if len(s) > longestSocket {
		return fmt.Sprintf("a path of %d bytes is too long for a socket", len(s))
	}
	return wrongPath(s)
})

var group = newRule(`the name of a group, or "" for root alone`, func(s string) string {
	if s != strings.TrimSpace(s) || strings.Contains(s, ":") || strings.ContainsFunc(s, unicode.IsControl) {
		return fmt.Sprintf("%q is not the name of a group", s)
	}
	return ""
})

// text allows one line of text: what ends up in a mail header must not begin
// another one.
func text(most int) rule {
	return newRule(fmt.Sprintf("one line of at most %d bytes", most), func(s string) string {
		switch {
		case strings.ContainsFunc(s, unicode.IsControl):
			return "a control character in the text"
		case len(s) > most:
			return fmt.Sprintf("%d bytes are too long", len(s))
		}
		return ""
	})
}

var language = newRule(`a language like "de" or "pt-BR" (RFC 5646), or "" for English`, func(s string) string {
	return when(s != "" && !deliver.IsLanguage(s), "%q is not a language", s)
})

const anAddress = `an address like "mfa@example.com" or "Example login <mfa@example.com>", or ""`

var sender = newRule(anAddress, func(s string) string {
	_, err := mfa.ParseSender(s)
	return when(s != "" && err != nil, "%q is not an email address (RFC 5322)", s)
})

var replyTo = newRule(anAddress, func(s string) string {
	_, err := mfa.ParseReplyTo(s)
	return when(s != "" && err != nil, "%q is not an email address in ASCII (RFC 5322)", s)
})

var host = newRule(`a name like "mail.example.com" or an address like "192.0.2.25", without a port`, func(s string) string {
	if _, err := netip.ParseAddr(s); err == nil || mfa.IsHostName(s) {
		return ""
	}
	return fmt.Sprintf("%q is not a host", s)
})
