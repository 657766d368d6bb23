// Package wiretest is the module's half of the PAM socket, for tests that stand in
// for it.
//
// What to know before trusting it: it writes the fields in the order of
// pam_mfa/relay.h, and takes nothing from the reader's table, so that a slip in either shows.
package wiretest

import (
	"encoding/binary"
	"errors"
	"fmt"

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
		req.SSHAuthInfo, req.SSHConnection, req.Module, req.Held,
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

// Endings returns what a CUT frame says, as the module reads it.
func Endings(f wire.Frame) ([]mfa.Ending, error) {
	if f.Type != wire.Cut || len(f.Payload) > wire.MaxCut {
		return nil, fmt.Errorf("type %q of %d bytes in place of CUT", f.Type, len(f.Payload))
	}
	var all []mfa.Ending
	for b := f.Payload; len(b) > 0; {
		if len(b) < 3 || len(b) < 3+int(b[2]) {
			return nil, errors.New("CUT ends inside an ending")
		}
		kind, n, text := b[0], int(b[1]), string(b[3:3+int(b[2])])
		b = b[3+len(text):]
		switch {
		case kind == 'w' && n == 0 && text != "":
			all = append(all, mfa.Ending{Word: text})
		case n > 0 && text != "" && (kind == 'd' || kind == ',' || kind == 'g'):
			all = append(all, mfa.Ending{Symbols: n, Of: text, Comma: kind != 'd', Grouped: kind == 'g'})
		default:
			return nil, fmt.Errorf("CUT with an ending %q of %d", kind, n)
		}
	}
	return all, nil
}
