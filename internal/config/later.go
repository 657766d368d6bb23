package config

// laterKeys are the keys of mfa.toml whose capability a later version brings.
// A version that brings one moves it from here into Config.
var laterKeys = []string{
	"store.etcd.endpoints", "store.etcd.prefix", "store.etcd.username", "store.etcd.password_file",
	"store.etcd.ca_file", "store.etcd.cert_file", "store.etcd.key_file", "store.etcd.timeout",
}

// laterWords are the words that a later version adds to keys of this one.
var laterWords = map[string][]string{
	"store.backend": {"etcd"},
}

const notYet = "not available yet in this version"
