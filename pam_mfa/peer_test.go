package main

import (
	"bytes"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"mfa/internal/mfa"
	"mfa/internal/wire"
)

// A script is what a fake mfad does on one connection.
type script func(p *peer)

// A peer is the fake mfad's end of a connection. It reports what goes wrong
// with Errorf, because it does not run on the test's goroutine.
type peer struct {
	t    *testing.T
	conn *net.UnixConn
}

// playOn plays a script and closes the connection.
func playOn(t *testing.T, conn *net.UnixConn, play script) {
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Error(err)
	}
	play(&peer{t, conn})
}

// hello reads HELLO.
func (p *peer) hello() mfa.Request {
	f, err := wire.Read(p.conn)
	if err != nil {
		p.t.Errorf("read HELLO: %v", err)
		return mfa.Request{}
	}
	req, err := wire.DecodeHello(f)
	if err != nil {
		p.t.Errorf("decode HELLO: %v", err)
	}
	return req
}

func (p *peer) send(f wire.Frame) {
	if err := wire.Write(p.conn, f); err != nil {
		p.t.Errorf("send %q: %v", f.Type, err)
	}
}

// raw writes bytes. The module may have left by then.
func (p *peer) raw(b []byte) {
	if _, err := p.conn.Write(b); err != nil && !errors.Is(err, syscall.EPIPE) {
		p.t.Errorf("write: %v", err)
	}
}

func (p *peer) say(kind mfa.PromptKind, text string) {
	p.send(wire.EncodePrompt(mfa.Prompt{Kind: kind, Text: text}))
}

// answer reads one ANSWER or NO-ANSWER.
func (p *peer) answer() (string, error) {
	f, err := wire.Read(p.conn)
	if err != nil {
		return "", err
	}
	return wire.DecodeAnswer(f)
}

// wantAnswer reads one answer and compares.
func (p *peer) wantAnswer(want string) {
	if got, err := p.answer(); err != nil || got != want {
		p.t.Errorf("answer %q, %v; want %q", got, err, want)
	}
}

// wantNoAnswer reads one NO-ANSWER and compares.
func (p *peer) wantNoAnswer(want error) {
	if got, err := p.answer(); !errors.Is(err, want) {
		p.t.Errorf("answer %q, %v; want %v", got, err, want)
	}
}

func (p *peer) done(o mfa.Outcome) { p.verdict(mfa.Verdict{Outcome: o}) }

func (p *peer) verdict(v mfa.Verdict) { p.send(wire.EncodeDone(v)) }

// left waits until the module closed its end.
func (p *peer) left() {
	if _, err := io.Copy(io.Discard, p.conn); err != nil && !errors.Is(err, syscall.ECONNRESET) {
		p.t.Errorf("wait for the module to leave: %v", err)
	}
}

// ends is a script that only decides.
func ends(o mfa.Outcome) script {
	return func(p *peer) {
		p.hello()
		p.done(o)
		p.left()
	}
}

// sends is a script that writes bytes after HELLO and waits.
func sends(b []byte) script {
	return func(p *peer) {
		p.hello()
		p.raw(b)
		p.left()
	}
}

// frames is the bytes of frames, as one string.
func frames(all ...wire.Frame) []byte {
	var b bytes.Buffer
	for _, f := range all {
		if err := wire.Write(&b, f); err != nil {
			panic(err)
		}
	}
	return b.Bytes()
}

// whole is a login with every kind of frame in it.
func whole(answer string) script {
	return func(p *peer) {
		p.hello()
		p.say(mfa.Info, "A code was sent.\n")
		p.say(mfa.Ask, "Code: ")
		p.wantAnswer(answer)
		p.say(mfa.Failure, "Not that one.")
		p.say(mfa.AskHidden, "Code again: ")
		p.wantAnswer("654321")
		p.done(mfa.Accepted)
		p.left()
	}
}
