package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"mfa/internal/account"
	"mfa/internal/audit"
	"mfa/internal/enroll"
	"mfa/internal/host/nss"
	"mfa/internal/login"
	"mfa/internal/mfa"
	"mfa/internal/store"
	"mfa/internal/wire"
)

// Control serves the control socket: HTTP with JSON. wire.Routes lists what it
// serves, and package wire has the bodies.
//
// An error is a wire.Fault with a status: 400 not understood, 403 not allowed, 404
// no such user or not enrolled, 409 a conflict with the present state, 411, 413 and 414
// see measure.go, 422 a record that does not parse, 426 and 503 see self.go, 429 too soon
// or too often, 502 the carrier refused, 507 a full disk, 500 a fault of ours.
type Control struct {
	// Now returns the Snapshot of the current configuration. It is called once for each
	// request, so that all of a request goes by one configuration.
	Now       func() Snapshot
	Lookup    login.Lookup
	Status    func(context.Context) wire.Status
	Reload    func() (wire.Reloaded, error)
	RotateKey func(ctx context.Context, begin func(total int), fn func(user string, err error)) error
	// Migrate copies the records to the store of that word of store.backend.
	Migrate func(ctx context.Context, backend string, begin func(total int), fn func(account.Migrated)) error
	// Directory tries the directory that says where codes go; nil: there is none.
	Directory func(context.Context) wire.Directory
	// Fleet looks at the etcd of a fleet and at its hosts; nil: the store is this host's alone.
	Fleet func(context.Context) wire.Fleet
	// SendTest sends a test message once and returns every step of it.
	SendTest func(ctx context.Context, method mfa.Method, to string) ([]wire.Step, error)
	Audit    *audit.Log
	Log      *slog.Logger

	connections      slots       // of connections
	conversations    slots       // of conversations, which are among them
	conversationRate rateLimiter // of conversations
	allowed          allowList   // uids that administer, lately
	running          sync.WaitGroup
	end              context.Context // when it ends, conversations do
}

// Wait returns when the last conversation and the last change of the key have ended.
func (s *Control) Wait() { s.running.Wait() }

// A fault is an error with an HTTP status.
type fault struct {
	code int
	err  error
}

func (f fault) Error() string { return f.err.Error() }
func (f fault) Unwrap() error { return f.err }

type credKey struct{}

// credOf returns the credentials of the peer, or nil if they are not known.
func credOf(ctx context.Context) *unix.Ucred {
	cred, _ := ctx.Value(credKey{}).(*unix.Ucred)
	return cred
}

// A router is http.ServeMux, or a test that tries each route as every kind of peer.
type router interface {
	HandleFunc(pattern string, h func(http.ResponseWriter, *http.Request))
}

// routes registers every route with mux.
func (s *Control) routes(mux router) {
	for route, h := range map[wire.Route]http.HandlerFunc{
		wire.GetStatus:          s.admin(exchange.status),
		wire.PostReload:         s.admin(exchange.reload),
		wire.ListUsers:          s.streaming(exchange.actor, exchange.users),
		wire.GetUser:            s.own(exchange.show),
		wire.PutEmail:           s.admin(setContact(mfa.Email)),
		wire.PutPhone:           s.admin(setContact(mfa.SMS)),
		wire.PutLanguage:        s.admin(exchange.setLanguage),
		wire.PostApp:            s.admin(exchange.setApp),
		wire.PutToken:           s.admin(exchange.shelve),
		wire.PostToken:          s.admin(exchange.setToken),
		wire.PostLock:           s.admin(exchange.lock),
		wire.PostUnlock:         s.admin(exchange.unlock),
		wire.PostReset:          s.admin(exchange.reset),
		wire.PostResend:         s.admin(exchange.resend),
		wire.PostImport:         s.admin(exchange.takeOver),
		wire.GetRecord:          s.admin(exchange.record),
		wire.PutRecord:          s.admin(exchange.edit),
		wire.PostContacts:       s.admin(exchange.setContacts),
		wire.ListSessions:       s.allSessions,
		wire.DeleteSessions:     s.admin(exchange.revokeAll),
		wire.ListUserSessions:   s.own(exchange.sessions),
		wire.DeleteUserSessions: s.own(exchange.revoke),
		wire.DeleteUserSession:  s.own(exchange.revoke),
		wire.GetDirectory:       s.admin(exchange.directory),
		wire.GetFleet:           s.admin(exchange.fleet),
		wire.PostExplain:        s.admin(exchange.explain),
		wire.PostSendTest:       s.admin(exchange.sendTest),
		wire.GetBackup:          s.streaming(exchange.root, exchange.backup),
		wire.PostRestore:        s.admin(exchange.restore),
		wire.PostRotate:         s.streaming(exchange.actor, exchange.rotateKey),
		wire.PostMigrate:        s.streaming(exchange.root, exchange.migrate),
		wire.PostSelf:           func(w http.ResponseWriter, r *http.Request) { s.exchange().self(w, r) },
	} {
		mux.HandleFunc(string(route), h)
	}
}

// controlBounds are those of connections to the control socket.
var controlBounds = bounds{root: 128, others: 256, perUID: 16}

// controlRate is how often one uid may connect, unless it is root or in Control.allowed.
var controlRate = rate{burst: 60, every: time.Second}

// tooMany is the answer to a connection that is turned away.
const tooMany = `{"error": "too many connections; try again in a minute"}` + "\n"

// Gate returns l with the bounds of the control socket.
func (s *Control) Gate(l *net.UnixListener) *Gate {
	return &Gate{
		Listener: l, name: "control socket", bounds: controlBounds, rate: controlRate,
		refusal: fmt.Appendf(nil, "HTTP/1.1 429 Too Many Requests\r\nConnection: close\r\nContent-Type: application/json\r\n"+
			"Content-Length: %d\r\n\r\n%s", len(tooMany), tooMany),
		event: turnedAway, slots: &s.connections, allowed: &s.allowed, audit: s.Audit, log: s.Log,
	}
}

// Server returns the HTTP server. The caller serves a Gate with it and shuts it down.
// Conversations and changes of the key outlive the server; they end when ctx ends, and
// Wait waits for them.
func (s *Control) Server(ctx context.Context) *http.Server {
	s.end = ctx
	mux := http.NewServeMux()
	s.routes(mux)
	return &http.Server{
		Handler:           s.oneEach(measured(mux)),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       5 * time.Second,
		MaxHeaderBytes:    16 << 10,
		// Anybody can send a request that is wrong, as often as they like.
		ErrorLog: slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			if v, ok := c.(*peerConn); ok && v.cred != nil {
				ctx = context.WithValue(ctx, credKey{}, v.cred)
			}
			return ctx
		},
	}
}

// oneEach allows one request a connection, except for root and uids in s.allowed: so the
// bounds on connections are bounds on requests. It also logs a panic of h.
func (s *Control) oneEach(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		cred := credOf(r.Context())
		if cred == nil || cred.Uid != 0 && !s.allowed.has(cred.Uid, time.Now()) {
			w.Header().Set("Connection", "close")
		}
		defer func() {
			if fault := recover(); fault != nil {
				if err, ok := fault.(error); ok && errors.Is(err, http.ErrAbortHandler) { // meant
					panic(fault)
				}
				s.Log.Error("control request ended by a fault of ours; report it",
					"fault", fault, "stack", string(debug.Stack()))
				panic(http.ErrAbortHandler)
			}
		}()
		h.ServeHTTP(w, r)
	})
}

// admin calls h for root and members of server.admin_group, and refuses all others.
func (s *Control) admin(h func(s exchange, r *http.Request, actor string) (any, error)) http.HandlerFunc {
	return s.answer(func(s exchange, r *http.Request) (any, error) {
		actor, err := s.actor(r.Context())
		if err != nil {
			s.denied(r, actor, err)
			return nil, err
		}
		return h(s, r, actor)
	})
}

// answer writes what h returns as JSON.
func (s *Control) answer(h func(s exchange, r *http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := h(s.exchange(), r)
		if err != nil {
			s.refuse(w, r, err)
			return
		}
		s.write(w, http.StatusOK, body)
	}
}

// refuse answers with an error.
func (s *Control) refuse(w http.ResponseWriter, r *http.Request, err error) {
	s.write(w, s.codeOf(r, err), wire.Fault{Error: err.Error()})
}

// write answers with body as JSON.
func (s *Control) write(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		s.Log.Debug("control answer not delivered", "error", err)
	}
}

// ours returns the status of an error that is not the caller's fault.
func ours(err error) int {
	switch {
	case errors.Is(err, store.ErrUnreadable):
		return http.StatusUnprocessableEntity
	case store.IsFull(err):
		return http.StatusInsufficientStorage
	}
	return http.StatusInternalServerError
}

// denied audits that actor was refused.
func (s *Control) denied(r *http.Request, actor string, why error) {
	uid := uint32(noUID)
	if cred := credOf(r.Context()); cred != nil {
		uid = cred.Uid
	}
	s.Audit.Refuse(uid, "administer", mfa.Event{
		Time: time.Now(), Event: audit.Denied, Actor: actor, User: short(r.PathValue("name")),
		Reason: r.Pattern + ": " + why.Error(),
	})
}

// turnedAway is the event of a peer that was refused before its request was read.
func turnedAway(uid uint32, reason string) mfa.Event {
	return mfa.Event{Time: time.Now(), Event: audit.Denied, Actor: fmt.Sprintf("uid %d", uid), Reason: reason}
}

// codeOf returns the HTTP status of an error. It logs one that is not a fault.
func (s *Control) codeOf(r *http.Request, err error) int {
	if f, ok := errors.AsType[fault](err); ok {
		return f.code
	}
	s.Log.Error("control request failed", "error", err, "method", r.Method, "path", r.URL.Path)
	return ours(err)
}

// actor returns the name of the caller. The error says why they may not administer; the
// name is set with it, too.
func (s exchange) actor(ctx context.Context) (string, error) {
	cred := credOf(ctx)
	if cred == nil {
		return "", fault{http.StatusForbidden, errors.New("caller unknown")}
	}
	id, err := nss.LookupUID(ctx, cred.Uid)
	switch {
	case cred.Uid == 0 && err != nil:
		return "root", nil
	case err != nil:
		return fmt.Sprintf("uid %d", cred.Uid), fault{http.StatusForbidden, err}
	case cred.Uid == 0:
		return id.Name, nil
	}
	group := s.AdminGroup
	member, err := inGroup(ctx, id.Name, group)
	if err != nil {
		return id.Name, fault{http.StatusForbidden, err}
	}
	if !member && group == "" {
		return id.Name, fault{http.StatusForbidden, fmt.Errorf("%s may not administer: only root may", id.Name)}
	}
	if !member {
		return id.Name, fault{http.StatusForbidden, fmt.Errorf("%s may not administer: only root and members of group %q may", id.Name, group)}
	}
	s.allowed.add(cred.Uid, time.Now())
	return id.Name, nil
}

// inGroup says whether the account is a member of the group. A group that does
// not exist has no members.
func inGroup(ctx context.Context, account, group string) (bool, error) {
	if group == "" {
		return false, nil
	}
	gid, err := nss.Groups{}.ID(ctx, group)
	if errors.Is(err, nss.ErrNoGroup) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	gids, err := nss.Groups{}.Of(ctx, account)
	return slices.Contains(gids, gid), err
}

// account returns the account that the path names.
func (s exchange) account(r *http.Request) (mfa.Identity, error) {
	return s.named(r.Context(), r.PathValue("name"))
}

// directory says how the directory is.
func (s exchange) directory(r *http.Request, _ string) (any, error) {
	if s.Directory == nil {
		return wire.Directory{}, nil
	}
	return s.Directory(r.Context()), nil
}

// fleet says how etcd is, and what hosts share it.
func (s exchange) fleet(r *http.Request, _ string) (any, error) {
	if s.Fleet == nil {
		return wire.Fleet{}, nil
	}
	return s.Fleet(r.Context()), nil
}

func (s exchange) status(r *http.Request, _ string) (any, error) { return s.Status(r.Context()), nil }

// show serves users about themselves, too. Only administrators get addresses without
// masks: somebody else may use a terminal that was left open.
func (s exchange) show(r *http.Request, id mfa.Identity, _ string) (any, error) {
	show := s.Enroll.Show
	if reveals(r) {
		if actor, err := s.actor(r.Context()); err != nil {
			s.denied(r, actor, err)
			return nil, err
		}
		show = s.Enroll.ShowRevealed
	}
	v, err := show(r.Context(), id)
	if errors.Is(err, enroll.ErrNotEnrolled) {
		return nil, fault{http.StatusNotFound, err}
	}
	return v, err
}

// setContact sets where codes of the method m go.
func setContact(m mfa.Method) func(exchange, *http.Request, string) (any, error) {
	return func(s exchange, r *http.Request, actor string) (any, error) {
		var in wire.Contact
		if err := readBody(r, &in); err != nil {
			return nil, err
		}
		id, err := s.account(r)
		if err != nil {
			return nil, err
		}
		if err := s.Enroll.SetContact(r.Context(), id, m, in.Address, actor); err != nil {
			if errors.Is(err, enroll.ErrInvalid) {
				return nil, fault{http.StatusBadRequest, err}
			}
			return nil, err
		}
		if m == mfa.Email && !in.Silent {
			s.invite(r, id, actor)
		}
		return s.Enroll.Show(r.Context(), id)
	}
}

// setApp gives a user a new authenticator app.
func (s exchange) setApp(r *http.Request, actor string) (any, error) {
	id, err := s.account(r)
	if err != nil {
		return nil, err
	}
	shown, err := s.Enroll.SetApp(r.Context(), id, actor)
	return wire.NewApp{User: id.Name, Text: shown.Text, QR: shown.Drawing, Replaces: shown.Replaces}, err
}

func (s exchange) unlock(r *http.Request, actor string) (any, error) {
	id, err := s.account(r)
	if err != nil {
		return nil, err
	}
	if r.URL.Query().Get(wire.QueryAhead) == wire.Yes {
		ended, err := s.Accounts.EndFutureTimes(r.Context(), id.Name, actor)
		return wire.Unlocked{User: id.Name, Ended: ended}, err
	}
	shown, _ := s.Enroll.Show(r.Context(), id) // of who is not enrolled there is nothing to tell
	was, err := s.Accounts.Unlock(r.Context(), id.Name, actor)
	return wire.Unlocked{User: id.Name, WasLocked: was, Ended: shown.Ahead}, err
}

// reset clears the records under all names of the account. For a name that has no account
// any more, or that NSS cannot look up, it clears the records under that name.
func (s exchange) reset(r *http.Request, actor string) (any, error) {
	id, err := s.account(r)
	gone := err != nil
	if gone {
		id.Name = r.PathValue("name")
	}
	names := []string{id.Name}
	if !gone {
		others, err := s.Engine.OtherNames(r.Context(), id)
		if err != nil {
			return nil, err
		}
		names = append(names, others...)
	}
	was, rerr := false, error(nil)
	for _, name := range names {
		one, err := s.Enroll.Reset(r.Context(), name, actor)
		was, rerr = was || one, errors.Join(rerr, err)
	}
	switch {
	case rerr != nil:
		return nil, rerr
	case gone && !was:
		return nil, err
	}
	return wire.Cleared{User: id.Name, WasEnrolled: was}, nil
}

// reload loads the configuration anew. If it is refused the status is 409, and the one
// before stays.
func (s exchange) reload(*http.Request, string) (any, error) {
	if s.Reload == nil {
		return nil, fault{http.StatusConflict, errors.New("nothing can be read again here")}
	}
	out, err := s.Reload()
	if err != nil {
		return nil, fault{http.StatusConflict, err}
	}
	return out, nil
}
