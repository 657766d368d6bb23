package seal

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestRotate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	k, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	old, sealed, mac := k.ID(), k.Seal([]byte("secret"), "alice", "f"), k.MAC("p", []byte("x"))
	if err := k.Rotate(path); err != nil {
		t.Fatal(err)
	}
	read, err := load(path)
	if err != nil || read.Text() != k.Text() {
		t.Fatalf("the file is not the key: %v", err)
	}
	if k.ID() == old || k.Former() != 1 || !slices.Contains(k.IDs(), old) {
		t.Errorf("key %s, of %q, before %s", k.ID(), k.IDs(), old)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	// Hashes made before are known, and those made now need no former key.
	if plain, err := read.Open(sealed, "alice", "f"); err != nil || string(plain) != "secret" {
		t.Errorf("%q, %v", plain, err)
	}
	macs := k.MACs("p", []byte("x"))
	if len(macs) != 2 || !bytes.Equal(macs[1], mac) || !bytes.Equal(macs[0], k.MAC("p", []byte("x"))) || bytes.Equal(macs[0], mac) {
		t.Errorf("hashes %x, before %x", macs, mac)
	}
	again, err := k.Reseal(sealed, "alice", "f")
	if err != nil || again == sealed {
		t.Fatalf("Reseal: %v", err)
	}
	if same, err := k.Reseal(again, "alice", "f"); err != nil || same != again {
		t.Errorf("sealed anew without need: %v", err)
	}
	if bad, err := k.Reseal(sealed, "bob", "f"); err == nil || bad != sealed {
		t.Errorf("for another user: %v", err)
	}
	if err := k.Forget(path); err != nil {
		t.Fatal(err)
	}
	if read, err = load(path); err != nil || read.Former() != 0 || read.ID() != k.ID() {
		t.Errorf("after Forget: %v", err)
	}
	for _, k := range []*Key{k, read} {
		if _, err := k.Open(sealed, "alice", "f"); err == nil {
			t.Error("a forgotten key opens")
		}
		if plain, err := k.Open(again, "alice", "f"); err != nil || string(plain) != "secret" {
			t.Errorf("%q, %v", plain, err)
		}
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(path), ".key-*")); err != nil || len(left) != 0 {
		t.Errorf("left %q, %v", left, err)
	}
}

// A key that cannot be written does not count.
func TestRotateThatCannotBeWritten(t *testing.T) {
	k := newKey(ring{{1}})
	if err := k.Rotate(filepath.Join(t.TempDir(), "nowhere", "key")); err == nil || k.Former() != 0 {
		t.Errorf("%v, %d former", err, k.Former())
	}
	path := filepath.Join(t.TempDir(), "key")
	for range maxRing - 1 {
		if err := k.Rotate(path); err != nil {
			t.Fatal(err)
		}
	}
	if err := k.Rotate(path); err == nil {
		t.Error("more former keys than a file may hold")
	}
	if _, err := load(path); err != nil {
		t.Error(err)
	}
}
