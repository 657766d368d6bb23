// Package record is how an enrollment and a state are written down: TOML for what people
// edit, JSON for what logins count.
//
// What to know before trusting it: it is strict. What it does not know, or would read in
// two ways, is an error that names the place, and for a file that people edit the line.
package record
