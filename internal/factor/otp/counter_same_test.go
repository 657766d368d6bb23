package otp

import (
	"bytes"
	"testing"
	"time"
)

// Secrets that show the same codes are one token: zeros at the end change none.
func TestSameToken(t *testing.T) {
	secret := []byte("12345678901234567890")
	padded := append(bytes.Clone(secret), 0, 0, 0)
	p := Params{Digits: 6, Period: 30 * time.Second, Algorithm: "SHA1"}
	a, err := Code(secret, 7, p)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := Code(padded, 7, p); err != nil || a != b {
		t.Fatalf("codes %q and %q, %v", a, b, err)
	}
	if !SameToken(secret, padded) || !SameToken(padded, secret) || SameToken(secret, append(bytes.Clone(secret), 1)) {
		t.Error("a token is told apart wrongly")
	}
	// A longer key would be hashed first, and have a second secret.
	if err := CheckToken(bytes.Repeat([]byte("x"), maxToken), 0, p); err != nil {
		t.Error(err)
	}
	if err := CheckToken(bytes.Repeat([]byte("x"), maxToken+1), 0, p); err == nil {
		t.Error("a secret longer than the block of the hash is taken")
	}
}
