package trylogin

import (
	"fmt"

	"github.com/msteinert/pam/v2"
)

// A Step is a call of libpam that has returned.
type Step struct {
	Call   string // pam_authenticate
	Status pam.Error
}

// String returns the call and what it returned, for people.
func (s Step) String() string {
	return fmt.Sprintf("%s: %s (%d): %s", s.Call, pamName(s.Status), int(s.Status), s.Status.Error())
}

// pamNames are the codes of Linux-PAM (_pam_types.h), by number.
var pamNames = [...]string{
	"SUCCESS", "OPEN_ERR", "SYMBOL_ERR", "SERVICE_ERR", "SYSTEM_ERR", "BUF_ERR", "PERM_DENIED", "AUTH_ERR",
	"CRED_INSUFFICIENT", "AUTHINFO_UNAVAIL", "USER_UNKNOWN", "MAXTRIES", "NEW_AUTHTOK_REQD", "ACCT_EXPIRED",
	"SESSION_ERR", "CRED_UNAVAIL", "CRED_EXPIRED", "CRED_ERR", "NO_MODULE_DATA", "CONV_ERR", "AUTHTOK_ERR",
	"AUTHTOK_RECOVERY_ERR", "AUTHTOK_LOCK_BUSY", "AUTHTOK_DISABLE_AGING", "TRY_AGAIN", "IGNORE", "ABORT",
	"AUTHTOK_EXPIRED", "MODULE_UNKNOWN", "BAD_ITEM", "CONV_AGAIN", "INCOMPLETE",
}

func pamName(status pam.Error) string {
	if i := int(status); i >= 0 && i < len(pamNames) {
		return "PAM_" + pamNames[i]
	}
	return "unknown"
}
