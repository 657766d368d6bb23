package server

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// scrape asks for a path at listen, as metrics.listen says it.
func scrape(listen, path string) (status int, text string, err error) {
	network, address := "tcp", listen
	if socket, ok := strings.CutPrefix(listen, unixPrefix); ok {
		network, address = "unix", socket
	}
	tr := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, address)
	}}
	defer tr.CloseIdleConnections()
	resp, err := (&http.Client{Transport: tr, Timeout: 30 * time.Second}).Get("http://mfad" + path)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body), err
}

// unusedAddress is one of 127.0.0.1 that nobody listens on.
func unusedAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// The metrics are at one path of the address that metrics.listen names, until the stop.
func TestExporter(t *testing.T) {
	h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "numbers") })
	log := slog.New(slog.NewTextHandler(testWriter{t}, nil))
	for name, listen := range map[string]string{"tcp": unusedAddress(t), "unix": unixPrefix + filepath.Join(t.TempDir(), "m", "s")} {
		e := &Exporter{Listen: listen, Handler: h, Log: log}
		stop := e.Start()
		if err := e.Problem(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if status, text, err := scrape(listen, "/metrics"); status != http.StatusOK || text != "numbers" || err != nil {
			t.Errorf("%s: %d, %q, %v", name, status, text, err)
		}
		if status, text, err := scrape(listen, "/"); status != http.StatusNotFound || err != nil {
			t.Errorf("%s: elsewhere: %d, %q, %v", name, status, text, err)
		}
		stop()
		if status, _, err := scrape(listen, "/metrics"); err == nil {
			t.Errorf("%s: served after the stop: %d", name, status)
		}
	}
	none := &Exporter{}
	none.Start()()
	if err := none.Problem(); err != nil {
		t.Errorf("no address: %v", err)
	}
}

// An address that somebody else has is tried again, and logged once.
func TestExporterTriesAgain(t *testing.T) {
	listen := unusedAddress(t)
	other, err := net.Listen("tcp", listen)
	if err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	e := &Exporter{
		Listen: listen, Handler: http.NotFoundHandler(), again: time.Millisecond,
		Log: slog.New(slog.NewTextHandler(&said, nil)),
	}
	stop := e.Start()
	defer stop()
	if err := e.Problem(); err == nil || !strings.HasPrefix(err.Error(), "serve metrics.listen: ") {
		t.Errorf("an address that is taken: %v", err)
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	for e.Problem() != nil {
		runtime.Gosched()
	}
	if status, _, err := scrape(listen, "/metrics"); status != http.StatusNotFound || err != nil {
		t.Errorf("when it is free: %d, %v", status, err)
	}
	if n := strings.Count(said.String(), "metrics are not served"); n != 1 {
		t.Errorf("%d lines:\n%s", n, said.String())
	}
}
