package enroll

import (
	"context"
	"crypto/rand"
	"strings"

	"mfa/internal/account"
	"mfa/internal/audit"
	"mfa/internal/factor"
	"mfa/internal/mfa"
	"mfa/internal/text"
)

// endKept is how the prompt below new backup codes ends. Programs wait for it.
const endKept = "Press Enter when they are kept: "

const adviceChanged = "If this was not you, tell your administrator at once: somebody can log\nin as you."

// finish shows the backup codes that were made, if any were, and waits until they are kept.
// It returns v, by which the method was proven.
func (p *setup) finish(ctx context.Context, v mfa.Verdict, codes []string) (mfa.Verdict, error) {
	if codes == nil {
		p.c.Say(ctx, mfa.Info, p.c.Words("Done: it works."))
		return v, nil
	}
	shown := BackupText(p.c.User.Words(), codes) + "\n" + p.c.Words(textKept, p.c.Patience(ctx)) + "\n" + p.c.Words(endKept)
	if _, err := p.c.Entry(ctx, mfa.Ask, shown); err != nil {
		// They are set up and have proven it; the codes can be made anew.
		p.s.Log.Warn("nobody confirmed to have kept the backup codes", "user", p.c.User.Account.ID.Name, "error", err)
	}
	return v, nil
}

// textLast is what a setup says above the prompt for its code, if that is its last one:
// behind it nothing can be said once where sshd shows it (see login's bufferedPrompter).
const textLast = "With the right code you are done."

const textKept = "Done: it works. This screen waits %s; if it goes away, all of it is good, and the next login asks for it."

// BackupText returns the text that shows backup codes, two in a row, in the language of w.
func BackupText(w *text.Printer, codes []string) string {
	var b strings.Builder
	b.WriteString(w.Say("Backup codes, for the day the other ways fail. Each works once. They are shown this once: print them, or write them down.") + "\n")
	for i, code := range codes {
		if i%2 == 0 {
			b.WriteString("\n ")
		}
		b.WriteString("  " + code)
	}
	b.WriteString("\n")
	return b.String()
}

// NewBackupCodes makes a new set of backup codes and returns them in clear. The old set
// ends at once; the user is mailed if there was one. The error wraps ErrNotEnrolled for a
// user without a second factor, or is that of account.User.Change.
func (s *Service) NewBackupCodes(ctx context.Context, u *account.User) ([]string, error) {
	id := u.Account.ID
	codes, set, err := s.newBackupSet()
	if err != nil {
		return nil, err
	}
	known, err := s.knowing(ctx, u)
	if err != nil {
		return nil, err
	}
	var has mfa.Enrollment
	before, _, err := u.Change(ctx, account.Change{
		Edit: func(en *mfa.Enrollment) (err error) {
			if has, err = known(en); err != nil {
				return err
			}
			en.Backup = set
			return nil
		},
		Anew:  mfa.Backup,
		Event: s.backupEvent(id),
	})
	if err != nil {
		return nil, err
	}
	if before.Backup != nil {
		u.Notify(has, account.Notice{
			Subject: text.Of("New backup codes"), What: text.Of("New backup codes were made; the old ones are void."), Advice: text.Of(adviceChanged),
		})
	}
	return codes, nil
}

// newBackupSet makes a set.
func (s *Service) newBackupSet() (codes []string, _ *mfa.BackupSet, err error) {
	codes, set, err := factor.NewBackupSet(rand.Reader, s.BackupCodes)
	set.Made = s.Now().UTC()
	return codes, &set, err
}

// backupEvent says that id has a new set.
func (*Service) backupEvent(id mfa.Identity) mfa.Event {
	return mfa.Event{Event: audit.Enrolled, Method: string(mfa.Backup), Actor: id.Name, Reason: "new backup codes"}
}
