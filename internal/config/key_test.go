package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"mfa/internal/mfa"
)

// others holds for each key a value, as TOML, that is not its default.
var others = map[string]string{
	"server.pam_socket":                `"/run/x/pam.sock"`,
	"server.control_socket":            `"/run/x/control.sock"`,
	"server.admin_group":               `"wheel"`,
	"server.trusted_users":             `["postgres"]`,
	"server.max_logins":                `7`,
	"server.login_timeout":             `"3m"`,
	"store.backend":                    `"etcd"`,
	"store.path":                       `"/srv/mfa"`,
	"store.etcd.endpoints":             `["https://etcd.example.com:2379"]`,
	"store.etcd.prefix":                `"/others/"`,
	"store.etcd.username":              `"mfa"`,
	"store.etcd.password_file":         `"/etc/mfa/etcd-password"`,
	"store.etcd.ca_file":               `"/etc/mfa/etcd-ca.pem"`,
	"store.etcd.cert_file":             `"/etc/mfa/etcd.pem"`,
	"store.etcd.key_file":              `"/etc/mfa/etcd-key.pem"`,
	"store.etcd.timeout":               `"1s"`,
	"store.etcd.offline":               `"totp"`,
	"store.etcd.offline_for":           `"1h"`,
	"secrets.key_file":                 `"/srv/key"`,
	"policy.mode":                      `"optional"`,
	"code.digits":                      `8`,
	"code.lifetime":                    `"5m"`,
	"code.entry_timeout":               `"1m"`,
	"code.resend_after":                `"45s"`,
	"code.max_sends":                   `9`,
	"code.send_window":                 `"1h"`,
	"lockout.failures":                 `3`,
	"lockout.window":                   `"1d"`,
	"lockout.duration":                 `"0s"`,
	"email.transport":                  `"sendmail"`,
	"email.from":                       `"mfa@example.com"`,
	"email.reply_to":                   `"help@example.com"`,
	"email.subject":                    `"Your code"`,
	"email.code_in_subject":            `true`,
	"email.html":                       `false`,
	"email.templates":                  `"/etc/mfa/mail"`,
	"email.smtp.host":                  `"mail.example.com"`,
	"email.smtp.port":                  `587`,
	"email.smtp.tls":                   `"starttls"`,
	"email.smtp.ca_file":               `"/etc/ca.pem"`,
	"email.smtp.auth":                  `"none"`,
	"email.smtp.username":              `"mfa"`,
	"email.smtp.password_file":         `"/etc/mfa/password"`,
	"email.smtp.timeout":               `"20s"`,
	"email.sendmail.path":              `"/usr/lib/sendmail"`,
	"email.outbox.path":                `"/var/outbox"`,
	"sms.provider":                     `"http"`,
	"sms.fallback_to_email":            `false`,
	"sms.regions":                      `["US"]`,
	"sms.per_user_per_day":             `11`,
	"sms.per_number_per_day":           `12`,
	"sms.per_prefix_per_hour":          `13`,
	"sms.per_hour":                     `14`,
	"sms.template":                     `"{{.Code}} for {{.Host}}"`,
	"sms.autofill_domain":              `"example.com"`,
	"sms.proxy":                        `"http://proxy.example.com:3128"`,
	"sms.proxy_username":               `"mfa"`,
	"sms.proxy_password_file":          `"/etc/mfa/proxy"`,
	"sms.call.per_user_per_day":        `15`,
	"sms.call.per_number_per_day":      `16`,
	"sms.call.per_prefix_per_hour":     `17`,
	"sms.call.per_hour":                `18`,
	"sms.twilio.content_sid":           `"HX1"`,
	"sms.twilio.call_from":             `"+14155552672"`,
	"prompt.language":                  `"de"`,
	"sms.twilio.account_sid":           `"AC1"`,
	"sms.twilio.auth_token_file":       `"/etc/mfa/token"`,
	"sms.twilio.api_key":               `"SK1"`,
	"sms.twilio.api_secret_file":       `"/etc/mfa/secret"`,
	"sms.twilio.from":                  `"+14155552671"`,
	"sms.twilio.messaging_service_sid": `"MG1"`,
	"sms.twilio.region":                `"ie1"`,
	"sms.twilio.edge":                  `"dublin"`,
	"sms.twilio.base_url":              `"https://twilio.example.com"`,
	"sms.twilio.timeout":               `"9s"`,
	"sms.http.url":                     `"https://sms.example.com"`,
	"sms.http.method":                  `"PUT"`,
	"sms.http.headers":                 `{"X-Key" = "x"}`,
	"sms.http.body":                    `"{{.To}}"`,
	"sms.http.from":                    `"MFA"`,
	"sms.http.timeout":                 `"8s"`,
	"sms.command.path":                 `"/usr/bin/sms"`,
	"sms.command.args":                 `["{{.To}}"]`,
	"sms.command.timeout":              `"7s"`,
	"contacts.source":                  `"userdb"`,
	"contacts.confirmed":               `true`,
	"contacts.prefer":                  `"directory"`,
	"contacts.keep":                    `"1d"`,
	"contacts.ldap.urls":               `["ldaps://ldap.example.com"]`,
	"contacts.ldap.starttls":           `false`,
	"contacts.ldap.ca_file":            `"/etc/ldap-ca.pem"`,
	"contacts.ldap.bind_dn":            `"cn=mfa"`,
	"contacts.ldap.password_file":      `"/etc/mfa/ldap"`,
	"contacts.ldap.base":               `"dc=example,dc=com"`,
	"contacts.ldap.filter":             `"(cn={{.User}})"`,
	"contacts.ldap.email":              `"mailbox"`,
	"contacts.ldap.phone":              `"pager"`,
	"contacts.ldap.timeout":            `"6s"`,
	"contacts.command.path":            `"/usr/bin/contacts"`,
	"contacts.command.args":            `["{{.UID}}"]`,
	"contacts.command.timeout":         `"5s"`,
	"prompt.echo":                      `false`,
	"prompt.qr":                        `"ascii"`,
	"policy.methods":                   `["totp"]`,
	"policy.opt_out":                   `true`,
	"policy.enroll_at_login":           `false`,
	"policy.enroll_grace":              `"7d"`,
	"policy.self_contacts":             `false`,
	"policy.reenroll_after_off":        `false`,
	"policy.nist":                      `true`, // with methods that it allows
	"totp.issuer":                      `"Example"`,
	"totp.digits":                      `8`,
	"totp.period":                      `"1m"`,
	"totp.algorithm":                   `"SHA256"`,
	"totp.skew":                        `2`,
	"hotp.window":                      `3`,
	"backup.codes":                     `12`,
	"session.remember":                 `"ask"`,
	"session.scope":                    `"fleet"`,
	"session.lifetime":                 `"30d"`,
	"session.bind":                     `["key"]`,
	"session.ipv4_prefix":              `24`,
	"session.ipv6_prefix":              `56`,
	"audit.file":                       `""`,
	"log.level":                        `"debug"`,
	"metrics.listen":                   `"127.0.0.1:9402"`,
	"lockout.preset":                   `"cis"`, // which sets what the defaults are
	"lockout.recovery":                 `false`,
	"lockout.notify":                   `false`,
	"lockout.force_password_change":    `true`,
}

// companions are the keys that another one needs beside it.
var companions = map[string]string{
	"email.smtp.username":      "email.smtp.password_file",
	"email.smtp.password_file": "email.smtp.username",

	"store.backend":            "store.etcd.endpoints",
	"store.etcd.username":      "store.etcd.password_file",
	"store.etcd.password_file": "store.etcd.username",
	"store.etcd.cert_file":     "store.etcd.key_file",
	"store.etcd.key_file":      "store.etcd.cert_file",

	"policy.nist": "policy.methods",

	"contacts.ldap.bind_dn":       "contacts.ldap.password_file",
	"contacts.ldap.password_file": "contacts.ldap.bind_dn",
}

// asTOML writes the field that at points to.
func asTOML(t *testing.T, at any) string {
	switch at := at.(type) {
	case *string:
		return strconv.Quote(*at)
	case *bool:
		return strconv.FormatBool(*at)
	case *int:
		return strconv.Itoa(*at)
	case *mfa.Duration:
		return strconv.Quote(at.String())
	case *[]mfa.Method:
		return fmt.Sprintf("%q", *at)
	case *[]string:
		return fmt.Sprintf("%q", *at)
	case *map[string]string:
		text := "{"
		for _, name := range slices.Sorted(maps.Keys(*at)) {
			text += fmt.Sprintf("%q = %q", name, (*at)[name])
		}
		return text + "}"
	}
	t.Fatalf("no TOML for a %T", at)
	return ""
}

func values(t *testing.T, c Config) map[string]string {
	all := map[string]string{}
	for _, s := range settings(&c) {
		all[s.name] = asTOML(t, s.at)
	}
	return all
}

// TestEveryKeyArrives sets each key alone and sees its field change, and no
// other: a key that is ignored or crossed with another fails it.
func TestEveryKeyArrives(t *testing.T) {
	for name, before := range values(t, Default()) {
		t.Run(name, func(t *testing.T) {
			want := values(t, Default())
			want[name] = others[name]
			if want[name] == before {
				t.Fatalf("%s is the default: it proves nothing", before)
			}
			document := name + " = " + want[name]
			if c, ok := companions[name]; ok {
				want[c] = others[c]
				document += "\n" + c + " = " + want[c]
			}
			c, err := Parse("F", []byte(document))
			if err != nil {
				t.Fatal(err)
			}
			if got := values(t, c); !maps.Equal(got, want) {
				t.Errorf("%s gave\n%v\nwant\n%v", document, got, want)
			}
		})
	}
}

func TestEveryKeyHasOneRule(t *testing.T) {
	c := Default()
	var names []string
	for _, s := range settings(&c) {
		names = append(names, s.name)
		r, ok := rules[s.name]
		if !ok {
			t.Errorf("%s has no rule", s.name)
		} else if what := r.wrong(s.at); what != "" {
			t.Errorf("%s: the default is refused: %s", s.name, what)
		}
	}
	for name := range rules {
		if !slices.Contains(names, name) {
			t.Errorf("the rule for %s has no key", name)
		}
	}
	for _, c := range slices.Concat(comparisons, directoryComparisons, fleetComparisons) {
		for _, name := range c.keys {
			if !slices.Contains(names, name) {
				t.Errorf("a comparison looks at %s, which is no key", name)
			}
		}
	}
}

func TestDefaultIsNotShared(t *testing.T) {
	a, b := Default(), Default()
	a.Policy.Methods[0] = mfa.SMS
	if reflect.DeepEqual(a, b) {
		t.Error("a change of one Config shows in another")
	}
}

func TestDistance(t *testing.T) {
	for _, tc := range []struct {
		a, b string
		want int
	}{
		{"", "", 0},
		{"", "abc", 3},
		{"abc", "", 3},
		{"code", "code", 0},
		{"cod", "code", 1},
		{"smpt", "smtp", 2},
		{"kitten", "sitting", 3},
		{strings.Repeat("x", 65), strings.Repeat("x", 65), 65}, // past the bound: far
	} {
		if got := distance(tc.a, tc.b); got != tc.want {
			t.Errorf("distance(%q, %q) = %d, want %d", tc.a, tc.b, got, tc.want)
		}
	}
}
