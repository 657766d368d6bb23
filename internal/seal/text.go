package seal

import (
	"encoding/hex"
	"errors"
	"slices"
	"strings"
)

// maxRing bounds the keys of a file, the newest one included. A former key stays as long
// as codes live that were made with it; there are more only if keys are changed faster.
const maxRing = 8

// Text returns the content of the key file. It opens every secret, so it may only go
// where it is encrypted again.
func (k *Key) Text() string {
	var b strings.Builder
	for _, secret := range *k.ring.Load() {
		b.WriteString(hex.EncodeToString(secret[:]) + "\n")
	}
	return b.String()
}

// Parse reads the content of a key file, as Text returns it. Its error does not quote it.
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
