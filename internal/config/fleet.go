package config

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode"

	"mfa/internal/store"
)

// endpoints allows URLs of members of etcd.
var endpoints = newRule(`a list like ["https://etcd1.example.com:2379"]`, func(list []string) string {
	for i, e := range list {
		if what := wrongEndpoint(e); what != "" {
			return what
		}
		if slices.Contains(list[:i], e) {
			return fmt.Sprintf("%q is in the list twice", e)
		}
	}
	return ""
})

func wrongEndpoint(e string) string {
	u, err := url.Parse(e)
	switch {
	case !strings.Contains(e, "://"):
		return fmt.Sprintf("%q has no scheme: https://", e)
	case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "":
		return fmt.Sprintf("%q is not https://HOST:PORT", e)
	case u.Scheme != "https" && u.Scheme != "http":
		return fmt.Sprintf("%q has the scheme %q", e, u.Scheme)
	case u.Port() == "":
		return fmt.Sprintf("%q has no port; etcd's is 2379", e)
	}
	return ""
}

// etcdPrefix ends with a slash, or the keys of "/mfa" and "/mfa2" would be mixed.
var etcdPrefix = newRule(`a text that begins and ends with "/", like "/mfa/"`, func(s string) string {
	switch {
	case len(s) < 3 || s[0] != '/' || s[len(s)-1] != '/':
		return fmt.Sprintf("%q does not begin and end with a slash", s)
	case strings.ContainsFunc(s, unicode.IsControl) || len(s) > 256:
		return "a control character in the prefix, or more than 256 bytes"
	}
	return ""
})

// fleetComparisons are those of [store.etcd].
var fleetComparisons = []comparison{
	{
		keys:    []string{"store.etcd.endpoints", "store.backend"},
		allowed: `a list like ["https://etcd1.example.com:2379"]`,
		wrong: func(c *Config) string {
			return when(c.Store.Backend == store.BackendEtcd && len(c.Store.Etcd.Endpoints) == 0, `not set, but store.backend is "etcd"`)
		},
	},
	{
		// Whoever could speak in etcd's place could say that a used code was not used.
		keys:    []string{"store.etcd.endpoints"},
		allowed: "https://, or http:// on loopback; all the same",
		wrong: func(c *Config) string {
			for _, e := range c.Store.Etcd.Endpoints {
				u, err := url.Parse(e)
				if err == nil && u.Scheme == "http" && !isLoopback(u.Hostname()) {
					return fmt.Sprintf("%q is neither encrypted nor on this machine", e)
				}
				if first, err := url.Parse(c.Store.Etcd.Endpoints[0]); err == nil && u != nil && first.Scheme != u.Scheme {
					return "some are https:// and some http://"
				}
			}
			return ""
		},
	},
	pair("store.etcd.password_file", "store.etcd.username", func(e store.EtcdConfig) (string, string) { return e.PasswordFile, e.Username }),
	pair("store.etcd.username", "store.etcd.password_file", func(e store.EtcdConfig) (string, string) { return e.Username, e.PasswordFile }),
	pair("store.etcd.key_file", "store.etcd.cert_file", func(e store.EtcdConfig) (string, string) { return e.KeyFile, e.CertFile }),
	pair("store.etcd.cert_file", "store.etcd.key_file", func(e store.EtcdConfig) (string, string) { return e.CertFile, e.KeyFile }),
}

// pair is the comparison of two keys that need each other.
func pair(key, other string, both func(e store.EtcdConfig) (value, with string)) comparison {
	return comparison{keys: []string{key, other}, allowed: "both or neither", wrong: func(c *Config) string {
		value, with := both(c.Store.Etcd)
		return when(value == "" && with != "", "not set, but %s is", other)
	}}
}
