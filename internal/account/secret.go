package account

import (
	"mfa/internal/mfa"
	"mfa/internal/seal"
)

// The names of the secrets within a user's record; the box is bound to its name.
const (
	totpField = "totp.secret"
	hotpField = "hotp.secret"
)

// SealTOTP returns the secret of an app, sealed for the user id.
func (a *Accounts) SealTOTP(id mfa.Identity, secret []byte) string {
	return a.deps.Key.Seal(secret, id.Name, totpField)
}

// OpenTOTP returns a secret that SealTOTP sealed for the same user. The error is that of
// seal.Key.Open.
func (a *Accounts) OpenTOTP(id mfa.Identity, sealed string) ([]byte, error) {
	return OpenTOTPWith(a.deps.Key, id, sealed)
}

// OpenTOTPWith is OpenTOTP under another key, like that of a backup.
func OpenTOTPWith(key *seal.Key, id mfa.Identity, sealed string) ([]byte, error) {
	return key.Open(sealed, id.Name, totpField)
}

// SealHOTP returns the secret of a token as it is kept.
func (a *Accounts) SealHOTP(id mfa.Identity, secret []byte) string {
	return a.deps.Key.Seal(secret, id.Name, hotpField)
}

// OpenHOTP returns a secret that SealHOTP sealed.
func (a *Accounts) OpenHOTP(id mfa.Identity, sealed string) ([]byte, error) {
	return OpenHOTPWith(a.deps.Key, id, sealed)
}

// OpenHOTPWith is OpenTOTPWith for the secret of a token.
func OpenHOTPWith(key *seal.Key, id mfa.Identity, sealed string) ([]byte, error) {
	return key.Open(sealed, id.Name, hotpField)
}

// KeyText returns the key under which secrets are sealed, for a backup.
func (a *Accounts) KeyText() string { return a.deps.Key.Text() }
