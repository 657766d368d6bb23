package seal

import (
	"encoding/hex"
	"errors"
	"strings"
)

// Text returns the key as it stands in the key file. Whoever has it can open
// every secret, so it may only go where the secrets are encrypted anew.
func (k *Key) Text() string { return hex.EncodeToString(k.secret[:]) + "\n" }

// Parse returns the key that Text wrote. The error does not quote the text.
func Parse(text string) (*Key, error) {
	secret, err := hex.DecodeString(strings.TrimSuffix(text, "\n"))
	if err != nil || len(secret) != keySize {
		return nil, errors.New("not a key: want 64 hexadecimal digits and a newline")
	}
	return &Key{secret: [keySize]byte(secret)}, nil
}
