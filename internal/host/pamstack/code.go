// Package pamstack reads the folders of Linux-PAM and works out how a stack of
// modules can end.
//
// What to know before trusting it: it follows libpam's own reading
// (pam_handlers.c) and its own walk (pam_dispatch.c), including what they do with
// lines that are wrong. Releases differ: it reads as the libpam found in the given folder
// does. A test compares all of it with the real libpam, of Debian 12 and of Debian 13, on
// random stacks. What a module can answer is from its manual page; an unknown one is taken
// for a first factor that may answer anything. Nothing is executed and nothing outside of
// the given folder is read.
package pamstack

import "strings"

// A Code is what a module, or a whole stack, returns: pam(3), <security/_pam_types.h>.
type Code uint8

// The codes this package names.
const (
	Success         Code = 0
	ServiceErr      Code = 3
	SystemErr       Code = 4
	PermDenied      Code = 6
	AuthErr         Code = 7
	AuthinfoUnavail Code = 9
	UserUnknown     Code = 10
	MaxTries        Code = 11
	NewAuthtokReqd  Code = 12
	ConvErr         Code = 19
	Ignore          Code = 25
	Abort           Code = 26
	ModuleUnknown   Code = 28

	codes = 32 // how many there are
)

// mustFail is what libpam returns when it has nothing to go by.
const mustFail = PermDenied

// codeNames are the codes as pam.conf(5) writes them, in order.
var codeNames = [codes]string{
	"success", "open_err", "symbol_err", "service_err", "system_err", "buf_err", "perm_denied",
	"auth_err", "cred_insufficient", "authinfo_unavail", "user_unknown", "maxtries",
	"new_authtok_reqd", "acct_expired", "session_err", "cred_unavail", "cred_expired", "cred_err",
	"no_module_data", "conv_err", "authtok_err", "authtok_recover_err", "authtok_lock_busy",
	"authtok_disable_aging", "try_again", "ignore", "abort", "authtok_expired", "module_unknown",
	"bad_item", "conv_again", "incomplete",
}

// String returns the code as pam.conf(5) writes it.
func (c Code) String() string {
	if c < codes {
		return codeNames[c]
	}
	return "no code"
}

// An action says what a code does to a stack. Above zero it is a jump over so
// many modules. Like libpam's it has 32 bits.
type action int32

const (
	actIgnore action = -iota
	actOK
	actDone
	actBad
	actDie
	actReset
	actUnset
)

var actionNames = []string{"ignore", "ok", "done", "bad", "die", "reset"}

// actions holds what each code does.
type actions [codes]action

// all returns actions that are alike.
func all(act action) (a actions) {
	for i := range a {
		a[i] = act
	}
	return a
}

// allBad is the actions of a control field that libpam cannot read.
func allBad() actions { return all(actBad) }

// fill sets what is unset.
func (a *actions) fill(act action) {
	for i := range a {
		if a[i] == actUnset {
			a[i] = act
		}
	}
}

// controlActions returns what the control field of a line means, other than
// include and substack. An error says why a bracketed one cannot be read: libpam
// then takes every code for a failure.
func controlActions(control string, ed edition) (actions, error) {
	a := all(actUnset)
	rest := actIgnore
	switch strings.ToLower(control) {
	case "required":
		a[Success], a[NewAuthtokReqd], a[Ignore], rest = actOK, actOK, actIgnore, actBad
	case "requisite":
		a[Success], a[NewAuthtokReqd], a[Ignore], rest = actOK, actOK, actIgnore, actDie
	case "optional":
		a[Success], a[NewAuthtokReqd] = actOK, actOK
	case "sufficient":
		a[Success], a[NewAuthtokReqd] = actDone, actDone
	default:
		if err := a.parse(control, ed); err != nil {
			return a, err
		}
		rest = actBad
	}
	a.fill(rest)
	return a, nil
}
