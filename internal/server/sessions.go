package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"mfa/internal/host/nss"
	"mfa/internal/mfa"
	"mfa/internal/text"
	"mfa/internal/wire"
)

// allSessions writes the wire.Sessions of all users as it reads them, so that the list is
// never whole in memory.
func (s *Control) allSessions(w http.ResponseWriter, r *http.Request) {
	out := &list{w: w, key: "sessions"}
	x := s.exchange()
	actor, err := x.actor(r.Context())
	if err != nil {
		s.denied(r, actor, err)
		s.refuse(w, r, err)
		return
	}
	unreadable, err := x.Engine.EachSession(r.Context(), func(v wire.Session) error { return out.item(v) })
	if err == nil {
		err = out.end("unreadable", unreadable)
	}
	switch {
	case err != nil && out.begun:
		s.Log.Error("the list of remembered logins is cut short", "error", err)
		panic(http.ErrAbortHandler) // or it would look whole
	case err != nil:
		s.refuse(w, r, err)
	}
}

func (s exchange) sessions(r *http.Request, id mfa.Identity, _ string) (any, error) {
	all, err := s.Engine.Sessions(r.Context(), id)
	return wire.Sessions{Sessions: notNil(all)}, err
}

// notNil makes a nil list empty: [] in JSON, not null.
func notNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// revoke ends the remembered session that the path names, or all of the user. For an
// administrator, all includes the conversations under way.
func (s exchange) revoke(r *http.Request, id mfa.Identity, actor string) (any, error) {
	session := strings.ToLower(r.PathValue("session"))
	if _, err := s.actor(r.Context()); err == nil && session == "" {
		// Not for users: a program of theirs could end every login of theirs.
		if err := s.interrupt(r.Context(), id, actor); err != nil {
			return nil, err
		}
	}
	n, err := s.Accounts.RevokeSessions(r.Context(), s.Accounts.Records().Account(id), session, actor, "")
	switch {
	case err != nil:
		return nil, err
	case n == 0 && session != "":
		return nil, fault{http.StatusNotFound, fmt.Errorf("no remembered login %q of %s", session, id.Name)}
	case n == 0:
		return wire.Revocation{UID: &id.UID}, nil
	}
	return wire.Revocation{Revoked: n, UID: &id.UID, Users: []string{id.Name}}, nil
}

// interrupt ends the conversations of a user under way.
func (s exchange) interrupt(ctx context.Context, id mfa.Identity, actor string) error {
	return s.Accounts.Interrupt(ctx, s.Accounts.Records().Account(id),
		text.Of("An administrator ended this login. Log in again."), "revoked by "+actor)
}

// revokers is how many users are worked on at once: the store writes many waiting changes
// in one transaction.
const revokers = 32

// revokeAll ends all remembered sessions and all conversations. If one record fails it
// goes on with the others.
func (s exchange) revokeAll(r *http.Request, actor string) (any, error) {
	var mu sync.Mutex // guards out
	var out wire.Revocation
	ids := make(chan mfa.Identity)
	var workers sync.WaitGroup
	for range revokers {
		workers.Go(func() {
			for id := range ids {
				n, err := s.Accounts.RevokeSessions(r.Context(), s.Accounts.Records().Account(id), "", actor, "of everybody")
				mu.Lock()
				if err != nil {
					s.Log.Error("remembered logins not revoked", "user", id.Name, "error", err)
					out.Failed = append(out.Failed, id.Name)
				} else if n > 0 {
					out.Revoked, out.Users = out.Revoked+n, append(out.Users, id.Name)
				}
				mu.Unlock()
			}
		})
	}
	last := ""
	failed, err := s.Engine.EachSession(r.Context(), func(v wire.Session) error {
		if v.User != last {
			last = v.User
			ids <- mfa.Identity{Name: v.User, UID: v.UID}
		}
		return nil
	})
	close(ids)
	workers.Wait()
	if err != nil {
		return nil, err
	}
	out.Failed = append(out.Failed, failed...)
	for _, id := range s.Accounts.InConversation() {
		if err := s.interrupt(r.Context(), id, actor); err != nil {
			s.Log.Error("logins under way not ended", "user", id.Name, "error", err)
			out.Failed = append(out.Failed, id.Name)
		}
	}
	return out, nil
}

// own calls h for administrators, and for users about themselves. Users need not prove a
// second factor: they only read, or end sessions, after which they are asked again.
func (s *Control) own(h func(s exchange, r *http.Request, id mfa.Identity, actor string) (any, error)) http.HandlerFunc {
	return s.answer(func(s exchange, r *http.Request) (any, error) {
		actor, err := s.actor(r.Context())
		if err == nil {
			id, err := s.account(r)
			if err != nil {
				return nil, err
			}
			return h(s, r, id, actor)
		}
		if id, ok := s.caller(r.Context()); ok && id.Name == r.PathValue("name") {
			return h(s, r, id, id.Name)
		}
		s.denied(r, actor, err)
		return nil, err
	})
}

// caller returns the account of the peer, if it has one.
func (s exchange) caller(ctx context.Context) (mfa.Identity, bool) {
	cred := credOf(ctx)
	if cred == nil {
		return mfa.Identity{}, false
	}
	id, err := nss.LookupUID(ctx, cred.Uid)
	if err != nil && !errors.Is(err, nss.ErrNoAccount) {
		s.Log.Debug("caller not looked up", "uid", cred.Uid, "error", err)
	}
	return id, err == nil
}
