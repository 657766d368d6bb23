package local

import (
	"fmt"
	"strings"
)

const (
	suffix = ".toml"
	// maxFileName is NAME_MAX of Linux (limits.h), in bytes.
	maxFileName = 255
	hexDigits   = "0123456789abcdef"
)

// escapedName returns the name of the file that holds the enrollment of user.
// Lower-case letters, digits and _ - . @ + stand for themselves, every other
// byte is %xx. So no name leaves the folder, no two names share a file, not even where
// case does not count, and the files that editors leave behind (".x.swp", "x~")
// belong to no user. A name that gets too long is refused, not shortened.
func escapedName(user string) (string, error) {
	var b strings.Builder
	for i := range len(user) {
		if c := user[i]; isPlain(c, i == 0) {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'%', hexDigits[c>>4], hexDigits[c&15]})
		}
	}
	b.WriteString(suffix)
	if user == "" || b.Len() > maxFileName {
		return "", fmt.Errorf("user name of %d bytes does not fit a file name", len(user))
	}
	return b.String(), nil
}

// isPlain reports whether c stands for itself. A first "." would hide the file,
// a first "-" make it an option of whatever an administrator runs on it.
func isPlain(c byte, first bool) bool {
	switch {
	case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '_', c == '@', c == '+':
		return true
	case c == '.', c == '-':
		return !first
	}
	return false
}

// userName is the inverse of escapedName. It is false for a name that escapedName does not
// return.
func userName(file string) (string, bool) {
	escaped, ok := strings.CutSuffix(file, suffix)
	if !ok {
		return "", false
	}
	var b strings.Builder
	for i := 0; i < len(escaped); i++ {
		if escaped[i] != '%' {
			b.WriteByte(escaped[i])
			continue
		}
		if i+2 >= len(escaped) {
			return "", false
		}
		hi, lo := strings.IndexByte(hexDigits, escaped[i+1]), strings.IndexByte(hexDigits, escaped[i+2])
		if hi < 0 || lo < 0 {
			return "", false
		}
		b.WriteByte(byte(hi<<4 | lo))
		i += 2
	}
	again, err := escapedName(b.String())
	return b.String(), err == nil && again == file
}
