package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"mfa/internal/audit"
	"mfa/internal/login"
	"mfa/internal/mfa"
	"mfa/internal/nss"
	"mfa/internal/wire"
)

// A Loginer holds one login over a Prompter; login.Engine is one.
type Loginer interface {
	Login(ctx context.Context, req mfa.Request, p login.Prompter) (mfa.Verdict, error)
}

const (
	helloTimeout = 5 * time.Second  // a module sends HELLO at once
	writeTimeout = 10 * time.Second // a frame is small; who does not take it is gone
)

// ErrStopping is the cause of a login that ended because the daemon stops.
var ErrStopping = errors.New("the daemon is stopping")

// PAM serves the PAM socket.
type PAM struct {
	Logins    func() Loginer // asked for at each login, so that a reload counts from the next
	MaxLogins int            // at once
	Timeout   time.Duration  // of one login, hello to verdict
	Audit     *audit.Log     // of logins that end before they begin
	Log       *slog.Logger

	room room
}

// Serve accepts until l is closed, and returns when the last login has ended.
// Logins end early when ctx ends, with its cause.
func (s *PAM) Serve(ctx context.Context, l *net.UnixListener) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		c, err := l.AcceptUnix()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			// Out of descriptors, most likely: logins that end free some.
			s.Log.Error("cannot accept a login", "error", err)
			if !sleep(ctx, 50*time.Millisecond) {
				return fmt.Errorf("accept on the PAM socket: %w", err)
			}
			continue
		}
		wg.Go(func() {
			defer c.Close()
			s.serve(ctx, c)
		})
	}
}

// sleep waits for d and says whether ctx still lasts.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// serve holds one connection. Whatever happens it ends with a verdict: a module
// that hears nothing would take the daemon for absent, and its administrator may
// have said unavailable=ignore.
func (s *PAM) serve(ctx context.Context, c *net.UnixConn) {
	var req mfa.Request
	var cred *unix.Ucred
	defer func() {
		if fault := recover(); fault != nil {
			s.Log.Error("login refused after a fault of ours; please report it",
				"fault", fault, "stack", string(debug.Stack()))
			s.refused(cred, req, mfa.Broken, "a fault of ours; the log has it")
			s.done(c, mfa.Verdict{Outcome: mfa.Broken})
		}
	}()
	cred, err := peer(c)
	if err != nil {
		s.Log.Error("connection refused", "error", err)
		s.refused(cred, req, mfa.Broken, err.Error())
		s.done(c, mfa.Verdict{Outcome: mfa.Broken})
		return
	}
	if !s.room.enter(cred.Uid, s.MaxLogins) {
		s.Log.Error("too many logins at once; raise server.max_logins if they are honest",
			"max_logins", s.MaxLogins, "uid", cred.Uid)
		s.refused(cred, req, mfa.Unavailable, "too many logins at once")
		s.done(c, mfa.Verdict{Outcome: mfa.Unavailable})
		return
	}
	defer s.room.leave(cred.Uid)

	ctx, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	_ = c.SetReadDeadline(time.Now().Add(helloTimeout))
	f, err := wire.Read(c)
	if err == nil {
		req, err = wire.DecodeHello(f)
	}
	if err == nil {
		req, err = authorize(ctx, req, cred.Uid)
	}
	if err != nil {
		s.Log.Warn("login refused before it began", "error", err, "uid", cred.Uid, "pid", cred.Pid)
		if !errors.Is(err, io.EOF) { // else nobody asked for anything
			s.refused(cred, req, mfa.Broken, err.Error())
		}
		s.done(c, mfa.Verdict{Outcome: mfa.Broken})
		return
	}
	_ = c.SetReadDeadline(time.Time{})

	conv := newConversation(ctx, c)
	defer conv.close()
	verdict, err := s.Logins().Login(conv.ctx, req, conv)
	if verdict.Outcome == mfa.NoConversation && errors.Is(context.Cause(conv.ctx), ErrStopping) {
		_, _ = conv.Prompt(ctx, mfa.Prompt{Kind: mfa.Failure, Text: "The second factor service restarts. Please log in again."})
		verdict.Outcome = mfa.Unavailable
	}
	if errors.Is(err, wire.ErrFrame) {
		s.Log.Error("module broke the protocol; do module and daemon have the same version?",
			"error", err, "module", req.Module, "daemon", mfa.Version)
		verdict.Outcome = mfa.Broken
	}
	s.done(c, verdict)
}

// refused writes the audit line of a login that no Loginer decided about.
func (s *PAM) refused(cred *unix.Ucred, req mfa.Request, o mfa.Outcome, reason string) {
	if cred != nil {
		reason = fmt.Sprintf("%s (asked by uid %d, process %d)", reason, cred.Uid, cred.Pid)
	}
	ev := audit.Event{Time: time.Now(), Event: audit.Login, Outcome: o.String(), Reason: reason}
	if req != (mfa.Request{}) { // else nobody said where from
		origin := login.OriginOf(req)
		ev.User, ev.Service, ev.Address, ev.Key, ev.TTY = req.User, origin.Service, origin.Address, origin.Key, req.TTY
	}
	s.Audit.Record(ev)
}

// authorize says whether uid may hold this login, and drops from req what uid
// has no authority over. A caller that is not root (a screen locker) can only
// ask for itself, from here.
func authorize(ctx context.Context, req mfa.Request, uid uint32) (mfa.Request, error) {
	req.UID = uid
	if uid == 0 {
		return req, nil
	}
	req.RHost, req.RUser, req.SSHAuthInfo, req.SSHConnection = "", "", "", ""
	me, err := nss.LookupUID(ctx, uid)
	if err != nil {
		return req, err
	}
	if req.User == me.Name {
		return req, nil
	}
	if asked, err := nss.Lookup(ctx, req.User); err != nil || asked != me { // else another name of theirs
		return req, fmt.Errorf("uid %d (%s) asks for user %q: only root may ask for others", uid, me.Name, req.User)
	}
	return req, nil
}

// Running returns how many logins are under way.
func (s *PAM) Running() int { return s.room.taken() }

// Refused returns how many logins found no room since the start.
func (s *PAM) Refused() int { return s.room.turnedAway() }

// done speaks the verdict. A module that is gone does not hear it: PAM has
// refused already.
func (s *PAM) done(c *net.UnixConn, v mfa.Verdict) {
	_ = c.SetWriteDeadline(time.Now().Add(writeTimeout))
	if err := wire.Write(c, wire.EncodeDone(v)); err != nil {
		s.Log.Debug("verdict not delivered", "error", err, "outcome", v.Outcome)
	}
}

// A conversation is the Prompter over one connection. A goroutine of its own
// reads, so that a module that goes away ends the login at once, whatever the
// login is waiting for.
type conversation struct {
	c      *net.UnixConn
	ctx    context.Context
	cancel context.CancelCauseFunc
	frames chan wire.Frame // unbuffered: a frame nobody asked for breaks the protocol
	reader sync.WaitGroup
}

// errGone is the cause of a login whose module closed the connection.
var errGone = errors.New("the client is gone")

func newConversation(ctx context.Context, c *net.UnixConn) *conversation {
	v := &conversation{c: c, frames: make(chan wire.Frame, 1)}
	v.ctx, v.cancel = context.WithCancelCause(ctx)
	v.reader.Go(v.read)
	return v
}

func (v *conversation) read() {
	for {
		f, err := wire.Read(v.c)
		if err != nil {
			if !errors.Is(err, wire.ErrFrame) {
				err = errGone
			}
			v.cancel(err)
			return
		}
		select {
		case v.frames <- f:
		default:
			v.cancel(fmt.Errorf("%w: two answers to one prompt", wire.ErrFrame))
			return
		}
	}
}

// close ends the reader and waits for it. The verdict can still be written.
func (v *conversation) close() {
	_ = v.c.CloseRead()
	v.cancel(nil)
	v.reader.Wait()
}

// Prompt implements login.Prompter. Control bytes are dropped both ways.
func (v *conversation) Prompt(ctx context.Context, p mfa.Prompt) (string, error) {
	asks := p.Kind == mfa.Ask || p.Kind == mfa.AskHidden
	if asks && len(v.frames) > 0 {
		return "", fmt.Errorf("%w: an answer before its prompt", wire.ErrFrame)
	}
	p.Text = strings.Map(printable, p.Text)
	_ = v.c.SetWriteDeadline(time.Now().Add(writeTimeout))
	if err := wire.Write(v.c, wire.EncodePrompt(p)); err != nil {
		return "", fmt.Errorf("prompt: %w: %w", errGone, err)
	}
	if !asks {
		return "", nil
	}
	select {
	case f := <-v.frames:
		answer, err := wire.DecodeAnswer(f)
		return strings.TrimSpace(strings.Map(printable, answer)), err
	case <-ctx.Done():
		return "", fmt.Errorf("prompt: %w", context.Cause(ctx))
	}
}

// printable keeps what may stand on a terminal.
func printable(r rune) rune {
	if r == '\n' || r >= ' ' && r != 0x7f && (r < 0x80 || r >= 0xa0) {
		return r
	}
	return -1
}
