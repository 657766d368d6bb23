package config

import (
	"time"

	"mfa/internal/account"
	"mfa/internal/audit"
	"mfa/internal/challenge"
	"mfa/internal/deliver"
	"mfa/internal/enroll"
	"mfa/internal/login"
	"mfa/internal/mfa"
	"mfa/internal/seal"
	"mfa/internal/store"
)

// Default returns the configuration of an empty mfa.toml. It passes every check, and
// shares no memory with another Config.
func Default() Config {
	return Config{
		Server: Server{
			PAMSocket:     "/run/mfa/pam.sock",
			ControlSocket: "/run/mfa/control.sock",
			AdminGroup:    "mfa-admin",
			TrustedUsers:  []string{},
			MaxLogins:     1024,
			LoginTimeout:  duration(100 * time.Second), // below LoginGraceTime of sshd, 120 s
		},
		Store: store.Config{
			Backend: store.BackendLocal, Path: "/var/lib/mfa",
			Etcd: store.EtcdConfig{Endpoints: []string{}, Prefix: "/mfa/", Timeout: duration(2 * time.Second), Offline: store.OfflineDeny, OfflineFor: duration(24 * time.Hour)},
		},
		Secrets: seal.Config{KeyFile: "/var/lib/mfa/key"},
		Policy: login.PolicyConfig{
			Mode:             login.ModeRequired,
			Methods:          []mfa.Method{mfa.TOTP, mfa.Email, mfa.SMS, mfa.Backup},
			EnrollAtLogin:    true,
			SelfContacts:     true,
			ReenrollAfterOff: true,
		},
		Session: login.SessionConfig{
			Remember: login.RememberNever, Scope: login.ScopeHost, Lifetime: duration(90 * 24 * time.Hour),
			Bind: []string{login.BindAddress, login.BindKey}, IPv4Prefix: 32, IPv6Prefix: 64,
		},
		Code: challenge.CodeConfig{
			Digits:       6,
			Lifetime:     duration(10 * time.Minute),
			EntryTimeout: duration(90 * time.Second),
			ResendAfter:  duration(30 * time.Second),
			MaxSends:     5,
			SendWindow:   duration(15 * time.Minute),
		},
		TOTP: challenge.TOTPConfig{
			Digits:    6,
			Period:    duration(30 * time.Second),
			Algorithm: "SHA1",
			Skew:      1,
		},
		HOTP:   challenge.HOTPConfig{Window: 10},
		Backup: enroll.BackupConfig{Codes: 10},
		Lockout: account.LockoutConfig{
			Failures: 5,
			Window:   duration(15 * time.Minute),
			Duration: duration(15 * time.Minute),
			Recovery: true,
			Notify:   true,
		},
		Email: deliver.EmailConfig{
			Transport: deliver.TransportSMTP,
			HTML:      true,
			SMTP: deliver.SMTPConfig{
				Host:    "localhost",
				Port:    25,
				TLS:     deliver.TLSOpportunistic,
				Auth:    deliver.AuthAuto,
				Timeout: duration(10 * time.Second),
			},
			Sendmail: deliver.SendmailConfig{Path: "/usr/sbin/sendmail"},
		},
		SMS: deliver.SMSConfig{
			FallbackToEmail:  true,
			Regions:          []string{},
			PerUserPerDay:    10,
			PerNumberPerDay:  10,
			PerPrefixPerHour: 200,
			PerHour:          500,
			Call:             deliver.CallConfig{PerUserPerDay: 5, PerNumberPerDay: 5, PerPrefixPerHour: 20, PerHour: 50},
			Twilio:           deliver.TwilioConfig{Timeout: duration(10 * time.Second)},
			HTTP:             deliver.HTTPConfig{Headers: map[string]string{}, Timeout: duration(10 * time.Second)},
			Command:          deliver.SMSCommandConfig{Args: []string{}, Timeout: duration(10 * time.Second)},
		},
		Contacts: account.ContactsConfig{
			Prefer: account.PreferUser,
			Keep:   duration(7 * 24 * time.Hour),
			LDAP: account.LDAPConfig{
				URLs: []string{}, StartTLS: true, Filter: "(uid={{.User}})", Email: "mail", Phone: "mobile", Timeout: duration(3 * time.Second),
			},
			Command: account.ContactsCommandConfig{Args: []string{}, Timeout: duration(3 * time.Second)},
		},
		Prompt: challenge.PromptConfig{Echo: true, QR: "utf8"},
		Audit:  audit.Config{File: "/var/log/mfa/audit.jsonl"},
		Log:    Log{Level: "info"},
	}
}

func duration(d time.Duration) mfa.Duration { return mfa.Duration(d) }
