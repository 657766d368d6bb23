package audit

// Config is the table [audit] of mfa.toml.
type Config struct {
	File string `toml:"file"` // JSON lines; empty: no file, the log only
}
