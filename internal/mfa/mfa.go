// Package mfa holds the words that every other room speaks: what a login asks
// for, what is said to the person, what is decided, and what is remembered of a
// user.
//
// It imports nothing of ours, does no I/O and reads no clock. Every type is a
// plain value: copy it freely, but a value shared between goroutines is its
// owner's to guard. The zero Verdict is a refusal, so code that forgets to
// decide never opens a door.
package mfa

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Version of the three programs. The build sets it with -ldflags -X.
var Version = "0.1.0-dev"

// A Request is what a PAM application told the module about one login.
// Every field may be empty, and every field but UID comes from outside.
type Request struct {
	Service       string // PAM_SERVICE: "sshd", "sudo"
	User          string // PAM_USER as typed, not yet canonical
	RHost         string // PAM_RHOST: an address, a host name or nothing
	TTY           string // PAM_TTY
	RUser         string // PAM_RUSER
	SSHAuthInfo   string // SSH_AUTH_INFO_0 of sshd(8): first factors proven, one a line
	SSHConnection string // SSH_CONNECTION of ssh(1): client address, port, server address, port
	Module        string // version of the module that asks
	Held          string // what the module holds in a login in one line: HeldAnswer or HeldNothing; else empty
	Flags         uint32 // flags of pam_authenticate(3)
	UID           uint32 // of the process that asks, from SO_PEERCRED; never from the frame
}

// A PromptKind says what the other end does with a Prompt's text.
type PromptKind uint8

// The kinds of prompt, as in pam_conv(3).
const (
	Info      PromptKind = iota // show it, expect nothing
	Failure                     // show it as an error, expect nothing
	Ask                         // show it, read a line with echo
	AskHidden                   // show it, read a line without echo
)

// A Prompt is one thing said to the person who logs in.
type Prompt struct {
	Kind PromptKind
	Text string // may have several lines; no control bytes but \n
}

// Errors of a conversation. A Prompter's error wraps one of them, or the cause
// why the connection ended.
var (
	// ErrNoConversation: the application could not or would not answer
	// (BatchMode, the password method of sshd, the person pressed Ctrl-C).
	ErrNoConversation = errors.New("the application cannot hold a conversation")
	// ErrPasswordTyped: the answer was the first factor's password. The module
	// kept it to itself; it is not an attempt.
	ErrPasswordTyped = errors.New("the password was given in place of a code")
)

// A Withheld is the error in place of an answer that the application kept to itself,
// because it lets nobody in by that name. Its value is the number of bytes that were
// typed. sshd does so for names that do not exist, and for those that its
// configuration refuses.
type Withheld int

// Error says so.
func (w Withheld) Error() string {
	return fmt.Sprintf("the application withheld an answer of %d bytes", int(w))
}

// junkPassword are the bytes that sshd gives, over and over, in place of each that was
// typed: fake_password in its auth-pam.c.
const junkPassword = "\b\n\r\x7fINCORRECT"

// IsWithheld says whether an answer, as it came, is one that sshd withheld.
func IsWithheld(answer string) (w Withheld, is bool) {
	n := len(answer)
	return Withheld(n), n > 0 && strings.Repeat(junkPassword, n/len(junkPassword)+1)[:n] == answer
}

// An Ended is the cause (context.Cause) of the context of a conversation that was ended
// from outside. It decides the verdict, whatever was answered.
type Ended struct {
	Outcome Outcome // a refusal
	Text    string  // for the person; empty: nothing is shown
	Err     error   // the reason, for the log and audit
}

// Error says why.
func (e Ended) Error() string { return e.Err.Error() }

// Unwrap returns why.
func (e Ended) Unwrap() error { return e.Err }

// ErrStopping is the cause of a conversation that ended because the daemon stops.
var ErrStopping error = Ended{
	Outcome: Unavailable, Text: "The second factor service restarts. Please log in again.",
	Err: errors.New("the daemon is stopping"),
}

// An Outcome is how a login ended; the module turns it into a PAM code.
type Outcome uint8

// The outcomes. The zero value is a refusal.
const (
	Broken         Outcome = iota // protocol broken or a fault of ours
	Accepted                      // second factor proven
	Exempt                        // policy asks for none here
	WrongCode                     // a wrong code, and no further answer
	Exhausted                     // attempts used up, or locked
	MustEnroll                    // must enroll but may not here
	Unavailable                   // store out of reach, or too many logins
	NoConversation                // nobody answered
	NotAllowed                    // the program that asks may not ask for this user
	CodeSent                      // a code was sent, and nothing can be asked here: the next login carries it
)

var outcomeNames = [...]string{
	Broken: "broken", Accepted: "accepted", Exempt: "exempt", WrongCode: "wrong_code",
	Exhausted: "exhausted", MustEnroll: "must_enroll", Unavailable: "unavailable",
	NoConversation: "no_conversation", NotAllowed: "not_allowed",
	CodeSent: "code_sent",
}

// String returns the stable name used in logs and in the audit file.
func (o Outcome) String() string {
	if int(o) < len(outcomeNames) {
		return outcomeNames[o]
	}
	return "broken"
}

// A Prompter is the far end of a conversation: a PAM application, mfactl in a
// terminal, or a script in a test. Prompt shows p and, if p asks, returns the
// line typed, else "". Its error wraps ErrNoConversation, ErrPasswordTyped, a Withheld
// or the cause why the connection ended. Only one goroutine may use a Prompter at once.
type Prompter interface {
	Prompt(ctx context.Context, p Prompt) (answer string, err error)
}

// A Verdict is the end of one login.
type Verdict struct {
	Outcome        Outcome
	Untried        bool   // exhausted, though no wrong code was typed in this login
	ChangePassword bool   // acct_mgmt shall demand a password change
	Method         Method // the method that decided, if one did
	Reason         string // for logs and audit; never a secret
}

// Refuses reports whether the verdict denies the login.
func (v Verdict) Refuses() bool { return v.Outcome != Accepted && v.Outcome != Exempt }

// A Method is a kind of second factor, by the name it has in mfa.toml.
type Method string

// The methods.
const (
	Email  Method = "email"
	SMS    Method = "sms"
	Call   Method = "call" // reads a code out at the number that SMS has
	TOTP   Method = "totp"
	HOTP   Method = "hotp"
	Backup Method = "backup"
)

// Rings says whether codes of the method go to the user's number.
func (m Method) Rings() bool { return m == SMS || m == Call }

// An Identity is a user as NSS knows them. Names from outside become an
// Identity before they name a record.
type Identity struct {
	Name string // canonical, as NSS spells it
	UID  uint32
}

// An Origin is where a login comes from. A sent code belongs to a user and an
// Origin: another address cannot use it up.
type Origin struct {
	Service string
	Address string // IP address in its shortest form, host name, or "local"
	Key     string // SHA256:… of the SSH key that was the first factor, or empty
	UID     uint32 // of the process that asks; 0 is root, and only root's word on Service can be trusted
	Here    bool   // the address is the one that the login was made to
	Host    string // of a fleet; empty: there is only this one
}

// String returns the origin as one word, which is stored. Origins that differ in more
// than Here have different words.
func (o Origin) String() string {
	word := o.Service + "|" + o.Address + "|" + o.Key
	if o.UID != 0 {
		word += "|" + strconv.FormatUint(uint64(o.UID), 10)
	}
	if o.Host != "" {
		word += "|@" + o.Host
	}
	return word
}

// An Enrollment is what an administrator or the user set up: users/NAME.toml.
// It changes by people's decisions, never by a login's counters.
type Enrollment struct {
	Version    int         `toml:"version"`
	UID        uint32      `toml:"uid"`                 // the account it belongs to; another uid is another person
	Generation int         `toml:"generation,omitzero"` // how often everybody had to enroll anew before this
	Preferred  Method      `toml:"preferred,omitempty"` // offered first
	Skipped    *time.Time  `toml:"skipped,omitempty"`   // when the user chose to have no second factor
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

// A TokenCount is how far one token has counted.
type TokenCount struct {
	Token string `json:"token"` // names it, by its secret
	Next  int64  `json:"next"`  // no code before that of this count is good any more

	// Far is the count that the next answer has to be the code of, for the token to be
	// taken at it: the answer before was the code of the count before, too far ahead to
	// be good by itself. 0: the newest answer was no such code.
	Far int64 `json:"far,omitempty"`
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
	Apart          *Tally         `json:"apart,omitempty"`           // wrong codes in what peers that are not root asked

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

// A Tally is wrong codes that are counted apart, and what they led to; see State for
// the fields.
type Tally struct {
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
	Origin string    `json:"origin"` // names the tally
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

// An EnrollOffer is what somebody who has no second factor may choose.
type EnrollOffer struct {
	Methods      []Method
	Skip         bool          // to have none, and not be asked again
	Later        time.Duration // if over zero: to be asked again, for so long yet
	NotNow       bool          // to be asked again, by whoever has proven a second factor that does not count
	SelfContacts bool          // to say themselves where codes go

	Known     map[Method]string // where codes can go by what a directory says, if the user confirms it
	OnlyKnown bool              // and nowhere else
}

// Choices returns the methods that the user can set up by themselves.
func (o EnrollOffer) Choices() []Method {
	var ms []Method
	for _, m := range o.Methods {
		if m == TOTP || m == HOTP || (m == Email || m.Rings()) && (o.SelfContacts || o.Known[m] != "") {
			ms = append(ms, m)
		}
	}
	return ms
}

// An Enrolling is a method that a user has begun to set up. It is no part of the
// enrollment before it is confirmed, and survives a dropped connection. It belongs to
// the origin that began it: there is one of a user at a time, and the next one voids it.
type Enrolling struct {
	ID     string    `json:"id,omitempty"`     // another one for each
	Origin string    `json:"origin,omitempty"` // that began it; empty: an older version wrote it, and nobody goes on with it
	Method Method    `json:"method"`
	To     string    `json:"to,omitempty"`     // address, or the serial number of a token
	Secret string    `json:"secret,omitempty"` // sealed
	Began  time.Time `json:"began"`
}

// From says for people where it was begun.
func (e Enrolling) From() string {
	words := strings.Split(e.Origin, "|")
	if len(words) < 3 {
		return "an unknown place"
	}
	return words[0] + " from " + words[1]
}

// NewEpoch ends what conversations under way may do: they saw an older epoch, so they
// change nothing any more and let nobody in. The new epoch is at least now, in
// nanoseconds since 1970, so that a reset does not bring an old one back.
func (s *State) NewEpoch(now time.Time) { s.Epoch = max(s.Epoch+1, now.UnixNano()) }

// A PendingCode is a code that was sent. The code itself is not in it.
type PendingCode struct {
	Origin  string    `json:"origin"`
	Method  Method    `json:"method"`
	To      string    `json:"to"`            // address or number it is for
	Via     string    `json:"via,omitempty"` // address it went to because it could not go to To
	Nonce   []byte    `json:"nonce"`         // makes equal codes differ at rest
	MAC     []byte    `json:"mac"`           // keyed hash of the code
	Sent    time.Time `json:"sent"`
	Expires time.Time `json:"expires"`
	Digits  int       `json:"digits,omitempty"` // its length; 0: not written down
	Tries   int       `json:"tries,omitempty"`  // wrong answers to it while it is to confirm an address

	Answered bool   `json:"answered,omitempty"` // some code was typed for it, right or not: there is somebody
	Tally    string `json:"tally,omitempty"`    // in which it was counted; empty: that of places where the user was never seen
}

// A CodeEnd is why a code that was sent is good no more.
type CodeEnd string

// The ends of codes.
const (
	CodeUsed     CodeEnd = "used"
	CodeReplaced CodeEnd = "replaced" // by a newer one of its origin
	CodeExpired  CodeEnd = "expired"
	CodeVoid     CodeEnd = "void" // it could not be sent, or there were too many wrong answers to it
)

// An EndedCode is a code that was sent and is good no more. It is kept for a time, so
// that a person who types it is told why it does not count.
type EndedCode struct {
	PendingCode
	Why CodeEnd   `json:"why"`
	At  time.Time `json:"at"` // of its end
}

// Same says whether q is the same code as p.
func (p PendingCode) Same(q PendingCode) bool { return string(p.Nonce) == string(q.Nonce) }

// A Message is one text to one person over one carrier.
type Message struct {
	ID      string // names the message in logs and audit
	User    string // whose message it is, for the same
	Carrier Method // Email, SMS or Call
	To      string // address or E.164 number
	Subject string // email only
	Text    string // plain text, lines end with \n
	Code    string // the code in it, for carriers that have it stand elsewhere; empty: there is none
}
