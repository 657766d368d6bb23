package challenge

import (
	"errors"
	"strings"

	"mfa/internal/account"
	"mfa/internal/mfa"
)

// take returns the answer to a prompt. In place of one that sshd withheld it returns one
// of the same length that lets nobody in, so that names which do not exist, or which sshd
// refuses, get the same prompts as others. For a name without an account it is counted
// in account.UnknownUsers. For an account it is not counted, as nobody knows what was typed,
// and the conversation lets nobody in any more. A person who has proven a key is told:
// then take returns the error.
func (c *Conversation) take(answer string, err error) (string, error) {
	length, is := errors.AsType[mfa.Withheld](err)
	if !is || c.User.Origin.Key != "" {
		return answer, err
	}
	if !c.User.Account.IsUnknown() {
		if !c.withheld {
			c.adviseWithheld()
		}
		c.withheld, c.unanswered = true, err
	}
	return standIn(int(length)), nil
}

const textWithheld = "This ssh server does not let you log in this way, whatever you type. Tell your administrator: its log says why."

// adviseWithheld logs why no answer of this user arrives.
func (c *Conversation) adviseWithheld() {
	c.asker.deps.Log.Warn("sshd keeps back what this user types, as it does not let them in this way: AllowUsers, DenyUsers, AllowGroups, "+
		"DenyGroups, PermitRootLogin in sshd_config and the user's shell decide; nothing was counted for the user",
		"user", c.User.Account.ID.Name, "service", c.User.Origin.Service, "address", c.User.Origin.Address)
}

// standIn returns an answer of that many bytes, as people type them at a prompt for a
// code: r, a code of digits, or a recovery code with its dashes.
func standIn(length int) string {
	switch length {
	case 1:
		return "r"
	case len(groups):
		return groups
	}
	return strings.Repeat("2", length)
}

const groups = "2222-2222-2222-2222"

// checkWithheld is check for an answer that sshd withheld: it is wrong if it has the
// shape of a code, and it is counted in this conversation only.
func (c *Conversation) checkWithheld(look CheckFunc) checked {
	if look == nil {
		return checked{Judgement: Judgement{Result: None}}
	}
	c.wrong++
	c.guessed = true
	return checked{Judgement: Judgement{Result: Wrong}, counted: account.Wrong{Left: maxTries}}
}
