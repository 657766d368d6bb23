package main

import (
	"encoding/binary"
	"fmt"
	"net"
	"time"

	"mfa/internal/mfa"
	"mfa/internal/wire"
)

// hello is the HELLO frame of a login from rhost: version, flags, and fields (internal/wire).
func hello(service, user string) wire.Frame {
	b := binary.BigEndian.AppendUint16(nil, wire.Version)
	b = binary.BigEndian.AppendUint32(b, 0)
	for i, text := range []string{service, user, rhost} {
		b = append(b, byte(i+1))
		b = binary.BigEndian.AppendUint16(b, uint16(len(text)))
		b = append(b, text...)
	}
	return wire.Frame{Type: wire.Hello, Payload: b}
}

// A span is how long one login took from HELLO to DONE, and of that from the answer to DONE: what
// a person waits behind the code.
type span struct{ whole, decision time.Duration }

// logIn goes through one login at a daemon's socket, as the module does but without libpam.
// A login that does not let in is an error.
func logIn(socket string, s shot) (took span, err error) {
	c, err := net.Dial("unix", socket)
	if err != nil {
		return span{}, err
	}
	defer c.Close()
	began := time.Now()
	answered := began
	if err := wire.Write(c, hello(s.service, s.user)); err != nil {
		return span{}, err
	}
	for {
		f, err := wire.Read(c)
		switch {
		case err != nil:
			return span{}, fmt.Errorf("login of %s: %w", s.user, err)
		case f.Type == wire.Prompt:
			answered = time.Now()
			if err := wire.Write(c, wire.Frame{Type: wire.Answer, Payload: []byte(s.answer)}); err != nil {
				return span{}, err
			}
		case f.Type == wire.Done:
			took = span{time.Since(began), time.Since(answered)}
			outcome, err := wire.DecodeDone(f)
			if err == nil && outcome != mfa.Accepted {
				err = fmt.Errorf("it ended with %v", outcome)
			}
			if err != nil {
				err = fmt.Errorf("login of %s at %s: %w", s.user, socket, err)
			}
			return took, err
		}
	}
}
