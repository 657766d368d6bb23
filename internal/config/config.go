// Package config reads mfa.toml, strictly: an unknown key, a bad value or a
// file that others may write is an error that names file, line and key and says
// what is allowed. A key whose capability this version lacks is refused as "not
// available yet", so that nobody trusts a setting that does nothing.
package config

import (
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

// Path is the configuration file that mfad reads by default.
const Path = "/etc/mfa/mfa.toml"

// Config is mfa.toml with its defaults filled in and every value checked.
type Config struct {
	Server   Server                 `toml:"server"`
	Store    store.Config           `toml:"store"`
	Secrets  seal.Config            `toml:"secrets"`
	Policy   login.PolicyConfig     `toml:"policy"`
	Session  login.SessionConfig    `toml:"session"`
	Code     challenge.CodeConfig   `toml:"code"`
	TOTP     challenge.TOTPConfig   `toml:"totp"`
	HOTP     challenge.HOTPConfig   `toml:"hotp"`
	Backup   enroll.BackupConfig    `toml:"backup"`
	Lockout  account.LockoutConfig  `toml:"lockout"`
	Email    deliver.EmailConfig    `toml:"email"`
	SMS      deliver.SMSConfig      `toml:"sms"`
	Contacts account.ContactsConfig `toml:"contacts"`
	Prompt   challenge.PromptConfig `toml:"prompt"`
	Audit    audit.Config           `toml:"audit"`
	Metrics  Metrics                `toml:"metrics"`
	Log      Log                    `toml:"log"`
}

// Server is the table [server].
type Server struct {
	PAMSocket     string       `toml:"pam_socket"`
	ControlSocket string       `toml:"control_socket"`
	AdminGroup    string       `toml:"admin_group"`   // may administer; need not exist
	TrustedUsers  []string     `toml:"trusted_users"` // accounts that may ask for others, as root may
	MaxLogins     int          `toml:"max_logins"`    // at once
	LoginTimeout  mfa.Duration `toml:"login_timeout"` // one login, hello to verdict
}

// Metrics is the table [metrics].
type Metrics struct {
	Listen string `toml:"listen"` // "127.0.0.1:9402" or "unix:/path"; empty: nowhere
}

// Log is the table [log].
type Log struct {
	Level string `toml:"level"` // debug, info, warn, error
}
