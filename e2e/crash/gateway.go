package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"slices"
	"sync"
	"time"
)

// A gateway takes text messages.
type gateway struct {
	server *http.Server
	at     string

	mu    sync.Mutex // guards codes
	codes []string
}

var sixDigits = regexp.MustCompile(`\b\d{6}\b`)

func newGateway() *gateway {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	g := &gateway{at: l.Addr().String()}
	g.server = &http.Server{Handler: g, ReadHeaderTimeout: patience}
	go func() { _ = g.server.Serve(l) }() // until close
	return g
}

func (g *gateway) close() { _ = g.server.Close() }

// byGateway is among the settings of a daemon that sends by a gateway.
const byGateway = "sms.provider = 'http'"

// settings has mfad send by it.
func (g *gateway) settings() []string {
	return []string{
		"policy.methods = ['sms', 'backup']", byGateway, "sms.http.url = 'http://" + g.at + "/'",
		`sms.http.body = '{"to": {{json .To}}, "text": {{json .Text}}}'`,
		`sms.http.headers = { Content-Type = "application/json" }`,
	}
}

// sending returns settings with a gateway that lives, if they are of one, and what ends it.
func sending(settings []string) (now []string, end func()) {
	if !slices.Contains(settings, byGateway) {
		return settings, func() {}
	}
	g := newGateway()
	return g.settings(), g.close
}

// ServeHTTP takes a message.
func (g *gateway) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.codes = append(g.codes, sixDigits.FindString(string(body)))
}

// code waits for the nth code.
func (g *gateway) code(n int, w *world) string {
	for late := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		g.mu.Lock()
		all := g.codes
		g.mu.Unlock()
		if len(all) >= n {
			return all[n-1]
		}
		w.alive()
		if time.Now().After(late) {
			panic(fmt.Errorf("text message %d never came", n))
		}
	}
}
