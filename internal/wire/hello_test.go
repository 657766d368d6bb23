package wire_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"mfa/internal/mfa"
	"mfa/internal/wire"
	"mfa/internal/wire/wiretest"
)

var full = mfa.Request{
	Service: "sshd", User: "alice", RHost: "192.0.2.1", TTY: "ssh", RUser: "bob",
	SSHAuthInfo: "publickey ssh-ed25519 AAAA\n", SSHConnection: "192.0.2.1 1 192.0.2.2 22", Module: "1.2", Held: "answer", Flags: 0x8001,
}

func TestHelloRoundTrip(t *testing.T) {
	for _, want := range []mfa.Request{full, {}, {User: "x"}} {
		got, err := wire.DecodeHello(wiretest.Hello(want))
		if err != nil || got != want {
			t.Errorf("got %+v, %v; want %+v", got, err, want)
		}
	}
}

func TestDecodeHelloRefuses(t *testing.T) {
	good := wiretest.Hello(mfa.Request{User: "alice"}).Payload
	long := append(bytes.Clone(good[:6]), 2) // the tag of a user
	long = binary.BigEndian.AppendUint16(long, wire.MaxField+1)
	long = append(long, make([]byte, wire.MaxField+1)...)
	for name, f := range map[string]wire.Frame{
		"type":         {Type: wire.Answer, Payload: good},
		"empty":        {Type: wire.Hello, Payload: nil},
		"version":      {Type: wire.Hello, Payload: append([]byte{0, 2}, good[2:]...)},
		"half a field": {Type: wire.Hello, Payload: good[:len(good)-1]},
		"half a head":  {Type: wire.Hello, Payload: append(bytes.Clone(good), 4, 0)},
		"twice":        {Type: wire.Hello, Payload: append(bytes.Clone(good), good[6:]...)},
		"long field":   {Type: wire.Hello, Payload: long},
	} {
		t.Run(name, func(t *testing.T) {
			if req, err := wire.DecodeHello(f); !errors.Is(err, wire.ErrFrame) {
				t.Errorf("%+v, %v", req, err)
			}
		})
	}
	if _, err := wire.DecodeHello(wire.Frame{Type: wire.Hello, Payload: append(bytes.Clone(good), 200, 0, 1, 'x')}); err != nil {
		t.Errorf("a tag of a newer module: %v", err)
	}
}

// What sshd writes may be as long as it writes it, and what a newer module sends, too; a name may
// not. One byte more is refused.
func TestHelloFieldsAreBounded(t *testing.T) {
	field := func(tag byte, n int) wire.Frame {
		b := append(wiretest.Hello(mfa.Request{}).Payload, tag)
		b = binary.BigEndian.AppendUint16(b, uint16(n))
		return wire.Frame{Type: wire.Hello, Payload: append(b, make([]byte, n)...)}
	}
	for tag, most := range map[byte]int{
		1: wire.MaxName, 2: wire.MaxName, 3: wire.MaxName, 4: wire.MaxName, 5: wire.MaxName,
		6: wire.MaxField, 7: wire.MaxField, 8: wire.MaxName, 9: wire.MaxName, 10: wire.MaxField, 255: wire.MaxField,
	} {
		if _, err := wire.DecodeHello(field(tag, most)); err != nil {
			t.Errorf("field %d of %d bytes: %v", tag, most, err)
		}
		if _, err := wire.DecodeHello(field(tag, most+1)); !errors.Is(err, wire.ErrFrame) {
			t.Errorf("field %d of %d bytes: %v", tag, most+1, err)
		}
	}
}

func FuzzDecodeHello(f *testing.F) {
	f.Add(wiretest.Hello(full).Payload)
	f.Add([]byte{0, 1, 0, 0, 0, 0, 1, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, payload []byte) {
		req, err := wire.DecodeHello(wire.Frame{Type: wire.Hello, Payload: payload})
		if err != nil {
			return
		}
		if again, err := wire.DecodeHello(wiretest.Hello(req)); err != nil || again != req {
			t.Errorf("%+v became %+v, %v", req, again, err)
		}
	})
}
