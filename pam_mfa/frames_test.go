package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"mfa/internal/mfa"
	"mfa/internal/wire"
)

// room is ROOM of frame.h: what is longer takes memory of its own.
const room = 2048

// aroundRoom are lengths of texts whose frames just fit into the room, and just do not.
func aroundRoom() (sizes []int) {
	for n := room - 12; n <= room+4; n++ {
		sizes = append(sizes, n)
	}
	return sizes
}

// Frames may come in one piece with those behind them, or byte by byte: each is read
// whole, and no byte twice or never.
func TestFramesHoweverTheyCome(t *testing.T) {
	t.Parallel()
	for _, piece := range []int{1, 3, 4, 5, 7, room - 1, room, room + 1, 1 << 20} {
		t.Run(fmt.Sprint(piece), func(t *testing.T) {
			t.Parallel()
			var before []wire.Frame
			var want []string
			say := func(kind mfa.PromptKind, n int) {
				text := strings.Repeat(string(rune('a'+len(want)%26)), n)
				want = append(want, text)
				before = append(before, wire.EncodePrompt(mfa.Prompt{Kind: kind, Text: text}))
			}
			for i, n := range append(aroundRoom(), 0, 1, 2, 3*room, 1) {
				say([]mfa.PromptKind{mfa.Info, mfa.Failure}[i%2], n)
			}
			say(mfa.Ask, room-4)
			first := frames(before...)
			before = nil
			say(mfa.Info, 3)
			last := frames(append(before, wire.EncodeDone(mfa.Verdict{Outcome: mfa.WrongCode}))...)
			pieces := func(p *peer, b []byte) {
				for part := range slices.Chunk(b, piece) {
					p.raw(part)
				}
			}
			person := always("123456")
			v := relay(t, after(patience), person, "", func(p *peer) {
				p.hello()
				pieces(p, first)
				p.wantAnswer("123456")
				pieces(p, last)
			})
			if v.outcome != wrongCode || !slices.Equal(person.heard, want) {
				t.Errorf("%+v; heard %d texts, want %d", v, len(person.heard), len(want))
			}
		})
	}
}

// Two prompts in one piece are answered one after the other, and what a daemon says
// behind its verdict is nothing.
func TestPromptsInOnePiece(t *testing.T) {
	t.Parallel()
	ask := wire.EncodePrompt(mfa.Prompt{Kind: mfa.Ask, Text: "Code: "})
	person := always("1")
	v := relay(t, after(patience), person, "", func(p *peer) {
		p.hello()
		p.raw(frames(ask, ask, wire.EncodeDone(mfa.Verdict{Outcome: mfa.WrongCode}), wire.EncodeDone(mfa.Verdict{Outcome: mfa.Accepted})))
		p.wantAnswer("1")
		p.wantAnswer("1")
	})
	if v.outcome != wrongCode || len(person.heard) != 2 {
		t.Errorf("%+v, heard %q", v, person.heard)
	}
}

// A HELLO comes whole, whether it fits into the room or not.
func TestHelloOfEverySize(t *testing.T) {
	t.Parallel()
	for _, n := range append(aroundRoom(), 0, 1, 1900, 16<<10) {
		req := mfa.Request{User: "alice", Service: "sshd", SSHAuthInfo: strings.Repeat("x", max(0, n-40)), SSHConnection: "c"}
		fd, conn := pair(t)
		heard := make(chan mfa.Request, 1)
		go func() {
			playOn(t, conn, func(p *peer) {
				heard <- p.hello()
				p.done(mfa.WrongCode)
			})
		}()
		v := converse(fd, after(patience), req, always(""), "")
		got := <-heard
		unix.Close(fd)
		if got.Module = ""; v.outcome != wrongCode || got != req {
			t.Errorf("%d: %+v, heard a HELLO of %d bytes", n, v, len(got.SSHAuthInfo))
		}
	}
}
