package account

import "mfa/internal/mfa"

// Values of ContactsConfig.Source. Empty: no directory is asked.
const (
	SourceLDAP    = "ldap"
	SourceUserDB  = "userdb"
	SourceCommand = "command"
)

// Values of ContactsConfig.Prefer.
const (
	PreferUser      = "user"
	PreferDirectory = "directory"
)

// ContactsConfig is the table [contacts]: where addresses and numbers come from that
// nobody set up here.
type ContactsConfig struct {
	Source    string                `toml:"source"`    // ldap, userdb, command or empty
	Confirmed bool                  `toml:"confirmed"` // codes go there at once; else it is offered in enrolling
	Prefer    string                `toml:"prefer"`    // whose counts, if a user has one too: user or directory
	Keep      mfa.Duration          `toml:"keep"`      // how long it counts while the directory does not answer
	LDAP      LDAPConfig            `toml:"ldap"`
	Command   ContactsCommandConfig `toml:"command"`
}

// LDAPConfig is the table [contacts.ldap] (RFC 4511).
type LDAPConfig struct {
	URLs         []string     `toml:"urls"`          // ldaps://HOST or ldap://HOST, tried in order
	StartTLS     bool         `toml:"starttls"`      // for ldap://; false: in clear, to this machine alone
	CAFile       string       `toml:"ca_file"`       // PEM; empty: the system's authorities
	BindDN       string       `toml:"bind_dn"`       // empty: anonymous
	PasswordFile string       `toml:"password_file"` // of BindDN; read at start and at reload
	Base         string       `toml:"base"`          // DN below which users are
	Filter       string       `toml:"filter"`        // a template with {{.User}} and {{.UID}} (RFC 4515)
	Email        string       `toml:"email"`         // attribute; empty: none
	Phone        string       `toml:"phone"`         // attribute; empty: none
	Timeout      mfa.Duration `toml:"timeout"`       // for one server
}

// ContactsCommandConfig is the table [contacts.command]: one run of a program a
// look-up. There is no shell.
type ContactsCommandConfig struct {
	Path    string       `toml:"path"` // absolute
	Args    []string     `toml:"args"` // templates with {{.User}} and {{.UID}}; empty: the name alone
	Timeout mfa.Duration `toml:"timeout"`
}
