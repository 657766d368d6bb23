package store

// Config is the table [store] of mfa.toml.
type Config struct {
	Backend string `toml:"backend"` // "local"
	Path    string `toml:"path"`    // folder of the local store
}
