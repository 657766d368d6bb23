package foreign

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"slices"
	"strings"
)

// The encryption of RFC 6030, section 6: each value is encrypted by itself with AES in CBC
// mode (XML Encryption, section 5.2.2) and bound with a MAC over what is encrypted.

type macMethod struct {
	Algorithm string         `xml:",attr"`
	Key       *encryptedData `xml:"MACKey"`
}

type encryptedData struct {
	Method struct {
		Algorithm string `xml:",attr"`
	} `xml:"EncryptionMethod"`
	Cipher string `xml:"CipherData>CipherValue"`
}

// ciphers are the lengths of keys, by the names of XML Encryption.
var ciphers = map[string]int{
	"http://www.w3.org/2001/04/xmlenc#aes128-cbc": 16,
	"http://www.w3.org/2001/04/xmlenc#aes192-cbc": 24,
	"http://www.w3.org/2001/04/xmlenc#aes256-cbc": 32,
}

// macs are the hashes of MACs, by the names of XML Signature.
var macs = map[string]func() hash.Hash{
	"http://www.w3.org/2000/09/xmldsig#hmac-sha1":        sha1.New,
	"http://www.w3.org/2001/04/xmldsig-more#hmac-sha256": sha256.New,
	"http://www.w3.org/2001/04/xmldsig-more#hmac-sha384": sha512.New384,
	"http://www.w3.org/2001/04/xmldsig-more#hmac-sha512": sha512.New,
}

// errChanged: a value is not what the sender encrypted, or another key was shared.
var errChanged = errors.New("the key is another one, or the list was changed on its way: the MAC does not match")

// An opener opens what is encrypted in one list.
type opener struct {
	shared []byte // the key that was shared before; nil: none was
	hash   func() hash.Hash
	mac    []byte // key of the MACs
}

// newOpener returns what opens the values of c.
func newOpener(c container, shared []byte) (*opener, error) {
	o := &opener{shared: shared}
	if c.EncryptionKey != nil && c.EncryptionKey.DerivedKey != nil {
		return nil, errors.New("the list is encrypted under a passphrase: have it encrypted under a key that is shared before (RFC 6030, section 6.1)")
	}
	if c.MACMethod == nil {
		return o, nil
	}
	if o.hash = macs[c.MACMethod.Algorithm]; o.hash == nil {
		return nil, fmt.Errorf("its MAC is %q, which is not known here: want hmac-sha1, -sha256, -sha384 or -sha512", short(c.MACMethod.Algorithm))
	}
	if o.mac = shared; c.MACMethod.Key == nil || shared == nil {
		return o, nil
	}
	var err error
	if o.mac, err = o.open(*c.MACMethod.Key); err != nil {
		return nil, fmt.Errorf("key of the MAC: %w", err)
	}
	return o, nil
}

// decrypt returns what v hides, once its MAC is right.
func (o *opener) decrypt(v value) ([]byte, error) {
	switch {
	case o.shared == nil:
		return nil, errors.New("it is encrypted: give the key with --key-file")
	case o.hash == nil || v.MAC == "":
		return nil, errors.New("it is encrypted without a MAC, so nobody can tell whether it was changed")
	}
	cipherText, err := plainBytes(v.Encrypted.Cipher)
	if err != nil {
		return nil, err
	}
	want, err := plainBytes(v.MAC)
	if err != nil {
		return nil, err
	}
	mac := hmac.New(o.hash, o.mac)
	mac.Write(cipherText)
	if !hmac.Equal(mac.Sum(nil), want) {
		return nil, errChanged
	}
	return o.open(*v.Encrypted)
}

// open decrypts d. The first block is the initialisation vector; the last byte says how
// many at the end are padding.
func (o *opener) open(d encryptedData) ([]byte, error) {
	size, known := ciphers[d.Method.Algorithm]
	switch {
	case !known:
		return nil, fmt.Errorf("it is encrypted with %q, which is not known here: want aes128-cbc, aes192-cbc or aes256-cbc", short(d.Method.Algorithm))
	case len(o.shared) != size:
		return nil, fmt.Errorf("the key has %d bytes: want %d", len(o.shared), size)
	}
	b, err := plainBytes(d.Cipher)
	if err != nil {
		return nil, err
	}
	if len(b) < 2*aes.BlockSize || len(b)%aes.BlockSize != 0 {
		return nil, errors.New("it is cut short")
	}
	block, err := aes.NewCipher(o.shared)
	if err != nil {
		return nil, err
	}
	plain := slices.Clone(b[aes.BlockSize:])
	cipher.NewCBCDecrypter(block, b[:aes.BlockSize]).CryptBlocks(plain, plain)
	pad := int(plain[len(plain)-1])
	if pad < 1 || pad > aes.BlockSize {
		return nil, errChanged
	}
	return plain[:len(plain)-pad], nil
}

// ParseShared reads a key that was shared before: 16, 24 or 32 bytes, in hexadecimal or
// base64.
func ParseShared(text string) ([]byte, error) {
	text = strings.Join(strings.Fields(text), "")
	for _, decode := range []func(string) ([]byte, error){hex.DecodeString, base64.StdEncoding.DecodeString} {
		if b, err := decode(text); err == nil && (len(b) == 16 || len(b) == 24 || len(b) == 32) {
			return b, nil
		}
	}
	return nil, errors.New("the key is not 16, 24 or 32 bytes in hexadecimal or base64")
}
