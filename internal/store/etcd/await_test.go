package etcd

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"

	"mfa/internal/mfa"
	"mfa/internal/seal"
	"mfa/internal/store"
)

// A locked buffer may be written to from many goroutines.
type lockedBuffer struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) lines() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), "\n")
}

// Attempts that fail one after another are not a line each in the log.
func TestAwaitIsQuiet(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // nobody accepts there
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var out lockedBuffer
	tries := make(chan struct{}, 1000)
	cfg := store.EtcdConfig{Endpoints: []string{"http://" + l.Addr().String()}, Prefix: "/mfa/", Timeout: mfa.Duration(100 * time.Millisecond)}
	opts := Options{
		Key: func(string) (*seal.Key, error) { return nil, nil }, Log: slog.New(slog.NewTextHandler(&out, nil)), Now: time.Now,
		dial: []dialOption{countDials(tries)},
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if s, err := Await(ctx, cfg, opts); err == nil {
			t.Error("it found etcd", s.Close())
		}
	}()
	<-tries
	eventually(t, "it says that etcd is away", func() bool { return out.lines() > 0 })
	for range 2 {
		<-tries
	}
	said := out.lines()
	for range 2 {
		<-tries
	}
	if now := out.lines(); now != said {
		t.Errorf("%d lines more for two attempts", now-said)
	}
	cancel()
	<-done
}

// countDials tells tries of each client that connects first.
func countDials(tries chan<- struct{}) dialOption {
	return grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) {
		select {
		case tries <- struct{}{}:
		default:
		}
		return new(net.Dialer).DialContext(ctx, "tcp", addr)
	})
}
