package otp

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strconv"
)

// MaxCount is the greatest count of a token that is believed: no button is pressed so
// often.
const MaxCount = 1 << 40

// CheckToken returns an error that says why no code of a token can be looked at, or nil.
// The period of p does not count.
func CheckToken(secret []byte, count int64, p Params) error {
	if count < 0 || count > MaxCount {
		return fmt.Errorf("count is %d: want 0 to %d", count, int64(MaxCount))
	}
	if len(secret) > maxToken {
		return fmt.Errorf("the secret has %d bytes: want at most %d", len(secret), maxToken)
	}
	return check(secret, p.counting())
}

// maxToken bounds the secret of a token, in bytes: an HMAC hashes a longer key first (RFC
// 2104, section 2), so one token would have two secrets, and two names.
const maxToken = 64

// SameToken reports whether two secrets are those of one token: zeros at the end change no
// code (RFC 2104, section 2).
func SameToken(a, b []byte) bool {
	return subtle.ConstantTimeCompare([]byte(TokenName(a)), []byte(TokenName(b))) == 1
}

// counting returns p as check takes it: a token has no period.
func (p Params) counting() Params {
	p.Period = usualPeriod
	return p
}

// Find looks for answer among the codes of a token at the counts from first on, so many
// of them, and returns the newest that has it. Each is computed and compared in constant
// time. Answer must be the digits alone. An error means that secret or p cannot be used.
func Find(secret []byte, answer string, first, many int64, p Params) (count int64, found bool, err error) {
	if err := check(secret, p.counting()); err != nil {
		return 0, false, err
	}
	at, base32 := -1, encode(secret)
	for i := range int(many) {
		want, err := codeOf(base32, first+int64(i), p)
		if err != nil {
			return 0, false, err
		}
		at = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare([]byte(want), []byte(answer)), i, at)
	}
	if at < 0 {
		return 0, false, nil
	}
	return first + int64(at), true, nil
}

// TokenName returns a word that names a token by its secret, the same on every machine
// and under every key, and for all secrets of SameToken. Nothing of the secret can be told from it.
func TokenName(secret []byte) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("mfa name of a token"))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:16])
}

// CountURI is URI for an app that counts, whose first code is that of the count.
func CountURI(issuer, account string, secret []byte, count int64, p Params) string {
	return otpURI("hotp", issuer, account, secret, p.counting()) + "&counter=" + strconv.FormatInt(count, 10)
}
