package mfa

import "time"

// A State is what logins remember of a user: counters and one-time things. It
// changes only by compare-and-swap.
type State struct {
	UID         uint32        `json:"uid"`
	Epoch       int64         `json:"epoch,omitempty"`        // changes whenever conversations under way must begin again; see NewEpoch
	Failures    []time.Time   `json:"failures,omitempty"`     // oldest first, within the lockout window
	LockedUntil *time.Time    `json:"locked_until,omitempty"` // nil: not locked
	LockedHard  bool          `json:"locked_hard,omitempty"`  // locked until an administrator unlocks
	Sends       []time.Time   `json:"sends,omitempty"`        // codes sent within the send window to places where the user was never seen, oldest first
	PlaceSends  []PlaceSend   `json:"place_sends,omitempty"`  // codes sent within it to all other places
	Pending     []PendingCode `json:"pending,omitempty"`      // codes sent and not yet used, one an origin
	Ended       []EndedCode   `json:"ended,omitempty"`        // codes sent that are good no more, oldest first
	TOTPStep    int64         `json:"totp_step,omitempty"`    // step of the newest code accepted
	Drift       *Drift        `json:"drift,omitempty"`        // what the newest wrong code of the app says of its clock
	BackupID    string        `json:"backup_id,omitempty"`    // the set that BackupUsed speaks of
	BackupUsed  []int         `json:"backup_used,omitempty"`  // indices of its codes that are spent
	Enrolling   *Enrolling    `json:"enrolling,omitempty"`    // an enrollment that was begun and not confirmed
	EnrollSince *time.Time    `json:"enroll_since,omitempty"` // when enrolling was asked for first
	Sessions    []Session     `json:"sessions,omitempty"`     // logins that are remembered

	MethodFailures map[Method]int `json:"method_failures,omitempty"` // wrong codes of a method since its last right one
	Apart          *FailureCounts `json:"apart,omitempty"`           // wrong codes in what peers that are not root asked

	LockedBy           string           `json:"locked_by,omitempty"`            // the administrator who locked; empty: wrong codes did
	Recovery           *Recovery        `json:"recovery,omitempty"`             // a code that ends the lock
	LockMails          []time.Time      `json:"lock_mails,omitempty"`           // mails about locks of the last day
	MustChangePassword bool             `json:"must_change_password,omitempty"` // the next accepted login demands it
	Seen               []string         `json:"seen,omitempty"`                 // where right codes came from, newest last
	Told               []AddressNoticed `json:"told,omitempty"`                 // addresses told of in the last day
	Invited            *Invitation      `json:"invited,omitempty"`              // the newest message about an address to confirm

	LockedFor Duration   `json:"locked_for,omitzero"` // how long LockedUntil was ahead when it was set
	Since     *time.Time `json:"since,omitempty"`     // all codes of before count as used: it is not known which were

	BackupSince  *time.Time   `json:"backup_since,omitempty"`  // no set of backup codes made by then counts, but BackupID
	SpentForeign []SpentCodes `json:"spent_foreign,omitempty"` // used codes that another program made, which could hand them over again

	Tokens      []TokenCount `json:"tokens,omitempty"`       // how far each token has counted that is or was set up, the newest last
	TokensSince *time.Time   `json:"tokens_since,omitempty"` // nothing is known of what other tokens had counted by then: none of their codes is good

	Contacts *Contacts `json:"contacts,omitempty"` // what a directory said last of where codes can go

	ShelfTries []time.Time `json:"shelf_tries,omitempty"` // wrong codes of the last day for tokens that wait for their user

	Offline *time.Time `json:"offline,omitempty"` // kept on a host that cannot reach the fleet's store, and heard of it last then; never stored there
	Merged  []Merge    `json:"merged,omitempty"`  // the newest merge of each host of what was decided there without the fleet's store, the newest last
}

// NewEpoch ends what conversations under way may do: they saw an older epoch, so they
// change nothing any more and let nobody in. The new epoch is at least now, in
// nanoseconds since 1970, so that a reset does not bring an old one back.
func (s *State) NewEpoch(now time.Time) { s.Epoch = max(s.Epoch+1, now.UnixNano()) }

// A Merge says that what a host decided without the fleet's store is in a State.
type Merge struct {
	Host string `json:"host"`
	Mark string `json:"mark"` // of that merge
}

// A TokenCount is how far one token has counted.
type TokenCount struct {
	Token string `json:"token"` // names it, by its secret
	Next  int64  `json:"next"`  // no code before that of this count is good any more

	// Far is the count that the next answer has to be the code of, for the token to be
	// taken at it: the answer before was the code of the count before, too far ahead to
	// be good by itself. 0: the newest answer was no such code.
	Far int64 `json:"far,omitempty"`
}

// SpentCodes are used backup codes of one set; see BackupSet for the fields.
type SpentCodes struct {
	ID      string   `json:"id"`
	Salt    string   `json:"salt"`
	Memory  uint32   `json:"memory_kib"`
	Time    uint32   `json:"time"`
	Threads uint8    `json:"threads"`
	Symbols int      `json:"symbols,omitempty"`
	Hashes  []string `json:"hashes"`
}

// Set returns the set that the codes are of, with the hashes of the used ones only.
func (c SpentCodes) Set() BackupSet {
	return BackupSet{ID: c.ID, Salt: c.Salt, Memory: c.Memory, Time: c.Time, Threads: c.Threads, Symbols: c.Symbols, Hashes: c.Hashes}
}

// Later returns the later of two times. Either may be nil, which is before any time.
func Later(a, b *time.Time) *time.Time {
	if a == nil || b != nil && b.After(*a) {
		return b
	}
	return a
}

// A Drift is how far the clock of a user's app seems to be off: what was typed was
// the code of another time.
type Drift struct {
	Step int64         `json:"step"` // whose code was typed
	Off  time.Duration `json:"off"`  // its time less that of the typing
	At   time.Time     `json:"at"`   // of the typing
	Sure bool          `json:"sure,omitempty"`
}

// A FailureCounts is wrong codes that are counted apart, and what they led to; see State for
// the fields.
type FailureCounts struct {
	Failures       []time.Time    `json:"failures,omitempty"`
	LockedUntil    *time.Time     `json:"locked_until,omitempty"`
	LockedHard     bool           `json:"locked_hard,omitempty"`
	MethodFailures map[Method]int `json:"method_failures,omitempty"`
}

// A Recovery is a code that was mailed at a lock and ends it, once. The code itself
// is not in it.
type Recovery struct {
	Nonce   []byte    `json:"nonce"`
	MAC     []byte    `json:"mac"` // keyed hash of the code
	Expires time.Time `json:"expires"`
	Tries   int       `json:"tries,omitempty"` // wrong ones so far
}

// A PlaceSend is one code that was sent. They are counted by where they are asked for:
// each place that the user was seen at by itself, all that is no place together, and
// what each program asks that is not root. Nobody uses up what another has.
type PlaceSend struct {
	Origin string    `json:"origin"` // names the group in which it is counted
	At     time.Time `json:"at"`
}

// An AddressNoticed is an address from which wrong codes came, and when the user
// was told so.
type AddressNoticed struct {
	Address string    `json:"address"`
	At      time.Time `json:"at"`
}

// An Invitation is a message to an address that an administrator entered: that
// the next login confirms it.
type Invitation struct {
	To   string    `json:"to"`
	Sent time.Time `json:"sent"`
}

// Contacts are where a user's codes can go by what a directory said.
type Contacts struct {
	Source string    `json:"source"` // of ldap, userdb and command
	Email  string    `json:"email,omitempty"`
	Phone  string    `json:"phone,omitempty"` // in E.164
	At     time.Time `json:"at"`              // of the look-up
}

// Of returns where codes of a method can go; empty: nowhere.
func (c Contacts) Of(m Method) string {
	switch m {
	case Email:
		return c.Email
	case SMS:
		return c.Phone
	}
	return ""
}

// Set makes to what Of returns for the method m, Email or SMS.
func (c *Contacts) Set(m Method, to string) {
	switch m {
	case Email:
		c.Email = to
	case SMS:
		c.Phone = to
	}
}
