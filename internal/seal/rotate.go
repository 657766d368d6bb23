package seal

import (
	"crypto/rand"
	"fmt"
	"io"
	"path/filepath"

	"mfa/internal/host/file"
)

// Rotate makes a new key, which is written to path before it counts. What was
// made with the one before is still known until Forget. One goroutine at a time
// may call Rotate or Forget.
func (k *Key) Rotate(path string) error {
	was := *k.ring.Load()
	if len(was) == maxRing {
		return fmt.Errorf("rotate secrets.key_file %q: %d former keys are not forgotten yet; try again later", path, maxRing-1)
	}
	var secret [keySize]byte
	rand.Read(secret[:])
	return k.become(append(ring{secret}, was...), path)
}

// Former returns how many former keys are not forgotten.
func (k *Key) Former() int { return len(*k.ring.Load()) - 1 }

// Forget leaves nothing but the newest key, in the file at path and here.
func (k *Key) Forget(path string) error { return k.become((*k.ring.Load())[:1:1], path) }

// become replaces the file, durably and all of it or nothing, and then the key.
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
