package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"mfa/internal/enroll"
	"mfa/internal/host/nss"
	"mfa/internal/wire"
)

// root returns the name of the caller, with an error unless it is root. A backup holds
// every secret, so members of admin_group may not read one.
func (s exchange) root(ctx context.Context) (string, error) {
	cred := credOf(ctx)
	if cred != nil && cred.Uid == 0 {
		return s.actor(ctx)
	}
	err := fault{http.StatusForbidden, errors.New("only root may: it is about every secret that mfad has")}
	if cred == nil {
		return "", err
	}
	return fmt.Sprintf("uid %d", cred.Uid), err
}

// backup streams a wire.BackupHeader, and a wire.Saved of each user.
func (s exchange) backup(r *http.Request, actor string, out *stream) error {
	s.Log.Info("backup", "actor", actor)
	return s.Enroll.Backup(r.Context(), out.begin,
		func(h wire.BackupHeader) error { return out.item(h) },
		func(u wire.Saved) error { return out.item(u) })
}

func (s exchange) restore(r *http.Request, actor string) (any, error) {
	if _, err := s.root(r.Context()); err != nil {
		s.denied(r, actor, err)
		return nil, err
	}
	var in wire.Restore
	if err := readBody(r, &in); err != nil {
		return nil, err
	}
	id, err := s.Lookup(r.Context(), in.Saved.User)
	account := &id
	if errors.Is(err, nss.ErrNoAccount) {
		account = nil // it may be made after the restore
	} else if err != nil {
		return nil, err
	} else if id.Name != in.Saved.User {
		return nil, fault{http.StatusConflict, fmt.Errorf("user %q is called %q here", in.Saved.User, id.Name)}
	}
	result, err := s.Enroll.Restore(r.Context(), account, in.Header, in.Saved, in.DryRun, actor)
	if errors.Is(err, enroll.ErrInvalid) {
		return nil, fault{http.StatusBadRequest, err}
	}
	out := wire.Restored{User: in.Saved.User, Result: result, NoAccount: account == nil}
	if err == nil && !in.DryRun {
		out.BackupVoid, err = s.Enroll.BackupVoid(r.Context(), in.Saved.User)
	}
	return out, err
}
