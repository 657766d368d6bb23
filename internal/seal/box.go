package seal

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"

	"golang.org/x/crypto/chacha20poly1305"
)

// boxVersion begins every sealed text, so that another cipher can follow one day.
const boxVersion = "v1."

// boxInfo names the sub key of boxes. It does not begin with the "mfa " of
// Key.MAC, so no purpose given there can lead to the same key.
const boxInfo = "mfa-box v1"

var boxText = base64.RawURLEncoding.Strict()

// Seal encrypts plain with XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha) under a
// random nonce and returns one word of text. Only Open with the same key, user
// and field gives plain back: a sealed text moved to another record is refused.
// User is the canonical name; field says what the secret is, like "totp.secret".
func (k *Key) Seal(plain []byte, user, field string) string {
	aead := k.box()
	box := make([]byte, aead.NonceSize(), aead.NonceSize()+len(plain)+aead.Overhead())
	rand.Read(box)
	return boxVersion + boxText.EncodeToString(aead.Seal(box, box, plain, boundTo(user, field)))
}

// Open returns what Seal hid for the same user and field. Neither the plain nor
// the sealed text is ever part of the error.
func (k *Key) Open(sealed, user, field string) ([]byte, error) {
	text, known := strings.CutPrefix(sealed, boxVersion)
	box, err := boxText.DecodeString(text)
	aead := k.box()
	if !known || err != nil || len(box) < aead.NonceSize()+aead.Overhead() {
		return nil, fmt.Errorf("open %s of %q: not a sealed secret: want %q and base64", field, user, boxVersion)
	}
	nonce, hidden := box[:aead.NonceSize()], box[aead.NonceSize():]
	plain, err := aead.Open(nil, nonce, hidden, boundTo(user, field))
	if err != nil {
		return nil, fmt.Errorf("open %s of %q: it was sealed with another key or for another user or field, "+
			"or was changed since", field, user)
	}
	return plain, nil
}

// box returns the cipher of Seal and Open.
func (k *Key) box() cipher.AEAD {
	sub, err := hkdf.Key(sha256.New, k.secret[:], nil, boxInfo, chacha20poly1305.KeySize)
	if err != nil {
		panic("seal: hkdf of 32 bytes: " + err.Error()) // only for lengths over 255 hashes
	}
	aead, err := chacha20poly1305.NewX(sub)
	if err != nil {
		panic("seal: cipher: " + err.Error()) // only for a key of another size
	}
	return aead
}

// boundTo is the additional data of a box. The lengths keep ("ab", "c") apart
// from ("a", "bc").
func boundTo(user, field string) []byte {
	var b []byte
	for _, part := range []string{user, field} {
		b = binary.BigEndian.AppendUint64(b, uint64(len(part)))
		b = append(b, part...)
	}
	return b
}
