package journal

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
)

// BenchmarkLog is one line of the daemon's log into a file.
func BenchmarkLog(b *testing.B) {
	f, err := os.Create(filepath.Join(b.TempDir(), "log"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	log := NewLog(f, slog.LevelInfo)
	for b.Loop() {
		log.Info("login", "user", "alice", "service", "sshd", "rhost", "203.0.113.9", "outcome", "accepted", "method", "totp")
	}
}
