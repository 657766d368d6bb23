package seal

import (
	"crypto/rand"
	"fmt"
	"io"
	"path/filepath"

	"mfa/internal/host/file"
)

// Rotate makes a new key and writes it to path, durably, before it is used. The one before
// is still accepted until Forget. It fails while maxRing-1 former keys are not forgotten.
// Only one goroutine at a time may call Rotate or Forget.
func (k *Key) Rotate(path string) error {
	was := *k.ring.Load()
	if len(was) == maxRing {
		return fmt.Errorf("rotate secrets.key_file %q: %d former keys are not forgotten yet; try again later", path, maxRing-1)
	}
	var secret [keySize]byte
	rand.Read(secret[:])
	return k.become(append(ring{secret}, was...), path)
}

// Former returns the number of former keys that are not forgotten.
func (k *Key) Former() int { return len(*k.ring.Load()) - 1 }

// Forget drops all former keys, from the file at path and then here. It is durable when
// it returns nil.
func (k *Key) Forget(path string) error { return k.become((*k.ring.Load())[:1:1], path) }

// become replaces the file, all of it or nothing, then the key, and syncs the folder.
func (k *Key) become(next ring, path string) error {
	err := file.Place{Prefix: keyPrefix}.Swap(path, func(w io.Writer) error {
		_, err := io.WriteString(w, newKey(next).Text())
		return err
	})
	if err == nil {
		// From here on the file may be the new one: then so must the key be.
		k.ring.Store(&next)
		err = file.SyncFolder(filepath.Dir(path))
	}
	if err != nil {
		return fmt.Errorf("write secrets.key_file: %w", err)
	}
	return nil
}
