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

// A BackupHeader says what a backup is of. It holds the key of the secrets.
type BackupHeader struct {
	Format     string    `json:"format"`
	Version    int       `json:"version"`
	Made       time.Time `json:"made"`
	Host       string    `json:"host"`
	MFA        string    `json:"mfa"` // version of mfad
	Generation int       `json:"generation"`
	Key        string    `json:"key"`
}

// Check says why this build cannot restore such a backup.
func (h BackupHeader) Check() error {
	switch {
	case h.Format != BackupFormat:
		return errors.New("not a backup of mfa")
	case h.Version != BackupVersion:
		return fmt.Errorf("a backup of version %d; this build reads version %d", h.Version, BackupVersion)
	}
	return nil
}

// A Saved is what was kept of one user at one moment, as it stood in the store.
type Saved struct {
	User       string          `json:"user"`
	Enrollment string          `json:"enrollment,omitempty"` // TOML; empty: there was none
	State      json.RawMessage `json:"state,omitempty"`
	Problem    string          `json:"problem,omitempty"` // why it could not be read; the rest is as far as it could
}

// A Restore asks for one user of a backup to be put back.
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

// Restored says what became of a Restore, or would.
type Restored struct {
	User   string `json:"user"`
	Result string `json:"result"` // one of RestoredNew and its like
	// NoAccount says that no account has that name here, now.
	NoAccount bool `json:"no_account,omitempty"`
	// BackupVoid says that the backup codes which came back do not count.
	BackupVoid bool `json:"backup_void,omitempty"`
}
