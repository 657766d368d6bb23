package doctor

import (
	"context"
	"fmt"
	"time"

	"mfa/internal/wire"
)

// censusTime bounds how long doctor counts.
const censusTime = 10 * time.Second

// census: how the policy of mfa.toml treats the users with a record. Groups can be looked
// up on this machine only, so users of a mere folder are not counted if it has rules.
func (e *exam) census(ctx context.Context) {
	if e.people == nil || !e.live() && len(e.cfg.Policy.Rules) > 0 {
		return
	}
	generation := 0
	if e.status != nil {
		generation = e.status.Generation
	}
	ctx, cancel := context.WithTimeout(ctx, censusTime)
	defer cancel()
	var c wire.Census
	for name, en := range e.people {
		e.cfg.Count(ctx, &c, generation, name, en)
	}
	text := fmt.Sprintf("at a login by ssh and password, %v; whoever has no record is %s", c, e.cfg.Policy.NewcomersBut(e.cfg.SMS.Provider != "", e.cfg.Contacts))
	switch {
	case c.Out > 0:
		e.add(Finding{
			Error, "policy-out", e.Config, text, "People who have a second factor are kept out: none of theirs counts, or can be sent, and they cannot set up another at a login.",
			"their method under policy.methods; or policy.enroll_at_login = true, and there a method that users set up, as totp; for text messages sms.provider",
		})
	case c.Without > 0:
		e.add(Finding{
			Warning, "policy-without", e.Config, text, "They are asked for what does not count, until they have set up what does.",
			"mfactl users shows the methods of each user; their method under policy.methods counts it again",
		})
	default:
		e.ok("policy", e.Config, text)
	}
}
