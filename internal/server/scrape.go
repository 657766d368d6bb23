package server

import (
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

// ExportMetrics serves h at GET /metrics. Listen is a value of metrics.listen; if it is
// empty nothing is served. Stop ends the server and waits for it.
func ExportMetrics(listen string, h http.Handler, au *audit.Log, log *slog.Logger) (stop func(), err error) {
	if listen == "" {
		return func() {}, nil
	}
	var l net.Listener
	if path, ok := strings.CutPrefix(listen, unixPrefix); ok {
		l, err = Listen(path)
	} else {
		l, err = net.Listen("tcp", listen)
	}
	if err != nil {
		return nil, fmt.Errorf("serve metrics.listen: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", h)
	srv := &http.Server{
		Handler: mux, ReadHeaderTimeout: 2 * time.Second, ReadTimeout: 5 * time.Second, WriteTimeout: 30 * time.Second,
		IdleTimeout: 5 * time.Second, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug), // anybody can cause it
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := srv.Serve(metricsGate(l, au, log)); !errors.Is(err, http.ErrServerClosed) {
			log.Error("metrics are no longer served", "error", err)
		}
	})
	return func() {
		_ = srv.Close() // a scrape that is cut short comes again
		serving.Wait()
	}, nil
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
