// Package wire holds all that crosses a socket of mfad: the frames of the PAM
// socket, the routes and bodies of the control socket, and the Go client of the
// control socket.
//
// The PAM socket speaks in frames. A frame is a length (four bytes, big-endian,
// counting what follows), a type (one byte) and a payload. The module opens with
// HELLO and then only answers: one ANSWER or NO-ANSWER for each PROMPT. The daemon
// says everything else and ends with DONE. Where the code is typed behind the password,
// the module opens another connection before, with SPLIT in the place of HELLO, and hears
// from CUT what may stand there; HELLO then says that it holds what did. The module's half
// is C (pam_mfa/relay.c); both sides hold the other to the same bounds, and a frame
// that breaks them ends the login. Reading trusts nothing: a length is checked
// before memory is taken for it, and every field before it is sliced.
//
// The control socket speaks HTTP with JSON. Routes lists every resource, and each
// body has one type here, which both mfad and mfactl use. A conversation about
// one's own enrollment is held in the frames of the PAM socket, without HELLO.
//
// Functions may be called from many goroutines, each on its own connection.
package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"mfa/internal/mfa"
)

// Version of the protocol, in HELLO.
const Version = 1

const (
	// MaxFrame bounds the length word: type and payload together, in bytes.
	MaxFrame = 64 << 10
	// MaxAnswer bounds an answer, as PAM_MAX_RESP_SIZE of Linux-PAM does.
	MaxAnswer = 512
	// MaxField bounds a field of HELLO that sshd writes, or that is unknown, in bytes.
	MaxField = 16 << 10
	// MaxName bounds any other field: user names, terminals, services, hosts; in bytes.
	MaxName = 256
)

// The frame types. Upper-case letters, so that a trace can be read.
const (
	Hello    = 'H' // module: version u16, flags u32, then fields (tag u8, length u16, bytes)
	Split    = 'S' // module, in the place of HELLO and like it: how a line is cut; wants CUT
	Cut      = 'C' // daemon: what may stand behind the password; the last frame
	Answer   = 'A' // module: the line typed
	NoAnswer = 'N' // module: why, one byte
	Prompt   = 'P' // daemon: echo (VISIBLE or HIDDEN), then text; wants an answer
	Info     = 'I' // daemon: text
	Failure  = 'E' // daemon: text
	Done     = 'D' // daemon: outcome u8, flags u8; the last frame
)

// Second bytes of frames.
const (
	Visible = 'v' // PROMPT: with echo
	Hidden  = 'h' // PROMPT: without

	ConvFailed    = 'c' // NO-ANSWER: the conversation function failed
	PasswordTyped = 'p' // NO-ANSWER: the answer was PAM_AUTHTOK and is not sent

	Untried        = 2 // DONE: flag, of an exhausted login in which no wrong code was typed
	ChangePassword = 1 // DONE: flag, acct_mgmt shall return PAM_NEW_AUTHTOK_REQD
)

// The tags of HELLO's fields. A field that is absent is empty; an unknown tag is
// ignored, so that a newer module can speak to an older daemon.
const (
	tagService = 1 + iota
	tagUser
	tagRHost
	tagTTY
	tagRUser
	tagSSHAuthInfo
	tagSSHConnection
	tagModule
	tagHeld
)

// Outcome letters of DONE. An unknown letter is a refusal.
var letters = map[mfa.Outcome]byte{
	mfa.Accepted: 's', mfa.Exempt: 'x', mfa.WrongCode: 'w', mfa.Exhausted: 'm',
	mfa.MustEnroll: 'e', mfa.Unavailable: 'u', mfa.NoConversation: 'c', mfa.Broken: 'b',
	mfa.NotAllowed: 'p', mfa.CodeSent: 'n',
}

// ErrFrame is wrapped by every error about a frame that breaks the protocol.
var ErrFrame = errors.New("bad frame")

// A Frame is one message.
type Frame struct {
	Type    byte
	Payload []byte
}

// Read reads one frame. The error is io.EOF only between frames, io.ErrUnexpectedEOF
// within one, or wraps ErrFrame for a length out of bounds.
func Read(r io.Reader) (Frame, error) { return readFrame(r, MaxFrame) }

// ReadAnswer is Read for a frame that is no longer than an answer may be.
func ReadAnswer(r io.Reader) (Frame, error) { return readFrame(r, 1+MaxAnswer) }

func readFrame(r io.Reader, most uint32) (Frame, error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:4]); err != nil {
		return Frame{}, err
	}
	n := binary.BigEndian.Uint32(head[:4])
	if n < 1 || n > most {
		return Frame{}, fmt.Errorf("%w: length %d is not within 1 and %d", ErrFrame, n, most)
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return Frame{}, err
	}
	return Frame{Type: body[0], Payload: body[1:]}, nil
}

// Write writes one frame in one call of w.Write. The error wraps ErrFrame if it is longer
// than MaxFrame; nothing is written then.
func Write(w io.Writer, f Frame) error {
	n := 1 + len(f.Payload)
	if n > MaxFrame {
		return fmt.Errorf("%w: %d bytes are more than %d", ErrFrame, n, MaxFrame)
	}
	b := make([]byte, 0, 4+n)
	b = binary.BigEndian.AppendUint32(b, uint32(n))
	b = append(b, f.Type)
	b = append(b, f.Payload...)
	_, err := w.Write(b)
	return err
}

// fields lists a request's texts in the order of their tags.
func fields(req *mfa.Request) []*string {
	return []*string{
		tagService - 1: &req.Service, tagUser - 1: &req.User, tagRHost - 1: &req.RHost,
		tagTTY - 1: &req.TTY, tagRUser - 1: &req.RUser, tagSSHAuthInfo - 1: &req.SSHAuthInfo,
		tagSSHConnection - 1: &req.SSHConnection, tagModule - 1: &req.Module,
		tagHeld - 1: &req.Held,
	}
}

// maxOf returns how long the field of a tag may be.
func maxOf(tag byte) int {
	if tag == tagSSHAuthInfo || tag == tagSSHConnection || tag > tagHeld {
		return MaxField
	}
	return MaxName
}

// DecodeHello reads a HELLO frame, or a SPLIT frame. The request's UID is left zero: it is the
// caller's to fill in from the socket.
func DecodeHello(f Frame) (mfa.Request, error) {
	var req mfa.Request
	b := f.Payload
	if f.Type != Hello && f.Type != Split {
		return req, fmt.Errorf("%w: type %q in place of HELLO", ErrFrame, f.Type)
	}
	if len(b) < 6 {
		return req, fmt.Errorf("%w: HELLO of %d bytes", ErrFrame, len(b))
	}
	if v := binary.BigEndian.Uint16(b); v != Version {
		return req, fmt.Errorf("%w: protocol version %d, this daemon speaks %d", ErrFrame, v, Version)
	}
	req.Flags = binary.BigEndian.Uint32(b[2:])
	b = b[6:]
	into := fields(&req)
	var seen [256]bool
	for len(b) > 0 {
		if len(b) < 3 {
			return req, fmt.Errorf("%w: HELLO ends inside a field", ErrFrame)
		}
		tag, n := b[0], int(binary.BigEndian.Uint16(b[1:]))
		if n > maxOf(tag) || n > len(b)-3 {
			return mfa.Request{}, fmt.Errorf("%w: HELLO field %d of %d bytes", ErrFrame, tag, n)
		}
		text := string(b[3 : 3+n])
		b = b[3+n:]
		if seen[tag] {
			return req, fmt.Errorf("%w: HELLO field %d twice", ErrFrame, tag)
		}
		seen[tag] = true
		if tag >= 1 && int(tag) <= len(into) {
			*into[tag-1] = text
		}
	}
	return req, nil
}

// EncodePrompt returns the PROMPT, INFO or FAILURE frame of p.
func EncodePrompt(p mfa.Prompt) Frame {
	switch p.Kind {
	case mfa.Ask:
		return Frame{Prompt, append([]byte{Visible}, p.Text...)}
	case mfa.AskHidden:
		return Frame{Prompt, append([]byte{Hidden}, p.Text...)}
	case mfa.Failure:
		return Frame{Failure, []byte(p.Text)}
	default:
		return Frame{Info, []byte(p.Text)}
	}
}

// DecodeAnswer returns the line in an ANSWER frame. The error is mfa.ErrPasswordTyped or
// mfa.ErrNoConversation for a NO-ANSWER frame, and wraps ErrFrame for any other.
func DecodeAnswer(f Frame) (string, error) {
	switch {
	case f.Type == Answer && len(f.Payload) <= MaxAnswer:
		return string(f.Payload), nil
	case f.Type == Answer:
		return "", fmt.Errorf("%w: answer of %d bytes", ErrFrame, len(f.Payload))
	case f.Type == NoAnswer && len(f.Payload) == 1 && f.Payload[0] == PasswordTyped:
		return "", mfa.ErrPasswordTyped
	case f.Type == NoAnswer && len(f.Payload) == 1 && f.Payload[0] == ConvFailed:
		return "", mfa.ErrNoConversation
	}
	return "", fmt.Errorf("%w: type %q in place of an answer", ErrFrame, f.Type)
}

// EncodeDone returns the DONE frame of v, which ends a login.
func EncodeDone(v mfa.Verdict) Frame {
	letter, ok := letters[v.Outcome]
	if !ok {
		letter = letters[mfa.Broken]
	}
	var flags byte
	if v.ChangePassword {
		flags |= ChangePassword
	}
	if v.Untried {
		flags |= Untried
	}
	return Frame{Done, []byte{letter, flags}}
}

// DecodePrompt decodes a PROMPT, INFO or FAILURE frame, for a client written in Go. The
// error wraps ErrFrame.
func DecodePrompt(f Frame) (mfa.Prompt, error) {
	switch {
	case f.Type == Info:
		return mfa.Prompt{Kind: mfa.Info, Text: string(f.Payload)}, nil
	case f.Type == Failure:
		return mfa.Prompt{Kind: mfa.Failure, Text: string(f.Payload)}, nil
	case f.Type == Prompt && len(f.Payload) > 0 && f.Payload[0] == Visible:
		return mfa.Prompt{Kind: mfa.Ask, Text: string(f.Payload[1:])}, nil
	case f.Type == Prompt && len(f.Payload) > 0 && f.Payload[0] == Hidden:
		return mfa.Prompt{Kind: mfa.AskHidden, Text: string(f.Payload[1:])}, nil
	}
	return mfa.Prompt{}, fmt.Errorf("%w: type %q in place of a prompt", ErrFrame, f.Type)
}

// DecodeDone returns the outcome in a DONE frame, and ignores its flags. An unknown
// outcome is mfa.Broken, a refusal. The error wraps ErrFrame.
func DecodeDone(f Frame) (mfa.Outcome, error) {
	if f.Type != Done || len(f.Payload) != 2 {
		return mfa.Broken, fmt.Errorf("%w: type %q of %d bytes in place of DONE", ErrFrame, f.Type, len(f.Payload))
	}
	for outcome, letter := range letters {
		if letter == f.Payload[0] {
			return outcome, nil
		}
	}
	return mfa.Broken, nil
}
