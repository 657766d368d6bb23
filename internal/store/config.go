package store

import (
	"path/filepath"

	"mfa/internal/mfa"
)

// The words of Config.Backend.
const (
	BackendLocal = "local"
	BackendEtcd  = "etcd"
)

// The words of EtcdConfig.Offline.
const (
	OfflineDeny = "deny" // while etcd cannot be reached nobody is let in whom the rules do not let in
	OfflineTOTP = "totp" // a user of this host is, by an app or a backup code
)

// Config is the table [store] of mfa.toml.
type Config struct {
	Backend string     `toml:"backend"` // BackendLocal or BackendEtcd
	Path    string     `toml:"path"`    // folder of the local store
	Etcd    EtcdConfig `toml:"etcd"`
}

// EtcdConfig is the table [store.etcd]: the store of a fleet.
type EtcdConfig struct {
	Endpoints    []string     `toml:"endpoints"`     // https://HOST:PORT, or http:// on this machine
	Prefix       string       `toml:"prefix"`        // begins every key
	Username     string       `toml:"username"`      // empty: the certificate says who we are
	PasswordFile string       `toml:"password_file"` // of Username
	CAFile       string       `toml:"ca_file"`       // PEM; empty: the system's authorities
	CertFile     string       `toml:"cert_file"`     // PEM, of this host; empty: none
	KeyFile      string       `toml:"key_file"`      // of CertFile
	Timeout      mfa.Duration `toml:"timeout"`       // one question to etcd
	Offline      string       `toml:"offline"`       // OfflineDeny or OfflineTOTP
	OfflineFor   mfa.Duration `toml:"offline_for"`   // how long OfflineTOTP lasts after etcd was heard of last
}

// OfflineFolder returns where OfflineTOTP keeps what it needs.
func (c Config) OfflineFolder() string { return filepath.Join(c.Path, "offline") }
