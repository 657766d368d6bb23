package wire

import "mfa/internal/mfa"

// ImportSources are the programs that an Import can come from.
var ImportSources = []string{"google-authenticator", "oath-toolkit"}

// An Import is a user's second factor as another program kept it.
type Import struct {
	UID         uint32    `json:"uid"`    // of the account; it is refused if the account has another
	Source      string    `json:"source"` // one of ImportSources
	TOTP        ImportApp `json:"totp"`
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

// Results for one part of an Import.
const (
	ImportedNew       = "new"       // there was none
	ImportedReplaced  = "replaced"  // in the place of another
	ImportedUnchanged = "unchanged" // it was taken over before
	ImportedKept      = "kept"      // there is another, which stays
)

// Imported is the result of an Import; with DryRun, what it would be.
type Imported struct {
	User  string `json:"user"`
	App   string `json:"app"`
	Codes string `json:"codes,omitempty"` // empty: there were none
}
