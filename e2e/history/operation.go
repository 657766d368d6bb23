// Package history checks what many clients saw of mfad against a model of what it promises.
// A history is a list of operations, each with its place in one order when it was called and
// when it returned. It is good if each operation can have happened at one moment between
// the two, so that one after another they are what the model allows (Herlihy and Wing,
// "Linearizability", 1990).
//
// What to know before trusting it: the model knows no time. A run has to keep locks, codes
// and remembered logins good for longer than itself, and has to type codes only while the
// app's window holds them. An answer that was refused without a word about it (Refused) is
// always allowed: who was refused for too long is for the run to find. What nobody heard
// the end of (Unknown) may have happened or not.
package history

import (
	"fmt"
	"math"
	"strings"
)

// A Kind says what an Action is.
type Kind uint8

// The kinds.
const (
	Begin      Kind = iota // a login begins, from the place From
	AppCode                // a code of the app Of, of the step N, is typed
	BackupCode             // the backup code N of the set Of is typed
	Guess                  // a code is typed that is none
	Remember               // after a right code: have logins from the place From remembered
	Recover                // the recovery code N is typed, the Nth that was mailed
	Enroll                 // by the user: a code of the step N of the new app Of; Set are the new backup codes
	SetUp                  // by an administrator: the app Of; what was used before counts on
	NewCodes               // the backup codes Set replace those that there are
	Lock                   // by an administrator
	Unlock                 // likewise
	Reset                  // likewise
	Revoke                 // likewise: all remembered logins
)

// An Action is what a client tries. Apps, sets and places are known by names of the run's own.
type Action struct {
	Kind Kind
	From string // the place of a login
	Of   string // an app, a set of backup codes
	N    int64  // a step; or the number of a backup code, 0 to 63; or of a recovery code
	Set  string // new backup codes
}

// String says it for people.
func (a Action) String() string {
	switch a.Kind {
	case Begin:
		return "login from " + a.From
	case AppCode:
		return fmt.Sprintf("code of step %d of %s", a.N, a.Of)
	case BackupCode:
		return fmt.Sprintf("backup code %d of %s", a.N, a.Of)
	case Guess:
		return "wrong code"
	case Remember:
		return "remember logins from " + a.From
	case Recover:
		return fmt.Sprintf("recovery code %d", a.N)
	case Enroll:
		return fmt.Sprintf("enroll %s by its step %d with %s", a.Of, a.N, a.Set)
	case SetUp:
		return "set up " + a.Of
	case NewCodes:
		return "new backup codes " + a.Set
	}
	return map[Kind]string{Lock: "lock", Unlock: "unlock", Reset: "reset", Revoke: "revoke remembered logins"}[a.Kind]
}

// An Outcome is how an operation ended.
type Outcome uint8

// The outcomes.
const (
	Unknown   Outcome = iota // nobody heard; it may have happened before it returned, or not
	Accepted                 // the person is in, or what they set up counts
	Wrong                    // told that the code is not right
	LastWrong                // likewise, and that the user is locked now
	Used                     // told that the code was right, but is used
	Locked                   // told that the user is locked; the code was not looked at
	Asked                    // a login: a second factor is asked for
	Offered                  // a login: told that no second factor is set up
	Refused                  // nothing was said of the code, and nothing happened
	Done                     // an administrator's change is made
)

// String says it for people.
func (o Outcome) String() string {
	return [...]string{"nobody knows", "accepted", "wrong", "wrong, and locked now", "used before", "locked", "asked", "not enrolled", "refused", "done"}[o]
}

// Never is the Return of an operation that may still happen, however late.
const Never = math.MaxInt64

// An Operation is one thing that a client tried on a user, and what came of it.
type Operation struct {
	Client int
	User   string
	Action
	Outcome
	Call, Return int64 // when, in one order; each number stands for one moment only
}

// String says it for people.
func (o Operation) String() string {
	end := fmt.Sprint(o.Return)
	if o.Return == Never {
		end = "never"
	}
	return fmt.Sprintf("%d to %s: client %d, %s: %v: %v", o.Call, end, o.Client, o.User, o.Action, o.Outcome)
}

// lines writes operations one a line.
func lines(all []Operation) string {
	var b strings.Builder
	for _, o := range all {
		b.WriteString("\n  " + o.String())
	}
	return b.String()
}
