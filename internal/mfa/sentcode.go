package mfa

import "time"

// A PendingCode is a code that was sent. The code itself is not in it.
type PendingCode struct {
	Origin  string    `json:"origin"`
	Method  Method    `json:"method"`
	To      string    `json:"to"`            // address or number it is for
	Via     string    `json:"via,omitempty"` // address it went to because it could not go to To
	Nonce   []byte    `json:"nonce"`         // makes equal codes differ at rest
	MAC     []byte    `json:"mac"`           // keyed hash of the code
	Sent    time.Time `json:"sent"`
	Expires time.Time `json:"expires"`
	Digits  int       `json:"digits,omitempty"` // its length; 0: not written down
	Tries   int       `json:"tries,omitempty"`  // wrong answers to it while it is to confirm an address

	Answered  bool   `json:"answered,omitempty"` // some code was typed for it, right or not: there is somebody
	SendGroup string `json:"tally,omitempty"`    // in which it was counted (challenge); empty: that of places where the user was never seen
}

// A CodeEnd is why a code that was sent is good no more.
type CodeEnd string

// The ends of codes.
const (
	CodeUsed     CodeEnd = "used"
	CodeReplaced CodeEnd = "replaced" // by a newer one of its origin
	CodeExpired  CodeEnd = "expired"
	CodeVoid     CodeEnd = "void" // it could not be sent, or there were too many wrong answers to it
)

// An EndedCode is a code that was sent and is good no more. It is kept for a time, so
// that a person who types it is told why it does not count.
type EndedCode struct {
	PendingCode
	Why CodeEnd   `json:"why"`
	At  time.Time `json:"at"` // of its end
}

// Same says whether q is the same code as p.
func (p PendingCode) Same(q PendingCode) bool { return string(p.Nonce) == string(q.Nonce) }
