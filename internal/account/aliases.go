package account

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"mfa/internal/mfa"
	"mfa/internal/store"
)

// Aliases knows the records that stand under another name of an account than its
// canonical one: written before names were looked up by uid, or left by an account
// that was renamed or whose uid was given to another. It reads each record once,
// and after that only new ones; in a fleet it asks for those of one uid (NoteUID). It may be
// used from many goroutines.
type Aliases struct {
	Records Records
	Now     func() time.Time // the clock; nil: names are listed at each call, and a lock with an end never ends

	mu     sync.Mutex        // guards what follows
	uids   map[string]uint32 // of enrollments, by name; nil: not read yet
	locked map[string]uint32 // of states that were locked when they were read, or since
	listed time.Time
}

// relist is how old the list of names may be. The daemon writes canonical names
// only, so others come by hand.
const relist = 10 * time.Second

// Of returns the names other than id.Name under which the uid of id is enrolled,
// has chosen not to be, or is locked. They are sorted. A record that never parsed
// is left out; one that parsed before and does not now is an error.
func (x *Aliases) Of(ctx context.Context, id mfa.Identity) ([]string, error) {
	candidates, err := x.candidates(ctx, id)
	if err != nil {
		return nil, err
	}
	var others []string
	for _, name := range candidates {
		en, err := x.Records.Enrollment(ctx, name)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
		is := err == nil && en.UID == id.UID
		if errors.Is(err, store.ErrNotFound) {
			st, err := x.Records.State(ctx, name)
			if err != nil {
				return nil, err
			}
			_, _, locked := st.Locked(x.clock())
			is = locked && st.UID == id.UID
		}
		if is {
			others = append(others, name)
		}
	}
	return others, nil
}

func (x *Aliases) clock() time.Time {
	if x.Now == nil {
		return time.Time{}
	}
	return x.Now()
}

// candidates returns the other names that had the uid when they were read.
func (x *Aliases) candidates(ctx context.Context, id mfa.Identity) ([]string, error) {
	if x.Records.Host != "" {
		names, err := x.Records.names(ctx, id.UID)
		return slices.DeleteFunc(names, func(name string) bool { return name == id.Name }), err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if err := x.refresh(ctx); err != nil {
		return nil, err
	}
	var names []string
	for _, known := range []map[string]uint32{x.uids, x.locked} {
		for name, uid := range known {
			if uid == id.UID && name != id.Name {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// refresh brings the names up to date. The caller holds mu.
func (x *Aliases) refresh(ctx context.Context) error {
	if age := x.clock().Sub(x.listed); x.uids != nil && age >= 0 && age < relist && x.Now != nil {
		return nil
	}
	names, err := x.Records.Users(ctx)
	if err != nil {
		return err
	}
	uids := make(map[string]uint32, len(names))
	for _, name := range names {
		uid, known := x.uids[name]
		if !known {
			en, err := x.Records.Enrollment(ctx, name)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				continue // looked at again next time
			}
			uid = en.UID
		}
		uids[strings.Clone(name)] = uid
	}
	if x.uids == nil {
		if x.locked, err = x.lockedStates(ctx, uids); err != nil {
			return err
		}
	}
	x.uids, x.listed = uids, x.clock()
	return nil
}

// NoteLock notes that the account id is locked, so that Of finds the lock after the
// account was renamed.
func (x *Aliases) NoteLock(id mfa.Identity) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.locked != nil {
		x.locked[id.Name] = id.UID
	}
}

// lockedStates returns the uids of users who are locked and not in enrolled, by name.
func (x *Aliases) lockedStates(ctx context.Context, enrolled map[string]uint32) (map[string]uint32, error) {
	names, err := x.Records.StateUsers(ctx)
	if err != nil {
		return nil, err
	}
	locked := map[string]uint32{}
	for _, name := range names {
		if _, is := enrolled[name]; is {
			continue
		}
		st, err := x.Records.State(ctx, name)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if _, _, is := st.Locked(x.clock()); err == nil && is {
			locked[name] = st.UID
		}
	}
	return locked, nil
}

// Forget makes the next Of read all records anew: an enrollment that was edited
// by hand may have another uid than before.
func (x *Aliases) Forget() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.uids, x.locked = nil, nil
}
