// Package tomlline finds the line of a value in a TOML document.
//
// The decoder keeps positions to itself, but adds them to the error of a value that
// decodes itself. So a value is decoded once more, by one that refuses.
package tomlline

import (
	"errors"
	"strings"

	"github.com/BurntSushi/toml"
)

// A refusal takes what is decoded into it, and refuses it.
type refusal struct{ value any }

var errRefused = errors.New("refused")

// UnmarshalTOML implements toml.Unmarshaler.
func (r *refusal) UnmarshalTOML(v any) error {
	r.value = v
	return errRefused
}

// Take returns a value as the decoder gives it (string, int64, []any, map[string]any …)
// and the line of text on which it begins, from 1. The line is 0 if it is not known: the
// value is a table that has no header of its own.
func Take(md *toml.MetaData, text string, p toml.Primitive) (value any, line int) {
	value, start, ok := takeLine(md, p)
	if !ok {
		return value, 0
	}
	// The decoder's own line is where a value of several lines ends.
	return value, 1 + strings.Count(text[:min(start, len(text))], "\n")
}

// Start returns the byte at which a value begins, if that is known.
func Start(md *toml.MetaData, p toml.Primitive) (start int, ok bool) {
	_, start, ok = takeLine(md, p)
	return start, ok
}

func takeLine(md *toml.MetaData, p toml.Primitive) (value any, start int, ok bool) {
	var r refusal
	at, ok := errors.AsType[toml.ParseError](md.PrimitiveDecode(p, &r))
	return r.value, at.Position.Start, ok && at.Position.Line > 0
}

// Of returns the line of key in text, a document that parses, or of the nearest table
// around it that is there; 1 if there is none. The line of a table that only dotted keys
// imply is that of the first of them.
func Of(text string, key toml.Key) int {
	var table map[string]toml.Primitive
	md, err := toml.Decode(text, &table)
	if err != nil {
		return 1
	}
	line := 1
	for _, name := range key {
		value, ok := table[name]
		if !ok {
			break
		}
		line = max(line, first(&md, text, value))
		table = tableOf(&md, value)
	}
	return line
}

// first returns the line of value, or of the first in it; 0 if even that is not known.
func first(md *toml.MetaData, text string, value toml.Primitive) int {
	if _, line := Take(md, text, value); line > 0 {
		return line
	}
	least := 0
	for _, inner := range tableOf(md, value) {
		if line := first(md, text, inner); least == 0 || 0 < line && line < least {
			least = line
		}
	}
	return least
}

// tableOf returns the keys of value, if it is a table.
func tableOf(md *toml.MetaData, value toml.Primitive) map[string]toml.Primitive {
	var table map[string]toml.Primitive
	_ = md.PrimitiveDecode(value, &table) // nil, if it is none
	return table
}
