package challenge

import (
	"time"

	"mfa/internal/deliver/mail"
	"mfa/internal/mfa"
)

// Config is what an Asker is told: the tables [code], [totp], [hotp] and [prompt] of mfa.toml, and the names for messages.
type Config struct {
	Code   CodeConfig
	TOTP   TOTPConfig
	HOTP   HOTPConfig
	Prompt PromptConfig

	Host  string       // name of this machine, as people know it
	Mails *mail.Writer // nil: writes ours

	SMSTemplate    string // of text messages with a code; empty: ours
	AutofillDomain string // host that phones offer the code to; empty: none
}

// CodeConfig is the table [code]: codes that are sent.
type CodeConfig struct {
	Digits       int          `toml:"digits"`        // 6 to 10
	Lifetime     mfa.Duration `toml:"lifetime"`      // from the sending
	EntryTimeout mfa.Duration `toml:"entry_timeout"` // how long a prompt waits
	ResendAfter  mfa.Duration `toml:"resend_after"`  // between two sendings that a user asks for
	MaxSends     int          `toml:"max_sends"`     // codes sent to one user within SendWindow
	SendWindow   mfa.Duration `toml:"send_window"`
}

// TOTPConfig is the table [totp]. All but Skew count for new setups only: an app
// that is set up keeps the parameters it was set up with.
type TOTPConfig struct {
	Issuer    string       `toml:"issuer"`    // how the app names this machine; empty: its name
	Digits    int          `toml:"digits"`    // 6 or 8
	Period    mfa.Duration `toml:"period"`    // how long the app shows a code
	Algorithm string       `toml:"algorithm"` // SHA1, SHA256 or SHA512
	Skew      int          `toml:"skew"`      // periods before and after now that are accepted too
}

// PromptConfig is the table [prompt].
type PromptConfig struct {
	Echo     bool   `toml:"echo"`     // codes are visible while typed
	QR       string `toml:"qr"`       // utf8, ascii or off
	Language string `toml:"language"` // of prompts, messages and calls (RFC 5646); empty: English
}

func (c CodeConfig) goodFor() time.Duration { return time.Duration(c.Lifetime) }
