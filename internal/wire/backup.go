package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// BackupFormat names the format of a backup, and BackupVersion its version.
const (
	BackupFormat  = "mfa-backup"
	BackupVersion = 1
)

// A BackupHeader is the first item of a backup. It holds the key of the secrets in clear,
// so mfactl encrypts a backup before it writes it.
type BackupHeader struct {
	Format     string    `json:"format"`
	Version    int       `json:"version"`
	Made       time.Time `json:"made"`
	Host       string    `json:"host"`
	MFA        string    `json:"mfa"` // version of mfad
	Generation int       `json:"generation"`
	Key        string    `json:"key"`
}

// Check returns why this build cannot restore the backup, or nil.
func (h BackupHeader) Check() error {
	switch {
	case h.Format != BackupFormat:
		return errors.New("not a backup of mfa")
	case h.Version != BackupVersion:
		return fmt.Errorf("a backup of version %d; this build reads version %d", h.Version, BackupVersion)
	}
	return nil
}

// A Saved is the records of one user at one moment, as they stood in the store.
type Saved struct {
	User       string          `json:"user"`
	Enrollment string          `json:"enrollment,omitempty"` // TOML; empty: there was none
	State      json.RawMessage `json:"state,omitempty"`
	Problem    string          `json:"problem,omitempty"` // why a record could not be read; the rest is as far as it was read
}

// A Restore asks to restore one user of a backup.
type Restore struct {
	Header BackupHeader `json:"header"`
	Saved  Saved        `json:"saved"`
	DryRun bool         `json:"dry_run,omitempty"` // change nothing, only say what would be
}

// Results of a restore for one user.
const (
	RestoredNew       = "new"
	RestoredReplaced  = "replaced"
	RestoredUnchanged = "unchanged"
	RestoredOutdated  = "outdated" // the user had to enroll anew even then, so nothing is done
)

// Restored is the result of a Restore; with DryRun, what it would be.
type Restored struct {
	User   string `json:"user"`
	Result string `json:"result"` // one of the Restored constants
	// NoAccount says that no account has that name here, now.
	NoAccount bool `json:"no_account,omitempty"`
	// BackupVoid says that the backup codes which came back do not count.
	BackupVoid bool `json:"backup_void,omitempty"`
}
