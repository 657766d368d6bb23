package config

// laterKeys are the keys of mfa.toml whose capability a later version brings.
// A version that brings one moves it from here into Config.
var laterKeys = []string{"store.etcd.offline", "store.etcd.offline_for"}

const notYet = "not available yet in this version"
