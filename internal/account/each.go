package account

import (
	"context"
	"iter"
	"strings"

	"mfa/internal/account/record"
	"mfa/internal/mfa"
	"mfa/internal/store"
)

// Stored is what the store has of a user.
type Stored struct {
	User       string
	Enrolled   bool           // there is an enrollment
	Enrollment mfa.Enrollment // zero if there is none
	State      mfa.State      // as StoredState returns it
	Problem    error          // why a record cannot be read; nothing but User counts then
}

// Each calls fn for every user with an enrollment or a state, sorted by name. It asks the
// store for many records at once, where that can be asked so. It ends at the first error of
// fn or the store, or the end of ctx, and returns it.
func (r Records) Each(ctx context.Context, fn func(Stored) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	users, noUsers := iter.Pull2(r.items(ctx, store.Users))
	defer noUsers()
	states, noStates := iter.Pull2(r.items(ctx, store.States))
	defer noStates()
	user, userErr, hasUser := users()
	state, stateErr, hasState := states()
	for hasUser || hasState {
		if userErr != nil {
			return userErr
		}
		if stateErr != nil {
			return stateErr
		}
		var en, st *storedItem
		if hasUser && (!hasState || user.name <= state.name) {
			en = &user
		}
		if hasState && (!hasUser || state.name <= user.name) {
			st = &state
		}
		if err := fn(r.join(en, st)); err != nil {
			return err
		}
		if en != nil {
			user, userErr, hasUser = users()
		}
		if st != nil {
			state, stateErr, hasState = states()
		}
	}
	return ctx.Err()
}

// EachEnrollment calls fn for every user with an enrollment, sorted by name; err says why one
// cannot be read. Otherwise it is as Each.
func (r Records) EachEnrollment(ctx context.Context, fn func(user string, en mfa.Enrollment, err error) error) error {
	return store.Each(ctx, r.S, store.Users, func(it store.Item, err error) error {
		s := r.join(&storedItem{strings.TrimPrefix(it.Key, store.Users), it, err}, nil)
		return fn(s.User, s.Enrollment, s.Problem)
	})
}

// A storedItem is an item of a user in one of the key spaces.
type storedItem struct {
	name    string
	item    store.Item
	problem error // why it cannot be read
}

// items returns the items of all users in a key space, by name. An error of the store ends
// them.
func (r Records) items(ctx context.Context, space string) iter.Seq2[storedItem, error] {
	return func(yield func(storedItem, error) bool) {
		ended := false
		err := store.Each(ctx, r.S, space, func(it store.Item, problem error) error {
			if ended = !yield(storedItem{strings.TrimPrefix(it.Key, space), it, problem}, nil); ended {
				return context.Canceled
			}
			return nil
		})
		if err != nil && !ended {
			yield(storedItem{}, err)
		}
	}
}

// join returns what the store has of a user in both key spaces; nil: nothing.
func (r Records) join(en, st *storedItem) Stored {
	s := Stored{State: mfa.State{Since: r.Since}}
	if en != nil {
		s.User, s.Enrolled, s.Problem = en.name, true, en.problem
		if s.Problem == nil {
			s.Enrollment, s.Problem = record.DecodeEnrollment(r.location(en.item.Key), en.item.Value)
		}
	}
	if st != nil && s.Problem == nil {
		s.User, s.Problem = st.name, st.problem
		if s.Problem == nil {
			s.State, s.Problem = record.DecodeState(r.location(st.item.Key), st.item.Value)
		}
	}
	return s
}
