package account

import "mfa/internal/mfa"

// LockoutConfig is the table [lockout].
type LockoutConfig struct {
	Preset              string       `toml:"preset"`   // where the next three come from: cis, stig or nowhere
	Failures            int          `toml:"failures"` // wrong codes within Window that lock
	Window              mfa.Duration `toml:"window"`
	Duration            mfa.Duration `toml:"duration"`              // 0: until an administrator unlocks
	Recovery            bool         `toml:"recovery"`              // a lock mails a code that ends it
	Notify              bool         `toml:"notify"`                // locks, and wrong codes from new addresses, are told by mail
	ForcePasswordChange bool         `toml:"force_password_change"` // after a recovery, PAM demands a new password
}
