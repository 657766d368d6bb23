package wire

import "mfa/internal/mfa"

// ImportSources are the programs that an Import can come from.
var ImportSources = []string{"google-authenticator", "oath-toolkit", SourcePSKC, SourceCSV}

// The sources that are files of tokens.
const (
	SourcePSKC = "pskc"       // RFC 6030
	SourceCSV  = "token list" // lines with commas
)

// An Import is a user's second factor as another program kept it.
type Import struct {
	UID         uint32    `json:"uid"`    // of the account; it is refused if the account has another
	Source      string    `json:"source"` // one of ImportSources
	TOTP        ImportApp `json:"totp"`
	HOTP        *NewToken `json:"hotp,omitempty"`         // a token that counts, in the place of the app
	LastStep    int64     `json:"last_step"`              // newest time step whose code was used there
	BackupCodes []string  `json:"backup_codes,omitempty"` // that are not used yet
	Replace     bool      `json:"replace,omitempty"`      // also in the place of an app that is set up
	DryRun      bool      `json:"dry_run,omitempty"`      // change nothing, only say what would be
}

// An ImportApp is an authenticator app to take over.
type ImportApp struct {
	Secret    string       `json:"secret"` // base32
	Digits    int          `json:"digits"`
	Period    mfa.Duration `json:"period"`
	Algorithm string       `json:"algorithm"`
}

// NewToken is a token that counts (RFC 4226), for a user to have.
type NewToken struct {
	Secret    string `json:"secret,omitempty"`    // base32, or hexadecimal where it is no Import; empty: an app that counts gets a new one
	Digits    int    `json:"digits,omitempty"`    // 0: 6
	Algorithm string `json:"algorithm,omitempty"` // empty: SHA1
	Count     int64  `json:"count,omitempty"`     // no code before that of this count is good
	Serial    string `json:"serial,omitempty"`    // number on it

	// Codes are two in a row that the token of the user shows now: it is moved forward to
	// there. All else is empty then.
	Codes []string `json:"codes,omitempty"`
}

// A ShelfToken is a token that waits for its user, who will say the number on it.
type ShelfToken struct {
	NewToken
	Replace bool `json:"replace,omitempty"` // also in the place of one of that number, or one that somebody took
	DryRun  bool `json:"dry_run,omitempty"` // change nothing, only say what would be
}

// Results for one part of an Import.
const (
	ImportedNew       = "new"       // there was none
	ImportedReplaced  = "replaced"  // in the place of another
	ImportedUnchanged = "unchanged" // it was taken over before
	ImportedKept      = "kept"      // there is another, which stays
)

// Imported is the result of an Import; with DryRun, what it would be.
type Imported struct {
	User  string `json:"user"` // of PutToken: who took the token, or empty
	App   string `json:"app"`
	Codes string `json:"codes,omitempty"` // empty: there were none
}
