package wire

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"mfa/internal/mfa"
)

func TestFrameRoundTrip(t *testing.T) {
	var buf bytes.Buffer
	want := []Frame{{Info, nil}, {Prompt, []byte("vCode: ")}, {Info, bytes.Repeat([]byte{'x'}, MaxFrame-1)}}
	for _, f := range want {
		if err := Write(&buf, f); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range want {
		got, err := Read(&buf)
		if err != nil || got.Type != f.Type || !bytes.Equal(got.Payload, f.Payload) {
			t.Fatalf("got %q of %d bytes, %v", got.Type, len(got.Payload), err)
		}
	}
	if _, err := Read(&buf); !errors.Is(err, io.EOF) {
		t.Errorf("after the last frame: %v, want io.EOF", err)
	}
	if err := Write(&buf, Frame{Info, make([]byte, MaxFrame)}); !errors.Is(err, ErrFrame) {
		t.Errorf("too large a frame: %v", err)
	}
}

func TestReadRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		in   string
		want error
	}{
		"no length":     {"\x00\x00", io.ErrUnexpectedEOF},
		"zero length":   {"\x00\x00\x00\x00", ErrFrame},
		"huge length":   {"\xff\xff\xff\xffD", ErrFrame},
		"over by one":   {"\x00\x01\x00\x01D", ErrFrame},
		"short payload": {"\x00\x00\x00\x05Dab", io.ErrUnexpectedEOF},
		"no payload":    {"\x00\x00\x00\x05", io.ErrUnexpectedEOF},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Read(strings.NewReader(tc.in)); !errors.Is(err, tc.want) {
				t.Errorf("%v, want %v", err, tc.want)
			}
		})
	}
}

func TestAnswers(t *testing.T) {
	for name, tc := range map[string]struct {
		f    Frame
		text string
		want error
	}{
		"line":      {Frame{Answer, []byte("123456")}, "123456", nil},
		"empty":     {Frame{Answer, nil}, "", nil},
		"too long":  {Frame{Answer, make([]byte, MaxAnswer+1)}, "", ErrFrame},
		"conv":      {Frame{NoAnswer, []byte{ConvFailed}}, "", mfa.ErrNoConversation},
		"password":  {Frame{NoAnswer, []byte{PasswordTyped}}, "", mfa.ErrPasswordTyped},
		"no reason": {Frame{NoAnswer, nil}, "", ErrFrame},
		"unknown":   {Frame{NoAnswer, []byte{'?'}}, "", ErrFrame},
		"type":      {Frame{Done, []byte("123456")}, "", ErrFrame},
	} {
		t.Run(name, func(t *testing.T) {
			text, err := DecodeAnswer(tc.f)
			if text != tc.text || !errors.Is(err, tc.want) || (err == nil) != (tc.want == nil) {
				t.Errorf("%q, %v", text, err)
			}
		})
	}
}

// The letters are fixed: a module of another version reads them.
func TestDoneLetters(t *testing.T) {
	for outcome, want := range map[mfa.Outcome]string{
		mfa.Broken: "b", mfa.Accepted: "s", mfa.Exempt: "x", mfa.WrongCode: "w", mfa.Exhausted: "m",
		mfa.MustEnroll: "e", mfa.Unavailable: "u", mfa.NoConversation: "c", mfa.Outcome(99): "b",
	} {
		if f := EncodeDone(mfa.Verdict{Outcome: outcome}); f.Type != Done || string(f.Payload) != want+"\x00" {
			t.Errorf("%v: %q", outcome, f.Payload)
		}
	}
	for outcome := range mfa.NoConversation + 1 {
		if got, err := DecodeDone(EncodeDone(mfa.Verdict{Outcome: outcome})); err != nil || got != outcome {
			t.Errorf("%v is read as %v, %v", outcome, got, err)
		}
	}
	if got, err := DecodeDone(Frame{Done, []byte("?\x00")}); err != nil || got != mfa.Broken {
		t.Errorf("an unknown letter is %v, %v", got, err)
	}
	for _, f := range []Frame{{Done, nil}, {Done, []byte("s")}, {Info, []byte("s\x00")}} {
		if got, err := DecodeDone(f); !errors.Is(err, ErrFrame) || got != mfa.Broken {
			t.Errorf("frame %q is %v, %v", f.Payload, got, err)
		}
	}
	if f := EncodeDone(mfa.Verdict{Outcome: mfa.Accepted, ChangePassword: true}); string(f.Payload) != "s\x01" {
		t.Errorf("with a password change: %q", f.Payload)
	}
}

func TestPromptKinds(t *testing.T) {
	for kind, want := range map[mfa.PromptKind]string{
		mfa.Info: "Itext", mfa.Failure: "Etext", mfa.Ask: "Pvtext", mfa.AskHidden: "Phtext",
	} {
		if f := EncodePrompt(mfa.Prompt{Kind: kind, Text: "text"}); string(f.Type)+string(f.Payload) != want {
			t.Errorf("kind %d: %q %q", kind, f.Type, f.Payload)
		}
		if p, err := DecodePrompt(EncodePrompt(mfa.Prompt{Kind: kind, Text: "text"})); err != nil || p.Kind != kind || p.Text != "text" {
			t.Errorf("kind %d is read as %+v, %v", kind, p, err)
		}
	}
}

func TestDecodePromptRefuses(t *testing.T) {
	for _, f := range []Frame{{Prompt, nil}, {Prompt, []byte("x")}, {Done, []byte("s\x00")}} {
		if p, err := DecodePrompt(f); !errors.Is(err, ErrFrame) {
			t.Errorf("%q %q: %+v, %v", f.Type, f.Payload, p, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x02Pv"))
	f.Add([]byte("\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, in []byte) {
		r := bytes.NewReader(in)
		for {
			frame, err := Read(r)
			if err != nil {
				return
			}
			if len(frame.Payload) >= MaxFrame {
				t.Fatalf("payload of %d bytes", len(frame.Payload))
			}
		}
	})
}
