package mfa

// A Method is a kind of second factor, by the name it has in mfa.toml.
type Method string

// The methods.
const (
	Email  Method = "email"
	SMS    Method = "sms"
	Call   Method = "call" // reads a code out at the number that SMS has
	TOTP   Method = "totp"
	HOTP   Method = "hotp"
	Backup Method = "backup"
)

// Rings says whether codes of the method go to the user's number.
func (m Method) Rings() bool { return m == SMS || m == Call }
