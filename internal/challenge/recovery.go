package challenge

import (
	"context"
	"errors"

	"mfa/internal/factor"
	"mfa/internal/mfa"
)

// A recovery code is no Code: it is asked for while the lock stands that shuts all others,
// an empty line ends the login, and its wrong ones are counted in its own record, by
// account.User.TryRecovery. Each of that would be an exception in Pose.

// Recover is for a user who is locked in st. If a recovery code was mailed it asks for
// it; Accepted means that they are not locked any more, and the second factor is still to
// be proven. Otherwise it tells of the lock, and the verdict is a refusal.
func (c *Conversation) Recover(ctx context.Context, st mfa.State) (mfa.Verdict, error) {
	locked := mfa.Verdict{Outcome: mfa.Exhausted, Reason: "locked"}
	told, _ := c.User.Locked(st)
	to, ok := c.User.Mailbox(ctx)
	if !ok || !c.User.Recoverable(st) {
		c.Say(ctx, mfa.Failure, told)
		return locked, nil
	}
	text := told + "\n" + c.User.TextRecoverySent(to)
	for tries, idle := 0, 0; tries < maxTries && idle < maxIdle; {
		answer, err := c.Line(ctx, c.codeKind(), text+"\n"+c.Words(EndRecovery))
		if instead := c.noRecoveryCode(answer, err); instead != "" {
			idle, text = idle+1, instead
			continue
		}
		switch {
		case err != nil && ctx.Err() == nil:
			c.Say(ctx, mfa.Failure, told)
			return locked, err
		case err != nil:
			return c.NoAnswer(ctx, "", err)
		case answer == "":
			c.Say(ctx, mfa.Failure, c.Words(TextStopped))
			return locked, nil
		}
		right, void, err := c.tryRecovery(ctx, answer)
		switch c.guessed = c.guessed || !right; {
		case err != nil:
			return c.Failed(ctx, err)
		case right:
			return mfa.Verdict{Outcome: mfa.Accepted, Reason: "unlocked by the user"}, nil
		case void:
			c.Say(ctx, mfa.Failure, c.User.Words().Join(c.Words(textWrongCode), told))
			return locked, nil
		}
		tries, text = tries+1, c.User.Words().Join(c.Words(textWrongCode), c.Words("An empty line ends this login."))
	}
	c.Say(ctx, mfa.Failure, c.Words(TextStopped))
	return locked, nil
}

// noRecoveryCode returns the text after an answer that is no attempt at a recovery code,
// "" for an attempt, an empty line or no answer. It logs advice for the administrator
// where that may help.
func (c *Conversation) noRecoveryCode(answer string, err error) string {
	switch {
	case errors.Is(err, mfa.ErrPasswordTyped):
		c.advise("the password was given in place of a recovery code; nothing was counted")
		return c.Words(textWasPassword)
	case err != nil || answer == "":
		return ""
	case c.isName(answer):
		c.advise(adviceName)
		return c.Words(textWasName)
	case !factor.IsRecoveryCode(answer):
		return c.Words(textNoRecovery)
	}
	return ""
}

// tryRecovery is account.User.TryRecovery; an answer that sshd withheld is wrong and not
// counted.
func (c *Conversation) tryRecovery(ctx context.Context, answer string) (right, void bool, err error) {
	if c.withheld {
		return false, false, nil
	}
	return c.User.TryRecovery(ctx, answer)
}
