package record

import (
	"bytes"
	"errors"
	"fmt"
	"net/mail"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"

	"mfa/internal/mfa"
	"mfa/internal/store"
)

// EncodeEnrollment returns e as TOML for people to read, or nil for the zero
// Enrollment. What DecodeEnrollment would refuse is not written.
func EncodeEnrollment(user string, e mfa.Enrollment) ([]byte, error) {
	if reflect.ValueOf(e).IsZero() {
		return nil, nil
	}
	e.Version = mfa.EnrollmentVersion
	if _, err := checkValues(e); err != nil {
		return nil, fmt.Errorf("encode enrollment of %q: %w", user, err)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "# second factor of %s; may be edited by hand\n", plain(user))
	enc := toml.NewEncoder(&b)
	enc.Indent = ""
	if err := enc.Encode(e); err != nil {
		return nil, fmt.Errorf("encode enrollment of %q: %w", user, err)
	}
	return b.Bytes(), nil
}

// plain returns name fit for one line of a comment: control bytes escaped, so
// that no name can end the comment.
func plain(name string) string {
	quoted := strconv.Quote(name)
	return quoted[1 : len(quoted)-1]
}

// DecodeEnrollment reads users/NAME.toml. People edit it, so nothing in it is
// passed over, and an error names the place and the line.
func DecodeEnrollment(place string, data []byte) (mfa.Enrollment, error) {
	var e mfa.Enrollment
	md, err := toml.Decode(string(data), &e)
	if err != nil {
		return mfa.Enrollment{}, store.Unreadable(fmt.Errorf("parse %q %s", place, withLine(data, err)))
	}
	key, err := checkKeys(e.Version, md)
	if err == nil {
		key, err = checkValues(e)
	}
	if err != nil {
		return mfa.Enrollment{}, store.Unreadable(fmt.Errorf("parse %q line %d: %w", place, lineOf(data, key), err))
	}
	return e, nil
}

// checkKeys returns the key that cannot stand in a record of that version, with
// the reason; no key if one is missing. A missing uid would be root's.
func checkKeys(version int, md toml.MetaData) (toml.Key, error) {
	for _, name := range []string{"version", "uid"} {
		if !md.IsDefined(name) {
			return nil, fmt.Errorf("%s is missing", name)
		}
	}
	if version < 1 || version > mfa.EnrollmentVersion {
		return toml.Key{"version"}, fmt.Errorf("version %d is not one this build reads (1 to %d)",
			version, mfa.EnrollmentVersion)
	}
	if unknown := md.Undecoded(); len(unknown) > 0 {
		return unknown[0], fmt.Errorf("unknown key %q", unknown[0])
	}
	// The decoder takes a key in any case, so a file could give one twice.
	for _, key := range md.Keys() {
		if name := key.String(); name != strings.ToLower(name) {
			return key, fmt.Errorf("unknown key %q: keys are in lower case", name)
		}
	}
	return nil, nil
}

// checkValues returns the key whose value cannot be, with the reason.
func checkValues(e mfa.Enrollment) (toml.Key, error) {
	if e.Email != nil && !isAddress(e.Email.Address) {
		key := toml.Key{"email", "address"}
		return key, fmt.Errorf("%s %q is not an address like \"alice@example.com\"", key, e.Email.Address)
	}
	if e.SMS != nil && !isNumber.MatchString(e.SMS.Address) {
		key := toml.Key{"sms", "address"}
		return key, fmt.Errorf("%s %q is not a number like \"+17891234567\"", key, e.SMS.Address)
	}
	return nil, nil
}

// isNumber matches a number in E.164 (ITU-T E.164, 6.2.1). Whether there is one
// like it was asked when it was entered.
var isNumber = regexp.MustCompile(`^\+[1-9][0-9]{5,14}$`)

// isAddress reports whether s is one bare address: RFC 5322 addr-spec without
// comments or quoting, so that it can stand in a header as it is.
func isAddress(s string) bool {
	a, err := mail.ParseAddress(s)
	return err == nil && a.Name == "" && a.Address == s
}

// withLine returns the text of an error of the decoder, beginning with the line.
// The decoder leaves it out for a table that only dotted keys imply.
func withLine(data []byte, err error) string {
	text := strings.TrimPrefix(err.Error(), "toml: ")
	if strings.HasPrefix(text, "line ") {
		return text
	}
	_, rest, _ := strings.Cut(text, "(last key ")
	quoted, _ := strconv.QuotedPrefix(rest)
	key, _ := strconv.Unquote(quoted)
	return fmt.Sprintf("line %d %s", lineOf(data, strings.Split(key, ".")), text)
}

// lineOf returns the line of key, or of the nearest table around it that is
// there, in a document that parses; 1 when there is none.
func lineOf(data []byte, key toml.Key) int {
	var table map[string]toml.Primitive
	md, err := toml.Decode(string(data), &table)
	if err != nil {
		return 1
	}
	line := 1
	for _, name := range key {
		value, ok := table[name]
		if !ok {
			break
		}
		line = max(line, lineOfValue(md, value))
		table = within(md, value)
	}
	return line
}

// lineOfValue returns the line of value: for a table that only dotted keys
// imply, that of the first of them; 0 if even that is not known.
//
// The decoder tells positions only in errors of values that decode themselves,
// so the value is made to refuse.
func lineOfValue(md toml.MetaData, value toml.Primitive) int {
	if pe, ok := errors.AsType[toml.ParseError](md.PrimitiveDecode(value, &refusal{})); ok && pe.Position.Line > 0 {
		return pe.Position.Line
	}
	first := 0
	for _, inner := range within(md, value) {
		if line := lineOfValue(md, inner); first == 0 || 0 < line && line < first {
			first = line
		}
	}
	return first
}

// within returns the keys of value, if it is a table.
func within(md toml.MetaData, value toml.Primitive) map[string]toml.Primitive {
	var table map[string]toml.Primitive
	if md.PrimitiveDecode(value, &table) != nil {
		return nil
	}
	return table
}

// A refusal is a value that never decodes.
type refusal struct{}

var errRefused = errors.New("refused")

// UnmarshalTOML returns an error, to which the decoder adds the position.
func (*refusal) UnmarshalTOML(any) error { return errRefused }
