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
// random nonce and returns one word of text. Open gives plain back for the same key,
// user and field only: a sealed text that was moved to another record is refused. User is
// the canonical name; field names the secret, like "totp.secret".
func (k *Key) Seal(plain []byte, user, field string) string {
	aead := k.ciphers()[0]
	b := make([]byte, aead.NonceSize(), aead.NonceSize()+len(plain)+aead.Overhead())
	rand.Read(b)
	return boxVersion + boxText.EncodeToString(aead.Seal(b, b, plain, boundTo(user, field)))
}

// Open returns the plain text that Seal encrypted for the same user and field, under this
// key or a former one. Its error holds neither the plain nor the sealed text.
func (k *Key) Open(sealed, user, field string) ([]byte, error) {
	plain, _, err := k.openWithAny(sealed, user, field)
	return plain, err
}

// Reseal returns sealed so that the newest key opens it: the same text if that one does
// already. The error is that of Open, and comes with the text as it was.
func (k *Key) Reseal(sealed, user, field string) (string, error) {
	plain, former, err := k.openWithAny(sealed, user, field)
	if err != nil || !former {
		return sealed, err
	}
	return k.Seal(plain, user, field), nil
}

// boxedVersion begins every record that SealRecord made.
const boxedVersion = 1

// recordField keeps records apart from secrets within them, which Seal binds to a user.
const recordField = "record"

// SealRecord is Seal for a whole record in bytes, bound to its name. It adds 41 bytes.
func (k *Key) SealRecord(plain []byte, name string) []byte {
	aead := k.ciphers()[0]
	b := make([]byte, 1+aead.NonceSize(), 1+aead.NonceSize()+len(plain)+aead.Overhead())
	b[0] = boxedVersion
	rand.Read(b[1:])
	return aead.Seal(b, b[1:], plain, boundTo(name, recordField))
}

// OpenRecord returns what SealRecord sealed by that name, under this key or a former one,
// and says whether it was a former one.
func (k *Key) OpenRecord(sealed []byte, name string) (plain []byte, former bool, err error) {
	const head = 1 + chacha20poly1305.NonceSizeX
	if len(sealed) < head+chacha20poly1305.Overhead || sealed[0] != boxedVersion {
		return nil, false, fmt.Errorf("open record %q: it is not a sealed record", name)
	}
	for i, aead := range k.ciphers() {
		if plain, err = aead.Open([]byte{}, sealed[1:head], sealed[head:], boundTo(name, recordField)); err == nil {
			return plain, i > 0, nil
		}
	}
	return nil, false, fmt.Errorf("open record %q: it was sealed with another key or by another name, or was changed since", name)
}

// openWithAny is Open, and says whether it needed a former key.
func (k *Key) openWithAny(sealed, user, field string) (plain []byte, former bool, err error) {
	text, known := strings.CutPrefix(sealed, boxVersion)
	b, err := boxText.DecodeString(text)
	if !known || err != nil || len(b) < chacha20poly1305.NonceSizeX+chacha20poly1305.Overhead {
		return nil, false, fmt.Errorf("open %s of %q: not a sealed secret: want %q and base64", field, user, boxVersion)
	}
	nonce, hidden := b[:chacha20poly1305.NonceSizeX], b[chacha20poly1305.NonceSizeX:]
	for i, aead := range k.ciphers() {
		if plain, err = aead.Open(nil, nonce, hidden, boundTo(user, field)); err == nil {
			return plain, i > 0, nil
		}
	}
	return nil, false, fmt.Errorf("open %s of %q: it was sealed with another key or for another user or field, "+
		"or was changed since", field, user)
}

// boxes are the ciphers of the secrets of a ring, newest first. They have no state, so
// many goroutines may use them.
type boxes struct {
	of      *ring
	ciphers []cipher.AEAD
}

// ciphers returns those of the key as it is now.
func (k *Key) ciphers() []cipher.AEAD {
	r := k.ring.Load()
	if b := k.boxes.Load(); b != nil && b.of == r {
		return b.ciphers
	}
	b := &boxes{of: r}
	for _, secret := range *r {
		b.ciphers = append(b.ciphers, box(secret))
	}
	k.boxes.Store(b)
	return b.ciphers
}

// box returns the cipher of Seal and Open.
func box(secret [keySize]byte) cipher.AEAD {
	sub, err := hkdf.Key(sha256.New, secret[:], nil, boxInfo, chacha20poly1305.KeySize)
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
