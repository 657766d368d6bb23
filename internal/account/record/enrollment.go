package record

import (
	"bytes"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"

	"mfa/internal/mfa"
	"mfa/internal/mfa/tomlline"
	"mfa/internal/store"
)

// EncodeEnrollment returns e as TOML, or nil for the zero Enrollment. It is an error if
// DecodeEnrollment would refuse the result. User is named in the first line.
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

// DecodeEnrollment parses the content of users/NAME.toml. People edit it, so an unknown
// key is an error. The error wraps store.ErrUnreadable and names the place and the line.
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
		return mfa.Enrollment{}, store.Unreadable(fmt.Errorf("parse %q line %d: %w", place, tomlline.Of(string(data), key), err))
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
	if e.Email != nil && !mfa.IsAddrSpec(e.Email.Address) {
		key := toml.Key{"email", "address"}
		return key, fmt.Errorf("%s %q is not an address like \"alice@example.com\"", key, e.Email.Address)
	}
	if e.SMS != nil && !mfa.IsNumber(e.SMS.Address) {
		key := toml.Key{"sms", "address"}
		return key, fmt.Errorf("%s %q is not a number like \"+17891234567\"", key, e.SMS.Address)
	}
	return nil, nil
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
	return fmt.Sprintf("line %d %s", tomlline.Of(string(data), strings.Split(key, ".")), text)
}
