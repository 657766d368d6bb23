package account

import (
	"context"
	"crypto/rand"
	"errors"

	"mfa/internal/deliver/mail"
	"mfa/internal/mfa"
	"mfa/internal/store"
	"mfa/internal/text"
)

// A Notice tells the user by mail what became of their second factor.
type Notice struct {
	Subject text.Sentence
	What    text.Sentence // happened
	Advice  text.Sentence // what to do if it was not them
	Code    string        // the recovery code that is in Advice; empty: there is none
}

// Notify queues n for the confirmed address of en, and returns at once. Without one it
// does nothing. A failure is logged.
func (u *User) Notify(en mfa.Enrollment, n Notice) {
	if en.Email == nil || en.Email.Confirmed.IsZero() || u.Account.IsUnknown() {
		return
	}
	m := u.in.cfg.Mails.Notice(rand.Text(), mail.Notice{
		Host: u.in.cfg.Host, User: u.Account.ID.Name, Service: u.Origin.Service, Address: u.Origin.Address, At: u.in.deps.Now(),
		To: en.Email.Address, Subject: n.Subject, What: n.What, Advice: n.Advice, Code: n.Code, Words: u.wordsFor(en),
	})
	u.in.deps.Mail.Send(m, func(_ string, err error) {
		if err != nil {
			u.in.deps.Log.Error("notice not delivered", "user", u.Account.ID.Name, "subject", n.Subject.String(), "error", err)
		}
	})
}

// confirmedMail returns the stored enrollment, and whether it has a confirmed address.
func (u *User) confirmedMail(ctx context.Context) (mfa.Enrollment, bool) {
	if u.Account.IsUnknown() {
		return u.decoy, u.decoy.Email != nil
	}
	en, err := u.in.deps.Records.Enrollment(ctx, u.Account.ID.Name)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		u.in.deps.Log.Error("user not told by mail", "user", u.Account.ID.Name, "error", err)
	}
	en = u.known(ctx, Of(en, u.Account.ID))
	return en, (err == nil || errors.Is(err, store.ErrNotFound)) && en.Email != nil && !en.Email.Confirmed.IsZero()
}
