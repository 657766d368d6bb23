package account

import (
	"fmt"
	"time"

	"mfa/internal/mfa"
)

// textLocked says how much longer the lock of st lasts at the time now, and why.
func textLocked(st mfa.State, now time.Time) string {
	left, hard, _ := st.Locked(now)
	switch {
	case hard && st.LockedBy != "":
		return "Your second factor is locked by an administrator, until one unlocks it."
	case hard:
		return "Your second factor is locked until an administrator unlocks it, after too many wrong codes."
	case st.LockedBy != "":
		return fmt.Sprintf("Your second factor is locked by an administrator, for %s.", mfa.Span(left))
	}
	return fmt.Sprintf("Your second factor is locked for %s, after too many wrong codes.", mfa.Span(left))
}

const textRecovered = "This login was ended, as a recovery code was used. Please log in again."
