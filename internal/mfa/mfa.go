// Package mfa holds the words that every other room speaks: what a login asks
// for, what is said to the person, what is decided, and what is remembered of a
// user.
//
// It imports nothing of ours, does no I/O and reads no clock. Every type is a
// plain value: copy it freely, but a value shared between goroutines is its
// owner's to guard. The zero Verdict is a refusal, so code that forgets to
// decide never opens a door.
package mfa

import "strconv"

// Version of the three programs. The build sets it with -ldflags -X.
var Version = "0.1.0-dev"

// A Request is what a PAM application told the module about one login.
// Every field may be empty, and every field but UID comes from outside.
type Request struct {
	Service       string // PAM_SERVICE: "sshd", "sudo"
	User          string // PAM_USER as typed, not yet canonical
	RHost         string // PAM_RHOST: an address, a host name or nothing
	TTY           string // PAM_TTY
	RUser         string // PAM_RUSER
	SSHAuthInfo   string // SSH_AUTH_INFO_0 of sshd(8): first factors proven, one a line
	SSHConnection string // SSH_CONNECTION of ssh(1): client address, port, server address, port
	Module        string // version of the module that asks
	Held          string // what the module holds in a login in one line: HeldAnswer or HeldNothing; else empty
	Flags         uint32 // flags of pam_authenticate(3)
	UID           uint32 // of the process that asks, from SO_PEERCRED; never from the frame
}

// An Identity is a user as NSS knows them. Names from outside become an
// Identity before they name a record.
type Identity struct {
	Name string // canonical, as NSS spells it
	UID  uint32
}

// An Origin is where a login comes from. A sent code belongs to a user and an
// Origin: another address cannot use it up.
type Origin struct {
	Service string
	Address string // IP address in its shortest form, host name, or "local"
	Key     string // SHA256:… of the SSH key that was the first factor, or empty
	UID     uint32 // of the process that asks; 0 is root, and only root's word on Service can be trusted
	Here    bool   // the address is the one that the login was made to
	Host    string // of a fleet; empty: there is only this one
}

// String returns the origin as one word, which is stored. Origins that differ in more
// than Here have different words.
func (o Origin) String() string {
	word := o.Service + "|" + o.Address + "|" + o.Key
	if o.UID != 0 {
		word += "|" + strconv.FormatUint(uint64(o.UID), 10)
	}
	if o.Host != "" {
		word += "|@" + o.Host
	}
	return word
}
