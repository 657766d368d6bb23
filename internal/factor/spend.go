package factor

import (
	"slices"
	"time"

	"mfa/internal/factor/otp"
	"mfa/internal/mfa"
)

// Forgotten says whether nobody knows at the time now which codes of a set are used:
// none of them counts then. When a set was made that is of a time to come is not
// known either: the clock ran ahead.
func Forgotten(st mfa.State, set mfa.BackupSet, now time.Time) bool {
	return st.BackupID != set.ID && st.Since != nil &&
		(!set.Made.After(*st.Since) || set.Made.After(now.Add(mfa.ClockSlack)))
}

// SpendBackup uses the code up that has the index in the set. It is Spent if it was used,
// or may have been.
func SpendBackup(st *mfa.State, set mfa.BackupSet, index int, now time.Time) otp.Result {
	if Forgotten(*st, set, now) {
		return otp.Spent
	}
	if st.BackupID != set.ID {
		st.BackupID, st.BackupUsed = set.ID, nil
	}
	if slices.Contains(st.BackupUsed, index) {
		return otp.Spent
	}
	st.BackupUsed = append(st.BackupUsed, index)
	return otp.Right
}

// BackupLeft returns how many codes of a set are not used at the time now.
func BackupLeft(st mfa.State, set mfa.BackupSet, now time.Time) int {
	if Forgotten(st, set, now) {
		return 0
	}
	if st.BackupID != set.ID {
		return len(set.Hashes)
	}
	return len(set.Hashes) - len(st.BackupUsed)
}
