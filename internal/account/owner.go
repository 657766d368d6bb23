package account

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"mfa/internal/factor"
	"mfa/internal/factor/otp"
	"mfa/internal/mfa"
	"mfa/internal/seal"
	"mfa/internal/store"
)

// A token is one user's. Entered for two, or brought in under two numbers, it would count
// for each of them by itself, and a code that one has used would be good for the other. So
// whose it is stands under a name that is made of its secret, and whoever had it before
// leaves to the next one how far it has counted.

// ownerKeys begin the keys of the owners; otp.TokenName follows.
const ownerKeys = store.Meta + "token-of/"

// An owner is who has a token, or had it last.
type owner struct {
	Serial string    `json:"serial,omitempty"` // of it on the shelf
	User   string    `json:"user,omitempty"`   // empty: nobody yet
	UID    uint32    `json:"uid,omitempty"`
	Claim  *claimed  `json:"claim,omitempty"` // nil: the enrollment of User was written with it
	At     time.Time `json:"at,omitzero"`     // of the claim
}

// A claimed is how a token stands for its next user. It holds until their enrollment is
// written, and if it never is, for the one after them.
type claimed struct {
	Next int64 `json:"next,omitempty"` // no code before that of this count is good
	Lost bool  `json:"lost,omitempty"` // nobody knows how far it had counted: none is good
}

func (o owner) is(id mfa.Identity) bool { return o.User == id.Name && o.UID == id.UID }

func (o owner) id() mfa.Identity { return mfa.Identity{Name: o.User, UID: o.UID} }

// updateOwner changes the owner of the token of that secret.
func (a *Accounts) updateOwner(ctx context.Context, secret []byte, fn func(o *owner) error) error {
	key := ownerKeys + otp.TokenName(secret)
	return store.Update(ctx, a.deps.Records.S, key, func(old []byte) ([]byte, error) {
		var o owner
		if old != nil {
			if err := json.Unmarshal(old, &o); err != nil {
				return nil, fmt.Errorf("parse %q: %w", key, err)
			}
		}
		was := o
		if err := fn(&o); err != nil || o == was {
			return old, err
		}
		return json.Marshal(o)
	})
}

// own claims the token of that secret for id, and returns how it stands for them; nil if it
// was theirs before, of which their own state tells. Again says that they have it now. Its
// error wraps ErrTaken if somebody else has it. Once it counts, owned is to follow.
func (a *Accounts) own(ctx context.Context, id mfa.Identity, secret []byte, again bool) (c *claimed, err error) {
	now := a.deps.Now()
	err = a.updateOwner(ctx, secret, func(o *owner) error {
		c = nil
		if o.is(id) && (o.Claim == nil || again) {
			o.Claim, o.At = nil, time.Time{}
			return nil
		}
		if !o.is(id) {
			held, err := a.holds(ctx, *o, secret)
			if err != nil {
				return err
			}
			if held || o.Claim != nil && now.Sub(o.At).Abs() < changeTimeout {
				return fmt.Errorf("the token is set up for %q: %w", o.User, ErrTaken)
			}
		}
		next, err := a.left(ctx, *o, secret)
		if err != nil {
			return err
		}
		c, o.User, o.UID, o.Claim, o.At = &next, id.Name, id.UID, &next, now
		return nil
	})
	return c, err
}

// owned notes that the enrollment of id was written with the token of that secret.
func (a *Accounts) owned(ctx context.Context, id mfa.Identity, secret []byte) error {
	serial := ""
	err := a.updateOwner(ctx, secret, func(o *owner) error {
		if serial = ""; o.is(id) {
			o.Claim, o.At, serial = nil, time.Time{}, o.Serial
		}
		return nil
	})
	if err != nil || serial == "" {
		return err
	}
	return a.Claim(ctx, serial, secret, id, true) // it waits for nobody else any more
}

// holds says whether the enrollment of o has the token of that secret.
func (a *Accounts) holds(ctx context.Context, o owner, secret []byte) (bool, error) {
	if o.User == "" {
		return false, nil
	}
	en, err := a.deps.Records.Enrollment(ctx, o.User)
	if errors.Is(err, store.ErrNotFound) || err == nil && (en.UID != o.UID || en.HOTP == nil) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	had, err := a.OpenHOTP(o.id(), en.HOTP.Secret)
	return err == nil && otp.SameToken(had, secret), nil // one that cannot be opened lets nobody in
}

// Free returns an error that wraps ErrTaken if somebody else than id has the token of that
// secret. It changes nothing, and the token may be taken right afterwards.
func (a *Accounts) Free(ctx context.Context, id mfa.Identity, secret []byte) error {
	o, err := a.ownerOf(ctx, secret)
	if err != nil || o.is(id) {
		return err
	}
	held, err := a.holds(ctx, o, secret)
	if err == nil && held {
		err = fmt.Errorf("the token is set up for %q: %w", o.User, ErrTaken)
	}
	return err
}

// left returns how the token of that secret stands for who has it after o.
func (a *Accounts) left(ctx context.Context, o owner, secret []byte) (claimed, error) {
	switch {
	case o.Claim != nil:
		return *o.Claim, nil
	case o.User == "":
		return claimed{}, nil
	}
	st, err := a.deps.Records.Account(o.id()).State(ctx)
	c, known := factor.Counted(st, factor.Token{Secret: secret})
	return claimed{Next: c.Next, Lost: !known}, err
}

// ready returns t as it may be put on the shelf: where whoever had it before left it. Its
// error wraps ErrTaken if somebody has it, who is in Taken then; or if it is there under
// another number, which replace takes away, unless dry.
func (a *Accounts) ready(ctx context.Context, t Shelved, secret []byte, replace, dry bool) (Shelved, error) {
	o, err := a.ownerOf(ctx, secret)
	if err != nil {
		return t, err
	}
	switch held, err := a.holds(ctx, o, secret); {
	case err != nil:
		return t, err
	case held:
		t.Taken = &TakenBy{User: o.User, UID: o.UID}
		return t, fmt.Errorf("the token is set up for %q: %w", o.User, ErrTaken)
	}
	left, err := a.left(ctx, o, secret)
	switch {
	case err != nil:
		return t, err
	case left.Lost:
		return t, fmt.Errorf("how far token %q had counted is not known any more", t.Serial)
	}
	t.Count = max(t.Count, left.Next)
	if o.Serial == "" || o.Serial == t.Serial {
		return t, nil
	}
	err = store.Update(ctx, a.deps.Records.S, shelfKeys+o.Serial, func(old []byte) ([]byte, error) {
		var other Shelved
		if old == nil || json.Unmarshal(old, &other) == nil && !a.isShelved(other, secret) {
			return old, nil
		}
		if !replace || other.Taken != nil {
			return old, fmt.Errorf("the token is there already, as number %q: %w", o.Serial, ErrTaken)
		}
		if dry {
			return old, nil
		}
		return nil, nil
	})
	return t, err
}

// ownerOf returns the owner of the token of that secret; the zero owner if it has none.
func (a *Accounts) ownerOf(ctx context.Context, secret []byte) (o owner, err error) {
	it, err := a.deps.Records.S.Get(ctx, ownerKeys+otp.TokenName(secret))
	if errors.Is(err, store.ErrNotFound) {
		return o, nil
	}
	if err == nil {
		err = json.Unmarshal(it.Value, &o)
	}
	return o, err
}

// noteOwned notes in st how far a token has counted that is set up now, before it counts:
// c is what own returned. It never goes back. A token that is not new counts only if it is
// known what was used of it.
func noteOwned(st *mfa.State, t factor.Token, c *claimed, isNew bool, now time.Time) {
	count := mfa.TokenCount{Token: otp.TokenName(t.Secret), Next: t.First}
	if c != nil {
		count.Next = max(count.Next, c.Next)
	}
	switch _, known := factor.Counted(*st, t); {
	case c != nil && c.Lost:
		factor.ForgetCount(st, count.Token, now)
	case known || c != nil && isNew:
		factor.KeepCount(st, count)
	}
}

// NoteTokens notes whose the tokens are that enrollments have, in a store that was begun
// anew. A record that cannot be read or opened is told in log.
func (r Records) NoteTokens(ctx context.Context, key *seal.Key, log *slog.Logger) error {
	a := New(Config{}, Deps{Records: r, Key: key, Log: log})
	return r.EachEnrollment(ctx, func(user string, en mfa.Enrollment, err error) error {
		if err != nil || en.HOTP == nil {
			return nil // BeginAnew tells of the record
		}
		id := mfa.Identity{Name: user, UID: en.UID}
		secret, err := a.OpenHOTP(id, en.HOTP.Secret)
		if err != nil {
			log.Error("the secret of a token cannot be opened; the user is to set it up anew", "user", user, "error", err)
			return nil
		}
		return a.updateOwner(ctx, secret, func(o *owner) error {
			o.User, o.UID, o.Claim = id.Name, id.UID, nil
			return nil
		})
	})
}
