package factor

import (
	"crypto/hmac"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
	"time"

	"mfa/internal/mfa"
	"mfa/internal/seal"
)

// A recovery code has 16 of 25 symbols: 74 bits.
const recoverySymbols = 16

// NewRecoveryCode returns a code like "k7mx-24wp-9hre-3cdf", uniform, with
// randomness from r.
func NewRecoveryCode(r io.Reader) (string, error) {
	code, err := newSymbols(r, recoverySymbols)
	if err != nil {
		return "", fmt.Errorf("make recovery code: %w", err)
	}
	return grouped(code), nil
}

// NewRecovery returns the record of a recovery code made at the time now. It holds a
// keyed hash bound to id, not the code.
func NewRecovery(key *seal.Key, id mfa.Identity, code string, now time.Time, lifetime time.Duration) mfa.Recovery {
	r := mfa.Recovery{Nonce: make([]byte, nonceSize), Expires: now.Add(lifetime)}
	rand.Read(r.Nonce)
	plain, _ := recoveryCode(code)
	r.MAC = key.MAC(recoveryPurpose, recoveryParts(id, r, plain)...)
	return r
}

// RecoveryMatches reports whether answer is the code of r for this user, and whether it
// has the shape of a recovery code, which is no secret. It reads answer as BackupCode
// does, and compares in constant time. It does not look at r.Expires.
func RecoveryMatches(key *seal.Key, id mfa.Identity, r mfa.Recovery, answer string) (right, shaped bool) {
	plain, shaped := recoveryCode(answer)
	for _, mac := range key.MACs(recoveryPurpose, recoveryParts(id, r, plain)...) {
		right = shaped && hmac.Equal(r.MAC, mac) || right
	}
	return right, shaped
}

// IsRecoveryCode says whether an answer has the shape of a recovery code, which is
// no secret.
func IsRecoveryCode(answer string) bool {
	_, shaped := recoveryCode(answer)
	return shaped
}

// RecoveryEndings returns how a recovery code may stand behind a password.
func RecoveryEndings() []mfa.Ending { return symbolEndings(recoverySymbols) }

// recoveryCode returns the code without separators that an answer means.
func recoveryCode(answer string) (code string, shaped bool) {
	return typed(answer, func(text string) (string, bool) { return symbols(text, recoverySymbols) })
}

const recoveryPurpose = "recovery code"

// recoveryParts bind a code to its user.
func recoveryParts(id mfa.Identity, r mfa.Recovery, plain string) [][]byte {
	uid := binary.BigEndian.AppendUint32(nil, id.UID)
	return [][]byte{[]byte(id.Name), uid, r.Nonce, []byte(plain)}
}
