package wire

import (
	"time"

	"mfa/internal/mfa"
)

// A User describes a user. Addresses are masked, unless the request has QueryReveal.
type User struct {
	User               string             `json:"user"`
	UID                uint32             `json:"uid"`
	Email              string             `json:"email,omitempty"`
	EmailConfirmed     *time.Time         `json:"email_confirmed,omitempty"`
	EmailAddedBy       string             `json:"email_added_by,omitempty"`
	Phone              string             `json:"phone,omitempty"`
	PhoneConfirmed     *time.Time         `json:"phone_confirmed,omitempty"`
	PhoneAddedBy       string             `json:"phone_added_by,omitempty"`
	TOTP               *time.Time         `json:"totp,omitempty"`             // when a code of the app was typed first; the zero time: never
	TOTPUnconfirmed    bool               `json:"totp_unconfirmed,omitempty"` // no code of the app was ever typed
	HOTP               *Token             `json:"hotp,omitempty"`             // the token that counts
	BackupLeft         *int               `json:"backup_left,omitempty"`      // codes that are not used
	BackupVoid         bool               `json:"backup_void,omitempty"`      // none of them counts: new ones are to be made
	Preferred          mfa.Method         `json:"preferred,omitempty"`
	Language           string             `json:"language,omitempty"` // of prompts and messages; absent: that of prompt.language
	Skipped            *time.Time         `json:"skipped,omitempty"`  // when the user chose to have no second factor
	Outdated           bool               `json:"outdated,omitempty"` // must enroll anew, after policy.mode was off
	Failures           int                `json:"failures"`
	Locked             bool               `json:"locked"`
	LockedUntil        *time.Time         `json:"locked_until,omitempty"`         // absent while locked: until unlocked
	Apart              *Apart             `json:"apart,omitempty"`                // what is counted apart from logins
	PendingCodes       int                `json:"pending_codes"`                  // sent, unused and not expired
	CodesSent          int                `json:"codes_sent"`                     // asked for from where the user was never seen, since such codes were last counted
	LockedBy           string             `json:"locked_by,omitempty"`            // absent while locked: by wrong codes
	Recoverable        bool               `json:"recoverable,omitempty"`          // a code that ends the lock was mailed
	Disabled           []mfa.Method       `json:"disabled,omitempty"`             // methods that took too many wrong codes
	MustChangePassword bool               `json:"must_change_password,omitempty"` // the next login demands it
	Problem            string             `json:"problem,omitempty"`              // why the record cannot be read; then nothing but User is set
	Methods            []mfa.Method       `json:"methods,omitempty"`              // set up
	Ahead              []string           `json:"ahead,omitempty"`                // what is remembered of a time that has not come
	Directory          []DirectoryContact `json:"directory,omitempty"`            // what a directory says, as far as it is remembered
	DirectoryProblem   string             `json:"directory_problem,omitempty"`    // why it cannot be asked now
	Canonical          string             `json:"canonical,omitempty"`            // name of the account that has the uid, if another; the record does not count
}

// A DirectoryContact is where codes of a method can go by what a directory says.
type DirectoryContact struct {
	Method  mfa.Method `json:"method"`  // Email or SMS
	Address string     `json:"address"` // masked as others are
	Source  string     `json:"source"`  // contacts.source
	At      time.Time  `json:"at"`      // of the look-up
	Counts  bool       `json:"counts"`  // codes go there
}

// Directory says how the directory is that contacts.source chose.
type Directory struct {
	Source    string `json:"source"` // empty: none
	Confirmed bool   `json:"confirmed"`
	Problem   string `json:"problem,omitempty"` // why it does not answer
}

// Apart counts the wrong codes of peers that are not root. A lock by them refuses what
// such peers ask for, and no login.
type Apart struct {
	Failures    int        `json:"failures"`
	Locked      bool       `json:"locked"`
	LockedUntil *time.Time `json:"locked_until,omitempty"` // absent while locked: until unlocked
}

// Token is what is shown of a token that counts.
type Token struct {
	Serial    string     `json:"serial,omitempty"`    // number on it
	Confirmed *time.Time `json:"confirmed,omitempty"` // absent: no code of it was ever typed
	Next      int64      `json:"next"`                // count of the next code
	Void      bool       `json:"void,omitempty"`      // how far it had counted is not known: no code of it is good
}

// Contact is where codes of a method shall go.
type Contact struct {
	Address string `json:"address"` // of mail, or a number in E.164
	Silent  bool   `json:"silent"`  // do not tell the user
}

// Language is that of a user's prompts and messages: a tag (RFC 5646), or DefaultLanguage.
type Language struct {
	Language string `json:"language"`
}

// DefaultLanguage stands for that of prompt.language.
const DefaultLanguage = "default"

// NewApp is the text that a user needs once to set up a new authenticator app, or an app
// that counts in the place of a token.
type NewApp struct {
	Text string `json:"text"`         // the key, and the address that has it
	QR   string `json:"qr,omitempty"` // the address as a QR code, unless prompt.qr is off
	User string `json:"user"`

	Replaces bool `json:"replaces,omitempty"` // the user had one before, which counts no more
}

// LockRequest asks for a lock.
type LockRequest struct {
	For mfa.Duration `json:"for,omitempty"` // zero: until unlocked
}

// Lock is a lock of a user.
type Lock struct {
	User  string     `json:"user"`
	Until *time.Time `json:"until,omitempty"` // absent: until unlocked
}

// Unlocked is the result of an unlock.
type Unlocked struct {
	User      string   `json:"user"`
	WasLocked bool     `json:"was_locked"`
	Ended     []string `json:"ended,omitempty"` // parts of the record that had times in the future
}

// Cleared is the result of a reset.
type Cleared struct {
	User        string `json:"user"` // the canonical name
	WasEnrolled bool   `json:"was_enrolled"`
}

// Resent is where the message about an unconfirmed address went.
type Resent struct {
	User     string `json:"user"`
	To       string `json:"to"`        // masked
	UnderWay bool   `json:"under_way"` // the relay has not taken it yet; the log tells how it ends
}
