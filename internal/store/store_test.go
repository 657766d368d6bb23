package store_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"mfa/internal/store"
	"mfa/internal/store/storetest"
)

// add returns an fn of Update that appends s.
func add(s string) func([]byte) ([]byte, error) {
	return func(old []byte) ([]byte, error) { return append(old, s...), nil }
}

func TestUpdateBeginsAnewAfterAConflict(t *testing.T) {
	m := &storetest.Meddler{Left: 3}
	if err := store.Update(t.Context(), m, "state/alice", add("x")); err != nil {
		t.Fatal(err)
	}
	it, err := m.Get(t.Context(), "state/alice")
	if err != nil || string(it.Value) != "mmmx" {
		t.Errorf("stored %q, %v", it.Value, err)
	}
}

func TestUpdateGivesUp(t *testing.T) {
	m := &storetest.Meddler{Left: 1 << 20}
	err := store.Update(t.Context(), m, "state/alice", add("x"))
	if !errors.Is(err, store.ErrConflict) || !strings.Contains(err.Error(), "state/alice") {
		t.Errorf("Update = %v", err)
	}
}

func TestUpdateWritesOnlyChanges(t *testing.T) {
	var m storetest.Meddler
	for _, fn := range []func([]byte) ([]byte, error){
		func([]byte) ([]byte, error) { return nil, nil }, // nothing there, and nothing to be
		add("x"), // the one write
		add(""),
	} {
		if err := store.Update(t.Context(), &m, "state/alice", fn); err != nil {
			t.Fatal(err)
		}
	}
	if m.Writes != 1 {
		t.Errorf("%d writes, want 1", m.Writes)
	}
}

func TestUpdateDeletes(t *testing.T) {
	var m storetest.Memory
	if err := store.Update(t.Context(), &m, "state/alice", add("x")); err != nil {
		t.Fatal(err)
	}
	if err := store.Update(t.Context(), &m, "state/alice", func([]byte) ([]byte, error) { return nil, nil }); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Get(t.Context(), "state/alice"); !errors.Is(err, store.ErrNotFound) {
		t.Error(err)
	}
}

func TestUpdateReturnsErrors(t *testing.T) {
	var m storetest.Memory
	refused := errors.New("refused")
	err := store.Update(t.Context(), &m, "state/alice", func([]byte) ([]byte, error) { return []byte("x"), refused })
	if !errors.Is(err, refused) {
		t.Errorf("Update = %v, want the error of fn", err)
	}
	m.Fail(refused)
	if err := store.Update(t.Context(), &m, "state/alice", add("x")); !errors.Is(err, refused) {
		t.Errorf("Update = %v, want the error of the store", err)
	}
	m.Fail(nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := store.Update(ctx, &m, "state/alice", add("x")); !errors.Is(err, context.Canceled) {
		t.Errorf("Update = %v", err)
	}
	if keys, _ := m.Keys(t.Context(), ""); keys != nil {
		t.Errorf("written: %q", keys)
	}
}
