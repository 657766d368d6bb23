package account

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"mfa/internal/mfa"
	"mfa/internal/store"
)

// policy carries over which policy was in force on this host, and how often everybody had
// to enroll anew: an enrollment from before must not count again because of a move.
func (m *Move) policy(ctx context.Context) error {
	from, to := policyKey, policyKey+"/"+m.To.Host
	if !m.intoFleet() {
		from, to = policyKey+"/"+m.From.Host, policyKey
	}
	it, err := m.From.get(ctx, from)
	if err != nil || it.Rev == 0 {
		return err
	}
	return store.Update(ctx, m.To.S, to, func(old []byte) ([]byte, error) {
		var is, was noted
		err := json.Unmarshal(it.Value, &is)
		if err == nil && old != nil {
			err = json.Unmarshal(old, &was)
		}
		if err != nil {
			return nil, fmt.Errorf("parse %q: %w", to, err)
		}
		is.Generation = max(is.Generation, was.Generation)
		return json.Marshal(is)
	})
}

// accounts are those of To, to look at whose tokens are.
func (m *Move) accounts() *Accounts {
	return New(Config{}, Deps{Records: m.To, Key: m.Key, Now: m.Now})
}

// taken says whether the token of the enrollment that is to be copied is another user's
// in a fleet: each would count it by itself, and a code that one used be good for the other.
func (m *Move) taken(ctx context.Context, c choice) (bool, error) {
	if !m.intoFleet() || !c.copies || c.here.en.HOTP == nil {
		return false, nil
	}
	a, id := m.accounts(), mfa.Identity{Name: c.user, UID: c.here.en.UID}
	secret, err := a.OpenHOTP(id, c.here.en.HOTP.Secret)
	if err != nil {
		return false, nil // it lets nobody in
	}
	o, err := a.ownerOf(ctx, secret)
	if err != nil || o.is(id) {
		return false, err
	}
	return a.holds(ctx, o, secret)
}

// tokens copies the tokens that wait for their users, and whose each token is or was.
func (m *Move) tokens(ctx context.Context) error {
	for _, space := range []struct {
		keys  string
		merge func(key string, here, there []byte) ([]byte, error)
	}{{ownerKeys, m.mergeOwner}, {shelfKeys, m.mergeShelved}} {
		keys, err := m.From.S.Keys(ctx, space.keys)
		if err != nil {
			return err
		}
		for _, key := range keys {
			it, err := m.From.S.Get(ctx, key)
			if errors.Is(err, store.ErrNotFound) {
				continue
			}
			if err == nil {
				err = store.Update(ctx, m.To.S, key, func(old []byte) ([]byte, error) { return space.merge(key, it.Value, old) })
			}
			if err != nil {
				return fmt.Errorf("copy %q: %w", key, err)
			}
		}
		if err := m.drop(ctx, space.keys, keys); err != nil {
			return err
		}
	}
	return nil
}

// drop removes from the store of this host what its fleet does not have.
func (m *Move) drop(ctx context.Context, prefix string, have []string) error {
	if m.intoFleet() {
		return nil
	}
	keys, err := m.To.S.Keys(ctx, prefix)
	for _, key := range keys {
		if _, has := slices.BinarySearch(have, key); !has {
			err = errors.Join(err, remove(ctx, m.To.S, key))
		}
	}
	return err
}

// mergeOwner returns who has a token: who has it in the fleet.
func (m *Move) mergeOwner(key string, here, there []byte) ([]byte, error) {
	if there == nil || !m.intoFleet() {
		return here, nil
	}
	var ours, theirs owner
	if err := errors.Join(json.Unmarshal(here, &ours), json.Unmarshal(there, &theirs)); err != nil {
		return nil, fmt.Errorf("parse %q: %w", key, err)
	}
	if theirs.User == "" {
		ours.Serial = cmp.Or(theirs.Serial, ours.Serial)
		return json.Marshal(ours)
	}
	return there, nil
}

// mergeShelved returns a token that waits for its user: where both have counted it, as far
// as the further one.
func (m *Move) mergeShelved(key string, here, there []byte) ([]byte, error) {
	serial := strings.TrimPrefix(key, shelfKeys)
	var ours, theirs Shelved
	if err := json.Unmarshal(here, &ours); err != nil {
		return nil, fmt.Errorf("parse %q: %w", key, err)
	}
	if secret, err := m.Key.Reseal(ours.Secret, "", shelfField(serial)); err == nil {
		ours.Secret = secret
	}
	if there == nil || !m.intoFleet() {
		return json.Marshal(ours)
	}
	if err := json.Unmarshal(there, &theirs); err != nil {
		return nil, fmt.Errorf("parse %q: %w", key, err)
	}
	a := m.accounts()
	secret, err := a.openShelved(ours)
	if err != nil || !a.isShelved(theirs, secret) {
		return there, nil // another token under the same number
	}
	tries := slices.Concat(ours.Tries, theirs.Tries)
	slices.SortFunc(tries, time.Time.Compare)
	theirs.Tries = slices.CompactFunc(tries, time.Time.Equal)
	theirs.Count, theirs.Tried = max(ours.Count, theirs.Count), max(ours.Tried, theirs.Tried)
	theirs.Taken = cmp.Or(theirs.Taken, ours.Taken)
	return json.Marshal(theirs)
}
