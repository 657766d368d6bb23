package server

import (
	"errors"
	"net/http"

	"mfa/internal/account"
	"mfa/internal/store"
	"mfa/internal/wire"
)

// migrate copies the records to another store. It ends when the caller goes: what was
// copied stays, and it can be run again.
func (s exchange) migrate(r *http.Request, actor string, out *stream) error {
	to := r.PathValue("backend")
	if to != store.BackendEtcd && to != store.BackendLocal {
		return fault{http.StatusBadRequest, errors.New(`records are moved to "etcd" or to "local"`)}
	}
	s.Log.Info("records are copied to another store", "to", to, "actor", actor)
	var gone error // the caller no longer listens
	problems := 0
	err := s.Migrate(r.Context(), to, func(total int) { gone = out.begin(total) }, func(u account.Migrated) {
		line := wire.Migrated{User: u.User, Result: u.Result}
		if u.Problem != nil {
			problems++
			line.Problem = wire.ProblemOf(u.Problem)
		}
		if gone == nil {
			gone = out.item(line)
		}
	})
	if problems > 0 && r.Context().Err() == nil {
		return gone // they were told one by one
	}
	return err
}
