package store

import "mfa/internal/mfa"

// ParseEnrollment reads the text of a users/NAME.toml that is at place, as strictly
// as Records does. The error names the place and the line.
func ParseEnrollment(place string, data []byte) (mfa.Enrollment, error) {
	return decodeEnrollment(place, data)
}
