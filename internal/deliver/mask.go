package deliver

import "strings"

// Mask returns an address or number so that its owner recognizes it and nobody else
// learns it: a***e@example.com, +1*******67. The number of stars is always the same. The
// result is printable ASCII.
func Mask(addr string) string {
	if i := strings.LastIndexByte(addr, '@'); i >= 0 {
		return ASCII(maskLocal(addr[:i]), maskLimit) + ASCII(addr[i:], maskLimit)
	}
	if digits, ok := strings.CutPrefix(addr, "+"); ok && digits != "" {
		return maskNumber(digits)
	}
	return "***"
}

// maskLimit is longer than any domain name (RFC 1035, 2.3.4).
const maskLimit = 256

// maskLocal keeps the first and the last letter of what stands before the @.
func maskLocal(local string) string {
	letters := []rune(local)
	switch len(letters) {
	case 0:
		return "***"
	case 1:
		return string(letters) + "***"
	}
	return string(letters[0]) + "***" + string(letters[len(letters)-1])
}

// shortNumber is the number of digits from which on two of them give little
// away; E.164 numbers have up to 15.
const shortNumber = 7

func maskNumber(digits string) string {
	if len(digits) < shortNumber || strings.ContainsFunc(digits, func(r rune) bool { return !isDigit(r) }) {
		return "+*******"
	}
	return "+" + digits[:1] + "*******" + digits[len(digits)-2:]
}

// MaskUser is Mask for the name of a login, which may be an address or a word.
func MaskUser(name string) string {
	if strings.Contains(name, "@") {
		return Mask(name)
	}
	return ASCII(maskLocal(name), maskLimit)
}
