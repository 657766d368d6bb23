package enroll

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/BurntSushi/toml"

	"mfa/internal/account"
	"mfa/internal/audit"
	"mfa/internal/factor"
	"mfa/internal/factor/otp"
	"mfa/internal/mfa"
	"mfa/internal/seal"
	"mfa/internal/store"
	"mfa/internal/text"
	"mfa/internal/wire"
)

// Backup calls begin with an upper bound of the number of users, then head once, then fn
// for each user, by name. It may run while logins go on: each user is saved as of one
// moment. A record that cannot be read is saved as its Problem. It ends at the first
// error of a function or of ctx, and returns it.
func (s *Service) Backup(ctx context.Context, begin func(total int) error, head func(wire.BackupHeader) error, fn func(wire.Saved) error) error {
	names, err := s.Accounts.Records().Known(ctx)
	if err != nil {
		return err
	}
	if err := begin(len(names)); err != nil {
		return err
	}
	err = head(wire.BackupHeader{
		Format: wire.BackupFormat, Version: wire.BackupVersion, Made: s.Now().UTC().Truncate(time.Second), Host: s.Host,
		MFA: mfa.Version, Generation: s.generation(), Key: s.Accounts.KeyText(),
	})
	if err != nil {
		return err
	}
	for _, name := range names {
		saved, err := s.Accounts.Records().Saved(ctx, name)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			saved = wire.Saved{User: name, Problem: err.Error()}
		} else if en, st, err := account.ParseSaved(saved); err != nil {
			saved.Problem = err.Error() // kept as it is, for whoever mends it
		} else if en.Version == 0 && isRest(st) {
			continue // of whom nothing is known but that there was something
		}
		if err := fn(saved); err != nil {
			return err
		}
	}
	return nil
}

// Restore puts back the enrollment of a user as it was in a backup, and returns one of
// the wire.Restored words. What was used, counted and locked since stays so: the State
// only gets what the backup adds. Backup codes that were replaced since stay void. Sent
// codes and remembered sessions are not restored. With dry nothing is changed, and the
// result is what would be done. Holder is the account that has the name now, nil if none
// has: one with another uid is another person, and gets nothing. An error about the
// backup wraps ErrInvalid.
func (s *Service) Restore(ctx context.Context, holder *mfa.Identity, head wire.BackupHeader, saved wire.Saved, dry bool, actor string) (string, error) {
	key, en, st, err := parseSaved(head, saved)
	if err != nil {
		return "", err
	}
	id := mfa.Identity{Name: saved.User, UID: en.UID}
	if saved.Enrollment == "" {
		id.UID = st.UID
	}
	switch {
	case holder != nil && holder.UID != id.UID:
		return "", fmt.Errorf("%w record: user %q had uid %d and has %d now", ErrInvalid, id.Name, id.UID, holder.UID)
	case saved.Enrollment != "" && en.Generation < head.Generation:
		return wire.RestoredOutdated, nil
	case st.UID != id.UID:
		st = mfa.State{UID: id.UID}
	}
	en.Generation = min(en.Generation, s.generation())
	live, err := s.liveEnrollment(ctx, id)
	if err != nil {
		return "", err
	}
	r := &restoration{Service: s, id: id, key: key, saved: en, made: head.Made}
	next, result := live, wire.RestoredUnchanged
	if saved.Enrollment != "" {
		next, result, err = r.enrollment(live)
	}
	if err != nil || dry {
		return result, err
	}
	use := func(old *mfa.State) { r.state(old, st, live, next) } // before the set that the used codes are of
	if result == wire.RestoredUnchanged {
		return result, s.Accounts.Records().Account(id).Update(ctx, func(old *mfa.State) error {
			old.NewEpoch(s.Now())
			use(old)
			return nil
		})
	}
	_, _, err = s.Accounts.ByAdministrator(id).Change(ctx, account.Change{
		Replace: true,
		Edit: func(en *mfa.Enrollment) error {
			if !sameRecord(*en, live) {
				return fmt.Errorf("the enrollment of %q changed meanwhile; try again", id.Name)
			}
			*en = next
			return nil
		},
		Own: r.owned(next),
		Use: use,
		Event: mfa.Event{
			Event: audit.Enrolled, Actor: actor, Reason: "restored from the backup of " + head.Made.Format(time.DateTime) + " UTC",
		},
		Notice: account.Notice{
			Subject: text.Of(subjectChanged), What: text.Of("Your second factor was restored from a backup, by an administrator."), Advice: text.Of(adviceAsk),
		},
	})
	if err != nil {
		return "", asInvalid(err)
	}
	return result, nil
}

// owned is the token that is restored, or nil.
func (r *restoration) owned(next mfa.Enrollment) *factor.Token {
	if next.HOTP == nil {
		return nil
	}
	secret, err := r.Accounts.OpenHOTP(r.id, next.HOTP.Secret)
	if err != nil {
		return nil // it lets nobody in
	}
	return &factor.Token{Secret: secret, First: next.HOTP.Counter}
}

// isRest reports whether st holds only what a reset leaves, so that there is nothing to
// save.
func isRest(st mfa.State) bool {
	return reflect.DeepEqual(st, mfa.State{
		UID: st.UID, Epoch: st.Epoch, Since: st.Since, Contacts: st.Contacts, SpentForeign: st.SpentForeign, Tokens: st.Tokens, TokensSince: st.TokensSince,
		BackupID: st.BackupID, BackupUsed: st.BackupUsed, BackupSince: st.BackupSince, Merged: st.Merged,
	})
}

// BackupVoid reports whether the user has backup codes of which none counts, so that new
// ones are needed. It goes by the records and does not ask NSS.
func (s *Service) BackupVoid(ctx context.Context, user string) (bool, error) {
	en, err := s.Accounts.Records().Enrollment(ctx, user)
	if err != nil || en.Backup == nil {
		if errors.Is(err, store.ErrNotFound) {
			err = nil
		}
		return false, err
	}
	st, err := s.Accounts.Records().Account(mfa.Identity{Name: user, UID: en.UID}).State(ctx)
	return err == nil && factor.Forgotten(st, *en.Backup, s.Now()), err
}

// parseSaved parses the key of a backup and the records of one user. Its error wraps
// ErrInvalid.
func parseSaved(head wire.BackupHeader, saved wire.Saved) (key *seal.Key, en mfa.Enrollment, st mfa.State, err error) {
	key, err = seal.Parse(head.Key)
	if err := errors.Join(head.Check(), err); err != nil {
		return nil, en, st, fmt.Errorf("%w backup: %w", ErrInvalid, err)
	}
	if en, st, err = account.ParseSaved(saved); err != nil {
		return nil, en, st, fmt.Errorf("%w record: %w", ErrInvalid, err)
	}
	return key, en, st, nil
}

// liveEnrollment returns the enrollment of id now; the zero one, if it cannot be parsed: a
// restore replaces it.
func (s *Service) liveEnrollment(ctx context.Context, id mfa.Identity) (live mfa.Enrollment, err error) {
	now, err := s.Accounts.Records().Saved(ctx, id.Name)
	if err != nil {
		return live, err
	}
	now.State = nil
	live, _, err = account.ParseSaved(now)
	if err != nil {
		return mfa.Enrollment{}, nil
	}
	return account.Of(live, id), nil
}

// A restoration is the restore of one user.
type restoration struct {
	*Service
	id    mfa.Identity
	key   *seal.Key      // of the backup
	saved mfa.Enrollment // in it
	made  time.Time      // when the backup was
}

// enrollment returns the restored enrollment of a user who has live now.
func (r *restoration) enrollment(live mfa.Enrollment) (next mfa.Enrollment, result string, err error) {
	next = r.saved
	if live.Backup != nil {
		next.Backup = live.Backup // the same set, or one that voided it
	}
	if r.saved.TOTP != nil {
		if next.TOTP, err = r.app(live); err != nil {
			return mfa.Enrollment{}, "", err
		}
	}
	if r.saved.HOTP != nil {
		if next.HOTP, err = r.token(live); err != nil {
			return mfa.Enrollment{}, "", err
		}
	}
	switch {
	case sameRecord(next, live):
		return next, wire.RestoredUnchanged, nil
	case sameRecord(live, mfa.Enrollment{}):
		return next, wire.RestoredNew, nil
	}
	return next, wire.RestoredReplaced, nil
}

// app returns the saved app, sealed with our key.
func (r *restoration) app(live mfa.Enrollment) (*mfa.TOTPSecret, error) {
	t := *r.saved.TOTP
	secret, err := account.OpenTOTPWith(r.key, r.id, t.Secret)
	if err != nil {
		return nil, err
	}
	if live.TOTP != nil {
		if have, err := r.Accounts.OpenTOTP(r.id, live.TOTP.Secret); err == nil && bytes.Equal(have, secret) {
			t.Secret = live.TOTP.Secret // sealing it anew would look like a change
			return &t, nil
		}
	}
	t.Secret = r.Accounts.SealTOTP(r.id, secret)
	return &t, nil
}

// token is app for the saved token.
func (r *restoration) token(live mfa.Enrollment) (*mfa.HOTPSecret, error) {
	t := *r.saved.HOTP
	secret, err := account.OpenHOTPWith(r.key, r.id, t.Secret)
	if err != nil {
		return nil, err
	}
	if live.HOTP != nil {
		if have, err := r.Accounts.OpenHOTP(r.id, live.HOTP.Secret); err == nil && bytes.Equal(have, secret) {
			t.Secret = live.HOTP.Secret
			return &t, nil
		}
	}
	t.Secret = r.Accounts.SealHOTP(r.id, secret)
	return &t, nil
}

// sameRecord says whether both would be written alike.
func sameRecord(a, b mfa.Enrollment) bool {
	a.Version, b.Version = 0, 0
	x, errX := toml.Marshal(a)
	y, errY := toml.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

// state adds to old what the saved state says was used, counted or locked. Next is the
// restored enrollment. The rest of old stays as it is.
func (r *restoration) state(old *mfa.State, saved mfa.State, live, next mfa.Enrollment) {
	r.backupCodes(old, saved, next) // by what is known here of the sets, not there
	lost := mfa.Later(old.Since, old.TokensSince)
	factor.MergeCounts(old, saved.Tokens, lost != nil && lost.After(r.made)) // likewise
	old.TokensSince = mfa.Later(old.TokensSince, saved.TokensSince)
	old.Failures = slices.Concat(old.Failures, saved.Failures)
	slices.SortFunc(old.Failures, time.Time.Compare)
	old.Failures = slices.CompactFunc(old.Failures, time.Time.Equal)
	restoreLock(old, saved)
	old.Since = mfa.Later(old.Since, saved.Since)
	for m, n := range saved.MethodFailures {
		if old.MethodFailures == nil {
			old.MethodFailures = map[mfa.Method]int{}
		}
		old.MethodFailures[m] = max(old.MethodFailures[m], n)
	}
	if old.Apart == nil {
		old.Apart = saved.Apart
	}
	old.MustChangePassword = old.MustChangePassword || saved.MustChangePassword
	if e := saved.EnrollSince; e != nil && (old.EnrollSince == nil || e.Before(*old.EnrollSince)) {
		old.EnrollSince = e
	}
	old.BackupSince = mfa.Later(old.BackupSince, saved.BackupSince)
	r.steps(old, saved, live, next)
}

// restoreLock keeps the longer of two locks.
func restoreLock(old *mfa.State, saved mfa.State) {
	old.LockedHard = old.LockedHard || saved.LockedHard
	if l := saved.LockedUntil; l != nil && (old.LockedUntil == nil || l.After(*old.LockedUntil)) {
		old.LockedUntil, old.LockedFor = l, saved.LockedFor
	}
	if old.LockedBy == "" && (saved.LockedHard || old.LockedUntil == saved.LockedUntil) {
		old.LockedBy = saved.LockedBy // no recovery code ends an administrator's lock
	}
}

// backupCodes keeps used backup codes used.
func (r *restoration) backupCodes(old *mfa.State, saved mfa.State, next mfa.Enrollment) {
	if b := next.Backup; b != nil && saved.BackupID == b.ID && !factor.Forgotten(*old, *b, r.Now()) {
		if old.BackupID != b.ID {
			old.BackupID, old.BackupUsed = b.ID, nil
		}
		used := slices.Concat(old.BackupUsed, saved.BackupUsed)
		slices.Sort(used)
		old.BackupUsed = slices.Compact(used)
	}
	for _, set := range saved.SpentForeign {
		factor.KeepForeign(old, set)
	}
}

// maxSkew is the largest totp.skew: no used step is further ahead.
const maxSkew = 10

// steps keeps used steps used. For an app that comes back, all codes up to now count as
// used: it is not known which were used after the backup.
func (r *restoration) steps(old *mfa.State, saved mfa.State, live, next mfa.Enrollment) {
	if next.TOTP == nil {
		return
	}
	if live.TOTP != nil && live.TOTP.Secret == next.TOTP.Secret {
		old.TOTPStep = max(old.TOTPStep, saved.TOTPStep)
		return
	}
	now := otp.Step(r.Now(), time.Duration(next.TOTP.Period))
	if old.TOTPStep > now+maxSkew {
		old.TOTPStep = 0 // of an app with shorter periods
	}
	old.TOTPStep = max(old.TOTPStep, saved.TOTPStep, now)
}
