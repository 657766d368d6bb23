package wire

import (
	"strings"
	"time"

	"mfa/internal/mfa"
)

// Status is the state of the daemon.
type Status struct {
	Version   string       `json:"version"`
	PID       int          `json:"pid"`
	Started   time.Time    `json:"started"`
	Mode      string       `json:"mode"`
	Methods   []mfa.Method `json:"methods,omitempty"` // that count for somebody, by the policy or one of its rules
	Email     string       `json:"email"`             // transport
	SMS       string       `json:"sms"`               // provider; empty: no text messages
	Texts     int          `json:"texts"`             // sent within the last hour
	MaxTexts  int          `json:"max_texts"`
	Store     string       `json:"store"` // where
	StoreOK   bool         `json:"store_ok"`
	StoreFull bool         `json:"store_full,omitempty"` // it can be read, and has no room: not StoreOK
	Problem   string       `json:"problem,omitempty"`
	Offline   *Offline     `json:"offline,omitempty"` // nil: nothing is decided without the store
	Users     int          `json:"users"`             // enrolled
	Logins    int          `json:"logins"`            // under way
	MaxLogins int          `json:"max_logins"`
	Audit     string       `json:"audit,omitempty"` // audit.file
	// AuditProblem is why the last line is not in that file, MetricsProblem why nothing is served at
	// metrics.listen; "" if all is well. Logins go on all the same.
	AuditProblem   string `json:"audit_problem,omitempty"`
	MetricsProblem string `json:"metrics_problem,omitempty"`
	// Moving says that records were copied to another store, which does not count yet.
	Moving string `json:"moving,omitempty"`
	// Generation is how often everybody had to enroll anew, as the policy was off.
	Generation int `json:"generation,omitempty"`
	// Fixed are the settings that only a restart changes, as they count.
	Fixed map[string]string `json:"fixed,omitempty"`
	// Restart lists the keys of Fixed for which the configuration taken last has
	// another value.
	Restart []string `json:"restart,omitempty"`
}

// Offline is how it stands with logins while the store of a fleet cannot be reached.
type Offline struct {
	Since *time.Time `json:"since,omitempty"` // that it cannot; nil: it can
	Until *time.Time `json:"until,omitempty"` // logins are decided by what this host has kept
	Kept  int        `json:"kept"`            // users of whom it has
	Old   bool       `json:"old,omitempty"`   // none of them is let in: this host knew more than it could keep
}

// Reloaded is the result of a reload.
type Reloaded struct {
	Restart []string `json:"restart"`          // keys that wait for a restart
	Policy  string   `json:"policy,omitempty"` // says how many get in by the first factor alone, if that changed
}

// Fault is the body of every answer that is not 200.
type Fault struct {
	Error string `json:"error"`
}

// SendTest asks for a test message.
type SendTest struct {
	Method mfa.Method `json:"method"` // Email, SMS or Call
	To     string     `json:"to"`
}

// SendTestReport is the result of a test message.
type SendTestReport struct {
	OK    bool   `json:"ok"`
	To    string `json:"to"` // as it was sent to
	Steps []Step `json:"steps"`
	Error string `json:"error,omitempty"` // why it was not taken
	Hint  string `json:"hint,omitempty"`  // what to look at
}

// Migrated is a user whose records were copied to another store, or the Problem with that.
type Migrated struct {
	User    string `json:"user"`
	Result  string `json:"result,omitempty"` // of copied, same, kept, locked and removed
	Problem string `json:"problem,omitempty"`
}

// Resealed is a user whose secrets were sealed with the new key, or the Problem with that.
type Resealed struct {
	User    string `json:"user"` // or "token SERIAL" for one that waits for its user
	Problem string `json:"problem,omitempty"`
}

// ProblemOf returns the text of an error in one line: of several that were joined, one behind the
// other.
func ProblemOf(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }
