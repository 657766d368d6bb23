package seal

// Config is the table [secrets] of mfa.toml.
type Config struct {
	KeyFile string `toml:"key_file"` // 32 bytes, mode 0600; made at first start
}
