package storetest

import (
	"errors"
	"testing"

	"mfa/internal/store"
)

func TestMemory(t *testing.T) {
	Run(t, func(*testing.T) store.Store { return new(Memory) }, nil)
}

func TestMemoryFails(t *testing.T) {
	var m Memory
	it := put(t, &m, store.Item{Key: "users/alice", Value: []byte("x")})
	broken := errors.New("broken")
	m.Fail(broken)
	_, err := m.Get(t.Context(), it.Key)
	wantError(t, "Get", err, broken)
	_, err = m.Put(t.Context(), it)
	wantError(t, "Put", err, broken)
	wantError(t, "Delete", m.Delete(t.Context(), it), broken)
	_, err = m.Keys(t.Context(), "users/")
	wantError(t, "Keys", err, broken)
	m.Fail(nil)
	wantStored(t, &m, it)
}
