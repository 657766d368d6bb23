package pamstack

import (
	"slices"
	"strings"
)

// A Role is what a module is for within an auth stack.
type Role int

// The roles.
const (
	Neutral   Role = iota // changes nothing that matters here
	Factor                // a first factor: password, key, fingerprint, another code
	Condition             // looks at who or what it is, and asks nothing
	Second                // pam_mfa
)

// A module says what one may answer in an auth stack.
type module struct {
	role    Role
	answers []Code
}

// ours is the file name of our module.
const ours = "pam_mfa.so"

// Codes that modules return, from their manual pages. A first factor's Success means
// that it was right, everything else that it was not.
var (
	proves    = []Code{Success, AuthErr, UserUnknown, AuthinfoUnavail, MaxTries}
	provesOr  = []Code{Success, AuthErr, UserUnknown, AuthinfoUnavail, MaxTries, Ignore}
	secondary = []Code{Success, Ignore, AuthErr, MaxTries, AuthinfoUnavail, SystemErr, PermDenied, ConvErr}
	passes    = []Code{Success, AuthErr}
	permits   = []Code{Success, PermDenied}
	silent    = []Code{Ignore}
)

// Refusals are the codes with which pam_mfa refuses.
var Refusals = []Code{AuthErr, MaxTries, AuthinfoUnavail, SystemErr, PermDenied, ConvErr}

var modules = map[string]module{
	ours: {Second, secondary},

	"pam_unix":                 {Factor, proves},
	"pam_unix2":                {Factor, proves},
	"pam_sss":                  {Factor, proves},
	"pam_sss_gss":              {Factor, provesOr},
	"pam_ldap":                 {Factor, proves},
	"pam_krb5":                 {Factor, provesOr},
	"pam_winbind":              {Factor, proves},
	"pam_systemd_home":         {Factor, proves},
	"pam_fprintd":              {Factor, proves},
	"pam_google_authenticator": {Factor, proves},
	"pam_u2f":                  {Factor, proves},
	"pam_oath":                 {Factor, proves},
	"pam_yubico":               {Factor, proves},
	"pam_duo":                  {Factor, provesOr},
	"pam_radius_auth":          {Factor, proves},
	"pam_pkcs11":               {Factor, proves},
	"pam_ssh_agent_auth":       {Factor, proves},
	"pam_userdb":               {Factor, proves},
	"pam_pwdfile":              {Factor, proves},

	"pam_deny":   {Neutral, []Code{AuthErr}},
	"pam_permit": {Neutral, []Code{Success}},

	"pam_faildelay":     {Neutral, silent},
	"pam_env":           {Neutral, silent},
	"pam_echo":          {Neutral, silent},
	"pam_warn":          {Neutral, silent},
	"pam_issue":         {Neutral, silent},
	"pam_motd":          {Neutral, silent},
	"pam_group":         {Neutral, silent},
	"pam_gnome_keyring": {Neutral, []Code{Ignore, Success}},
	"pam_kwallet":       {Neutral, []Code{Ignore, Success}},
	"pam_kwallet5":      {Neutral, []Code{Ignore, Success}},
	"pam_mount":         {Neutral, []Code{Ignore, Success}},
	"pam_ecryptfs":      {Neutral, []Code{Ignore, Success}},
	"pam_cap":           {Neutral, []Code{Ignore, Success}},
	"pam_keyinit":       {Neutral, []Code{Ignore, Success}},
	"pam_mail":          {Neutral, []Code{Ignore, Success}},
	"pam_umask":         {Neutral, []Code{Ignore, Success}},
	"pam_faillock":      {Neutral, []Code{Success, Ignore, AuthErr}},
	"pam_tally2":        {Neutral, []Code{Success, AuthErr, MaxTries}},
	"pam_abl":           {Neutral, []Code{Success, AuthErr}},
	"pam_lastlog":       {Neutral, []Code{Ignore, Success, AuthErr}},
	"pam_lastlog2":      {Neutral, []Code{Ignore, Success}},
	"pam_exec":          {Neutral, []Code{Success, SystemErr}},

	"pam_nologin":    {Condition, []Code{Ignore, Success, AuthErr}},
	"pam_securetty":  {Condition, []Code{Success, AuthErr, Ignore}},
	"pam_shells":     {Condition, passes},
	"pam_succeed_if": {Condition, []Code{Success, AuthErr, ServiceErr}},
	"pam_localuser":  {Condition, permits},
	"pam_usertype":   {Condition, permits},
	"pam_rootok":     {Condition, passes},
	"pam_wheel":      {Condition, []Code{Success, PermDenied, Ignore}},
	"pam_time":       {Condition, []Code{Success, PermDenied, Ignore}},
	"pam_listfile":   {Condition, []Code{Success, AuthErr, Ignore}},
	"pam_access":     {Condition, permits},
	"pam_sepermit":   {Condition, []Code{Success, AuthErr, Ignore}},
	"pam_timestamp":  {Condition, passes},
	"pam_rhosts":     {Condition, passes},
}

// moduleOf returns what is known of a line's module. One that is not known may be
// a first factor and say anything.
func moduleOf(l Line) module {
	base := l.Base()
	if base == ours {
		if _, key := l.Arg("proven"); key {
			return module{Factor, []Code{Success, Ignore}} // it asks nothing: sshd had a key
		}
		if l.Has("split") {
			return module{Neutral, []Code{Ignore, SystemErr, AuthinfoUnavail, PermDenied, ConvErr}} // it proves nothing
		}
		return secondOf(l)
	}
	name := strings.TrimSuffix(base, ".so")
	m, known := modules[name]
	switch {
	case !known:
		return module{Factor, provesOr}
	case name == "pam_faillock":
		return faillockOf(l)
	case name == "pam_wheel" && !l.Has("trust"):
		return module{Condition, []Code{Ignore, PermDenied}}
	}
	if args, ok := ignoring[name]; ok && slices.ContainsFunc(args, l.Has) {
		return module{Factor, provesOr}
	}
	return m
}

// ignoring are the arguments that make a first factor say "ignore" of users whom
// it does not know, or when it cannot tell.
var ignoring = map[string][]string{
	"pam_sss":                  {"ignore_unknown_user", "ignore_authinfo_unavail"},
	"pam_ldap":                 {"ignore_unknown_user", "ignore_authinfo_unavail"},
	"pam_google_authenticator": {"nullok"},
	"pam_yubico":               {"nullok"},
	"pam_u2f":                  {"nouserok"},
	"pam_radius_auth":          {"localifdown"},
}

// secondOf leaves out what our module's arguments rule out.
func secondOf(l Line) module {
	m := module{role: Second}
	exempt, _ := l.Arg("exempt")
	unavailable, _ := l.Arg("unavailable")
	for _, c := range secondary {
		if c == Ignore && exempt == "success" && unavailable != "ignore" {
			continue
		}
		m.answers = append(m.answers, c)
	}
	return m
}

// faillockOf follows pam_faillock(8): authfail counts and asks to be ignored.
func faillockOf(l Line) module {
	if l.Has("authfail") {
		return module{Neutral, []Code{Ignore, AuthErr}}
	}
	return module{Neutral, []Code{Success, AuthErr}}
}

// RoleOf returns what a line is for.
func RoleOf(l Line) Role {
	if l.Broken != "" {
		return Neutral
	}
	return moduleOf(l).role
}
