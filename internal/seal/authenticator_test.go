package seal

import (
	"bytes"
	"path/filepath"
	"testing"
)

func TestTagIsTheBeginningOfTheMAC(t *testing.T) {
	k, err := Create(filepath.Join(t.TempDir(), "key"))
	if err != nil {
		t.Fatal(err)
	}
	a := k.Authenticator("record")
	for _, parts := range [][][]byte{{}, {{}}, {[]byte("ab"), []byte("c")}, {[]byte("a"), []byte("bc")}} {
		tag := a.Tag(parts...)
		if want := k.MAC("record", parts...); !bytes.Equal(tag[:], want[:TagSize]) {
			t.Errorf("Tag(%q) = %x, want the beginning of %x", parts, tag, want)
		}
	}
}

func TestAuthenticatorFollowsItsKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	k, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	a, part := k.Authenticator("record"), []byte("x")
	former := a.Tag(part)
	check := func(tag [TagSize]byte, ok, isOld bool) {
		t.Helper()
		if gotOK, gotOld := a.Verify(tag[:], part); gotOK != ok || gotOld != isOld {
			t.Errorf("Verify = %v, %v; want %v, %v", gotOK, gotOld, ok, isOld)
		}
	}
	check(former, true, false)
	if err := k.Rotate(path); err != nil {
		t.Fatal(err)
	}
	check(former, true, true)
	check(a.Tag(part), true, false)
	if err := k.Forget(path); err != nil {
		t.Fatal(err)
	}
	check(former, false, false)
	check(a.Tag(part), true, false)
	if ok, _ := a.Verify(nil, part); ok {
		t.Error("no tag is taken for one")
	}
	tag := k.Authenticator("another").Tag(part)
	check(tag, false, false)
}

func BenchmarkTag(b *testing.B) {
	a, value := newKey(ring{{}}).Authenticator("record"), make([]byte, 400)
	for b.Loop() {
		a.Tag([]byte("state"), []byte("alice"), value)
	}
}
