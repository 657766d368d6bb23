// Strings lists every string that a person can meet, from the source of the programs that
// are shipped: prompts, mails and text messages; what mfactl says, the findings of doctor,
// help and errors; what stands in the log and in the audit file, of mfad and of the module.
// It holds all of them to the rules in rules.go.
//
//	strings [-write]
//
// Run it in the root of the tree. It compares docs/strings.md with the list, and makes that
// file anew with -write. The exit status is 1 if the file is old, or if a string breaks a
// rule.
//
// What to know before trusting it: a constant is listed where it is used, so by what is done
// with it. A string that is put together at run time is listed by its pieces. One that goes
// nowhere that the program knows is listed if it has two words. What people who log in read
// is known by the catalog, which TestCatalogs of internal/text holds to be whole.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
)

// page is the list, for people.
const page = "docs/strings.md"

func main() {
	write := flag.Bool("write", false, "make "+page+" anew")
	flag.Parse()
	if err := run(*write); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(write bool) error {
	all, err := every()
	if err != nil {
		return err
	}
	var broken []error
	for _, s := range all {
		for _, wrong := range s.wrong() {
			broken = append(broken, fmt.Errorf("%s: %s: %q", s.path, wrong, s.text))
		}
	}
	text := render(all)
	if write {
		return errors.Join(append(broken, os.WriteFile(page, []byte(text), 0o644))...)
	}
	old, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	if string(old) != text {
		broken = append(broken, errors.New(page+" is not what the source says: go run ./e2e/strings -write"))
	}
	return errors.Join(broken...)
}

// every returns the strings of all programs, by file and in the order in which they stand
// there.
func every() ([]said, error) {
	people, err := catalog("internal/text/de.toml")
	if err != nil {
		return nil, err
	}
	rooms, err := load("./mfad", "./mfactl")
	if err != nil {
		return nil, err
	}
	var all []said
	for _, r := range rooms {
		all = append(all, r.strings(people)...)
	}
	module, err := cStrings("pam_mfa/*.c")
	return append(all, module...), err
}
