package mfa

import (
	"strings"
	"time"
)

// An EnrollOffer is what somebody who has no second factor may choose.
type EnrollOffer struct {
	Methods      []Method
	Skip         bool          // to have none, and not be asked again
	Later        time.Duration // if over zero: to be asked again, for so long yet
	NotNow       bool          // to be asked again, by whoever has proven a second factor that does not count
	SelfContacts bool          // to say themselves where codes go

	Known     map[Method]string // where codes can go by what a directory says, if the user confirms it
	OnlyKnown bool              // and nowhere else
}

// Choices returns the methods that the user can set up by themselves.
func (o EnrollOffer) Choices() []Method {
	var ms []Method
	for _, m := range o.Methods {
		if m == TOTP || m == HOTP || (m == Email || m.Rings()) && (o.SelfContacts || o.Known[m] != "") {
			ms = append(ms, m)
		}
	}
	return ms
}

// An Enrolling is a method that a user has begun to set up. It is no part of the
// enrollment before it is confirmed, and survives a dropped connection. It belongs to
// the origin that began it: there is one of a user at a time, and the next one voids it.
type Enrolling struct {
	ID     string    `json:"id,omitempty"`     // another one for each
	Origin string    `json:"origin,omitempty"` // that began it; empty: an older version wrote it, and nobody goes on with it
	Method Method    `json:"method"`
	To     string    `json:"to,omitempty"`     // address, or the serial number of a token
	Secret string    `json:"secret,omitempty"` // sealed
	Began  time.Time `json:"began"`
}

// From says where it was begun, for the audit file.
func (e Enrolling) From() string {
	service, address, known := e.BegunAt()
	if !known {
		return "an unknown place"
	}
	return service + " from " + address
}

// BegunAt returns the service and the address that it was begun from, if they are known.
func (e Enrolling) BegunAt() (service, address string, known bool) {
	words := strings.Split(e.Origin, "|")
	if len(words) < 3 {
		return "", "", false
	}
	return words[0], words[1], true
}
