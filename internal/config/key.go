package config

import (
	"reflect"
	"slices"
	"strings"
)

// A setting is one key of this version and the field it fills.
type setting struct {
	name string // dotted: "email.smtp.host"
	at   any    // pointer to the field
}

// settings returns the keys of this version in the order of Config, by the
// toml tags of its fields. Those in lists of tables are not among them.
func settings(c *Config) []setting {
	return settingsUnder("", reflect.ValueOf(c).Elem())
}

func settingsUnder(table string, v reflect.Value) []setting {
	var all []setting
	for field, at := range v.Fields() {
		name := join(table, field.Tag.Get("toml"))
		switch {
		case at.Kind() == reflect.Struct:
			all = append(all, settingsUnder(name, at)...)
		case at.Kind() == reflect.Slice && at.Type().Elem().Kind() == reflect.Struct:
		default:
			all = append(all, setting{name, at.Addr().Interface()})
		}
	}
	return all
}

// tablesOf returns the tables that the dotted keys stand in, outer ones
// included, each once.
func tablesOf(keys []string) []string {
	var all []string
	for _, key := range keys {
		for i, r := range key {
			if r == '.' && !slices.Contains(all, key[:i]) {
				all = append(all, key[:i])
			}
		}
	}
	return all
}

// inTable returns the names that stand directly in table; "" is the file itself.
func inTable(table string, names []string) []string {
	var in []string
	for _, name := range names {
		if outer, _ := split(name); outer == table {
			in = append(in, name)
		}
	}
	return in
}

func join(table, name string) string {
	if table == "" {
		return name
	}
	return table + "." + name
}

// split cuts a dotted key into its table and its last part.
func split(key string) (table, name string) {
	if i := strings.LastIndexByte(key, '.'); i >= 0 {
		return key[:i], key[i+1:]
	}
	return "", key
}

// nearest returns the one of known that wrong is most likely a slip of: a few
// letters away, or of the same name in another table. It returns "" if none is
// near. Earlier ones win.
func nearest(wrong string, known []string) string {
	best, least := "", 0
	wrong = strings.ToLower(wrong) // as all our keys are
	_, name := split(wrong)
	for _, k := range known {
		d := distance(wrong, k)
		_, knownName := split(k)
		if d > 1+len(wrong)/5 && knownName != name {
			continue
		}
		if best == "" || d < least {
			best, least = k, d
		}
	}
	return best
}

// longest bounds the work of distance; keys of ours are shorter.
const longest = 64

// distance returns how many bytes are to insert, delete or replace to turn a
// into b (Levenshtein).
func distance(a, b string) int {
	if len(a) > longest {
		return len(a)
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, diagonal+1, row[j]+1)
		}
	}
	return row[len(b)]
}
