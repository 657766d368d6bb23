package factor

import (
	"slices"
	"time"

	"mfa/internal/factor/otp"
	"mfa/internal/mfa"
)

// Forgotten reports whether no code of a set counts at the time now: it is not known which
// of them are used, or the set is not the newest, or it was made before a reset. A set
// whose time is in the future does not count either: the clock ran ahead.
func Forgotten(st mfa.State, set mfa.BackupSet, now time.Time) bool {
	since := mfa.Later(st.Since, st.BackupSince)
	return st.BackupID != set.ID && since != nil &&
		(!set.Made.After(*since) || set.Made.After(now.Add(mfa.ClockSlack)))
}

// BeginBackup makes set, made at the time now, the only one that counts. The codes with
// the indices used are spent.
func BeginBackup(st *mfa.State, set mfa.BackupSet, used []int, now time.Time) {
	st.BackupID, st.BackupUsed = set.ID, used
	EndBackup(st, now)
}

// EndBackup ends all sets made by the time now, except the one that st.BackupID names.
func EndBackup(st *mfa.State, now time.Time) { st.BackupSince = mfa.Later(st.BackupSince, &now) }

// SpendBackup marks the code with the index in the set as used. It returns otp.Right, or
// otp.Spent if the code was used or may have been. If st named another set, that one does
// not count again, as it is not known any more which of its codes were used.
func SpendBackup(st *mfa.State, set mfa.BackupSet, index int, now time.Time) otp.Result {
	if Forgotten(*st, set, now) {
		return otp.Spent
	}
	if st.BackupID != set.ID {
		since := set.Made
		if since.IsZero() && st.BackupID != "" || since.After(now) {
			since = now
		}
		if !since.IsZero() {
			EndBackup(st, since)
		}
		st.BackupID, st.BackupUsed = set.ID, nil
	}
	if slices.Contains(st.BackupUsed, index) {
		return otp.Spent
	}
	st.BackupUsed = append(st.BackupUsed, index)
	NoteForeign(st, set)
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

// maxSpentForeign bounds the sets of which used codes are kept. Where there are so many,
// more may be used than are known.
const maxSpentForeign = 16

// NoteForeign keeps the hashes of the used codes of a set that another program made: they
// may be imported once more, in another set. It does nothing for our own sets.
func NoteForeign(st *mfa.State, set mfa.BackupSet) {
	if set.Symbols != foreignDigits && set.Symbols != 0 || st.BackupID != set.ID {
		return
	}
	used := mfa.SpentCodes{ID: set.ID, Salt: set.Salt, Memory: set.Memory, Time: set.Time, Threads: set.Threads, Symbols: set.Symbols}
	for i, hash := range set.Hashes {
		if slices.Contains(st.BackupUsed, i) {
			used.Hashes = append(used.Hashes, hash)
		}
	}
	if len(used.Hashes) > 0 {
		KeepForeign(st, used)
	}
}

// KeepForeign adds used to the codes that NoteForeign keeps.
func KeepForeign(st *mfa.State, used mfa.SpentCodes) {
	st.SpentForeign = slices.Clone(st.SpentForeign)
	for i, kept := range st.SpentForeign {
		if kept.ID == used.ID {
			hashes := slices.Concat(kept.Hashes, used.Hashes)
			slices.Sort(hashes)
			st.SpentForeign[i].Hashes = slices.Compact(hashes)
			return
		}
	}
	if len(st.SpentForeign) < maxSpentForeign {
		st.SpentForeign = append(st.SpentForeign, used)
	}
}

// SpentForeign returns the indices of the given codes, which another program made, that
// were used here or may have been. It costs one MatchBackup for each code and each set in
// st.SpentForeign.
func SpentForeign(st mfa.State, codes []string) (spent []int, err error) {
	for i, code := range codes {
		was := len(st.SpentForeign) >= maxSpentForeign
		for _, used := range st.SpentForeign {
			if was {
				break
			}
			if _, was, err = MatchBackup(used.Set(), code); err != nil {
				return nil, err
			}
		}
		if was {
			spent = append(spent, i)
		}
	}
	return spent, nil
}
