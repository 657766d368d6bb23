package server

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"mfa/internal/audit"
	"mfa/internal/host/nss"
	"mfa/internal/login"
	"mfa/internal/mfa"
	"mfa/internal/wire"
)

// A Loginer holds one login over a Prompter; login.Engine implements it. It may be called
// from many goroutines. The verdict counts with an error, too.
type Loginer interface {
	Login(ctx context.Context, req mfa.Request, p login.Prompter) (mfa.Verdict, error)
	// Endings says what may stand behind the password in one line; see login.Engine.
	Endings(ctx context.Context, req mfa.Request) []mfa.Ending
}

// A Meter counts the duration of logins by outcome; metrics.Metrics implements it. It may
// be called from many goroutines.
type Meter interface {
	LoginTook(o mfa.Outcome, took time.Duration)
}

const (
	helloTimeout = 5 * time.Second  // a module sends HELLO at once
	writeTimeout = 10 * time.Second // a frame is small; a peer that does not take it is gone
	inputRoom    = 1 << 10          // bytes; most frames are read in one piece
)

// PAM serves the PAM socket.
type PAM struct {
	Logins    func() Loginer // called at each login, so that a reload counts from the next
	MaxLogins int            // at once, of peers that are root; all others together have a quarter of that
	Timeout   time.Duration  // of one login, hello to verdict
	Trusted   []string       // accounts that may ask for others, as root may; see authorize
	Audit     *audit.Log     // of logins that end before they begin
	Log       *slog.Logger
	Meter     Meter // of logins that a Loginer held; nil: nobody counts

	hello   time.Duration // how long HELLO is waited for; 0: helloTimeout
	slots   slots
	askers  askers
	allowed allowList // uids of Trusted
}

// loginRate is how often one uid that is not root may ask. A person who unlocks
// a screen never comes so often.
var loginRate = rate{burst: 20, every: 10 * time.Second}

// Serve accepts connections until l is closed, and returns when the last login has ended.
// When ctx ends, logins end early with its cause. Call it once.
func (s *PAM) Serve(ctx context.Context, l *net.UnixListener) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	var word bytes.Buffer
	if err := wire.Write(&word, wire.EncodeDone(mfa.Verdict{Outcome: mfa.Unavailable})); err != nil {
		return err
	}
	gate := &Gate{
		Listener: l, name: "PAM socket (logins)", bounds: loginBounds(s.MaxLogins), rate: loginRate, refusal: word.Bytes(),
		event: func(uid uint32, reason string) mfa.Event {
			return mfa.Event{
				Time: time.Now(), Event: audit.Login, Outcome: mfa.Unavailable.String(),
				Reason: fmt.Sprintf("%s (asked by uid %d)", reason, uid),
			}
		},
		slots: &s.slots, allowed: &s.allowed, audit: s.Audit, log: s.Log,
	}
	for {
		c, err := gate.Accept()
		if err != nil {
			return nil // closed
		}
		wg.Go(func() {
			defer c.Close()
			s.answer(ctx, c.(*peerConn))
		})
	}
}

// answer serves one connection. It always ends with a verdict, also after a panic:
// otherwise the module might take the daemon for absent, and let in with
// unavailable=ignore.
func (s *PAM) answer(ctx context.Context, c *peerConn) {
	var req mfa.Request
	defer func() {
		if fault := recover(); fault != nil {
			s.Log.Error("login refused after a fault of ours; report it",
				"fault", fault, "stack", string(debug.Stack()))
			s.refuse(c, req, mfa.Broken, "a fault of ours; the log has it")
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	_ = c.SetReadDeadline(time.Now().Add(cmp.Or(s.hello, helloTimeout)))
	in := newInput(c)
	f, err := wire.Read(in)
	if err == nil {
		req, err = wire.DecodeHello(f)
	}
	outcome := mfa.Broken
	if err == nil {
		req, outcome, err = s.authorize(ctx, req, c.cred.Uid)
	}
	if err == nil {
		var leave func()
		req.RUser = asker(ctx, req.RUser)
		if leave, err = s.askers.enter(req, perAsker(s.MaxLogins)); err == nil {
			defer leave()
		} else {
			outcome = mfa.Unavailable
		}
	}
	switch {
	case errors.Is(err, io.EOF): // nobody asked for anything
		s.done(c, mfa.Verdict{Outcome: outcome})
		return
	case err != nil:
		s.refuse(c, req, outcome, err.Error())
		return
	}
	_ = c.SetReadDeadline(time.Time{})
	if f.Type == wire.Split {
		_ = s.say(c, wire.EncodeCut(s.Logins().Endings(ctx, req))) // a module that is gone has refused
		return
	}

	conv := newConversation(ctx, c, in)
	defer conv.close()
	verdict := s.hold(conv.ctx, req, conv)
	cause := context.Cause(conv.ctx)
	if ended, ok := errors.AsType[mfa.Ended](cause); ok && verdict.Refuses() && verdict.Outcome != ended.Outcome {
		// A Loginer that did not ask why its login ended.
		if verdict.Outcome = ended.Outcome; ended.Text != "" {
			_, _ = conv.Prompt(ctx, mfa.Prompt{Kind: mfa.Failure, Text: ended.Text}) // in English: nobody says whose login it was
		}
	}
	if errors.Is(cause, wire.ErrFrame) {
		s.Log.Error("module broke the protocol; do module and daemon have the same version?",
			"error", cause, "module", req.Module, "daemon", mfa.Version)
	}
	s.done(c, verdict)
}

// hold runs a login and counts it.
func (s *PAM) hold(ctx context.Context, req mfa.Request, p login.Prompter) mfa.Verdict {
	began := time.Now()
	verdict, _ := s.Logins().Login(ctx, req, p)
	if s.Meter != nil {
		s.Meter.LoginTook(verdict.Outcome, time.Since(began))
	}
	return verdict
}

// refuse ends a login before a Loginer decides about it, and audits that.
func (s *PAM) refuse(c *peerConn, req mfa.Request, o mfa.Outcome, reason string) {
	defer s.done(c, mfa.Verdict{Outcome: o})
	ev := mfa.Event{
		Time: time.Now(), Event: audit.Login, Outcome: o.String(),
		Reason: fmt.Sprintf("%s (asked by uid %d, process %d)", reason, c.cred.Uid, c.cred.Pid),
	}
	if req != (mfa.Request{}) { // else there was no HELLO
		origin := login.OriginOf(req)
		ev.User, ev.Service, ev.Address, ev.Key, ev.TTY = short(req.User), short(origin.Service), origin.Address, origin.Key, short(req.TTY)
	}
	s.Audit.Refuse(c.cred.Uid, o.String(), ev)
}

// short returns the beginning of a text from a peer that is refused.
func short(text string) string {
	const most = 64
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}

// authorize returns req with its UID, if a peer of that uid may hold this login, and clears
// the fields that the peer may not set; else an outcome and an error. root may ask for
// any user. A peer of server.trusted_users, like a database server with a uid of its own,
// may ask for any user and name the remote host, but not what sshd says. Any other peer,
// like a screen locker, may ask only for itself, and its remote host does not count.
func (s *PAM) authorize(ctx context.Context, req mfa.Request, uid uint32) (mfa.Request, mfa.Outcome, error) {
	req.UID = uid
	if uid == 0 {
		return req, 0, nil
	}
	req.SSHAuthInfo, req.SSHConnection = "", "" // sshd is root
	me, err := nss.LookupUID(ctx, uid)
	switch {
	case errors.Is(err, nss.ErrNoAccount):
		return req, mfa.NotAllowed, err
	case err != nil:
		return req, mfa.Unavailable, err
	case slices.Contains(s.Trusted, me.Name):
		s.allowed.add(uid, time.Now())
		return req, 0, nil
	}
	req.RHost, req.RUser = "", ""
	if req.User == me.Name {
		return req, 0, nil
	}
	if asked, err := nss.Lookup(ctx, req.User); err != nil || asked != me { // else another name of theirs
		return req, mfa.NotAllowed, fmt.Errorf("uid %d (%s) asks for user %q: only root may ask for others, and server.trusted_users, "+
			"which is for the user of a program that logs people in, as postgres, and never for a person", uid, me.Name, short(req.User))
	}
	return req, 0, nil
}

// Running returns how many logins are under way. It may be called from many goroutines.
func (s *PAM) Running() int { return s.slots.taken() }

// Refused returns how many logins were refused for lack of room since the start. It may be
// called from many goroutines.
func (s *PAM) Refused() int { return s.slots.turnedAway() }

// done sends the verdict. A module that is gone has refused the login already.
func (s *PAM) done(c *peerConn, v mfa.Verdict) {
	if err := s.say(c, wire.EncodeDone(v)); err != nil {
		s.Log.Debug("verdict not delivered", "error", err, "outcome", v.Outcome)
	}
}

// say writes the last frame to c.
func (s *PAM) say(c *peerConn, f wire.Frame) error {
	c.leave() // first: the client may connect again as soon as it has read this
	_ = c.SetWriteDeadline(time.Now().Add(writeTimeout))
	return wire.Write(c, f)
}
