package account

import (
	"mfa/internal/mfa"
	"mfa/internal/seal"
)

// totpField is the name of the secret within a user's record; the box is bound to it.
const totpField = "totp.secret"

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

// KeyText returns the key under which secrets are sealed, for a backup.
func (a *Accounts) KeyText() string { return a.deps.Key.Text() }
