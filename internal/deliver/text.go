package deliver

import (
	"strings"
	"time"

	"mfa/internal/text"
)

// A CodeNotice is a message with a login code. Host, User, Service and Address may come
// from outside: each is shown as one short line of printable ASCII.
type CodeNotice struct {
	Code     string
	Host     string        // machine that is logged in to
	User     string        // account that is logged in to
	Service  string        // PAM service: "sshd", "sudo"
	Address  string        // where from; empty or "local": this very machine
	Sent     time.Time     // shown in its own time zone
	Lifetime time.Duration // how long the code works, from Sent
	To       string        // email address; for SMS the number in E.164
	Words    *text.Printer // of who reads it
}

// FieldLimit keeps a field and its label within one line of a mail.
const FieldLimit = 54

// ASCII returns at most limit characters of s, which ends with "..." if it was cut. Other
// characters than printable ASCII become question marks. Limit must be at least 3.
func ASCII(s string, limit int) string {
	var b strings.Builder
	for _, r := range s {
		if b.Len() == limit {
			return b.String()[:limit-3] + "..."
		}
		if r < ' ' || r > '~' {
			r = '?'
		}
		b.WriteByte(byte(r))
	}
	return b.String()
}
