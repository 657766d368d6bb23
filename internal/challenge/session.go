package challenge

import (
	"context"
	"errors"
	"fmt"

	"mfa/internal/audit"
	"mfa/internal/mfa"
	"mfa/internal/store"
)

// RevokeSessions ends what is remembered of an account: the session of that ID,
// or with "" all of them. It returns how many there were. Actor is who did it and
// reason why, for the audit file.
func (a *Asker) RevokeSessions(ctx context.Context, acct *store.Account, id, actor, reason string) (n int, err error) {
	err = acct.Update(ctx, func(st *mfa.State) error {
		n = 0
		if id == "" {
			n = st.RevokeSessions()
		} else if st.RevokeSession(id) {
			n = 1
		}
		if n == 0 {
			return errNothingToRevoke
		}
		return nil
	})
	if errors.Is(err, errNothingToRevoke) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	what := fmt.Sprintf("%d sessions", n)
	if n == 1 {
		what = "1 session"
	}
	if id != "" {
		what = "session " + id
	}
	if reason != "" {
		what += ": " + reason
	}
	a.deps.Audit.Record(audit.Event{
		Time: a.deps.Now(), Event: audit.Revoked, User: acct.ID.Name, UID: &acct.ID.UID, Actor: actor, Reason: what,
	})
	return n, nil
}

var errNothingToRevoke = errors.New("nothing to revoke")
