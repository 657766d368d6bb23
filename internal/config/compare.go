package config

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"

	"mfa/internal/account"
	"mfa/internal/deliver"
	"mfa/internal/login"
	"mfa/internal/mfa"
)

// A comparison is a check of several keys together.
type comparison struct {
	keys    []string // all that it looks at; problems name the first
	allowed string
	wrong   func(c *Config) string // "" if nothing
}

// comparisons are made of every file, also of the settings of a transport that is not
// chosen, so that a mistake is not first found when it is.
var comparisons = []comparison{
	{
		keys:    []string{"server.control_socket", "server.pam_socket"},
		allowed: "a path of its own",
		wrong: func(c *Config) string {
			return when(c.Server.ControlSocket == c.Server.PAMSocket, "the same path as server.pam_socket")
		},
	},
	{
		keys:    []string{"audit.file", "store.path", "secrets.key_file"},
		allowed: "a path of its own",
		wrong:   wrongAudit,
	},
	{
		keys:    []string{"email.outbox.path", "email.transport"},
		allowed: "the path of a folder for the messages",
		wrong: func(c *Config) string {
			outbox := c.Email.Transport == deliver.TransportOutbox
			return when(outbox && c.Email.Outbox.Path == "", `not set, but email.transport is "outbox"`)
		},
	},
	{
		keys:    []string{"email.smtp.password_file", "email.smtp.username"},
		allowed: "both or neither",
		wrong: func(c *Config) string {
			s := c.Email.SMTP
			return when(s.Username != "" && s.PasswordFile == "", "not set, but email.smtp.username is")
		},
	},
	{
		keys:    []string{"email.smtp.username", "email.smtp.password_file"},
		allowed: "both or neither",
		wrong: func(c *Config) string {
			s := c.Email.SMTP
			return when(s.Username == "" && s.PasswordFile != "", "not set, but email.smtp.password_file is")
		},
	},
	{
		keys:    []string{"email.smtp.auth", "email.smtp.username"},
		allowed: `"auto" or "none" without email.smtp.username, anything but "none" with it`,
		wrong:   wrongAuth,
	},
	{
		keys:    []string{"email.smtp.tls", "email.smtp.host", "email.smtp.username"},
		allowed: `"starttls" or "implicit", or a host on loopback`,
		wrong: func(c *Config) string {
			s := c.Email.SMTP
			bare := s.TLS == deliver.TLSNone && s.Username != "" && !isLoopback(s.Host)
			return when(bare, `"none" sends the password in clear to %q`, s.Host)
		},
	},
}

// wrongAudit: what is appended to another file that mfad reads damages that.
func wrongAudit(c *Config) string {
	file := filepath.Clean(c.Audit.File)
	if c.Audit.File == "" {
		return ""
	}
	for _, s := range settings(c) {
		if at, ok := s.at.(*string); ok && s.name != "audit.file" && *at != "" && filepath.Clean(*at) == file {
			return "the same path as " + s.name
		}
	}
	in, ok := strings.CutPrefix(file, filepath.Clean(c.Store.Path)+"/")
	ours := in == "lock" || strings.HasPrefix(in, "state.db") || strings.HasPrefix(in, "state-") || strings.HasPrefix(in, "users")
	return when(ok && ours, "a file of store.path")
}

// directoryComparisons are those of [contacts].
var directoryComparisons = []comparison{
	{
		keys:    []string{"contacts.ldap.urls", "contacts.source"},
		allowed: `a list like ["ldaps://ldap.example.com"]`,
		wrong: func(c *Config) string {
			return when(c.Contacts.Source == account.SourceLDAP && len(c.Contacts.LDAP.URLs) == 0, `not set, but contacts.source is "ldap"`)
		},
	},
	{
		keys:    []string{"contacts.ldap.base", "contacts.source"},
		allowed: `the name below which users are, like "ou=people,dc=example,dc=com"`,
		wrong: func(c *Config) string {
			return when(c.Contacts.Source == account.SourceLDAP && c.Contacts.LDAP.Base == "", `not set, but contacts.source is "ldap"`)
		},
	},
	{
		keys:    []string{"contacts.ldap.password_file", "contacts.ldap.bind_dn"},
		allowed: "both or neither",
		wrong: func(c *Config) string {
			l := c.Contacts.LDAP
			return when(l.BindDN != "" && l.PasswordFile == "", "not set, but contacts.ldap.bind_dn is")
		},
	},
	{
		keys:    []string{"contacts.ldap.bind_dn", "contacts.ldap.password_file"},
		allowed: "both or neither",
		wrong: func(c *Config) string {
			l := c.Contacts.LDAP
			return when(l.BindDN == "" && l.PasswordFile != "", "not set, but contacts.ldap.password_file is")
		},
	},
	{
		keys:    []string{"contacts.ldap.email", "contacts.ldap.phone"},
		allowed: "one of both at least",
		wrong: func(c *Config) string {
			l := c.Contacts.LDAP
			return when(l.Email == "" && l.Phone == "", "neither it nor contacts.ldap.phone names an attribute")
		},
	},
	{
		keys:    []string{"contacts.command.path", "contacts.source"},
		allowed: "the path of a program",
		wrong: func(c *Config) string {
			return when(c.Contacts.Source == account.SourceCommand && c.Contacts.Command.Path == "", `not set, but contacts.source is "command"`)
		},
	},
}

// compareSMS asks the room of text messages about its table.
func (r *reader) compareSMS() {
	for key := range r.refused {
		if strings.HasPrefix(key, "sms.") {
			return
		}
	}
	err := deliver.CheckSMS(r.config.SMS)
	if calls := r.config.calls(); err == nil && calls != "" {
		err = deliver.CheckCalls(r.config.SMS, r.config.Prompt.Language, calls)
	}
	if err != nil {
		key, what, _ := strings.Cut(err.Error(), ": ")
		r.problems = append(r.problems, problem{r.lineOf([]string{key, "sms.provider"}), key, what, ""})
	}
}

// calls returns the key by which people are called; empty if there is none.
func (c *Config) calls() string {
	if slices.Contains(c.Policy.Methods, mfa.Call) {
		return "policy.methods"
	}
	i := slices.IndexFunc(c.Policy.Rules, func(r login.Rule) bool { return slices.Contains(r.Methods, mfa.Call) })
	if i < 0 {
		return ""
	}
	return fmt.Sprintf("%s[%d].methods", policyRule, i+1)
}

func wrongAuth(c *Config) string {
	s := c.Email.SMTP
	switch s.Auth {
	case deliver.AuthAuto:
		return ""
	case deliver.AuthNone:
		return when(s.Username != "", `"none", but email.smtp.username is set`)
	default:
		return when(s.Username == "", "%q, but email.smtp.username is not set", s.Auth)
	}
}

// isLoopback reports whether mail for host stays on this machine.
func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return strings.EqualFold(host, "localhost")
	}
	return addr.IsLoopback()
}

func when(wrong bool, format string, args ...any) string {
	if !wrong {
		return ""
	}
	return fmt.Sprintf(format, args...)
}
