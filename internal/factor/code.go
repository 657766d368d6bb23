// Package factor knows the methods of a second factor: how a code is made, how an
// answer is read, and how it is checked.
//
// It does no I/O and reads no clock: times come in as arguments. Codes come from the
// io.Reader that is given; nonces from crypto/rand. A check compares in constant time,
// and what is returned to be stored holds no code in clear. Counting attempts and locking
// is the caller's (account, challenge). All functions may be called from many goroutines.
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

// nonceSize in bytes: equal codes of equal users still differ at rest.
const nonceSize = 16

// NewCode returns a uniform code of 1 to 18 decimal digits with randomness from r. The
// error is that of r.
func NewCode(r io.Reader, digits int) (string, error) {
	limit := uint64(1)
	for range digits {
		limit *= 10
	}
	// Values past the last whole multiple of limit would favour small codes.
	ceiling := ^uint64(0) - ^uint64(0)%limit
	var b [8]byte
	for {
		if _, err := io.ReadFull(r, b[:]); err != nil {
			return "", fmt.Errorf("make code: %w", err)
		}
		if v := binary.BigEndian.Uint64(b[:]); v < ceiling {
			return fmt.Sprintf("%0*d", digits, v%limit), nil
		}
	}
}

// NewPending returns the record of a code that is sent to the address to at the time now.
// It holds a keyed hash bound to id, origin, method and address, not the code.
func NewPending(key *seal.Key, id mfa.Identity, origin mfa.Origin, method mfa.Method, to, code string,
	now time.Time, lifetime time.Duration,
) mfa.PendingCode {
	p := mfa.PendingCode{
		Origin: origin.String(), Method: method, To: to,
		Nonce: make([]byte, nonceSize), Sent: now, Expires: now.Add(lifetime), Digits: len(code),
	}
	rand.Read(p.Nonce)
	p.MAC = key.MAC(codePurpose, codeParts(id, p, code)...)
	return p
}

// CodeMatches reports whether code, as Digits returned it, is that of p for this user. It
// compares in constant time. It does not look at p.Expires.
func CodeMatches(key *seal.Key, id mfa.Identity, p mfa.PendingCode, code string) bool {
	found := false
	for _, mac := range key.MACs(codePurpose, codeParts(id, p, code)...) {
		found = hmac.Equal(p.MAC, mac) || found
	}
	return found
}

const codePurpose = "sent code"

// codeParts bind a code to all that it is good for, so that a record moved to
// another user, origin or address proves nothing there.
func codeParts(id mfa.Identity, p mfa.PendingCode, code string) [][]byte {
	uid := binary.BigEndian.AppendUint32(nil, id.UID)
	return [][]byte{[]byte(id.Name), uid, []byte(p.Origin), []byte(p.Method), []byte(p.To), p.Nonce, []byte(code)}
}
