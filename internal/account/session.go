package account

import (
	"context"
	"errors"
	"fmt"

	"mfa/internal/audit"
	"mfa/internal/mfa"
)

// RevokeSessions ends the remembered session of that ID, or with "" all of the account.
// It returns how many it ended. Actor and reason are for the audit file.
func (a *Accounts) RevokeSessions(ctx context.Context, acct *Account, id, actor, reason string) (n int, err error) {
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
	if id != "" {
		a.revoked(acct.ID, "session "+id, actor, reason)
	} else {
		a.revokedAll(acct.ID, n, actor, reason)
	}
	return n, nil
}

// revokedAll audits that n remembered sessions were ended.
func (a *Accounts) revokedAll(id mfa.Identity, n int, actor, reason string) {
	what := fmt.Sprintf("%d sessions", n)
	if n == 1 {
		what = "1 session"
	}
	a.revoked(id, what, actor, reason)
}

func (a *Accounts) revoked(id mfa.Identity, what, actor, reason string) {
	if reason != "" {
		what += ": " + reason
	}
	a.deps.Audit.Record(mfa.Event{
		Time: a.deps.Now(), Event: audit.Revoked, User: id.Name, UID: &id.UID, Actor: actor, Reason: what,
	})
}

var errNothingToRevoke = errors.New("nothing to revoke")
