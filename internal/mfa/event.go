package mfa

import "time"

// An Event is one line of the audit file: a decision that let somebody in or kept
// them out, or a change of an enrollment. Empty fields are left out. Package audit
// has the names of events.
type Event struct {
	Time    time.Time `json:"time"`
	Event   string    `json:"event"`
	User    string    `json:"user,omitempty"`
	UID     *uint32   `json:"uid,omitempty"`
	Service string    `json:"service,omitempty"`
	Address string    `json:"address,omitempty"`
	Key     string    `json:"key,omitempty"` // fingerprint of the SSH key
	Method  string    `json:"method,omitempty"`
	To      string    `json:"to,omitempty"`      // masked
	Message string    `json:"message,omitempty"` // ID of the message sent
	Receipt string    `json:"receipt,omitempty"` // what the next hop calls it: Twilio's message SID, a queue ID
	Outcome string    `json:"outcome,omitempty"`
	Reason  string    `json:"reason,omitempty"`
	Rule    string    `json:"rule,omitempty"`    // of the policy that decided; "policy": none of them
	Actor   string    `json:"actor,omitempty"`   // who administered
	TTY     string    `json:"tty,omitempty"`     // of a login
	Offline bool      `json:"offline,omitempty"` // decided by what the host had kept, while the fleet's store could not be reached
	Count   int       `json:"count,omitempty"`   // so many refusals that are like this one; absent: one
}
