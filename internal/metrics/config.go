package metrics

// Config is the table [metrics] of mfa.toml.
type Config struct {
	Listen string `toml:"listen"` // "127.0.0.1:9402" or "unix:/path"; empty: nowhere
}
