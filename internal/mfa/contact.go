package mfa

import (
	"net/mail"
	"regexp"
)

// number is the shape of a number in E.164 (ITU-T E.164, 6.2.1).
var number = regexp.MustCompile(`^\+[1-9][0-9]{5,14}$`)

// IsNumber says whether s has the one shape in which numbers are kept: E.164, with the
// plus and the country code and nothing between the digits. Whether there is such a
// number deliver.ParsePhone says, when it is entered.
func IsNumber(s string) bool { return number.MatchString(s) }

// IsAddress says whether s has the one shape in which addresses are kept: one bare
// address, RFC 5322 addr-spec without comments, quoting or a name, so that it can stand
// in a header as it is.
func IsAddress(s string) bool {
	a, err := mail.ParseAddress(s)
	return err == nil && a.Name == "" && a.Address == s
}
