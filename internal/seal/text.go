package seal

import (
	"encoding/hex"
	"errors"
	"slices"
	"strings"
)

// maxRing bounds the former keys of a file. One is there for as long as codes
// live that were sent before; more only if keys are changed faster than that.
const maxRing = 8

// Text returns the key and its former ones as they stand in the key file. Whoever
// has it can open every secret, so it may only go where the secrets are encrypted
// anew.
func (k *Key) Text() string {
	var b strings.Builder
	for _, secret := range *k.ring.Load() {
		b.WriteString(hex.EncodeToString(secret[:]) + "\n")
	}
	return b.String()
}

// Parse returns the key that Text wrote. The error does not quote the text.
func Parse(text string) (*Key, error) {
	var r ring
	for line := range strings.SplitSeq(strings.TrimSuffix(text, "\n"), "\n") {
		secret, err := hex.DecodeString(line)
		if err != nil || len(secret) != keySize || len(r) == maxRing || slices.Contains(r, [keySize]byte(secret)) {
			return nil, errors.New("not a key: want 64 hexadecimal digits and a newline")
		}
		r = append(r, [keySize]byte(secret))
	}
	return newKey(r), nil
}
