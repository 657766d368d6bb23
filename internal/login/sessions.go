package login

import (
	"context"

	"mfa/internal/mfa"
	"mfa/internal/wire"
)

// Sessions returns the remembered sessions of one user, in the order of the record. Its
// error is that of the record.
func (e *Engine) Sessions(ctx context.Context, id mfa.Identity) ([]wire.Session, error) {
	st, err := e.deps.Accounts.Records().Account(id).State(ctx)
	if err != nil {
		return nil, err
	}
	return e.views(ctx, id, st), nil
}

// EachSession calls fn for each remembered session of all users, by name, and returns the
// users whose record cannot be read; the log says why. It ends at the first error of fn or
// the store, and returns it.
func (e *Engine) EachSession(ctx context.Context, fn func(wire.Session) error) (unreadable []string, err error) {
	err = e.deps.Accounts.Records().EachState(ctx, func(user string, st mfa.State, err error) error {
		if err != nil {
			e.deps.Log.Error("remembered logins not shown", "user", user, "error", err)
			unreadable = append(unreadable, user)
			return nil
		}
		for _, v := range e.views(ctx, mfa.Identity{Name: user, UID: st.UID}, st) {
			if err := fn(v); err != nil {
				return err
			}
		}
		return nil
	})
	return unreadable, err
}

func (e *Engine) views(ctx context.Context, id mfa.Identity, st mfa.State) []wire.Session {
	if len(st.Sessions) == 0 {
		return nil
	}
	l := e.inquire(e.deps.Accounts.User(e.deps.Accounts.Records().Account(id), mfa.Origin{}), nil)
	en, err := l.withKnown(ctx)
	if err != nil {
		e.deps.Log.Error("enrollment not readable", "user", id.Name, "error", err)
	}
	fingerprint, now := en.Fingerprint(), e.deps.Now()
	var all []wire.Session
	for _, s := range st.Sessions {
		v := wire.Session{
			User: id.Name, UID: id.UID, ID: s.ID, Service: s.Service, Address: s.Address, Key: s.Key, Method: s.Method,
			Created: s.Created, Expires: e.cfg.Session.expiry(s), LastUsed: s.LastUsed,
		}
		switch v.Ended = e.cfg.Session.ended(s, fingerprint, now); {
		case err != nil:
			v.Ended = "the enrollment cannot be read"
		case en.Generation < e.cfg.Generation && len(fromDirectory(en)) == 0:
			v.Ended = "the user must enroll anew"
		}
		all = append(all, v)
	}
	return all
}
