package store_test

import (
	"context"
	"strconv"
	"strings"
	"testing"

	"mfa/internal/store"
	"mfa/internal/store/storetest"
)

// A store says in which format it is, and one that is too new is left alone.
func TestCheckFormat(t *testing.T) {
	ctx := context.Background()
	s := &storetest.Memory{}
	for range 2 { // made, and found
		if err := store.CheckFormat(ctx, s); err != nil {
			t.Fatal(err)
		}
	}
	it, err := s.Get(ctx, "meta/format")
	if err != nil || string(it.Value) != strconv.Itoa(store.Format) {
		t.Fatalf("the store says %q, %v", it.Value, err)
	}
	// A store in use by a log stays marked as such.
	it.Value = []byte(strconv.Itoa(store.FormatLogged))
	if it, err = s.Put(ctx, it); err != nil {
		t.Fatal(err)
	}
	if err := store.CheckFormat(ctx, s); err != nil {
		t.Fatal(err)
	}
	if now, err := s.Get(ctx, "meta/format"); err != nil || now.Rev != it.Rev {
		t.Fatalf("the store says %q, %v", now.Value, err)
	}
	for value, want := range map[string]string{
		"4":   "a newer mfad has written the store, in format 4, and this one reads no more than format 3: install the newer version again",
		"":    "is not a format",
		"0":   "is not a format",
		"+1":  "is not a format",
		"01":  "is not a format",
		"one": "is not a format",
	} {
		it.Value = []byte(value)
		if it, err = s.Put(ctx, it); err != nil {
			t.Fatal(err)
		}
		if err := store.CheckFormat(ctx, s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("format %q: %v, want %s", value, err, want)
		}
		if now, err := s.Get(ctx, "meta/format"); err != nil || string(now.Value) != value {
			t.Errorf("format %q became %q, %v", value, now.Value, err)
		}
	}
}
