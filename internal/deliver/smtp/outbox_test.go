package smtp

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"mfa/internal/deliver"
	"mfa/internal/deliver/delivertest"
)

func newOutbox(t *testing.T) (*Email, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "outbox")
	return newEmail(t, deliver.EmailConfig{Transport: deliver.TransportOutbox, Outbox: deliver.OutboxConfig{Path: path}}), path
}

func TestOutboxIsAMaildir(t *testing.T) {
	e, path := newOutbox(t)
	var senders sync.WaitGroup
	const messages = 50
	for i := range messages {
		senders.Go(func() {
			if err := e.Send(t.Context(), message(strconv.Itoa(100000+i))); err != nil {
				t.Error(err)
			}
		})
	}
	mails := delivertest.WaitMaildir(t, path, messages)
	senders.Wait()
	codes := map[string]bool{}
	for _, m := range mails {
		first, _, _ := strings.Cut(m.Text, "\n")
		codes[first] = true
		if strings.Contains(m.Raw, "\r") || m.Header.Get("From") != "<mfa@web1.example.com>" {
			t.Errorf("message is %q", m.Raw)
		}
	}
	if len(codes) != messages {
		t.Errorf("%d different codes, want %d", len(codes), messages)
	}
	err := filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		want := fs.FileMode(0o600)
		if d.IsDir() {
			want = 0o700
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %v, want %v", p, info.Mode().Perm(), want)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(filepath.Join(path, "tmp")); err != nil || len(left) != 0 {
		t.Errorf("%d files left in tmp (%v)", len(left), err)
	}
}

func TestOutboxTellsWhy(t *testing.T) {
	e, path := newOutbox(t)
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	delivertest.WantTemporary(t, e.Send(t.Context(), message("1")), "write outbox", path, "not a directory")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := e.Send(ctx, message("1")); err == nil || !strings.Contains(err.Error(), "context canceled") {
		t.Errorf("error after the caller left: %v", err)
	}
}
