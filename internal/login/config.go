package login

import "mfa/internal/mfa"

// Config is what an Engine is told: the tables [policy] and [session] of
// mfa.toml.
type Config struct {
	Policy  PolicyConfig
	Session SessionConfig

	// Generation is how often everybody had to enroll anew. Older enrollments do
	// not count.
	Generation int
	// FallbackToEmail: a text message that cannot be sent goes by email.
	FallbackToEmail bool
	// TextMessages says whether there are any, so that they can be set up.
	TextMessages bool
	// MailDomain is the domain of the addresses that accounts which do not exist
	// seem to have.
	MailDomain string
}

// Modes of PolicyConfig.Mode.
const (
	ModeOff      = "off"      // nobody is asked
	ModeOptional = "optional" // who is enrolled is asked
	ModeRequired = "required" // everybody is asked; who is not enrolled stays out
)

// PolicyConfig is the table [policy]: who is asked, and for what.
type PolicyConfig struct {
	Mode             string       `toml:"mode"`
	Methods          []mfa.Method `toml:"methods"`            // offered in this order
	OptOut           bool         `toml:"opt_out"`            // mode optional: users may say no, and are not asked again
	EnrollAtLogin    bool         `toml:"enroll_at_login"`    // who is not enrolled is led through it at login
	EnrollGrace      mfa.Duration `toml:"enroll_grace"`       // for so long from the first login on, enrolling can be put off
	SelfContacts     bool         `toml:"self_contacts"`      // users may set addresses themselves
	ReenrollAfterOff bool         `toml:"reenroll_after_off"` // after mode off, everybody enrolls anew
	Rules            []Rule       `toml:"rule"`               // for whom some of this is different
}
