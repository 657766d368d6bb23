package challenge

import (
	"errors"
	"strings"

	"mfa/internal/account"
	"mfa/internal/mfa"
)

// take is the answer to a prompt. In place of one that sshd withheld it is one of the
// same length that opens nothing, so that names which do not exist, and which sshd
// refuses, hear what others hear. A stranger's is counted in the memory for strangers.
// To an account none of them is an attempt: nobody knows what was typed. But nobody is
// let in any more either. Somebody who has proven a key is told.
func (c *Conversation) take(answer string, err error) (string, error) {
	length, is := errors.AsType[mfa.Withheld](err)
	if !is || c.User.Origin.Key != "" {
		return answer, err
	}
	if !c.User.Account.IsNobody() {
		if !c.withheld {
			c.adviseWithheld()
		}
		c.withheld, c.unanswered = true, err
	}
	return standIn(int(length)), nil
}

const textWithheld = "This ssh server does not let you log in this way, whatever you type. Tell your administrator: its log says why."

// adviseWithheld logs why nothing that this user types arrives.
func (c *Conversation) adviseWithheld() {
	c.asker.deps.Log.Warn("sshd keeps back what this user types, as it does not let them in this way: AllowUsers, DenyUsers, AllowGroups, "+
		"DenyGroups, PermitRootLogin in sshd_config and the user's shell decide; nothing was counted for the user",
		"user", c.User.Account.ID.Name, "service", c.User.Origin.Service, "address", c.User.Origin.Address)
}

// standIn is what most people type who type so many bytes at a prompt for a code: r,
// a code of digits, or a recovery code with its dashes.
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
// length of a code, and nothing is counted but in this conversation.
func (c *Conversation) checkWithheld(look Look) checked {
	if look == nil {
		return checked{Found: Found{Result: None}}
	}
	c.wrong++
	c.guessed = true
	return checked{Found: Found{Result: Wrong}, counted: account.Wrong{Left: maxTries}}
}
