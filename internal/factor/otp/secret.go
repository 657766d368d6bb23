package otp

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// minSecret in bytes: what older versions of google-authenticator made. New
// secrets are longer (RFC 4226, section 4, asks for 16).
const minSecret = 10

var base32Text = base32.StdEncoding.WithPadding(base32.NoPadding)

func encode(secret []byte) string { return base32Text.EncodeToString(secret) }

// NewSecret returns a new secret as long as the hash of alg, the name of a
// Params.Algorithm, gives (RFC 6238, section 5.1): 20, 32 or 64 bytes.
func NewSecret(alg string) []byte {
	size := 20
	switch alg {
	case "SHA256":
		size = 32
	case "SHA512":
		size = 64
	}
	secret := make([]byte, size)
	rand.Read(secret)
	return secret
}

// Groups returns the secret in base32 (RFC 4648) for typing: groups of four
// letters and digits between spaces, without padding.
func Groups(secret []byte) string {
	var groups []string
	for group := range slices.Chunk([]byte(encode(secret)), 4) {
		groups = append(groups, string(group))
	}
	return strings.Join(groups, " ")
}

// ParseSecret reads a secret in base32, as Groups or another program writes it:
// in either case, spaces, dashes and padding do not count.
func ParseSecret(text string) ([]byte, error) {
	text = strings.TrimRight(strings.Map(base32Letter, text), "=")
	secret, err := base32Text.DecodeString(text)
	switch n := len(text) % 8; {
	case err != nil || n == 1 || n == 3 || n == 6: // no number of bytes gives such a length
		return nil, errors.New("parse secret: not base32: want the letters A to Z and the digits 2 to 7, all of them")
	case len(secret) < minSecret:
		return nil, fmt.Errorf("parse secret: %d bytes, want %d or more", len(secret), minSecret)
	}
	return secret, nil
}

// ParseTokenSecret reads a secret as people have it of a token: in hexadecimal, or as
// ParseSecret does. What can be both is hexadecimal: chance makes no base32 of this length
// from so few letters.
func ParseTokenSecret(text string) ([]byte, error) {
	bare := strings.NewReplacer(" ", "", "-", "", ":", "", "\t", "").Replace(strings.ToLower(text))
	secret, err := hex.DecodeString(strings.TrimPrefix(bare, "0x"))
	if err != nil || len(secret) < minSecret {
		secret, err = ParseSecret(text)
	}
	if err != nil {
		return nil, fmt.Errorf("parse secret: want base32 (the letters A to Z and the digits 2 to 7) or hexadecimal, of %d bytes or more", minSecret)
	}
	return secret, nil
}

// base32Letter returns the upper case of r, or -1 for what only groups. Letters
// outside ASCII stay as they are, so that none of them becomes a base32 letter.
func base32Letter(r rune) rune {
	switch {
	case r >= 'a' && r <= 'z':
		return r - 'a' + 'A'
	case strings.ContainsRune(" -\t\r\n", r):
		return -1
	}
	return r
}

// URI returns the otpauth URI that authenticator apps read
// (github.com/google/google-authenticator/wiki/Key-Uri-Format). Issuer names
// the site and may be empty; account names the user there. Neither can hold a
// colon in that format: a dash takes its place. Parameters that are the usual
// ones are left out, which saves a QR code of its size.
func URI(issuer, account string, secret []byte, p Params) string {
	return otpURI("totp", issuer, account, secret, p)
}

// otpURI is URI for an app of the kind totp or hotp.
func otpURI(kind, issuer, account string, secret []byte, p Params) string {
	label, query := labelPart(account), "?secret="+encode(secret)
	if issuer != "" {
		label = labelPart(issuer) + ":" + label
		query += "&issuer=" + labelPart(issuer)
	}
	if p.Algorithm != usualAlgorithm {
		query += "&algorithm=" + p.Algorithm
	}
	if p.Digits != usualDigits {
		query += "&digits=" + strconv.Itoa(p.Digits)
	}
	if p.Period != usualPeriod {
		query += "&period=" + strconv.Itoa(int(p.Period/time.Second))
	}
	return "otpauth://" + kind + "/" + label + query
}

// labelPart percent-encodes an issuer or account for both the path and the
// query. A space is %20: the plus sign of a query form is shown as such by apps.
func labelPart(s string) string {
	s = url.QueryEscape(strings.ReplaceAll(s, ":", "-"))
	return strings.NewReplacer("+", "%20", "%40", "@").Replace(s)
}
