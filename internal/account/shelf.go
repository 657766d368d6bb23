package account

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"mfa/internal/factor/otp"
	"mfa/internal/mfa"
	"mfa/internal/store"
)

// The shelf is where tokens wait for their user that an administrator brought in and gave
// to nobody: whoever has one says the number on it, and proves it by a code. A token that
// was taken stays noted, so that it goes to nobody else.

// shelfKeys begin the keys of the shelf; the number on the token follows.
const shelfKeys = store.Meta + "token/"

// A Shelved token is one on the shelf.
type Shelved struct {
	Serial    string   `json:"serial"`
	Secret    string   `json:"secret"` // sealed
	Algorithm string   `json:"algorithm"`
	Digits    int      `json:"digits"`
	Count     int64    `json:"count"`           // no code before that of this count is good
	Taken     *TakenBy `json:"taken,omitempty"` // nil: by nobody

	Tries []time.Time `json:"tries,omitempty"` // codes of the last day that were to prove it
	Tried int         `json:"tried,omitempty"` // all of them
}

// TakenBy is who took a token from the shelf.
type TakenBy struct {
	User string `json:"user"`
	UID  uint32 `json:"uid"`
}

// By says whether id took it.
func (t *TakenBy) By(id mfa.Identity) bool { return t != nil && t.User == id.Name && t.UID == id.UID }

// ErrTaken means that a token is not on the shelf any more, or somebody else took it.
var ErrTaken = errors.New("the token is somebody else's")

// shelfField is the name of the secret of a token on the shelf; the box is bound to it.
func shelfField(serial string) string { return "token.secret " + serial }

// Shelve puts a token on the shelf, and returns what was there of that number, nil if
// nothing was. Its error wraps ErrTaken if some user has the token now, who is returned as
// if they had taken it from there; or if it is there under another number. One that is there stays, but its count never goes back; if it is another,
// or somebody took it, it is put there anew only with replace, and then goes on where its
// user was. With dry nothing is changed.
func (a *Accounts) Shelve(ctx context.Context, t Shelved, secret []byte, replace, dry bool) (was *Shelved, same bool, err error) {
	if t, err = a.ready(ctx, t, secret, replace, dry); t.Taken != nil {
		return &t, true, err
	} else if err != nil {
		return nil, false, err
	}
	wrote := false
	err = store.Update(ctx, a.deps.Records.S, shelfKeys+t.Serial, func(old []byte) ([]byte, error) {
		if was, same, wrote = nil, false, false; old != nil {
			was = &Shelved{}
			if err := json.Unmarshal(old, was); err != nil {
				return nil, fmt.Errorf("parse token %q: %w", t.Serial, err)
			}
			same = a.isShelved(*was, secret)
		}
		if dry || was != nil && !replace && (!same || was.Taken != nil) {
			return old, nil
		}
		next, err := a.goesOn(ctx, t, secret, was, same)
		if err != nil {
			return nil, err
		}
		next.Secret, wrote = a.deps.Key.Seal(secret, "", shelfField(t.Serial)), true
		return json.Marshal(next)
	})
	if err != nil || !wrote {
		return was, same, err
	}
	return was, same, a.updateOwner(ctx, secret, func(o *owner) error {
		o.Serial = t.Serial
		return nil
	})
}

// goesOn returns t as it takes the place of was, which is nil if there is none: the same token
// goes on where it was on the shelf, and where the user was who took it.
func (a *Accounts) goesOn(ctx context.Context, t Shelved, secret []byte, was *Shelved, same bool) (Shelved, error) {
	if was == nil || !same {
		return t, nil
	}
	t.Count = max(t.Count, was.Count)
	if was.Taken == nil {
		return t, nil
	}
	left, err := a.left(ctx, owner{User: was.Taken.User, UID: was.Taken.UID}, secret)
	if err == nil && left.Lost {
		err = fmt.Errorf("how far token %q had counted is not known any more", t.Serial)
	}
	t.Count = max(t.Count, left.Next)
	return t, err
}

// Shelved returns the token of that number and its secret, for id to take. It is not ok if
// there is none, or somebody else took it.
func (a *Accounts) Shelved(ctx context.Context, serial string, id mfa.Identity) (t Shelved, secret []byte, ok bool, err error) {
	it, err := a.deps.Records.S.Get(ctx, shelfKeys+serial)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return t, nil, false, nil
	case err != nil:
		return t, nil, false, err
	}
	if err := json.Unmarshal(it.Value, &t); err != nil {
		return t, nil, false, fmt.Errorf("parse token %q: %w", serial, err)
	}
	if t.Taken != nil && !t.Taken.By(id) {
		return Shelved{}, nil, false, nil
	}
	secret, err = a.openShelved(t)
	return t, secret, err == nil, err
}

func (a *Accounts) openShelved(t Shelved) ([]byte, error) {
	return a.deps.Key.Open(t.Secret, "", shelfField(t.Serial))
}

// Whoever says the number on a token that waits need not have it. So the codes that are
// to prove it are counted: of each token all, before one is looked at, and of each user
// the wrong ones.
const (
	shelfDay   = 24 * time.Hour
	shelfTries = 10                    // within a day
	shelfEver  = mfa.MaxMethodFailures // for one token, until it is put on the shelf anew
)

// MayTryShelf says whether one more code of a user is looked at, of any token on the shelf.
func MayTryShelf(st mfa.State, now time.Time) bool {
	return len(mfa.Recent(st.ShelfTries, now, mfa.Duration(shelfDay))) < shelfTries
}

// NoteShelfTry counts in st a wrong code for a token on the shelf.
func NoteShelfTry(st *mfa.State, now time.Time) {
	st.ShelfTries = append(slices.Clone(mfa.Recent(st.ShelfTries, now, mfa.Duration(shelfDay))), now)
}

// TryShelved counts a code that is to prove the token of that number. It returns false if it
// is not to be looked at, as too many were.
func (a *Accounts) TryShelved(ctx context.Context, serial string) (may bool, err error) {
	now := a.deps.Now()
	err = store.Update(ctx, a.deps.Records.S, shelfKeys+serial, func(old []byte) ([]byte, error) {
		if may = false; old == nil {
			return nil, nil
		}
		var t Shelved
		if err := json.Unmarshal(old, &t); err != nil {
			return nil, fmt.Errorf("parse token %q: %w", serial, err)
		}
		t.Tries = keepIf(t.Tries, func(at time.Time) bool {
			return now.Before(at.Add(shelfDay)) && !at.After(now.Add(mfa.ClockSlack))
		})
		if len(t.Tries) >= shelfTries || t.Tried >= shelfEver {
			return old, nil
		}
		may, t.Tries, t.Tried = true, append(t.Tries, now), t.Tried+1
		return json.Marshal(t)
	})
	return may, err
}

// Take notes that id has the token of that secret from the shelf. Its error wraps ErrTaken if
// it is not there any more, or somebody else was faster.
func (a *Accounts) Take(ctx context.Context, serial string, secret []byte, id mfa.Identity) error {
	return a.take(ctx, serial, id, func(t *Shelved) error {
		if t == nil || !a.isShelved(*t, secret) || t.Taken != nil && !t.Taken.By(id) {
			return fmt.Errorf("token %q: %w", serial, ErrTaken)
		}
		return nil
	})
}

// Claim is Take for an administrator who gives id a token that may be on the shelf: if it is
// not, nothing is noted. With replace, also if somebody else took it.
func (a *Accounts) Claim(ctx context.Context, serial string, secret []byte, id mfa.Identity, replace bool) error {
	return a.take(ctx, serial, id, func(t *Shelved) error {
		switch {
		case t == nil || !a.isShelved(*t, secret):
			return errNotShelved
		case t.Taken != nil && !t.Taken.By(id) && !replace:
			return fmt.Errorf("token %q: %w: %s took it", serial, ErrTaken, t.Taken.User)
		}
		return nil
	})
}

// errNotShelved: there is nothing to note.
var errNotShelved = errors.New("the token is not on the shelf")

// isShelved says whether t is the token of that secret.
func (a *Accounts) isShelved(t Shelved, secret []byte) bool {
	had, err := a.openShelved(t)
	return err == nil && otp.SameToken(had, secret)
}

// take notes that id has the token of that number, unless may has an error for what is
// there, which is nil if nothing is.
func (a *Accounts) take(ctx context.Context, serial string, id mfa.Identity, may func(t *Shelved) error) error {
	err := store.Update(ctx, a.deps.Records.S, shelfKeys+serial, func(old []byte) ([]byte, error) {
		if old == nil {
			return nil, may(nil)
		}
		var t Shelved
		if err := json.Unmarshal(old, &t); err != nil {
			return nil, fmt.Errorf("parse token %q: %w", serial, err)
		}
		if err := may(&t); err != nil {
			return nil, err
		}
		t.Tries, t.Tried = nil, 0
		t.Taken = &TakenBy{User: id.Name, UID: id.UID}
		return json.Marshal(t)
	})
	if errors.Is(err, errNotShelved) {
		return nil
	}
	return err
}

// resealShelf seals the secrets on the shelf anew that need a former key. It calls fn for
// each with what stood in the way.
func (a *Accounts) resealShelf(ctx context.Context, serials []string, fn func(user string, err error)) error {
	var errs []error
	for _, serial := range serials {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := store.Update(ctx, a.deps.Records.S, shelfKeys+serial, func(old []byte) ([]byte, error) {
			var t Shelved
			if old == nil {
				return nil, nil
			}
			if err := json.Unmarshal(old, &t); err != nil {
				return nil, fmt.Errorf("parse token %q: %w", serial, err)
			}
			next, err := a.deps.Key.Reseal(t.Secret, "", shelfField(serial))
			if err != nil {
				a.deps.Log.Error("the secret of a token cannot be opened; import it again", "token", serial, "error", err)
				return old, nil
			}
			t.Secret = next
			return json.Marshal(t)
		})
		fn("token "+serial, err)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// shelf returns the numbers of all tokens on the shelf.
func (a *Accounts) shelf(ctx context.Context) (serials []string, err error) {
	keys, err := a.deps.Records.S.Keys(ctx, shelfKeys)
	for _, key := range keys {
		serials = append(serials, strings.TrimPrefix(key, shelfKeys))
	}
	return serials, err
}
