// Package record encodes an enrollment as TOML, which people edit, and a state as JSON.
//
// What to know before trusting it: it is strict. An unknown key, or a text with two
// meanings, is an error that names the place, and in TOML the line.
package record
