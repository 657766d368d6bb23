package login

import "mfa/internal/mfa"

// Config is the tables [policy] and [session] of mfa.toml, and what an Engine needs of
// others.
type Config struct {
	Policy  PolicyConfig
	Session SessionConfig

	// Generation is how often everybody had to enroll anew. Older enrollments do
	// not count.
	Generation int
	// FallbackToEmail: a text message that cannot be sent goes by email.
	FallbackToEmail bool
	// TextMessages says whether text messages can be sent, and so be set up.
	TextMessages bool
	// Directory says whether a directory may know where codes of users go.
	Directory bool
	// MailDomain is the domain of the addresses shown for names without an account.
	MailDomain string
}

// Modes of PolicyConfig.Mode.
const (
	ModeOff      = "off"      // nobody is asked
	ModeOptional = "optional" // users who are enrolled are asked
	ModeRequired = "required" // everybody is asked; users who are not enrolled must enroll or are refused
)

// PolicyConfig is the table [policy]: which users are asked, and for what.
type PolicyConfig struct {
	Mode             string       `toml:"mode"`
	Methods          []mfa.Method `toml:"methods"`            // offered in this order
	OptOut           bool         `toml:"opt_out"`            // mode optional: users may say no, and are not asked again
	EnrollAtLogin    bool         `toml:"enroll_at_login"`    // users who are not enrolled set up a method at login
	EnrollGrace      mfa.Duration `toml:"enroll_grace"`       // for so long from the first login on, enrolling can be put off
	SelfContacts     bool         `toml:"self_contacts"`      // users may set addresses themselves
	ReenrollAfterOff bool         `toml:"reenroll_after_off"` // after mode off, everybody enrolls anew
	Nist             bool         `toml:"nist"`               // config refuses what NIST SP 800-63B-4 does not allow
	Rules            []Rule       `toml:"rule"`               // for whom some of this is different
}
