package mfa

import (
	"maps"
	"slices"
	"time"
)

// Clone returns a deep copy of en.
func (en Enrollment) Clone() Enrollment {
	en.Skipped, en.Email, en.SMS, en.TOTP = copied(en.Skipped), copied(en.Email), copied(en.SMS), copied(en.TOTP)
	en.HOTP = copied(en.HOTP)
	if en.Backup = copied(en.Backup); en.Backup != nil {
		en.Backup.Hashes = slices.Clone(en.Backup.Hashes)
	}
	return en
}

// Clone returns a deep copy of s.
func (s State) Clone() State {
	for _, t := range []**time.Time{&s.LockedUntil, &s.EnrollSince, &s.Since, &s.BackupSince, &s.TokensSince, &s.Offline} {
		*t = copied(*t)
	}
	for _, ts := range []*[]time.Time{&s.Failures, &s.Sends, &s.LockMails, &s.ShelfTries} {
		*ts = slices.Clone(*ts)
	}
	s.PlaceSends, s.Sessions, s.Told = slices.Clone(s.PlaceSends), slices.Clone(s.Sessions), slices.Clone(s.Told)
	s.BackupUsed, s.Seen, s.MethodFailures = slices.Clone(s.BackupUsed), slices.Clone(s.Seen), maps.Clone(s.MethodFailures)
	s.Drift, s.Enrolling, s.Invited, s.Contacts = copied(s.Drift), copied(s.Enrolling), copied(s.Invited), copied(s.Contacts)
	s.Tokens, s.Merged = slices.Clone(s.Tokens), slices.Clone(s.Merged)
	s.Pending, s.Ended, s.SpentForeign = slices.Clone(s.Pending), slices.Clone(s.Ended), slices.Clone(s.SpentForeign)
	for i := range s.Pending {
		s.Pending[i].unshare()
	}
	for i := range s.Ended {
		s.Ended[i].unshare()
	}
	for i := range s.SpentForeign {
		s.SpentForeign[i].Hashes = slices.Clone(s.SpentForeign[i].Hashes)
	}
	if s.Apart = copied(s.Apart); s.Apart != nil {
		s.Apart.Failures, s.Apart.LockedUntil = slices.Clone(s.Apart.Failures), copied(s.Apart.LockedUntil)
		s.Apart.MethodFailures = maps.Clone(s.Apart.MethodFailures)
	}
	if s.Recovery = copied(s.Recovery); s.Recovery != nil {
		s.Recovery.Nonce, s.Recovery.MAC = slices.Clone(s.Recovery.Nonce), slices.Clone(s.Recovery.MAC)
	}
	return s
}

// unshare gives p bytes of its own.
func (p *PendingCode) unshare() { p.Nonce, p.MAC = slices.Clone(p.Nonce), slices.Clone(p.MAC) }

// copied returns a copy of what p points to, which may be nothing.
func copied[T any](p *T) *T {
	if p == nil {
		return nil
	}
	v := *p
	return &v
}
