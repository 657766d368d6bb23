package challenge

import (
	"crypto/rand"

	"mfa/internal/deliver"
	"mfa/internal/mfa"
)

// Notify tells the user by mail what became of their second factor, at the
// address en has confirmed; without one nobody is told.
func (c *Conversation) Notify(en mfa.Enrollment, subject, what, advice string) {
	if en.Email == nil || en.Email.Confirmed.IsZero() || c.Account.IsNobody() {
		return
	}
	m := deliver.Notice{
		Host: c.cfg.Host, User: c.Account.ID.Name, Service: c.Origin.Service, Address: c.Origin.Address, At: c.deps.Now(),
		To: en.Email.Address, Subject: subject, What: what, Advice: advice,
	}.Email(rand.Text())
	c.deps.Mail.Send(m, func(_ string, err error) {
		if err != nil {
			c.deps.Log.Error("notice not delivered", "user", c.Account.ID.Name, "subject", subject, "error", err)
		}
	})
}
