package server

import (
	"context"
	"errors"
	"net"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"mfa/internal/login"
	"mfa/internal/mfa"
	"mfa/internal/wire"
)

// listening are the ways in which a conversation hears of the other end.
var listening = map[string]func(v *conversation){
	"prompt reads": func(v *conversation) { v.later.Stop() },
	"reader":       func(v *conversation) { v.beginReader() },
}

// eachWay holds a login in each way of listening. Hold is the login, and far its other end.
func eachWay(t *testing.T, hold func(t *testing.T, ctx context.Context, v *conversation), far func(t *testing.T, c *net.UnixConn)) {
	t.Helper()
	for name, listen := range listening {
		t.Run(name, func(t *testing.T) {
			path, _, _ := serve(t, func(ctx context.Context, _ mfa.Request, p login.Prompter) (mfa.Verdict, error) {
				v := p.(*conversation)
				listen(v)
				hold(t, ctx, v)
				return mfa.Verdict{Outcome: mfa.Accepted}, nil
			})
			far(t, dial(t, path, mfa.Request{}))
		})
	}
}

var askCode = mfa.Prompt{Kind: mfa.Ask, Text: "Code: "}

// A prompt that is broken off takes nothing from the next one.
func TestPromptEndsAndTheNextIsAnswered(t *testing.T) {
	eachWay(t, func(t *testing.T, ctx context.Context, v *conversation) {
		for range 3 {
			short, cancel := context.WithCancelCause(ctx)
			time.AfterFunc(time.Millisecond, func() { cancel(mfa.ErrStopping) })
			if answer, err := v.Prompt(short, askCode); !errors.Is(err, mfa.ErrStopping) {
				t.Errorf("answer %q, %v", answer, err)
			}
		}
		if answer, err := v.Prompt(ctx, mfa.Prompt{Kind: mfa.Ask, Text: "Again: "}); answer != "123456" || err != nil {
			t.Errorf("answer %q, %v", answer, err)
		}
	}, func(t *testing.T, c *net.UnixConn) {
		for range 3 {
			expect(t, c, wire.Prompt, "Code: ")
		}
		expect(t, c, wire.Prompt, "Again: ")
		send(t, c, wire.Frame{Type: wire.Answer, Payload: []byte("123456")})
		expect(t, c, wire.Done, "s")
	})
}

// A module that sends half an answer holds nobody longer than the prompt lasts.
func TestHalfAnAnswer(t *testing.T) {
	eachWay(t, func(t *testing.T, ctx context.Context, v *conversation) {
		short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
		defer cancel()
		if answer, err := v.Prompt(short, askCode); err == nil {
			t.Errorf("answer %q", answer)
		}
		if !reads(v) && ctx.Err() == nil {
			t.Error("the login goes on though a part of a frame is lost")
		}
		if answer, err := v.Prompt(ctx, askCode); err == nil {
			t.Errorf("answer %q after half a frame", answer)
		}
	}, func(t *testing.T, c *net.UnixConn) {
		expect(t, c, wire.Prompt, "Code: ")
		if _, err := c.Write([]byte{0, 0, 0, 7, wire.Answer, '1', '2'}); err != nil {
			t.Fatal(err)
		}
		for {
			f, err := wire.Read(c)
			if err != nil {
				t.Fatal(err)
			}
			if f.Type == wire.Done {
				return
			}
			_ = c.CloseWrite() // the second prompt, where a reader still waits for the rest
		}
	})
}

// The other end goes away while the login works on something else.
func TestClientGoneWhileNobodyAsks(t *testing.T) {
	ended := make(chan struct{})
	path, _, _ := serve(t, func(ctx context.Context, _ mfa.Request, p login.Prompter) (mfa.Verdict, error) {
		defer close(ended)
		if _, err := p.Prompt(ctx, askCode); err != nil {
			t.Error(err)
		}
		<-ctx.Done()
		if cause := context.Cause(ctx); !errors.Is(cause, errGone) {
			t.Errorf("ended by %v", cause)
		}
		return mfa.Verdict{Outcome: mfa.NoConversation}, nil
	})
	c := dial(t, path, mfa.Request{})
	expect(t, c, wire.Prompt, "Code: ")
	send(t, c, wire.Frame{Type: wire.Answer, Payload: []byte("1")})
	_ = c.Close()
	<-ended
}

// An answer that comes before its prompt ends the login, however it came.
func TestAnswerBeforeItsPrompt(t *testing.T) {
	eachWay(t, func(t *testing.T, ctx context.Context, v *conversation) {
		if _, err := v.Prompt(ctx, askCode); err != nil {
			t.Error(err)
		}
		for !early(v) {
			runtime.Gosched()
		}
		if answer, err := v.Prompt(ctx, askCode); !errors.Is(err, wire.ErrFrame) {
			t.Errorf("answer %q, %v", answer, err)
		}
	}, func(t *testing.T, c *net.UnixConn) {
		expect(t, c, wire.Prompt, "Code: ")
		send(t, c, wire.Frame{Type: wire.Answer, Payload: []byte("1")})
		send(t, c, wire.Frame{Type: wire.Answer, Payload: []byte("2")})
		expect(t, c, wire.Done, "")
	})
}

// early says whether an answer is there, for whoever listens.
func early(v *conversation) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.frames) > 0 || !v.reading && (v.in.Buffered() > 0 || arrived(v.c))
}

// Nobody listens while Prompt waits but Prompt, and a reader begins when it is over.
func TestReaderBeginsWhenNobodyAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		v := newConversation(t.Context(), &peerConn{Conn: here, leave: func() {}}, newInput(here))
		v.take()
		v.beginReader() // by a timer that ran out just then
		time.Sleep(10 * readerDelay)
		if reads(v) {
			t.Error("a reader began while Prompt reads")
		}
		v.release()
		time.Sleep(2 * readerDelay)
		synctest.Wait()
		if !reads(v) {
			t.Error("no reader began")
		}
		_ = there.Close()
		<-v.ctx.Done()
		v.close()
	})
}

func reads(v *conversation) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.reading
}
