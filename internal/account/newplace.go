package account

import (
	"context"
	"slices"
	"time"

	"mfa/internal/mfa"
	"mfa/internal/text"
)

const (
	maxSeen = 32 // addresses that right codes came from; the oldest go first
	maxTold = 10 // new addresses told of in a day
)

// Nowhere is the place of all origins for which mfa.Origin.Place is false.
const Nowhere = "nowhere"

// commitTimeout bounds a write that no disconnect stops.
const commitTimeout = 10 * time.Second

// placeOf returns the addresses that count as one: an IPv4 address alone, the
// /64 of an IPv6 address, of which a host has as many as it likes (RFC 8981), and
// Nowhere for all that tell no place from another; see mfa.Place.
func placeOf(o mfa.Origin) string {
	a, ok := o.Place()
	if !ok {
		return Nowhere
	}
	if a.Is4() {
		return a.String()
	}
	p, err := a.Prefix(64)
	if err != nil {
		return Nowhere
	}
	return p.String()
}

// addSeen puts an origin's address at the end of those that right codes came from.
func addSeen(seen []string, o mfa.Origin) []string {
	address := placeOf(o)
	if address == Nowhere {
		return seen
	}
	if i := slices.Index(seen, address); i >= 0 {
		seen = slices.Delete(seen, i, i+1)
	}
	seen = append(seen, address)
	return seen[max(0, len(seen)-maxSeen):]
}

// TellOfFailures mails the user that wrong codes were typed in the conversation, if no
// right code ever came from its place: once a day for each place, and for at most maxTold
// of them. An origin for which mfa.Origin.Place is false is never told of. It is called
// when the conversation ended in a refusal.
func (u *User) TellOfFailures(ctx context.Context) {
	_, isPlace := u.Origin.Place()
	if u.lockTold || !u.in.cfg.Lockout.Notify || !isPlace {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
	defer cancel()
	en, ok := u.confirmedMail(ctx)
	if !ok {
		return
	}
	var isNew bool
	err := u.Account.Update(ctx, func(st *mfa.State) error {
		isNew = noteTold(st, placeOf(u.Origin), u.in.deps.Now())
		return nil
	})
	if err != nil {
		u.in.deps.Log.Error("user not told of wrong codes", "user", u.Account.ID.Name, "error", err)
		return
	}
	if isNew {
		u.Notify(en, Notice{
			Subject: text.Of("Wrong code"), What: text.Of("A wrong code was typed at a login from an address that is new for you."),
			Advice: text.Of(adviceNotYou),
		})
	}
}

// noteTold reports whether the user is to be told of the address, and notes that.
func noteTold(st *mfa.State, address string, now time.Time) bool {
	st.Told = slices.DeleteFunc(st.Told, func(t mfa.AddressNoticed) bool { return now.Sub(t.At) >= 24*time.Hour })
	told := slices.ContainsFunc(st.Told, func(t mfa.AddressNoticed) bool { return t.Address == address })
	if told || len(st.Told) >= maxTold || slices.Contains(st.Seen, address) {
		return false
	}
	st.Told = append(st.Told, mfa.AddressNoticed{Address: address, At: now})
	return true
}

// Place returns the name of the place that the conversation comes from: an IPv4 address,
// an IPv6 /64, or Nowhere.
func (u *User) Place() string { return placeOf(u.Origin) }

// SeenHere reports whether the peer is root and the user gave a right code from this place
// before.
func (u *User) SeenHere(st mfa.State) bool {
	return u.Origin.UID == 0 && slices.Contains(st.Seen, u.Place())
}
