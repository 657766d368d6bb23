// Package wiretest is the module's half of the PAM socket, for tests that stand in
// for it.
//
// What to know before trusting it: it writes the fields in the order of
// pam_mfa/relay.h, and takes nothing from the reader's table, so that a slip in either shows.
package wiretest

import (
	"encoding/binary"

	"mfa/internal/mfa"
	"mfa/internal/wire"
)

// Hello returns the HELLO frame of a request, as the module writes it. The
// request's UID is not in it.
func Hello(req mfa.Request) wire.Frame {
	b := binary.BigEndian.AppendUint16(nil, wire.Version)
	b = binary.BigEndian.AppendUint32(b, req.Flags)
	for i, text := range []string{
		req.Service, req.User, req.RHost, req.TTY, req.RUser,
		req.SSHAuthInfo, req.SSHConnection, req.Module,
	} {
		if text == "" {
			continue
		}
		b = append(b, byte(i+1))
		b = binary.BigEndian.AppendUint16(b, uint16(len(text)))
		b = append(b, text...)
	}
	return wire.Frame{Type: wire.Hello, Payload: b}
}
