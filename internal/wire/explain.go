package wire

import (
	"fmt"
	"strings"
	"time"

	"mfa/internal/mfa"
)

// A Visit is a login to explain.
type Visit struct {
	User        string `json:"user"`
	Service     string `json:"service"`      // PAM_SERVICE
	RHost       string `json:"rhost"`        // address, host name, or empty
	Key         string `json:"key"`          // fingerprint of the SSH key that was proven, or empty
	FirstFactor string `json:"first_factor"` // how the SSH server or another program asked first, as in policy.rule; empty: publickey with a key, else password
}

// The values of Explanation.Result.
const (
	ResultLetIn       = "let_in"      // let in without a second factor
	ResultRemembered  = "remembered"  // let in without a second factor, by a remembered login
	ResultAsk         = "ask"         // asked for a code
	ResultEnroll      = "enroll"      // must set up a second factor
	ResultLocked      = "locked"      // refused for now
	ResultDisabled    = "disabled"    // refused: every method took too many wrong codes
	ResultExhausted   = "exhausted"   // refused for now: no more codes may be sent
	ResultKeepOut     = "keep_out"    // refused: not enrolled, or nothing that counts can be set up
	ResultUnavailable = "unavailable" // refused: it cannot be decided
)

// An Explanation is what a login would come to, and why.
type Explanation struct {
	User         string   `json:"user"` // as NSS spells it; as given if there is no such account
	UID          *uint32  `json:"uid,omitempty"`
	Account      bool     `json:"account"` // whether there is one
	Service      string   `json:"service"`
	Address      string   `json:"address"` // "local": none
	Key          string   `json:"key,omitempty"`
	FirstFactors []string `json:"first_factors"`

	Result string       `json:"result"`
	Text   string       `json:"text"`   // the result, for people
	PAM    string       `json:"pam"`    // what PAM returns in the end, if all goes well
	Asks   []mfa.Method `json:"asks"`   // methods, of which one is asked for; the first comes first
	Offers []mfa.Method `json:"offers"` // enroll: what can be set up

	Rule     string    `json:"rule"`   // that counts; "policy": none of them
	Passed   []Passed  `json:"passed"` // the rules before it
	Settings *Settings `json:"settings,omitempty"`

	Enrolled    []mfa.Method       `json:"enrolled"`
	Preferred   mfa.Method         `json:"preferred,omitempty"`
	Skipped     *time.Time         `json:"skipped,omitempty"` // when the user chose to have no second factor
	Locked      bool               `json:"locked"`
	LockedUntil *time.Time         `json:"locked_until,omitempty"` // absent while locked: until unlocked
	Failures    int                `json:"failures"`               // wrong codes that count
	Sessions    []string           `json:"sessions"`               // remembered, that stand in for a code
	Directory   []DirectoryContact `json:"directory,omitempty"`    // what a directory says of where codes go
	Census      *Census            `json:"census,omitempty"`       // what the policy means for all of whom there is a record
	Policy      string             `json:"policy,omitempty"`       // Census, for people
	Problems    []string           `json:"problems"`               // what could not be read
}

// A Passed is a rule that does not match, and why.
type Passed struct {
	Rule string `json:"rule"`
	Key  string `json:"key"` // of the rule, that does not match
	Why  string `json:"why"`
}

// Settings are the policy for one login: the settings of the rule, and of [policy] for the
// rest.
type Settings struct {
	Mode          string       `json:"mode"`
	Methods       []mfa.Method `json:"methods"`
	Remember      string       `json:"remember"`
	OptOut        bool         `json:"opt_out"`
	EnrollAtLogin bool         `json:"enroll_at_login"`
	EnrollGrace   mfa.Duration `json:"enroll_grace"`
}

// A Census counts how a policy treats the users with a record: for each of them a login
// by ssh and password, from an address in no network that a rule names.
type Census struct {
	Users   int  `json:"users"`
	Alone   int  `json:"alone"`             // get in by the first factor alone
	Without int  `json:"without"`           // have a second factor, but none that counts, or that a code can be sent to: they prove it, and set up another
	Out     int  `json:"out"`               // of those: kept out, as they cannot prove it, or set one up at login
	Unknown int  `json:"unknown,omitempty"` // their groups could not be looked up
	Partly  bool `json:"partly,omitempty"`  // time was up before all were counted
}

// String says it for people.
func (c Census) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "of %d users with a record %d get in by the first factor alone, and %d have a second factor but none that counts",
		c.Users, c.Alone, c.Without)
	switch {
	case c.Out > 0:
		fmt.Fprintf(&b, " (%d of them are kept out)", c.Out)
	case c.Without > 0:
		b.WriteString(" (they prove what they have and are led to another)")
	}
	if c.Unknown > 0 {
		fmt.Fprintf(&b, "; the groups of %d could not be looked up", c.Unknown)
	}
	if c.Partly {
		b.WriteString("; not all were counted")
	}
	return b.String()
}
