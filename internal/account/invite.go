package account

import (
	"context"
	"crypto/rand"

	"mfa/internal/audit"
	"mfa/internal/deliver"
	"mfa/internal/deliver/mail"
	"mfa/internal/mfa"
	"mfa/internal/text"
)

// Invite tells an address or a number that an administrator entered for id that
// the next login by such a code will send it there: who has an app as well may be asked for that
// first. The message holds no code and does not
// expire: the code of that login confirms the address. After is called with the result
// of the sending; actor is the administrator, for the audit file. The error is that of
// Spending.Reserve, for a text message; nothing is sent then.
func (a *Accounts) Invite(ctx context.Context, id mfa.Identity, method mfa.Method, to, actor string, after func(error)) (*deliver.Sending, error) {
	words := a.mailWords(a.ofInvited(ctx, id))
	m := a.invitation(id, to, words)
	if method == mfa.SMS {
		if err := a.deps.Spending.Reserve(ctx, id.Name, to, false); err != nil {
			return nil, err
		}
		m = deliver.InvitationSMS(rand.Text(), a.cfg.Host, to, words)
	}
	m.User = id.Name
	ev := mfa.Event{
		Event: audit.Sent, User: id.Name, UID: &id.UID, Method: string(method),
		To: deliver.Mask(to), Message: m.ID, Actor: actor, Reason: "confirmation",
	}
	return a.deps.Mail.Send(m, func(receipt string, err error) {
		ev.Time, ev.Receipt = a.deps.Now(), receipt
		if err != nil {
			ev.Event, ev.Reason = audit.SendFailed, "confirmation: "+err.Error()
			a.deps.Log.Error("confirmation not delivered", "user", id.Name, "to", ev.To, "error", err)
		}
		a.deps.Audit.Record(ev)
		after(err)
	}), nil
}

// ofInvited returns the enrollment of id; the zero one if it cannot be read, which keeps no
// message from going out.
func (a *Accounts) ofInvited(ctx context.Context, id mfa.Identity) mfa.Enrollment {
	en, err := a.deps.Records.Enrollment(ctx, id.Name)
	if err != nil {
		return mfa.Enrollment{}
	}
	return Of(en, id)
}

const adviceInvited = "The next login that asks for a code by email sends it here. Typing it\n" +
	"confirms the address; until then there is nothing to do.\n\n" +
	"If this account is not yours, tell the administrator of that machine."

func (a *Accounts) invitation(id mfa.Identity, to string, words *text.Printer) mfa.Message {
	return a.cfg.Mails.Notice(rand.Text(), mail.Notice{
		Host: a.cfg.Host, User: id.Name, At: a.deps.Now(), To: to, Subject: text.Of("Your second factor"),
		What:   text.Of("Codes for your logins will be sent to this address."),
		Advice: text.Of(adviceInvited), Words: words,
	})
}
