package mfa

// A Message is one text to one person over one carrier.
type Message struct {
	ID       string // names the message in logs and audit
	User     string // whose message it is, for the same
	Carrier  Method // Email, SMS or Call
	To       string // address or E.164 number
	Subject  string // email only
	Text     string // plain text, lines end with \n
	HTML     string // the same, of an email; empty: there is none
	Language string // of an email (RFC 5646); empty: not told
	Code     string // the code in it, for carriers that have it stand elsewhere; empty: there is none
}
