package audit

import (
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"mfa/internal/mfa"
)

// BenchmarkRecord is the audit line of one login, without the daemon's log.
func BenchmarkRecord(b *testing.B) {
	l, err := Open(Config{File: filepath.Join(b.TempDir(), "audit.jsonl")}, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	uid := uint32(1000)
	ev := mfa.Event{
		Time: time.Unix(1_700_000_000, 0), Event: Login, User: "alice", UID: &uid, Service: "sshd", Address: "203.0.113.9",
		Outcome: "accepted", Reason: "code accepted", Method: "totp", Rule: "policy",
	}
	for b.Loop() {
		l.Record(ev)
	}
}
