package server

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"mfa/internal/account"

	"golang.org/x/sys/unix"

	"mfa/internal/wire"
)

// A target is a control socket that knows the peers, with an audit file and a log.
type target struct {
	*sockets
	control *Control
	handler http.Handler
	records account.Records
	path    string // of the socket
}

// openTarget serves one that waits for its callers no longer than patience.
func openTarget(t *testing.T, patience time.Duration) target {
	t.Helper()
	d, log := openFiles(t)
	s, records, _ := selfDeskOn(t, everything, d.au, log)
	peerControl(s)
	s.Audit = d.au
	srv := s.Server(context.Background())
	for _, most := range []*time.Duration{&srv.ReadHeaderTimeout, &srv.ReadTimeout, &srv.IdleTimeout} {
		*most = min(*most, patience) // none at all stays so
	}
	return target{d, s, srv.Handler, records, serveControl(t, s, srv)}
}

// nothingLeft waits for the end of every connection and conversation.
func (o target) nothingLeft(t *testing.T) {
	t.Helper()
	eventually(t, "connections are left", func() bool { return o.control.connections.taken() == 0 && o.control.conversations.taken() == 0 })
}

// eventually fails the test with what is wrong, if it is not right in the end.
func eventually(t *testing.T, wrong string, right func() bool) {
	t.Helper()
	for late := time.Now().Add(20 * time.Second); !right(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(late) {
			t.Error(wrong)
			return
		}
	}
}

// onEveryRoute runs try on each route, several at once, and wants no goroutine to
// be left afterwards.
func onEveryRoute(t *testing.T, try func(t *testing.T, w way)) {
	t.Helper()
	before := runtime.NumGoroutine()
	t.Run("on", func(t *testing.T) {
		for _, w := range allWays {
			t.Run(w.route, func(t *testing.T) {
				t.Parallel()
				try(t, w)
			})
		}
	})
	eventually(t, "goroutines are left", func() bool { return runtime.NumGoroutine() <= before })
}

// dialAs connects as uid: the kernel asks who the thread is that connects.
func dialAs(t *testing.T, socket string, uid uint32) net.Conn {
	t.Helper()
	const same = ^uintptr(0)
	runtime.LockOSThread()
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, same, uintptr(uid), same); errno != 0 {
		t.Fatal(errno)
	}
	c, err := patientDial(socket)
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, same, 0, same); errno != 0 {
		t.Fatal(errno) // the thread ends with this goroutine
	}
	runtime.UnlockOSThread()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// head is the beginning of the request, up to its last header.
func (w way) head(path string) string {
	head := w.method() + " " + path + " HTTP/1.1\r\nHost: mfad\r\n"
	if slices.Contains(selfWays, w) {
		head += "Connection: Upgrade\r\nUpgrade: " + wire.Upgrade + "\r\n"
	}
	return head
}

// request is all of it.
func (w way) request(path, body string) string {
	return fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", w.head(path), len(body), body)
}

// answerOf sends the parts and returns the status of the answer; 0: it was hung up.
func answerOf(t *testing.T, c net.Conn, parts ...string) int {
	t.Helper()
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	var sender sync.WaitGroup
	sender.Go(func() {
		for _, part := range parts {
			if _, err := io.WriteString(c, part); err != nil {
				return // it was answered, or hung up, before the end
			}
		}
	})
	defer sender.Wait()
	defer c.Close()
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("neither answered nor hung up")
	}
	if err != nil {
		return 0
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// outwait sends text, goes on with one byte and another if there is one to go on
// with, and returns when it is hung up.
func outwait(c net.Conn, text, more string) error {
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(c, text); errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) {
		return nil // it is hung up already, on a machine with much else to do
	} else if err != nil {
		return err
	}
	var sender sync.WaitGroup
	defer sender.Wait()
	ended := make(chan struct{})
	defer close(ended)
	if more != "" {
		sender.Go(func() {
			tick := time.NewTicker(10 * time.Millisecond)
			defer tick.Stop()
			for err := error(nil); err == nil; _, err = io.WriteString(c, more) {
				select {
				case <-tick.C:
				case <-ended:
					return
				}
			}
		})
	}
	if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
		return errors.New("is still held")
	}
	return nil
}

// A request that is begun and not ended is hung up on, whoever began it; nothing
// is done, and nothing is left.
func TestEveryRouteHeldOpen(t *testing.T) {
	onEveryRoute(t, func(t *testing.T, w way) {
		o := openTarget(t, seconds/2)
		before := contents(t, o.records)
		var open sync.WaitGroup
		hold := func(who, text, more string, uid uint32) {
			c := dialAs(t, o.path, uid)
			open.Go(func() {
				if err := outwait(c, text, more); err != nil {
					t.Errorf("%s: %v", who, err)
				}
			})
		}
		for peer, uid := range peers {
			hold(peer+", silent", "", "", uid)
			hold(peer+", half a line", w.method()+" /v1/", "", uid)
			hold(peer+", half a head", w.head(w.path)+"X-", "", uid)
			hold(peer+", a head without end", w.head(w.path)+"X-A: ", "a", uid)
			if w.codeFor(uid) == http.StatusForbidden || w.body != "" { // it is not done before it is read
				hold(peer+", half a body", w.head(w.path)+"Content-Length: 100\r\n\r\n{", "", uid)
				hold(peer+", a body byte by byte", w.head(w.path)+"Content-Length: 60000\r\n\r\n{", " ", uid)
			}
		}
		open.Wait()
		o.nothingLeft(t)
		if after := contents(t, o.records); after != before {
			t.Errorf("changed\n%sto\n%s", before, after)
		}
		if n := o.grown(t); n > 10_000 {
			t.Errorf("audit file and log have %d bytes", n)
		}
	})
}

// A slow request is answered as a fast one.
func TestEveryRouteByteByByte(t *testing.T) {
	onEveryRoute(t, func(t *testing.T, w way) {
		for peer, uid := range peers {
			o := openTarget(t, time.Minute)
			bytes := strings.Split(w.request(w.path, w.body), "")
			if code, want := answerOf(t, dialAs(t, o.path, uid), bytes...), w.codeFor(uid); code != want {
				t.Errorf("%s: %d, want %d", peer, code, want)
			}
			o.nothingLeft(t)
		}
	})
}

// wildcard is a part of a pattern that stands for what the caller chooses.
var wildcard = regexp.MustCompile(`\{\w+\}`)

// oversized are requests that are well formed and too long, by what is.
func (w way) oversized() map[string]string {
	padded := w.body + strings.Repeat(" ", maxBody+1-len(w.body))
	chunk := func(text string) string { return fmt.Sprintf("%x\r\n%s\r\n", len(text), text) }
	forms := map[string]string{
		"body":            w.request(w.path, padded),
		"body in chunks":  w.head(w.path) + "Transfer-Encoding: chunked\r\n\r\n" + chunk(padded) + chunk(""),
		"body, announced": w.head(w.path) + "Content-Length: 9223372036854775807\r\n\r\n" + padded,
		"header":          w.head(w.path) + "X-Long: " + strings.Repeat("x", 64<<10) + "\r\n\r\n",
		"headers":         w.head(w.path) + strings.Repeat("X-Many: xxxxxxxxxxxxxxxx\r\n", 4<<10) + "\r\n",
		"query":           w.request(w.path+"?method="+strings.Repeat("x", 8<<10), w.body),
		"line":            w.request(w.path+"?"+strings.Repeat("x", 64<<10), w.body),
		"path":            w.request(w.path+strings.Repeat("/x", 4<<10), w.body),
		"parts of a path": w.request(w.path+"/"+strings.Repeat("x", 257), w.body),
	}
	_, pattern, _ := strings.Cut(w.route, " ")
	for _, part := range wildcard.FindAllStringIndex(pattern, -1) {
		for what, text := range map[string]string{
			"257 letters": strings.Repeat("n", 257), "8000 letters": strings.Repeat("n", 8000), "12,000 letters": strings.Repeat("n", 12_000),
			"257 line feeds": strings.Repeat("%0a", 257), "slashes": strings.Repeat("n%2f", 200),
		} {
			path := pattern[:part[0]] + text + wildcard.ReplaceAllString(pattern[part[1]:], "nobody")
			forms[pattern[part[0]:part[1]]+" of "+what] = w.request(wildcard.ReplaceAllString(path, "nobody"), w.body)
		}
	}
	return forms
}

// A body that is too long is refused, whoever sends it: it is never our fault, nothing is
// done, and what is written down is short.
func TestEveryRouteOversized(t *testing.T) {
	onEveryRoute(t, func(t *testing.T, w way) {
		o := openTarget(t, time.Minute)
		before := contents(t, o.records)
		for peer, uid := range peers {
			for what, text := range w.oversized() {
				had := o.grown(t)
				eventually(t, "no room", func() bool { return o.control.connections.taken() < controlBounds.perUID/2 })
				code := answerOf(t, dialAs(t, o.path, uid), text)
				if code != 0 && code/100 != 4 || code == http.StatusTooManyRequests { // that one was not tried
					t.Errorf("%s, oversized %s: %d", peer, what, code)
				}
				if n := o.grown(t) - had; n > 2000 {
					t.Errorf("%s, oversized %s: audit file and log grow by %d bytes", peer, what, n)
				}
			}
		}
		o.nothingLeft(t)
		if after := contents(t, o.records); after != before {
			t.Errorf("changed\n%sto\n%s", before, after)
		}
	})
}

// A deaf is a caller who does not read what is answered.
type deaf struct {
	header http.Header
	code   int
}

func (d *deaf) Header() http.Header              { return d.header }
func (d *deaf) Write(b []byte) (int, error)      { return len(b), nil }
func (d *deaf) WriteHeader(code int)             { d.code = code }
func (d *deaf) SetWriteDeadline(time.Time) error { return nil }

// heap returns how many bytes are in use.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// A peer without the right is refused a hundred thousand times in a row, and some thousands
// more over the socket, on every route: what is written down is a few lines, what
// is kept in memory is little, and root is served.
func TestEveryRouteInARow(t *testing.T) {
	refused := slices.DeleteFunc(slices.Clone(allWays), func(w way) bool { return w.codeFor(otherUID) != http.StatusForbidden })
	cheap := adminWays[slices.IndexFunc(adminWays, func(w way) bool { return w.path == "/v1/backup" })]
	for peer, uid := range map[string]func(i int) uint32{
		"the user":       func(int) uint32 { return nobodyUID },
		"another user":   func(int) uint32 { return otherUID },
		"an unknown uid": func(int) uint32 { return unknownUID },
		"a lot of uids":  func(i int) uint32 { return 1<<20 + uint32(i) },
	} {
		t.Run(peer, func(t *testing.T) {
			o := openTarget(t, time.Minute)
			before, had := contents(t, o.records), heap()
			for i := range 100_000 {
				w := cheap
				if i%25 == 0 { // the others look accounts up
					w = refused[i/25%len(refused)]
				}
				r := httptest.NewRequest(w.method(), w.path, strings.NewReader(w.body))
				r = r.WithContext(context.WithValue(r.Context(), credKey{}, &unix.Ucred{Uid: uid(i), Gid: uid(i)}))
				d := &deaf{header: http.Header{}}
				if o.handler.ServeHTTP(d, r); d.code != w.codeFor(uid(0)) {
					t.Fatalf("%s: %d", w.route, d.code)
				}
			}
			for i := range 2000 {
				w := refused[i%len(refused)]
				code := answerOf(t, dialAs(t, o.path, uid(i)), w.request(w.path, w.body))
				if code != http.StatusForbidden && code != http.StatusTooManyRequests && code != w.codeFor(uid(0)) {
					t.Fatalf("%s: %d", w.route, code)
				}
			}
			if code := answerOf(t, dialAs(t, o.path, 0), adminWays[0].request(adminWays[0].path, "")); code != http.StatusOK {
				t.Errorf("root: %d", code)
			}
			o.nothingLeft(t)
			if n := heap() - had; n > 2<<20 {
				t.Errorf("%d bytes are kept", n)
			}
			_ = o.au.Close() // writes what is counted
			if n := o.grown(t); n == 0 || n > 20_000 {
				t.Errorf("audit file and log have %d bytes", n)
			}
			if after := contents(t, o.records); after != before {
				t.Errorf("changed\n%sto\n%s", before, after)
			}
		})
	}
}
