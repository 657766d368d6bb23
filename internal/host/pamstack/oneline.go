package pamstack

import (
	"slices"
	"strings"
)

// IsSplit says whether a line is our module cutting the code off the password in one line.
func IsSplit(l Line) bool { return l.Base() == ours && l.Has("split") }

// takers are first factors that take the password which stands in PAM_AUTHTOK, if they are
// told so (their manual pages).
var takers = []string{
	"pam_unix", "pam_unix2", "pam_sss", "pam_ldap", "pam_krb5", "pam_winbind", "pam_radius_auth", "pam_userdb", "pam_pwdfile",
}

// TakesPassword says whether a first factor takes the password of the line above, and whether
// it could. Of pam_unix it is what it does by itself, unless that is empty.
func TakesPassword(l Line) (takes, could bool) {
	could = slices.Contains(takers, strings.TrimSuffix(l.Base(), ".so"))
	return could && (l.Has("use_first_pass") || l.Has("try_first_pass")), could
}
