package local

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"mfa/internal/host/file"
)

// movedFile says in the folder of a store where its records go, or went. It is beside the
// database, so that a program can read it that has neither the key nor the store open.
const movedFile = "moved"

// A Mark says where the records of a store go, or went (mfactl migrate).
type Mark struct {
	To    string    `json:"to"`            // store.BackendEtcd or store.BackendLocal
	Fleet string    `json:"fleet"`         // where in etcd the other records are, for people
	ID    string    `json:"id"`            // of this move
	Began time.Time `json:"began"`         // when it was begun
	Done  time.Time `json:"done,omitzero"` // when all had moved to etcd; zero: that is not done
}

// Problem returns why a store with this Mark must not be used as it is, or nil.
func (m Mark) Problem() error {
	if m.Done.IsZero() {
		return nil
	}
	return fmt.Errorf("the records of this host moved to %s on %s: set store.backend = \"etcd\"; mfactl migrate --to local brings them back; "+
		"if etcd is lost for good: mfad --new-state", m.Fleet, m.Done.Format(time.DateOnly))
}

// Moved returns the Mark of the store in dir, nil if it has none. It may be called beside a
// daemon. A Mark that cannot be read is an error: who ignored it could take records for
// new that are old.
func Moved(dir string) (*Mark, error) {
	path := filepath.Join(dir, movedFile)
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	var m Mark
	if err == nil {
		err = json.Unmarshal(data, &m)
	}
	if err != nil {
		return nil, fmt.Errorf("read where the records went: %q: %w", path, err)
	}
	return &m, nil
}

// MovedAway returns why the store in dir must not be used as it is, or nil; see Mark.Problem.
func MovedAway(dir string) error {
	m, err := Moved(dir)
	if err != nil || m == nil {
		return err
	}
	return m.Problem()
}

// Mark writes m, durably.
func (s *Store) Mark(m Mark) error {
	data, err := json.Marshal(m)
	if err == nil {
		err = file.Place{}.Replace(filepath.Join(s.dir, movedFile), append(data, '\n'))
	}
	if err != nil {
		return fmt.Errorf("note where the records go: %w", err)
	}
	return nil
}

// Unmark removes the Mark, durably: the records are here. It is no error if there is none.
func (s *Store) Unmark() error { return unmark(s.dir) }

func unmark(dir string) error {
	err := os.Remove(filepath.Join(dir, movedFile))
	if err == nil {
		err = file.SyncFolder(dir)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("note that the records are here: %w", err)
	}
	return nil
}
