package challenge

import (
	"crypto/rand"

	"mfa/internal/audit"
	"mfa/internal/deliver"
	"mfa/internal/mfa"
)

// Invite tells an address that an administrator entered for id that the next
// login will send a code there. There is no code in it and it does not expire:
// what confirms the address is the code of that login. After gets how the sending
// ended. Actor is who had it sent.
func (a *Asker) Invite(id mfa.Identity, to, actor string, after func(error)) *deliver.Sending {
	m := deliver.Notice{
		Host: a.cfg.Host, User: id.Name, At: a.deps.Now(), To: to, Subject: "Your second factor",
		What: "Codes for your logins will be sent to this address.",
		Advice: "Your next login sends a code here. Typing it confirms the address;\n" +
			"until then there is nothing to do.\n\n" +
			"If this account is not yours, tell the administrator of that machine.",
	}.Email(rand.Text())
	ev := audit.Event{
		Event: audit.Sent, User: id.Name, UID: &id.UID, Method: string(mfa.Email),
		To: deliver.Mask(to), Message: m.ID, Actor: actor, Reason: "confirmation",
	}
	return a.deps.Mail.Send(m, func(_ string, err error) {
		ev.Time = a.deps.Now()
		if err != nil {
			ev.Event, ev.Reason = audit.SendFailed, "confirmation: "+err.Error()
			a.deps.Log.Error("confirmation not delivered", "user", id.Name, "to", ev.To, "error", err)
		}
		a.deps.Audit.Record(ev)
		after(err)
	})
}
