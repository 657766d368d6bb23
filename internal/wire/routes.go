package wire

import (
	"net/url"
	"strings"
)

// A Route is one resource of the control socket: a method and a path, as a pattern
// of http.ServeMux. For fills in its parts.
type Route string

// The routes of the control socket. The server serves these and no others.
const (
	GetStatus  Route = "GET /v1/status"  // answers a Status
	PostReload Route = "POST /v1/reload" // takes mfa.toml as it is now; answers a Reloaded

	ListUsers   Route = "GET /v1/users"                        // a stream of User
	GetUser     Route = "GET /v1/users/{name}"                 // a User
	PutEmail    Route = "PUT /v1/users/{name}/email"           // takes a Contact; answers a User
	PutPhone    Route = "PUT /v1/users/{name}/phone"           // takes a Contact; answers a User
	PutLanguage Route = "PUT /v1/users/{name}/language"        // takes a Language; answers a User
	PostApp     Route = "POST /v1/users/{name}/totp"           // makes a new app; answers a NewApp
	PutToken    Route = "PUT /v1/tokens/{serial}"              // takes a ShelfToken; answers an Imported, whose user is who took it
	PostToken   Route = "POST /v1/users/{name}/hotp"           // takes a NewToken; answers a NewApp, empty if a secret was given
	PostLock    Route = "POST /v1/users/{name}/lock"           // takes a LockRequest; answers a Lock
	PostUnlock  Route = "POST /v1/users/{name}/unlock"         // answers an Unlocked
	PostReset   Route = "POST /v1/users/{name}/reset"          // answers a Cleared
	PostResend  Route = "POST /v1/users/{name}/confirm-resend" // answers a Resent
	PostImport  Route = "POST /v1/users/{name}/import"         // takes an Import; answers an Imported
	GetRecord   Route = "GET /v1/users/{name}/record"          // a Record; root only
	PutRecord   Route = "PUT /v1/users/{name}/record"          // takes an Edit; answers an Edited; root only

	ListSessions       Route = "GET /v1/sessions"                           // of everybody: Sessions
	DeleteSessions     Route = "DELETE /v1/sessions"                        // of everybody: a Revocation
	ListUserSessions   Route = "GET /v1/users/{name}/sessions"              // Sessions
	DeleteUserSessions Route = "DELETE /v1/users/{name}/sessions"           // a Revocation
	DeleteUserSession  Route = "DELETE /v1/users/{name}/sessions/{session}" // a Revocation

	PostContacts Route = "POST /v1/contacts"          // takes Contacts; answers ContactsSet
	GetDirectory Route = "GET /v1/directory"          // tries the directory of [contacts]; answers a Directory
	GetFleet     Route = "GET /v1/fleet"              // looks at etcd and at the hosts that share it; answers a Fleet
	PostExplain  Route = "POST /v1/explain"           // takes a Visit; answers an Explanation
	PostSendTest Route = "POST /v1/send-test"         // takes a SendTest; answers a SendTestReport
	GetBackup    Route = "GET /v1/backup"             // a stream: a BackupHeader, then Saved; root only
	PostRestore  Route = "POST /v1/restore"           // takes a Restore; answers a Restored; root only
	PostRotate   Route = "POST /v1/key/rotate"        // a stream of Resealed
	PostMigrate  Route = "POST /v1/migrate/{backend}" // a stream of Migrated; root only

	PostSelf Route = "POST /v1/self/{verb}" // a conversation, see Upgrade
)

// Routes lists every route.
var Routes = []Route{
	GetStatus, PostReload, ListUsers, GetUser, PutEmail, PutPhone, PutLanguage, PostApp, PutToken, PostToken, PostLock, PostUnlock, PostReset,
	PostResend, PostImport, GetRecord, PutRecord, PostContacts, ListSessions, DeleteSessions, ListUserSessions, DeleteUserSessions, DeleteUserSession,
	GetDirectory, GetFleet, PostExplain, PostSendTest, GetBackup, PostRestore, PostRotate, PostMigrate, PostSelf,
}

// Queries of some routes.
const (
	QueryReveal   = "reveal"   // ListUsers, GetUser: "true" shows addresses without masks
	QueryAhead    = "ahead"    // PostUnlock: "true" ends what a clock that ran ahead left, and no lock
	QueryMethod   = "method"   // PostSelf with SelfPrefer: the method to prefer
	QueryLanguage = "language" // PostSelf with SelfLanguage: as Language.Language
	QueryTTY      = "tty"      // PostSelf: the terminal, which may show nothing but ASCII
)

// Yes is the value of a query that is a flag.
const Yes = "true"

// A Resource is a Route whose parts are filled in: what a client asks for.
type Resource struct {
	method string
	path   string // escaped, with its query
}

// For returns the resource with the parts of the path in braces filled in, in order. It
// escapes them, so that a slash in a name ends no part. A missing part is empty; surplus
// parts are dropped.
func (r Route) For(parts ...string) Resource {
	method, path, _ := strings.Cut(string(r), " ")
	segments := strings.Split(path, "/")
	for i, s := range segments {
		if !strings.HasPrefix(s, "{") {
			continue
		}
		segments[i] = ""
		if len(parts) > 0 {
			segments[i], parts = url.PathEscape(parts[0]), parts[1:]
		}
	}
	return Resource{method: method, path: strings.Join(segments, "/")}
}

// With returns the resource with one more query, which it escapes.
func (r Resource) With(key, value string) Resource {
	mark := "?"
	if strings.Contains(r.path, "?") {
		mark = "&"
	}
	r.path += mark + key + "=" + url.QueryEscape(value)
	return r
}
