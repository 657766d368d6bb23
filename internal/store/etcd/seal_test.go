package etcd

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"mfa/internal/seal"
	"mfa/internal/store"
	"mfa/internal/store/etcd/etcdtest"
)

func put(t *testing.T, s *Store, it store.Item) store.Item {
	t.Helper()
	it, err := s.Put(t.Context(), it)
	if err != nil {
		t.Fatal(err)
	}
	return it
}

// Nobody who reads etcd learns what a record says.
func TestNothingLiesInClear(t *testing.T) {
	c := etcdtest.Start(t, 1)
	s := open(t, config(c), with(newKey(t)))
	const secret = "alice@example.com"
	put(t, s, store.Item{Key: "users/alice", Value: []byte(secret)})
	resp, err := s.client.Get(t.Context(), "", clientv3.WithPrefix())
	if err != nil || len(resp.Kvs) < 2 {
		t.Fatalf("%v, %v", resp, err)
	}
	for _, kv := range resp.Kvs {
		if bytes.Contains(kv.Value, []byte("example")) || bytes.Contains(kv.Value, []byte(s.key.Text()[:64])) {
			t.Errorf("%q holds %q", kv.Key, kv.Value)
		}
	}
}

// A value that was changed, moved to another key or another prefix is none.
func TestForgedValues(t *testing.T) {
	c := etcdtest.Start(t, 1)
	key := newKey(t)
	s, other := open(t, config(c), with(key)), open(t, config(c), with(key))
	put(t, s, store.Item{Key: "state/alice", Value: []byte("used")})
	put(t, s, store.Item{Key: "state/bob", Value: []byte("unused")})
	put(t, s, store.Item{Key: "users/alice", Value: []byte("en")})
	put(t, other, store.Item{Key: "state/alice", Value: []byte("elsewhere")})
	raw := func(s *Store, key string) string {
		resp, err := s.client.Get(t.Context(), s.prefix+key)
		if err != nil || len(resp.Kvs) != 1 {
			t.Fatal(resp, err)
		}
		return string(resp.Kvs[0].Value)
	}
	good := raw(s, "state/alice")
	for name, forged := range map[string]string{
		"another user's": raw(s, "state/bob"), "another space's": raw(s, "users/alice"), "another prefix's": raw(other, "state/alice"),
		"changed": good[:len(good)-1] + string(good[len(good)-1]^1), "cut": good[:20], "empty": "", "clear": "{}",
	} {
		if _, err := s.client.Put(t.Context(), s.prefix+"state/alice", forged); err != nil {
			t.Fatal(err)
		}
		for how, ctx := range map[string]context.Context{"asked": t.Context(), "from memory": store.WithView(t.Context())} {
			eventually(t, "refusal of what is "+name, func() bool {
				it, err := s.Get(ctx, "state/alice")
				if errors.Is(err, store.ErrNotFound) {
					t.Fatalf("%s, %s: not found", name, how)
				}
				return errors.Is(err, store.ErrUnreadable) && it.Rev != 0 && it.Value == nil && strings.Contains(err.Error(), "state/alice")
			})
		}
		err := store.Update(t.Context(), s, "state/alice", func([]byte) ([]byte, error) { return []byte("x"), nil })
		if !errors.Is(err, store.ErrUnreadable) {
			t.Errorf("%s: update: %v", name, err)
		}
	}
}

// A host with another key, and a prefix that is not ours, are told at start.
func TestOpenRefuses(t *testing.T) {
	c := etcdtest.Start(t, 1)
	cfg, key, wrong := config(c), newKey(t), newKey(t)
	s := open(t, cfg, with(key))
	for name, change := range map[string]struct {
		do   func()
		opts Options
		want string
	}{
		"another key": {func() {}, with(wrong), "this host has key " + wrong.ID() + ", but the fleet has key " + key.ID()},
		"no key":      {func() {}, Options{Key: func(string) (*seal.Key, error) { return nil, errors.New("no such file") }}, "no such file"},
	} {
		change.do()
		if _, err := Open(t.Context(), cfg, change.opts); err == nil || !strings.Contains(err.Error(), change.want) {
			t.Errorf("%s: %v, want %q", name, err, change.want)
		}
	}
	if err := Look(t.Context(), cfg, with(key)); err != nil {
		t.Errorf("look: %v", err)
	}
	for value, want := range map[string]string{
		"":                         "is store.etcd.prefix right?",
		`{"format":1}`:             "is store.etcd.prefix right?",
		`{"format":9,"key":"abc"}`: "a newer mfad has written",
	} {
		if _, err := s.client.Put(t.Context(), cfg.Prefix+checkName, value); err != nil {
			t.Fatal(err)
		}
		for _, try := range []error{Look(t.Context(), cfg, with(key)), func() error { _, err := Open(t.Context(), cfg, with(key)); return err }()} {
			if try == nil || !strings.Contains(try.Error(), want) {
				t.Errorf("%q: %v, want %q", value, try, want)
			}
		}
	}
	put(t, s, store.Item{Key: "users/alice", Value: []byte("x")})
	if _, err := s.client.Delete(t.Context(), cfg.Prefix+checkName); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), cfg, with(key)); err == nil || !strings.Contains(err.Error(), "users/alice") {
		t.Errorf("records without a check: %v", err)
	}
}

// A key is changed while hosts know the next one already: nothing becomes unreadable, and
// in the end the former one opens nothing.
func TestRetag(t *testing.T) {
	c := etcdtest.Start(t, 1)
	cfg, first, second := config(c), newKey(t), newKey(t)
	parse := func(parts ...*seal.Key) *seal.Key {
		var text string
		for _, k := range parts {
			text += k.Text()
		}
		k, err := seal.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	before, after := open(t, cfg, with(parse(first, second))), open(t, cfg, with(parse(second, first)))
	var want []store.Item
	for i, key := range []string{"users/alice", "state/alice", "meta/x"} {
		want = append(want, put(t, []*Store{before, after}[i%2], store.Item{Key: key, Value: []byte(key)}))
	}
	for _, it := range want {
		for _, s := range []*Store{before, after} {
			if got, err := s.Get(t.Context(), it.Key); err != nil || string(got.Value) != it.Key {
				t.Errorf("%q, %v", got.Value, err)
			}
		}
	}
	if _, err := Open(t.Context(), cfg, with(second)); err == nil {
		t.Error("the next key alone is good too early")
	}
	if err := after.Retag(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := open(t, cfg, with(second))
	keys, err := s.Keys(t.Context(), "")
	if err != nil || !slices.Equal(keys, []string{"meta/x", "state/alice", "users/alice"}) {
		t.Fatalf("%q, %v", keys, err)
	}
	for _, key := range keys {
		if got, err := s.Get(t.Context(), key); err != nil || string(got.Value) != key {
			t.Errorf("%q, %v", got.Value, err)
		}
	}
	if _, err := Open(t.Context(), cfg, with(first)); err == nil {
		t.Error("the former key alone is still good")
	}
}
