package server

import (
	"encoding/json"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"mfa/internal/wire"
)

// A page is a ResponseWriter that keeps what is written.
type page struct {
	http.ResponseWriter
	header http.Header
	body   []byte
	writes int
	sent   int // bytes that were flushed
}

func (p *page) Header() http.Header { return p.header }

func (p *page) Write(b []byte) (int, error) {
	p.writes++
	p.body = append(p.body, b...)
	return len(b), nil
}

func (p *page) FlushError() error {
	p.sent = len(p.body)
	return nil
}

func (*page) SetWriteDeadline(time.Time) error { return nil }

// A list is byte for byte what its body is as a whole, and written item by item.
func TestListIsTheBody(t *testing.T) {
	for name, want := range map[string]wire.Sessions{
		"none":       {Sessions: []wire.Session{}},
		"one":        {Sessions: []wire.Session{{User: "alice", ID: "a"}}},
		"three":      {Sessions: []wire.Session{{User: "alice", ID: "a"}, {User: "alice", ID: "b"}, {User: "bob", Ended: "expired"}}},
		"unreadable": {Sessions: []wire.Session{{User: "<b>\"\n"}}, Unreadable: []string{"carol", "d\"e"}},
		"only those": {Sessions: []wire.Session{}, Unreadable: []string{"carol"}},
	} {
		p := &page{header: http.Header{}}
		out := &list{w: p, key: "sessions"}
		for _, s := range want.Sessions {
			if err := out.item(s); err != nil {
				t.Fatal(err)
			}
		}
		if err := out.end("unreadable", want.Unreadable); err != nil {
			t.Fatal(err)
		}
		whole, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		if string(p.body) != string(whole)+"\n" || p.writes != len(want.Sessions)+1 || p.header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d writes of %q, want %q", name, p.writes, p.body, whole)
		}
	}
}

// Items that take long each reach a reader who waits for them; those that come at once are
// sent together. mfactl gave up on a change of the key with many users on a slow disk.
func TestStreamIsSentAsItComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &page{header: http.Header{}}
		out := &stream{w: p}
		item := func() {
			t.Helper()
			if err := out.item(wire.Resealed{User: "alice"}); err != nil {
				t.Fatal(err)
			}
		}
		if err := out.begin(100); err != nil {
			t.Fatal(err)
		}
		begun := p.sent
		for range 50 {
			item()
		}
		if begun == 0 || p.sent != begun {
			t.Errorf("%d bytes were sent at the beginning, and then %d", begun, p.sent)
		}
		for range 3 {
			time.Sleep(flushEvery)
			item()
			if p.sent != len(p.body) {
				t.Errorf("%d bytes of %d were sent", p.sent, len(p.body))
			}
		}
	})
}
