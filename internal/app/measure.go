package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"mfa/internal/login"
	"mfa/internal/metrics"
	"mfa/internal/mfa"
	"mfa/internal/server"
)

// timedLogins is a Loginer whose logins are measured.
type timedLogins struct {
	server.Loginer
	metrics *metrics.Metrics
}

// Login implements server.Loginer.
func (t timedLogins) Login(ctx context.Context, req mfa.Request, p login.Prompter) (mfa.Verdict, error) {
	began := time.Now()
	v, err := t.Loginer.Login(ctx, req, p)
	t.metrics.LoginTook(v.Outcome, time.Since(began))
	return v, err
}

// spending is how many text messages went out within the last hour, and how many
// may; the limit is 0 while nobody carries them.
func (a *App) spending() (sent, limit int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), spendingTimeout)
	defer cancel()
	cur := a.cur.Load()
	texts, err := cur.ledger.Total(ctx)
	if cur.sms == nil {
		texts.Max = 0
	}
	return texts.Used, texts.Max, err
}

// spendingTimeout bounds what a scrape waits for the store.
const spendingTimeout = 2 * time.Second

// unixPrefix marks a metrics.listen that is a path.
const unixPrefix = "unix:"

// export serves the metrics at listen, as metrics.listen says it, until stop is
// called, which waits.
func (a *App) export(listen string) (stop func(), err error) {
	if listen == "" {
		return func() {}, nil
	}
	var l net.Listener
	if path, ok := strings.CutPrefix(listen, unixPrefix); ok {
		l, err = server.Listen(path)
	} else {
		l, err = net.Listen("tcp", listen)
	}
	if err != nil {
		return nil, fmt.Errorf("serve metrics.listen: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", a.metrics.Handler())
	srv := &http.Server{
		Handler: mux, ReadHeaderTimeout: 2 * time.Second, ReadTimeout: 5 * time.Second, WriteTimeout: 30 * time.Second,
		IdleTimeout: 5 * time.Second, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(a.opts.Log.Handler(), slog.LevelDebug), // anybody can cause it
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := srv.Serve(server.MetricsGate(l, a.audit, a.opts.Log)); !errors.Is(err, http.ErrServerClosed) {
			a.opts.Log.Error("metrics are no longer served", "error", err)
		}
	})
	return func() {
		_ = srv.Close() // a scrape that is cut short comes again
		serving.Wait()
	}, nil
}
