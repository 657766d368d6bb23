package store

import "mfa/internal/mfa"

// The words of Config.Backend.
const (
	BackendLocal = "local"
	BackendEtcd  = "etcd"
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
}
