package wire

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"mfa/internal/mfa"
)

// standIn serves h on a socket in the place of mfad, and returns a client of it.
func standIn(t *testing.T, h http.HandlerFunc) *Client {
	t.Helper()
	c := &Client{Socket: filepath.Join(t.TempDir(), "s")}
	l, err := net.Listen("unix", c.Socket)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(l) }()
	t.Cleanup(func() {
		_ = srv.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("serve: %v", err)
		}
	})
	return c
}

// say answers with a status and a body.
func say(code int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		_, _ = io.WriteString(w, body)
	}
}

// wantError holds err to its text and, if status is not 0, to an *Error of it.
func wantError(t *testing.T, err error, text string, status int) {
	t.Helper()
	if err == nil || err.Error() != text {
		t.Errorf("error %q, want %q", err, text)
	}
	if fault, is := errors.AsType[*Error](err); status != 0 && (!is || fault.Status != status) {
		t.Errorf("error %#v is none of status %d", err, status)
	}
}

// A request arrives as it was meant, and its answer is read; keys of a newer daemon
// are passed over.
func TestCall(t *testing.T) {
	c := standIn(t, func(w http.ResponseWriter, r *http.Request) {
		var in LockRequest
		body, err := io.ReadAll(r.Body)
		if err = errors.Join(err, json.Unmarshal(body, &in)); err != nil {
			t.Error(err)
		}
		if r.ContentLength != int64(len(body)) {
			t.Errorf("content length %d of a body of %d bytes: the server refuses what is of unknown length", r.ContentLength, len(body))
		}
		fmt.Fprintf(w, `{"user": %q, "later": true}`, r.Method+" "+r.RequestURI+" "+in.For.String())
	})
	var out Lock
	err := c.Call(t.Context(), PostLock.For("a/b"), LockRequest{For: mfa.Duration(time.Hour)}, &out)
	if err != nil || out.User != "POST /v1/users/a%2Fb/lock 1h" {
		t.Errorf("%+v %v", out, err)
	}
	if err := c.Call(t.Context(), PostLock.For("a"), LockRequest{}, nil); err != nil {
		t.Errorf("an answer that nobody wants: %v", err)
	}
}

// Each refusal is told apart by its status, in the daemon's words.
func TestCallIsRefused(t *testing.T) {
	for _, code := range []int{400, 403, 404, 409, 422, 429, 500, 502, 507} {
		c := standIn(t, say(code, `{"error": "no such luck"}`+"\n"))
		wantError(t, c.Call(t.Context(), GetStatus.For(), nil, nil), "no such luck", code)
	}
	for name, tc := range map[string]struct {
		code       int
		body, want string
		status     int
	}{
		"no JSON":        {503, "<html>", "mfad answered 503 Service Unavailable", 503},
		"no word":        {500, `{}`, "mfad answered 500 Internal Server Error", 500},
		"no answer":      {200, "", "read mfad's answer: EOF", 0},
		"half an answer": {200, `{"version": "1`, "read mfad's answer: unexpected EOF", 0},
	} {
		t.Run(name, func(t *testing.T) {
			var out Status
			wantError(t, standIn(t, say(tc.code, tc.body)).Call(t.Context(), GetStatus.For(), nil, &out), tc.want, tc.status)
		})
	}
}

// A daemon that is not there is told from one that is stuck and from a folder that
// is closed, and the caller's own end from all of them.
func TestUnreachable(t *testing.T) {
	ask := map[string]func(context.Context, *Client) error{
		"call": func(ctx context.Context, c *Client) error { return c.Call(ctx, GetStatus.For(), nil, nil) },
		"stream": func(ctx context.Context, c *Client) error {
			return Stream(ctx, c, ListUsers.For(), func(int) {}, func(User) error { return nil })
		},
		"converse": func(ctx context.Context, c *Client) error {
			_, err := c.Converse(ctx, PostSelf.For(SelfEnroll), &script{t: t})
			return err
		},
	}
	for name, ask := range ask {
		t.Run(name, func(t *testing.T) {
			c := &Client{Socket: filepath.Join(t.TempDir(), "s"), Timeout: 50 * time.Millisecond}
			err := ask(t.Context(), c)
			if !errors.Is(err, ErrUnreachable) || !errors.Is(err, os.ErrNotExist) || !strings.HasPrefix(err.Error(), "mfad does not answer: dial unix ") {
				t.Errorf("nobody listens: %v", err)
			}
			ended, end := context.WithCancel(t.Context())
			end()
			if err := ask(ended, c); !errors.Is(err, ErrInterrupted) || errors.Is(err, ErrUnreachable) {
				t.Errorf("the caller ended it: %v", err)
			}
			l, err := net.Listen("unix", c.Socket)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			if name == "converse" {
				return // it waits for a person
			}
			if err := ask(t.Context(), c); !errors.Is(err, ErrUnreachable) {
				t.Errorf("stuck: %v", err)
			}
		})
	}
}

// A socket in a folder that the caller may not enter is EACCES. Root may enter any.
func TestUnreachableKeepsTheReason(t *testing.T) {
	err := unreachable(&net.OpError{Op: "dial", Net: "unix", Err: os.NewSyscallError("connect", syscall.EACCES)})
	if !errors.Is(err, ErrUnreachable) || !errors.Is(err, syscall.EACCES) {
		t.Errorf("%v", err)
	}
}

// collect reads a stream of users and returns what came of it.
func collect(t *testing.T, c *Client) (total int, names []string, err error) {
	t.Helper()
	err = Stream(t.Context(), c, ListUsers.For(), func(n int) { total = n }, func(u User) error {
		names = append(names, u.User)
		return nil
	})
	return total, names, err
}

const twoUsers = `{"total":2}` + "\n" + `{"item":{"user":"alice","later":1}}` + "\n" + `{"item":{"user":"bob"}}` + "\n"

func TestStream(t *testing.T) {
	total, names, err := collect(t, standIn(t, say(200, twoUsers+`{"end":true}`+"\n")))
	if err != nil || total != 2 || !slices.Equal(names, []string{"alice", "bob"}) {
		t.Errorf("%d %v %v", total, names, err)
	}
}

// A stream that is not whole is an error, however it stops; what came before counts
// for whoever can use it.
func TestStreamIsNotWhole(t *testing.T) {
	for name, tc := range map[string]struct {
		code       int
		body, want string
		users      int
	}{
		"cut":               {200, twoUsers, "read mfad's answer: it is not whole: EOF", 2},
		"cut within a line": {200, twoUsers + `{"it`, "read mfad's answer: it is not whole: unexpected EOF", 2},
		"no line":           {200, "<html>", "read mfad's answer: it is not whole: invalid character '<' looking for beginning of value", 0},
		"an error":          {200, twoUsers + `{"error":"disk on fire"}`, "disk on fire", 2},
		"another item":      {200, `{"item":["alice"]}` + "\n", "read mfad's answer: json: cannot unmarshal array into Go value of type wire.User", 0},
		"refused":           {403, `{"error":"only root may"}`, "only root may", 0},
	} {
		t.Run(name, func(t *testing.T) {
			_, names, err := collect(t, standIn(t, say(tc.code, tc.body)))
			wantError(t, err, tc.want, map[int]int{403: 403}[tc.code])
			if len(names) != tc.users {
				t.Errorf("users %v", names)
			}
		})
	}
}

// The caller's own error ends a stream.
func TestStreamEndsAtTheCallersError(t *testing.T) {
	full := errors.New("no space left")
	err := Stream(t.Context(), standIn(t, say(200, twoUsers)), ListUsers.For(), func(int) {}, func(json.RawMessage) error { return full })
	if !errors.Is(err, full) {
		t.Errorf("error %v", err)
	}
}

// A daemon that stops in the middle of a stream is not waited for.
func TestStreamIsStuck(t *testing.T) {
	end := make(chan struct{})
	c := standIn(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, twoUsers)
		_ = http.NewResponseController(w).Flush()
		<-end
	})
	defer close(end)
	c.Timeout = 100 * time.Millisecond
	_, names, err := collect(t, c)
	wantError(t, err, "read mfad's answer: mfad says nothing more", 0)
	if len(names) != 2 {
		t.Errorf("users %v", names)
	}
}

// A script is a Prompter that types what it was told to, and keeps what it saw.
type script struct {
	t       *testing.T
	answers []string // "!" is an error
	saw     []mfa.Prompt
}

func (s *script) Prompt(_ context.Context, p mfa.Prompt) (string, error) {
	s.saw = append(s.saw, p)
	if p.Kind != mfa.Ask && p.Kind != mfa.AskHidden {
		return "", nil
	}
	if len(s.answers) == 0 {
		s.t.Errorf("asked once more: %+v", p)
		return "", io.EOF
	}
	answer := s.answers[0]
	if s.answers = s.answers[1:]; answer == "!" {
		return "", io.EOF
	}
	return answer, nil
}

// conversing answers the upgrade and then hands the connection to talk.
func conversing(t *testing.T, talk func(r *bufio.Reader, w net.Conn)) *Client {
	t.Helper()
	return standIn(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != Upgrade || r.Header.Get("Connection") != "Upgrade" {
			t.Errorf("headers %v", r.Header)
		}
		conn, rw, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", Upgrade)
		talk(rw.Reader, conn)
	})
}

// send writes frames, and fails the test if they cannot be.
func send(t *testing.T, w io.Writer, frames ...Frame) {
	for _, f := range frames {
		if err := Write(w, f); err != nil {
			t.Error(err)
		}
	}
}

func TestConverse(t *testing.T) {
	var answers []string
	c := conversing(t, func(r *bufio.Reader, w net.Conn) {
		send(t, w, EncodePrompt(mfa.Prompt{Kind: mfa.Info, Text: "hello"}))
		for _, kind := range []mfa.PromptKind{mfa.Ask, mfa.AskHidden, mfa.Ask, mfa.Ask} {
			send(t, w, EncodePrompt(mfa.Prompt{Kind: kind, Text: "Code: "}))
			f, err := Read(r)
			answer, aerr := DecodeAnswer(f)
			if err != nil {
				t.Error(err)
			}
			answers = append(answers, fmt.Sprint(answer, aerr))
		}
		send(t, w, EncodePrompt(mfa.Prompt{Kind: mfa.Failure, Text: "no"}), EncodeDone(mfa.Verdict{Outcome: mfa.MustEnroll}))
	})
	p := &script{t: t, answers: []string{"123456", "hidden", strings.Repeat("9", MaxAnswer+1), "!"}}
	outcome, err := c.Converse(t.Context(), PostSelf.For(SelfPrefer).With(QueryMethod, "totp"), p)
	if err != nil || outcome != mfa.MustEnroll {
		t.Errorf("%v %v", outcome, err)
	}
	none := fmt.Sprint("", mfa.ErrNoConversation) // too long, and the terminal is gone
	if want := []string{"123456<nil>", "hidden<nil>", none, none}; !slices.Equal(answers, want) {
		t.Errorf("mfad heard %q, want %q", answers, want)
	}
	kinds := []mfa.PromptKind{mfa.Info, mfa.Ask, mfa.AskHidden, mfa.Ask, mfa.Ask, mfa.Failure}
	if len(p.saw) != len(kinds) {
		t.Fatalf("saw %v", p.saw)
	}
	for i, kind := range kinds {
		if p.saw[i].Kind != kind {
			t.Errorf("prompt %d is %+v", i, p.saw[i])
		}
	}
}

// A conversation that ends otherwise than by DONE comes to nothing, and says why.
func TestConverseCutShort(t *testing.T) {
	for name, tc := range map[string]struct {
		talk func(w net.Conn)
		is   error
	}{
		"gone":          {func(net.Conn) {}, io.EOF},
		"half a frame":  {func(w net.Conn) { _, _ = w.Write([]byte{0, 0, 0, 9, Info, 'x'}) }, io.ErrUnexpectedEOF},
		"no frame":      {func(w net.Conn) { _, _ = w.Write([]byte{0xff, 0xff, 0xff, 0xff, 'x'}) }, ErrFrame},
		"another frame": {func(w net.Conn) { send(t, w, Frame{Type: Hello}) }, ErrFrame},
	} {
		t.Run(name, func(t *testing.T) {
			c := conversing(t, func(_ *bufio.Reader, w net.Conn) { tc.talk(w) })
			outcome, err := c.Converse(t.Context(), PostSelf.For(SelfEnroll), &script{t: t})
			if !errors.Is(err, tc.is) || errors.Is(err, ErrUnreachable) || outcome != mfa.Broken {
				t.Errorf("%v %v", outcome, err)
			}
		})
	}
}

// mfad's word is heard where it holds no conversation, also if it hung up before the
// request was written.
func TestConverseRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		code       int
		body, want string
		status     int
	}{
		"too many":        {429, `{"error": "try again in a minute"}`, "try again in a minute", 429},
		"no conversation": {200, "{}", "mfad holds no conversation there: it answered 200 OK", 0},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := standIn(t, say(tc.code, tc.body)).Converse(t.Context(), PostSelf.For(SelfEnroll), &script{t: t})
			wantError(t, err, tc.want, tc.status)
		})
	}
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	var ends [2]net.Conn
	for i, fd := range pair {
		f := os.NewFile(uintptr(fd), "pair")
		if ends[i], err = net.FileConn(f); err != nil {
			t.Fatal(err)
		}
		_ = f.Close()
		defer ends[i].Close()
	}
	_, _ = io.WriteString(ends[1], "HTTP/1.1 429 Too Many Requests\r\nContent-Length: 17\r\n\r\n"+`{"error": "full"}`)
	_ = ends[1].Close()
	_, err = switchTo(ends[0], PostSelf.For(SelfEnroll))
	wantError(t, err, "full", 429)
}

// An answer may take longer than the wait, as long as something comes; one that stops is
// not waited for.
func TestCallWaitsForWhatComes(t *testing.T) {
	end := make(chan struct{})
	defer close(end)
	for name, whole := range map[string]bool{"comes": true, "stops": false} {
		c := standIn(t, func(w http.ResponseWriter, _ *http.Request) {
			for _, part := range []string{`{"sessions":[`, `{"user":"a"},`, `{"user":"b"},`, `{"user":"c"}`} {
				_, _ = io.WriteString(w, part)
				_ = http.NewResponseController(w).Flush()
				time.Sleep(600 * time.Millisecond) // a slow daemon
			}
			if !whole {
				<-end
			}
			_, _ = io.WriteString(w, `]}`)
		})
		c.Timeout = 2 * time.Second
		var out Sessions
		err := c.Call(t.Context(), ListSessions.For(), nil, &out)
		switch {
		case whole && (err != nil || len(out.Sessions) != 3):
			t.Errorf("%s: %+v, %v", name, out, err)
		case !whole:
			wantError(t, err, "read mfad's answer: mfad says nothing more", 0)
		}
	}
}
