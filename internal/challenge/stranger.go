package challenge

import (
	"context"
	"slices"
	"time"

	"mfa/internal/mfa"
)

const (
	maxSeen  = 32      // addresses that right codes came from; the oldest go first
	maxTold  = 10      // new addresses told of in a day
	noWhence = "local" // of logins over no network
)

// nowhere stands for all addresses that are no mfa.Place, where they have to be
// told of.
const nowhere = "nowhere"

// neighbours returns the addresses that count as one: an IPv4 address alone, the
// /64 of an IPv6 address, of which a host has as many as it likes (RFC 8981), and
// nowhere for all that tell no place from another; see mfa.Place.
func neighbours(o mfa.Origin) string {
	a, ok := o.Place()
	if !ok {
		return nowhere
	}
	if a.Is4() {
		return a.String()
	}
	p, err := a.Prefix(64)
	if err != nil {
		return nowhere
	}
	return p.String()
}

// see puts an origin's address at the end of those that right codes came from.
func see(seen []string, o mfa.Origin) []string {
	address := neighbours(o)
	if address == nowhere {
		return seen
	}
	if i := slices.Index(seen, address); i >= 0 {
		seen = slices.Delete(seen, i, i+1)
	}
	seen = append(seen, address)
	return seen[max(0, len(seen)-maxSeen):]
}

// TellOfFailures mails the user that wrong codes were typed in this conversation, if
// it came from where no right code ever came from: once a day and address, of which
// those that are no mfa.Place are one. It is
// called when the conversation ended in a refusal.
func (c *Conversation) TellOfFailures(ctx context.Context) {
	_, place := c.Origin.Place() // what is no place is no news
	if c.wrong == 0 || c.lockTold || !c.cfg.Lockout.Notify || !place {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
	defer cancel()
	en, ok := c.mailbox(ctx)
	if !ok {
		return
	}
	var isNew bool
	err := c.Account.Update(ctx, func(st *mfa.State) error {
		isNew = noteStranger(st, neighbours(c.Origin), c.deps.Now())
		return nil
	})
	if err != nil {
		c.deps.Log.Error("user not told of wrong codes", "user", c.Account.ID.Name, "error", err)
		return
	}
	if isNew {
		c.Notify(en, "Wrong code", "A wrong code was typed at a login from an address that is new for you.",
			"If this was not you, somebody knows your password (or key): change it,\nand tell your administrator.")
	}
}

// noteStranger says whether the user is to be told of the address, and notes it.
func noteStranger(st *mfa.State, address string, now time.Time) bool {
	st.Told = slices.DeleteFunc(st.Told, func(t mfa.AddressNoticed) bool { return now.Sub(t.At) >= 24*time.Hour })
	told := slices.ContainsFunc(st.Told, func(t mfa.AddressNoticed) bool { return t.Address == address })
	if told || len(st.Told) >= maxTold || slices.Contains(st.Seen, address) {
		return false
	}
	st.Told = append(st.Told, mfa.AddressNoticed{Address: address, At: now})
	return true
}
