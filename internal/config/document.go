package config

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"

	"mfa/internal/mfa/tomlline"
)

// An entry is one key or table of a TOML document.
type entry struct {
	key   string  // dotted, with quotes where TOML needs them
	value any     // as the decoder gives it: string, int64, []any, map[string]any …
	under []entry // what stands in it, if it is a table, or the tables of a list
	list  bool    // it is a list of tables, or an empty list
	line  int     // where it begins, from 1
	twice bool    // it is set as a value and as a table
}

// readDocument reads TOML into a tree. Its problem is the first place that is
// not TOML; nothing after that can be read.
func readDocument(data []byte) ([]entry, *problem) {
	text := string(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")))
	var top map[string]toml.Primitive
	md, err := toml.Decode(text, &top)
	if err != nil {
		p := syntaxProblem(err)
		return nil, &p
	}
	d := document{&md, text}
	return d.entries(nil, top), nil
}

// document is a decoded text.
type document struct {
	md   *toml.MetaData
	text string
}

func (d document) entries(outer toml.Key, table map[string]toml.Primitive) []entry {
	var all []entry
	for _, name := range slices.Sorted(maps.Keys(table)) {
		all = append(all, d.entry(append(slices.Clip(outer), name), table[name]))
	}
	return all
}

func (d document) entry(key toml.Key, p toml.Primitive) entry {
	value, line := tomlline.Take(d.md, d.text, p)
	e := entry{key: key.String(), line: line, value: value}
	switch value.(type) {
	case []map[string]any, []any:
		e.under, e.list = d.tables(key, p, e.line)
		return e
	case map[string]any:
	default:
		return e
	}
	var table map[string]toml.Primitive
	if err := d.md.PrimitiveDecode(p, &table); err != nil {
		e.value = nil // cannot be, as it is a table; never taken for an empty one
		return e
	}
	e.under = d.entries(key, table)
	if e.line == 0 {
		e.line = firstLine(e.under)
	}
	// The decoder lets "a.b = 1" be followed by "a = 2" and drops the 2.
	last := d.md.Type(key...)
	e.twice = last != "" && last != "Hash"
	return e
}

// tables returns the tables of a list, each with its number, from 1, in its key;
// none if something else is in the list. The decoder keeps only the lines of the last
// table, so each is read once more, out of the text that ends where the next one
// begins. A list that is written as a value is all on its own line.
func (d document) tables(key toml.Key, p toml.Primitive, line int) (all []entry, are bool) {
	items, ok := d.items(p)
	if !ok {
		return nil, false
	}
	all = make([]entry, len(items))
	for i := len(items) - 1; i >= 0; i-- {
		e := d.entry(key, items[i])
		numbered := fmt.Sprintf("%s[%d]", key, i+1)
		if d.md.Type(key...) != "ArrayHash" || len(items) > maxTables {
			e = e.at(line)
		} else if i > 0 {
			var ok bool
			if d, items, ok = d.before(key, items[i]); !ok || len(items) != i {
				return nil, false // cannot be
			}
		}
		all[i] = e.renamed(key.String(), numbered)
	}
	return all, true
}

// maxTables bounds the work of finding lines in a list of tables.
const maxTables = 256

// items returns the tables of a list, if nothing else is in it.
func (d document) items(p toml.Primitive) ([]toml.Primitive, bool) {
	var items []toml.Primitive
	if err := d.md.PrimitiveDecode(p, &items); err != nil {
		return nil, false
	}
	for _, item := range items {
		value, _ := tomlline.Take(d.md, d.text, item)
		if _, ok := value.(map[string]any); !ok {
			return nil, false
		}
	}
	return items, true
}

// before returns the document in front of the last table of the list at key, and
// the tables of the list that are left in it.
func (d document) before(key toml.Key, last toml.Primitive) (document, []toml.Primitive, bool) {
	start, ok := tomlline.Start(d.md, last)
	if !ok {
		return d, nil, false
	}
	text := d.text[:min(start, len(d.text))]
	var value toml.Primitive
	var table map[string]toml.Primitive
	md, err := toml.Decode(text, &table)
	if err != nil {
		return d, nil, false
	}
	for _, name := range key {
		value, table = table[name], nil
		_ = md.PrimitiveDecode(value, &table) // not the last, which is a list
	}
	d = document{&md, text}
	items, ok := d.items(value)
	return d, items, ok
}

// at returns e as if all of it stood on one line.
func (e entry) at(line int) entry {
	e.line, e.under = line, slices.Clone(e.under)
	for i := range e.under {
		e.under[i] = e.under[i].at(line)
	}
	return e
}

// renamed returns e with another name for the key that it stands under.
func (e entry) renamed(old, name string) entry {
	e.key, e.under = name+strings.TrimPrefix(e.key, old), slices.Clone(e.under)
	for i := range e.under {
		e.under[i] = e.under[i].renamed(old, name)
	}
	return e
}

// firstLine returns the line of the first of entries, 0 if there are none.
func firstLine(entries []entry) int {
	first := 0
	for _, e := range entries {
		if first == 0 || e.line < first {
			first = e.line
		}
	}
	return first
}

var setTwice = regexp.MustCompile(`^Key '(.+)' (has already been defined|was already created .*)\.$`)

func syntaxProblem(err error) problem {
	var at toml.ParseError
	if !errors.As(err, &at) {
		return problem{line: 1, what: err.Error()}
	}
	p := problem{line: cmp.Or(at.Position.Line, 1)}
	if m := setTwice.FindStringSubmatch(at.Message); m != nil {
		p.key, p.what, p.allowed = m[1], "set twice", "once"
		return p
	}
	p.what = "this is not TOML: " + at.Message
	p.allowed = `[table] and key = value lines, with text and durations in quotes`
	return p
}
