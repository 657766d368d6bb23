package main

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"mfa/internal/mfa"
	"mfa/internal/wire"
)

// exchange gives the relay a daemon that has sent stream and then no more, and
// returns the verdict and every frame the relay sent.
func exchange(t *testing.T, stream []byte, req mfa.Request, p person, password string) (verdict, []wire.Frame) {
	t.Helper()
	v, _, sent := exchangeOf(t, stream, func(fd int) (verdict, []byte) { return converse(fd, after(patience), req, p, password), nil })
	return v, sent
}

// exchangeCut is exchange for the question how a line is cut, and returns what was said.
func exchangeCut(t *testing.T, stream []byte, req mfa.Request, p person) (verdict, []byte, []wire.Frame) {
	t.Helper()
	return exchangeOf(t, stream, func(fd int) (verdict, []byte) { return converseOrCut(fd, after(patience), req, p, "", true) })
}

func exchangeOf(t *testing.T, stream []byte, hold func(fd int) (verdict, []byte)) (verdict, []byte, []wire.Frame) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fds[1])
	if _, err := unix.Write(fds[1], stream); err != nil && len(stream) > 0 {
		t.Fatal(err)
	}
	if err := unix.Shutdown(fds[1], unix.SHUT_WR); err != nil {
		t.Fatal(err)
	}
	v, said := hold(fds[0])
	unix.Close(fds[0])
	return v, said, readFrames(t, fds[1])
}

// readFrames reads what the relay sent before it left.
func readFrames(t *testing.T, fd int) []wire.Frame {
	t.Helper()
	var sent bytes.Buffer
	buf := make([]byte, 64<<10)
	for {
		n, err := unix.Read(fd, buf)
		if n <= 0 || err != nil { // the end, or a reset for what the relay left unread
			break
		}
		sent.Write(buf[:n])
	}
	var all []wire.Frame
	for {
		f, err := wire.Read(&sent)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("relay sent a broken frame: %v", err)
		}
		all = append(all, f)
	}
}

// An expectation is what the contract says of a daemon's stream.
type expectation struct {
	outcome outcome
	prompts int // that reach the relay
}

var byLetter = map[byte]outcome{
	's': accepted, 'x': exempt, 'w': wrongCode, 'm': exhausted,
	'e': mustEnroll, 'u': unavailable, 'c': noConversation, 'b': broken, 'p': notAllowed, 'n': codeSent,
}

// expect reads a stream by package wire's rules.
func expect(stream []byte, answers bool) expectation {
	r := bytes.NewReader(stream)
	var e expectation
	unanswered := func() bool { return e.prompts > 0 && !answers }
	for range maxFrames {
		f, err := wire.Read(r)
		switch {
		case errors.Is(err, wire.ErrFrame):
			return e
		case err != nil && unanswered():
			e.outcome = noConversation
			return e
		case err != nil && len(stream) == 0:
			e.outcome = hungUp
			return e
		case err != nil:
			e.outcome = unavailable
			return e
		}
		switch {
		case f.Type == wire.Info || f.Type == wire.Failure:
		case f.Type == wire.Prompt && len(f.Payload) > 0 && (f.Payload[0] == wire.Visible || f.Payload[0] == wire.Hidden):
			e.prompts++
		case f.Type == wire.Done && len(f.Payload) == 2:
			e.outcome = byLetter[f.Payload[0]]
			if unanswered() && (e.outcome == accepted || e.outcome == exempt) {
				e.outcome = noConversation
			}
			return e
		default:
			return e
		}
	}
	return e
}

// Whatever a daemon sends, the relay ends, and as package wire reads it: it
// lets in only after a well-formed DONE that says so.
func FuzzDaemon(f *testing.F) {
	f.Add([]byte{}, true)
	f.Add(slices.Clone(letIn), true)
	f.Add(endless(mfa.AskHidden), true)
	prompt := frames(wire.EncodePrompt(mfa.Prompt{Kind: mfa.Ask, Text: "C\x1bode\u009b: "}))
	for _, end := range [][]byte{letIn, frame(3, "Dx\x01"), frame(3, "D?\x00"), frame(4, "Ds\x00\x00"), frame(0, "")} {
		f.Add(slices.Concat(prompt, frame(3, "Ihi"), end), true)
		f.Add(slices.Concat(prompt, end), false)
	}
	f.Add(frame(0xffffffff, "I"), true)
	f.Fuzz(func(t *testing.T, stream []byte, answers bool) {
		if len(stream) > 64<<10 {
			return // more than a socket holds
		}
		p := &scripted{answer: func(bool, string) (string, bool) { return "123456", answers }}
		v, sent := exchange(t, stream, mfa.Request{User: "alice"}, p, "hunter2")
		want := expect(stream, answers)
		if v.outcome != want.outcome {
			t.Errorf("%+v, want outcome %d", v, want.outcome)
		}
		if v.changePassword && v.outcome != accepted && v.outcome != exempt {
			t.Error("a refusal demands a password change")
		}
		for _, text := range p.heard {
			if strings.ContainsFunc(text, isControl) {
				t.Errorf("control bytes got through: %q", text)
			}
		}
		if len(sent) != 1+want.prompts {
			t.Fatalf("relay sent %d frames for %d prompts", len(sent), want.prompts)
		}
		for _, f := range sent[1:] {
			line, err := wire.DecodeAnswer(f)
			if answers && (err != nil || line != "123456") || !answers && !errors.Is(err, mfa.ErrNoConversation) {
				t.Errorf("relay answered %q, %v", line, err)
			}
		}
	})
}

// isControl reports a control character that no text may hold.
func isControl(r rune) bool {
	return r < 0x20 && r != '\n' && r != '\t' || r >= 0x7f && r <= 0x9f
}

// An answer is sent clean or not at all, and the password never.
func FuzzAnswer(f *testing.F) {
	f.Add("123456", "hunter2")
	f.Add("hunter2", "hunter2")
	f.Add("hun\x01ter2", "hunter2")
	f.Add("a\tb", "a\tb")
	f.Add("", "")
	f.Add(strings.Repeat("9", 513), "")
	f.Add("\b\n\r\x7fIN", "\b\n\r\x7fIN")
	stream := slices.Concat(frames(wire.EncodePrompt(mfa.Prompt{Kind: mfa.Ask, Text: "Code: "})), letIn)
	f.Fuzz(func(t *testing.T, line, password string) {
		line, password = cString(line), cString(password)
		v, sent := exchange(t, stream, mfa.Request{}, always(line), password)
		if len(sent) != 2 {
			t.Fatalf("relay sent %q", sent)
		}
		got, err := wire.DecodeAnswer(sent[1])
		cleaned, _ := clean(line, false)
		if _, withheld := mfa.IsWithheld(line); withheld && len(line) <= wire.MaxAnswer {
			if err != nil || got != line {
				t.Errorf("an answer that sshd withheld: relay sent %q, %v", got, err)
			}
			return
		}
		typed := password != "" && (line == password || cleaned == password)
		switch {
		case typed:
			if !errors.Is(err, mfa.ErrPasswordTyped) || !v.passwordTyped {
				t.Errorf("the password: relay sent %q, %v", got, err)
			}
		case len(cleaned) > wire.MaxAnswer:
			if !errors.Is(err, mfa.ErrNoConversation) || v.outcome != noConversation {
				t.Errorf("too long: relay sent %q, %v; %+v", got, err, v)
			}
		case err != nil || got != cleaned || v.outcome != accepted:
			t.Errorf("relay sent %q, %v; want %q; %+v", got, err, cleaned, v)
		}
	})
}

// Cleaning drops all control characters and nothing else.
func FuzzClean(f *testing.F) {
	for _, s := range []string{"", "plain", "\x1b[2J", "\u009b", "\xc2\x01\x9b", "\xc2\xc2\x9b\x9b", "\u2588\u00fc", "a\nb\tc\r\x7f"} {
		f.Add(s, true)
		f.Add(s, false)
	}
	f.Fuzz(func(t *testing.T, text string, lines bool) {
		got, n := clean(text, lines)
		bad := func(r rune) bool { return isControl(r) || !lines && (r == '\n' || r == '\t') }
		if n != len(got) || strings.ContainsFunc(got, bad) {
			t.Errorf("clean(%q) = %q, %d", text, got, n)
		}
		if again, _ := clean(got, lines); again != got {
			t.Errorf("clean(%q) = %q, again %q", text, got, again)
		}
		if !utf8.ValidString(text) {
			return // what is left of broken text is anybody's guess
		}
		want := strings.Map(func(r rune) rune {
			if bad(r) {
				return -1
			}
			return r
		}, text)
		if got != want {
			t.Errorf("clean(%q) = %q, want %q", text, got, want)
		}
	})
}
