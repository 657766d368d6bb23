// Package seal keeps secrets at rest: the daemon's one key, and the sealed texts and
// keyed hashes made with it.
//
// What to know before trusting it: every use of the key names its purpose and
// gets a key of its own (HKDF, RFC 5869), so a hash made for one purpose proves
// nothing in another. A key file that others could read or write is refused,
// and a key that is lost is never silently replaced: what was hashed with it
// would be worthless.
package seal

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync/atomic"
	"syscall"

	"mfa/internal/host/file"
)

// keySize is the size of the key in bytes.
const keySize = 32

// A Key is the daemon's secret and its former secrets. What was made with a former one
// is still accepted until Forget. Its methods may be called from many goroutines, except
// as Rotate says.
type Key struct {
	ring  atomic.Pointer[ring]
	boxes atomic.Pointer[boxes]
}

// A ring is a secret and those it took the place of, newest first. It never
// changes.
type ring [][keySize]byte

func newKey(r ring) *Key {
	k := &Key{}
	k.ring.Store(&r)
	return k
}

// current returns the secret that new things are made with.
func (k *Key) current() [keySize]byte { return (*k.ring.Load())[0] }

// LoadFor reads the key file for a process that runs as uid: 64 hexadecimal digits
// and a newline, then a line for each former key that is not forgotten yet. It refuses a
// symbolic link, a file that is not regular, that belongs to neither root nor uid, or
// that is open to group or others; mode 0440 of root:root is accepted, as systemd makes
// credentials so. Known is the ID of the key that the store was written with, which the
// file must hold; empty: there is no store. The error wraps fs.ErrNotExist if there is
// no file.
func LoadFor(path string, uid int, known string) (*Key, error) {
	key, err := loadAs(path, uid)
	switch {
	case errors.Is(err, fs.ErrNotExist) && known != "":
		return nil, fmt.Errorf("%w; the store was written with key %s: restore that key file from a backup; where there is none, run mfad --new-state", err, known)
	case err != nil:
		return nil, err
	case known != "" && !slices.Contains(key.IDs(), known):
		return nil, fmt.Errorf("secrets.key_file %q holds key %s, but the store was written with key %s: restore that key file from a backup",
			path, key.ID(), known)
	}
	return key, nil // a former one is known if a change was cut short before the note of it
}

// Check returns the error of LoadFor with an empty known. It keeps no key.
func Check(path string, uid int) error {
	_, err := loadAs(path, uid)
	return err
}

func loadAs(path string, uid int) (*Key, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Errorf("read secrets.key_file: %w; run chown %s on it", err, chownTo(uid))
	}
	if err != nil {
		return nil, fmt.Errorf("read secrets.key_file: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("read secrets.key_file: %w", err)
	}
	if err := private(info, uid); err != nil {
		return nil, fmt.Errorf("read secrets.key_file %q: %w", path, err)
	}
	text, err := io.ReadAll(io.LimitReader(f, 1024))
	if err != nil {
		return nil, fmt.Errorf("read secrets.key_file: %w", err)
	}
	k, err := Parse(string(text))
	if err != nil {
		return nil, fmt.Errorf("read secrets.key_file %q: %w; restore the file from a backup", path, err)
	}
	return k, nil
}

// private says whether only root and uid can touch the file.
func private(info fs.FileInfo, uid int) error {
	if !info.Mode().IsRegular() {
		return errors.New("not a regular file")
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if m := info.Mode().Perm(); m&0o077 != 0 && !(ok && isCredential(m, st)) {
		return fmt.Errorf("mode %04o is open to others; run chmod 0600 on it", m)
	}
	if ok && st.Uid != 0 && int(st.Uid) != uid {
		return fmt.Errorf("belongs to uid %d; run chown %s on it", st.Uid, chownTo(uid))
	}
	return nil
}

// chownTo names a user to chown(1).
func chownTo(uid int) string {
	if uid != 0 {
		return strconv.Itoa(uid)
	}
	return "root"
}

// isCredential reports whether a file has mode and owner as systemd gives credentials
// where it can set ACLs: root's, with one more user who may read it. The mode shows the
// ACL's mask in place of the group's rights, and the group is root's (acl(5)).
func isCredential(mode fs.FileMode, st *syscall.Stat_t) bool {
	return mode == 0o440 && st.Uid == 0 && st.Gid == 0
}

// Create makes a new key and writes it to path, durably and only if nothing is
// there yet. The folder is made when missing, mode 0700.
func Create(path string) (*Key, error) {
	var secret [keySize]byte
	rand.Read(secret[:])
	k := newKey(ring{secret})
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create secrets.key_file: %w", err)
	}
	// Another process may have made a key meanwhile: that is not overwritten.
	if err := (file.Place{Prefix: keyPrefix, New: true}).Replace(path, []byte(k.Text())); err != nil {
		return nil, fmt.Errorf("create secrets.key_file: %w", err)
	}
	return k, nil
}

// keyPrefix is how the names of key files begin that are not yet in place.
const keyPrefix = ".key-"

// MAC returns the HMAC-SHA256 (RFC 2104) of parts under the newest secret, 32 bytes. Each
// purpose has a sub key of its own, and the length of each part is hashed with it.
func (k *Key) MAC(purpose string, parts ...[]byte) []byte { return mac(k.current(), purpose, parts) }

// MACs returns the hash of MAC under each secret of the key, newest first. Compare them
// in constant time.
func (k *Key) MACs(purpose string, parts ...[]byte) [][]byte {
	var all [][]byte
	for _, secret := range *k.ring.Load() {
		all = append(all, mac(secret, purpose, parts))
	}
	return all
}

func mac(secret [keySize]byte, purpose string, parts [][]byte) []byte {
	h := hmac.New(sha256.New, subKey(secret, purpose))
	writeParts(h, parts)
	return h.Sum(nil)
}

// subKey returns the key of its own that a purpose has.
func subKey(secret [keySize]byte, purpose string) []byte {
	sub, err := hkdf.Key(sha256.New, secret[:], nil, "mfa "+purpose, sha256.Size)
	if err != nil {
		panic("seal: hkdf of 32 bytes: " + err.Error()) // only for lengths over 255 hashes
	}
	return sub
}

// writeParts writes the parts, each behind its length.
func writeParts(h hash.Hash, parts [][]byte) {
	for _, p := range parts {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(p)))
		h.Write(n[:])
		h.Write(p)
	}
}

// ID returns the name of the key: 16 hexadecimal digits, which do not give it away. The
// store remembers it, so that a wrong key is noticed at start and not by the first user
// whose code fails.
func (k *Key) ID() string { return idOf(k.current()) }

// IDs returns the names of the key and of its former ones, newest first.
func (k *Key) IDs() []string {
	var all []string
	for _, secret := range *k.ring.Load() {
		all = append(all, idOf(secret))
	}
	return all
}

func idOf(secret [keySize]byte) string { return hex.EncodeToString(mac(secret, "key id", nil)[:8]) }
