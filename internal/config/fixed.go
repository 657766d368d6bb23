package config

import (
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
)

// Fixed returns the keys that only a restart of the daemon changes, with their
// values as text. The path of a systemd credential is returned as "credential:NAME", as
// it is outside the service.
func (c Config) Fixed() map[string]string {
	fixed := map[string]string{}
	for table, value := range map[string]any{
		"server": c.Server, "store": c.Store, "secrets": c.Secrets, "audit": c.Audit, "metrics": c.Metrics,
	} {
		flatten(fixed, table, reflect.ValueOf(value))
	}
	if dir := os.Getenv(credentials); dir != "" {
		for key, value := range fixed {
			if name, is := strings.CutPrefix(value, dir+"/"); is {
				fixed[key] = credential + name
			}
		}
	}
	return fixed
}

// KeepFixed returns c with the keys of Fixed from running.
func (c Config) KeepFixed(running Config) Config {
	c.Server, c.Store, c.Secrets, c.Audit, c.Metrics = running.Server, running.Store, running.Secrets, running.Audit, running.Metrics
	return c
}

// flatten adds the keys of a table, by the names that mfa.toml has for them.
func flatten(into map[string]string, key string, v reflect.Value) {
	if v.Kind() != reflect.Struct {
		into[key] = fmt.Sprint(v.Interface())
		return
	}
	for i := range v.NumField() {
		if name := v.Type().Field(i).Tag.Get("toml"); name != "" {
			flatten(into, key+"."+name, v.Field(i))
		}
	}
}

// NeedRestart returns the keys whose values differ between two results of Fixed, sorted.
// A key that running does not have is left out.
func NeedRestart(running, wanted map[string]string) []string {
	var keys []string
	for key, value := range wanted {
		if have, known := running[key]; known && have != value {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// Tables returns keys with those of one large table as one.
func Tables(keys []string) []string {
	var found []string
	for _, key := range keys {
		if table, _, _ := strings.Cut(key, "."); table == "server" || table == "store" {
			key = table
		}
		if !slices.Contains(found, key) {
			found = append(found, key)
		}
	}
	return found
}
