package login

import "mfa/internal/mfa"

// Config is what an Engine is told: the tables [policy], [code], [lockout] and
// [prompt] of mfa.toml, and the host's name for messages.
type Config struct {
	Policy  PolicyConfig
	Code    CodeConfig
	Lockout LockoutConfig
	Prompt  PromptConfig

	Host        string // name of this machine, as people know it
	MailSubject string // of mails with a code; empty: one that names the host

	// MailDomain is the domain of the addresses that accounts which do not exist
	// seem to have.
	MailDomain string
}

// Modes of PolicyConfig.Mode.
const (
	ModeOff      = "off"      // nobody is asked
	ModeOptional = "optional" // who is enrolled is asked
	ModeRequired = "required" // everybody is asked; who is not enrolled stays out
)

// PolicyConfig is the table [policy]: who is asked, and for what.
type PolicyConfig struct {
	Mode    string       `toml:"mode"`
	Methods []mfa.Method `toml:"methods"`
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

// LockoutConfig is the table [lockout].
type LockoutConfig struct {
	Failures int          `toml:"failures"` // wrong codes within Window that lock
	Window   mfa.Duration `toml:"window"`
	Duration mfa.Duration `toml:"duration"` // 0: until an administrator unlocks
}

// PromptConfig is the table [prompt].
type PromptConfig struct {
	Echo bool `toml:"echo"` // codes are visible while typed
}
