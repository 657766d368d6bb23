package mfa

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"time"
)

// An Enrollment is what an administrator or the user set up: users/NAME.toml.
// It changes by people's decisions, never by a login's counters.
type Enrollment struct {
	Version    int         `toml:"version"`
	UID        uint32      `toml:"uid"`                                  // the account it belongs to; another uid is another person
	Generation int         `toml:"generation,omitzero"`                  // how often everybody had to enroll anew before this
	Preferred  Method      `toml:"preferred,omitempty"`                  // offered first
	Skipped    *time.Time  `toml:"skipped,omitempty"`                    // when the user chose to have no second factor
	Language   string      `toml:"language,omitempty" json:",omitempty"` // of prompts and messages (RFC 5646); empty: that of the configuration
	Email      *Address    `toml:"email,omitempty"`
	SMS        *Address    `toml:"sms,omitempty"` // its address is a number in E.164
	TOTP       *TOTPSecret `toml:"totp,omitempty"`
	HOTP       *HOTPSecret `toml:"hotp,omitempty" json:",omitempty"`
	Backup     *BackupSet  `toml:"backup,omitempty"`
}

// Enrolled says whether there is a method that can decide a login by itself.
func (en Enrollment) Enrolled() bool {
	return en.Email != nil || en.SMS != nil || en.TOTP != nil || en.HOTP != nil
}

// Has says whether a method is set up.
func (en Enrollment) Has(m Method) bool {
	switch m {
	case Email:
		return en.Email != nil
	case SMS, Call:
		return en.SMS != nil
	case TOTP:
		return en.TOTP != nil
	case HOTP:
		return en.HOTP != nil
	case Backup:
		return en.Backup != nil
	}
	return false
}

// A TOTPSecret is what an authenticator app and the daemon share. The parameters
// are those of its setup: a change of [totp] does not break the app.
type TOTPSecret struct {
	Secret    string    `toml:"secret"` // sealed
	Algorithm string    `toml:"algorithm"`
	Digits    int       `toml:"digits"`
	Period    Duration  `toml:"period"`
	Confirmed time.Time `toml:"confirmed,omitempty"` // zero: no code of it was ever typed
}

// A HOTPSecret is what a token that counts (RFC 4226) and the daemon share. How far it
// has counted is kept in State, by the secret, so that putting back an old copy of a
// record, or setting the token up again, brings no used code back.
type HOTPSecret struct {
	Secret    string    `toml:"secret"` // sealed
	Algorithm string    `toml:"algorithm"`
	Digits    int       `toml:"digits"`
	Counter   int64     `toml:"counter"`             // no code before that of this count is good
	Serial    string    `toml:"serial,omitempty"`    // that is printed on the token
	Confirmed time.Time `toml:"confirmed,omitempty"` // zero: no code of it was ever typed
}

// A BackupSet is what is kept of backup codes that were made together:
// everything but the codes. It never changes. Which codes are used is kept in
// State, by ID and index, so that putting back an old copy of a set brings no
// used code back.
type BackupSet struct {
	ID      string   `toml:"id"`         // another one for each set
	Salt    string   `toml:"salt"`       // base64
	Memory  uint32   `toml:"memory_kib"` // of Argon2id (RFC 9106), as the next two
	Time    uint32   `toml:"time"`       // passes
	Threads uint8    `toml:"threads"`
	Hashes  []string `toml:"hashes"` // base64, one a code

	Made time.Time `toml:"made,omitempty" json:",omitzero"` // zero: by a build that did not say

	// How long the codes are; 0: as long as they were before this was written down.
	Symbols int `toml:"symbols,omitzero" json:",omitzero"`
}

// Contact returns where codes of a method are sent, or nil.
func (en Enrollment) Contact(m Method) *Address {
	switch m {
	case Email:
		return en.Email
	case SMS, Call:
		return en.SMS
	}
	return nil
}

// SetContact makes a the one that codes of the method m, Email, SMS or Call, are sent to.
func (en *Enrollment) SetContact(m Method, a *Address) {
	switch m {
	case Email:
		en.Email = a
	case SMS, Call:
		en.SMS = a
	}
}

// An Address is where codes are sent.
type Address struct {
	Address   string    `toml:"address"`
	Confirmed time.Time `toml:"confirmed,omitempty"` // zero: no code sent there was ever typed back
	AddedBy   string    `toml:"added_by,omitempty"`  // who entered it

	// Looked is when a directory said so; zero: it is of the record. It is not written
	// there.
	Looked time.Time `toml:"-" json:"-"`
}

// EnrollmentVersion is the newest Enrollment.Version this build reads and the
// one it writes.
const EnrollmentVersion = 1

// Fingerprint returns a hash of the account, the methods set up and the backup codes.
// The preferred method, the language and the confirmation of an address are no part of it. It holds
// sealed secrets as they are, so it changes when they are sealed anew.
func (en Enrollment) Fingerprint() string {
	en.Version, en.Preferred, en.Language = 0, "", ""
	for _, a := range []**Address{&en.Email, &en.SMS} {
		if *a != nil {
			*a = &Address{Address: (*a).Address}
		}
	}
	if en.TOTP != nil {
		app := *en.TOTP
		app.Confirmed = time.Time{}
		en.TOTP = &app
	}
	if en.HOTP != nil {
		token := *en.HOTP
		token.Confirmed, token.Serial = time.Time{}, ""
		en.HOTP = &token
	}
	b, err := json.Marshal(en)
	if err != nil {
		return "" // cannot be; and no session has it
	}
	sum := sha256.Sum256(b)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
