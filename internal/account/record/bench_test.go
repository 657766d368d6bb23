package record

import (
	"testing"

	"mfa/internal/mfa"
)

// BenchmarkState reads and writes what is remembered of a user with an app.
func BenchmarkState(b *testing.B) {
	text, err := EncodeState("alice", mfa.State{UID: 1000, Epoch: 1, TOTPStep: 56666667, Seen: []string{"203.0.113.9"}}, nil)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		st, err := DecodeState("state/alice", text)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := EncodeState("alice", st, nil); err != nil {
			b.Fatal(err)
		}
	}
}
