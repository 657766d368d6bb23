package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"mfa/internal/mfa"
)

// A fact is what somebody was told, and may rely on: from the operation From on, and up to
// To, where they asked for something else (-1: never).
type fact struct {
	What, User, Arg string
	N               int64
	From, To        int
}

// String says it for people.
func (f fact) String() string { return fmt.Sprintf("%s of %s %s%d", f.What, f.User, f.Arg, f.N) }

// stands reports whether a fact was promised in the first k operations, and not taken back
// before there were high.
func (f fact) stands(k, high int) bool { return f.From < k && (f.To < 0 || high <= f.To) }

// A used thing was accepted by a login, and must not be again.
type used struct {
	User, By, Code string
	From           int
}

// The facts, by what they are called.
const (
	failures   = "failures"   // at least N are counted, or there is a lock
	locked     = "locked"     // there is a lock
	step       = "step"       // the app's steps up to N are spent
	backups    = "backups"    // N backup codes of the set in use are spent
	codes      = "codes"      // N codes that were sent are spent
	sends      = "sends"      // N codes that were sent count against the limit
	enrolled   = "enrolled"   // with the method Arg
	confirmed  = "confirmed"  // likewise, and it was proven
	unenrolled = "unenrolled" // with nothing
	revoked    = "revoked"    // no login is remembered
	remembered = "remembered" // one is
	token      = "token"      // counts up to N are spent
	kept       = "kept"       // the token of the number Arg waits for its user, or is theirs
	texts      = "texts"      // N messages that cost money are counted
	recovered  = "recovered"  // the recovery code is spent
	audited    = "audited"    // the event Arg is in the audit file; only where no power failed
	epoch      = "epoch"      // of the state is at least N
	fresh      = "fresh"      // the backup code Arg is good
)

// holding are how it is seen that a fact holds.
var holding = map[string]func(f fact, st mfa.State, en mfa.Enrollment, s *snapshot) bool{
	failures: func(f fact, st mfa.State, _ mfa.Enrollment, _ *snapshot) bool {
		return int64(len(st.Failures)) >= f.N || isLocked(st)
	},
	locked: func(_ fact, st mfa.State, _ mfa.Enrollment, _ *snapshot) bool { return isLocked(st) },
	step:   func(f fact, st mfa.State, _ mfa.Enrollment, _ *snapshot) bool { return st.TOTPStep >= f.N },
	backups: func(f fact, st mfa.State, en mfa.Enrollment, _ *snapshot) bool {
		return en.Backup != nil && st.BackupID == en.Backup.ID && int64(len(st.BackupUsed)) >= f.N
	},
	codes: func(f fact, st mfa.State, _ mfa.Enrollment, _ *snapshot) bool {
		n := int64(0)
		for _, e := range st.Ended {
			if e.Why == mfa.CodeUsed {
				n++
			}
		}
		return n >= f.N
	},
	sends: func(f fact, st mfa.State, _ mfa.Enrollment, _ *snapshot) bool {
		return int64(len(st.Sends)+len(st.PlaceSends)) >= f.N
	},
	enrolled: func(f fact, _ mfa.State, en mfa.Enrollment, _ *snapshot) bool { return en.Has(mfa.Method(f.Arg)) },
	confirmed: func(f fact, _ mfa.State, en mfa.Enrollment, _ *snapshot) bool {
		return en.Has(mfa.Method(f.Arg)) && isConfirmed(en, mfa.Method(f.Arg))
	},
	unenrolled: func(_ fact, _ mfa.State, en mfa.Enrollment, _ *snapshot) bool { return !en.Enrolled() },
	revoked:    func(_ fact, st mfa.State, en mfa.Enrollment, _ *snapshot) bool { return !isRemembered(st, en) },
	remembered: func(_ fact, st mfa.State, en mfa.Enrollment, _ *snapshot) bool { return isRemembered(st, en) },
	token: func(f fact, st mfa.State, _ mfa.Enrollment, _ *snapshot) bool {
		return slices.ContainsFunc(st.Tokens, func(c mfa.TokenCount) bool { return c.Next >= f.N })
	},
	kept: func(f fact, _ mfa.State, en mfa.Enrollment, s *snapshot) bool {
		return s.records["meta/token/"+f.Arg] != "" || en.HOTP != nil
	},
	texts: func(f fact, _ mfa.State, _ mfa.Enrollment, s *snapshot) bool { return s.texts() >= f.N },
	recovered: func(_ fact, st mfa.State, _ mfa.Enrollment, _ *snapshot) bool {
		return st.Recovery == nil && !isLocked(st)
	},
	epoch:   func(f fact, st mfa.State, _ mfa.Enrollment, _ *snapshot) bool { return st.Epoch >= f.N },
	audited: func(f fact, _ mfa.State, _ mfa.Enrollment, s *snapshot) bool { return s.hasEvent(f.User, f.Arg) },
	fresh:   func(fact, mfa.State, mfa.Enrollment, *snapshot) bool { return true }, // a login tries it
}

// holds returns an error if a fact is forgotten. With power it is what a power failure left:
// the audit file is not synced.
func (f fact) holds(s *snapshot, power bool) error {
	check := holding[f.What]
	switch {
	case check == nil:
		return fmt.Errorf("no such fact: %v", f)
	case power && f.What == audited, check(f, s.states[f.User], s.enrollments[f.User], s):
		return nil
	}
	return fmt.Errorf("forgotten: %v", f)
}

func isRemembered(st mfa.State, en mfa.Enrollment) bool {
	return slices.ContainsFunc(st.Sessions, func(x mfa.Session) bool { return x.Enrollment == en.Fingerprint() })
}

func isLocked(st mfa.State) bool { return st.LockedHard || st.LockedUntil != nil }

func isConfirmed(en mfa.Enrollment, m mfa.Method) bool {
	switch {
	case m == mfa.TOTP:
		return !en.TOTP.Confirmed.IsZero()
	case m == mfa.HOTP:
		return !en.HOTP.Confirmed.IsZero()
	case en.Contact(m) != nil:
		return !en.Contact(m).Confirmed.IsZero()
	}
	return true
}

// texts returns how many text messages of the last hour are counted.
func (s *snapshot) texts() int64 {
	var page struct {
		Counts map[string]map[string]int64 `json:"counts"`
	}
	if json.Unmarshal([]byte(s.records["meta/spend"]), &page) != nil {
		return 0
	}
	n := int64(0)
	for _, count := range page.Counts["total"] {
		n += count
	}
	return n
}

// hasEvent reports whether the audit file has an event of a user.
func (s *snapshot) hasEvent(user, event string) bool {
	return slices.ContainsFunc(s.events, func(e auditLine) bool { return e.User == user && strings.HasPrefix(e.Event, event) })
}
