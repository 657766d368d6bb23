package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"mfa/internal/audit"
)

// unixPrefix marks a metrics.listen that is a path.
const unixPrefix = "unix:"

// An Exporter serves metrics at GET /metrics. No login waits for it: any user of this machine can
// take a TCP address while nobody has it, so where it cannot be had it is tried again.
type Exporter struct {
	Listen  string // a value of metrics.listen; "": nothing is served
	Handler http.Handler
	Audit   *audit.Log
	Log     *slog.Logger

	again time.Duration // between two tries; 0 is exportAgain

	mu      sync.Mutex
	problem error // of the last try
}

// exportAgain is how long an Exporter waits between two tries.
const exportAgain = 10 * time.Second

// Start tries to serve, and goes on with that until stop is called, which waits for the end. Call
// it once.
func (e *Exporter) Start() (stop func()) {
	if e.Listen == "" {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	l := e.open()
	var serving sync.WaitGroup
	serving.Go(func() {
		for ctx.Err() == nil {
			if l != nil {
				e.note(e.serve(ctx, l))
			}
			select {
			case <-ctx.Done():
			case <-time.After(cmp.Or(e.again, exportAgain)):
				l = e.open()
			}
		}
	})
	return func() {
		cancel()
		serving.Wait()
	}
}

// Problem returns why the metrics are not served, nil if they are or are not to be. It may be
// called from many goroutines.
func (e *Exporter) Problem() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.problem
}

// note keeps what became of a try, and logs a problem that is another than before.
func (e *Exporter) note(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err != nil && (e.problem == nil || e.problem.Error() != err.Error()) {
		e.Log.Error("metrics are not served; logins go on, and it is tried again", "error", err)
	}
	e.problem = err
}

// open returns the socket to serve, or nil and keeps why.
func (e *Exporter) open() (l net.Listener) {
	var err error
	if path, ok := strings.CutPrefix(e.Listen, unixPrefix); ok {
		l, err = Listen(path)
	} else {
		l, err = net.Listen("tcp", e.Listen)
	}
	if err != nil {
		e.note(fmt.Errorf("serve metrics.listen: %w", err))
		return nil
	}
	e.note(nil)
	return l
}

// serve serves l until ctx ends, or returns why it cannot.
func (e *Exporter) serve(ctx context.Context, l net.Listener) error {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", e.Handler)
	srv := &http.Server{
		Handler: mux, ReadHeaderTimeout: 2 * time.Second, ReadTimeout: 5 * time.Second, WriteTimeout: 30 * time.Second,
		IdleTimeout: 5 * time.Second, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(e.Log.Handler(), slog.LevelDebug), // anybody can cause it
	}
	defer context.AfterFunc(ctx, func() { _ = srv.Close() })() // a scrape that is cut short comes again
	if err := srv.Serve(metricsGate(l, e.Audit, e.Log)); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve metrics.listen: %w", errors.Join(err, srv.Close()))
	}
	return nil
}

// metricsGate returns l, a Unix or a TCP socket, with the bounds of metrics.listen. Peers
// over TCP are not known, so they share the bounds of one uid.
func metricsGate(l net.Listener, au *audit.Log, log *slog.Logger) *Gate {
	return &Gate{
		Listener: l, name: "metrics listener", bounds: bounds{root: 16, others: 32, perUID: 16},
		rate: rate{burst: 60, every: time.Second}, event: turnedAway,
		slots: &slots{}, allowed: &allowList{}, audit: au, log: log,
	}
}
