package seal

// Config is the table [secrets] of mfa.toml.
type Config struct {
	KeyFile string `toml:"key_file"` // a line of 64 hexadecimal digits for each key, mode 0600; made at first start
}
