package server

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"mfa/internal/account"
	"mfa/internal/audit"
	"mfa/internal/challenge"
	"mfa/internal/enroll"
	"mfa/internal/host/nss"
	"mfa/internal/login"
	"mfa/internal/mfa"
	"mfa/internal/text"
	"mfa/internal/wire"
)

// selfTimeout bounds a conversation; code.entry_timeout each wait for an answer.
const selfTimeout = 10 * time.Minute

// selfBounds are those of conversations. It takes 16 users to fill half of the room.
var selfBounds = bounds{root: 16, others: 64, perUID: 2}

// selfRate is how often one uid may begin a conversation.
var selfRate = rate{burst: 20, every: 10 * time.Second}

// self holds a conversation with any user about their own enrollment: that of the uid
// that connected.
func (s exchange) self(w http.ResponseWriter, r *http.Request) {
	cred := credOf(r.Context())
	if cred == nil {
		http.Error(w, `{"error": "caller unknown"}`, http.StatusForbidden)
		return
	}
	if r.Header.Get("Upgrade") != wire.Upgrade {
		w.Header().Set("Upgrade", wire.Upgrade)
		http.Error(w, `{"error": "this is a conversation: use mfactl"}`, http.StatusUpgradeRequired)
		return
	}
	if cred.Uid != 0 && !s.conversationRate.allow(cred.Uid, selfRate, time.Now()) {
		s.Audit.Refuse(cred.Uid, "conversation pace", turnedAway(cred.Uid, "conversation: "+errTooFast.Error()))
		http.Error(w, `{"error": "too many conversations within a short time; try again in a minute"}`, http.StatusTooManyRequests)
		return
	}
	if !s.conversations.enter(cred.Uid, selfBounds) {
		s.Audit.Refuse(cred.Uid, "conversation room", turnedAway(cred.Uid, "conversation: "+errTooMany.Error()))
		http.Error(w, `{"error": "too many conversations at once; end one, or try again later"}`, http.StatusServiceUnavailable)
		return
	}
	defer s.conversations.leave(cred.Uid)
	s.running.Add(1)
	defer s.running.Done()
	hijacker, ok := w.(http.Hijacker)
	if !ok {
		http.Error(w, `{"error": "no conversation is possible here"}`, http.StatusInternalServerError)
		return
	}
	c, buffered, err := hijacker.Hijack()
	if err != nil {
		s.Log.Error("conversation not begun", "error", err, "uid", cred.Uid)
		return
	}
	defer c.Close()
	_ = c.SetDeadline(time.Time{})
	if buffered.Reader.Buffered() > 0 {
		return // it must wait for the switch
	}
	answer := "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: " + wire.Upgrade + "\r\n\r\n"
	if _, err := c.Write([]byte(answer)); err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(s.end, selfTimeout)
	defer cancel()
	conv := newConversation(ctx, c.(*peerConn), newInput(c))
	defer conv.close()
	verb := r.PathValue("verb")
	v, err := s.manage(conv.ctx, cred.Uid, verb, r.URL.Query(), conv)
	s.managed(ctx, cred.Uid, verb, v, err)
	_ = c.SetWriteDeadline(time.Now().Add(writeTimeout))
	_ = wire.Write(c, wire.EncodeDone(v))
}

// managed writes the one audit line of a conversation. Refused ones go by audit.Log.Refuse,
// as a user can cause any number of them.
func (s *Control) managed(ctx context.Context, uid uint32, verb string, v mfa.Verdict, err error) {
	ev := mfa.Event{
		Time: time.Now(), Event: audit.SelfService, UID: &uid, Service: selfOrigin(uid).Service, Address: selfOrigin(uid).Address,
		Method: string(v.Method), Outcome: v.Outcome.String(), Reason: verb,
	}
	if id, err := nss.LookupUID(ctx, uid); err == nil {
		ev.User, ev.Actor = id.Name, id.Name
	}
	if v.Reason != "" {
		ev.Reason += ": " + v.Reason
	}
	if err != nil && (v.Reason == "" || v.Outcome == mfa.Unavailable || v.Outcome == mfa.Broken) {
		ev.Reason += ": " + err.Error()
	}
	if v.Refuses() {
		s.Audit.Refuse(uid, "self-service "+v.Outcome.String(), ev)
		return
	}
	s.Audit.Record(ev)
}

// selfOrigin returns the origin of self-service by uid.
func selfOrigin(uid uint32) mfa.Origin {
	return mfa.Origin{Service: "mfactl", Address: "local", UID: uid}
}

// manage carries out one verb for the enrollment of uid, again when the user or the rules
// changed meanwhile; see challenge.Conversation.Repeat.
func (s exchange) manage(ctx context.Context, uid uint32, verb string, query url.Values, p mfa.Prompter) (mfa.Verdict, error) {
	id, err := nss.LookupUID(ctx, uid)
	if err != nil {
		_, _ = p.Prompt(ctx, mfa.Prompt{Kind: mfa.Failure, Text: s.Engine.Words().Say(challenge.TextUnavailable)})
		return mfa.Verdict{Outcome: mfa.Unavailable}, err
	}
	c := s.Engine.Converse(id, selfOrigin(uid), p)
	if uid != 0 {
		c.CountApart()
	}
	if !text.ShowsUTF8(query.Get(wire.QueryTTY), selfOrigin(uid).Service) {
		c.User.OnlyASCII()
	}
	ctx, done := c.User.Begin(ctx)
	defer done()
	begun := false
	v, err := c.Repeat(ctx, func(ctx context.Context) (mfa.Verdict, error) {
		if begun { // again, by what counts now
			s = s.exchange()
		}
		begun = true
		return s.manageOnce(ctx, c, p, verb, query)
	})
	return c.Close(ctx, v, err)
}

func (s exchange) manageOnce(ctx context.Context, c *challenge.Conversation, p mfa.Prompter, verb string, query url.Values) (mfa.Verdict, error) {
	refuse := func(why text.Sentence) (mfa.Verdict, error) {
		_, _ = p.Prompt(ctx, mfa.Prompt{Kind: mfa.Failure, Text: why.In(c.User.Words())})
		return mfa.Verdict{Outcome: mfa.MustEnroll, Reason: why.String()}, nil
	}
	why, vain, err := s.inVain(ctx, c.User, verb, query)
	if vain {
		return refuse(why)
	}
	if err != nil {
		return c.Failed(ctx, err)
	}
	engine, service := s.Engine, s.Enroll
	if v, err := engine.Prove(ctx, c); v.Outcome != mfa.Accepted {
		return v, err
	}
	switch verb {
	case wire.SelfEnroll:
		offer, err := engine.Offer(ctx, c.User)
		if errors.Is(err, login.ErrOnlyAdministrators) {
			return refuse(text.Of("Only an administrator can set up your first second factor. Ask yours to enroll you."))
		}
		if err != nil {
			return c.Failed(ctx, err)
		}
		return service.Add(ctx, c, offer)
	case wire.SelfPrefer:
		err = service.Prefer(ctx, c.User, mfa.Method(query.Get(wire.QueryMethod)))
	case wire.SelfLanguage:
		err = service.SetLanguage(ctx, c.User, query.Get(wire.QueryLanguage), c.User.Account.ID.Name)
	case wire.SelfOptOut:
		err = service.OptOut(ctx, c.User)
	case wire.SelfBackupCodes:
		err = s.showBackupCodes(ctx, service, c)
	}
	if why, told := whyNot(err, query); told {
		return refuse(why)
	}
	if err != nil {
		return c.Failed(ctx, err)
	}
	return mfa.Verdict{Outcome: mfa.Accepted}, nil
}

// inVain reports whether verb would be refused whatever the person proves, and what they are told
// then: no code is sent for it.
func (s exchange) inVain(ctx context.Context, u *account.User, verb string, query url.Values) (why text.Sentence, vain bool, err error) {
	switch verb {
	case wire.SelfEnroll, wire.SelfPrefer, wire.SelfBackupCodes:
		return why, false, nil
	case wire.SelfLanguage:
		if err := enroll.CheckLanguage(query.Get(wire.QueryLanguage)); err != nil {
			return enroll.WrongOf(err), true, nil
		}
		return why, false, nil
	case wire.SelfOptOut:
		may, err := s.Engine.MayOptOut(ctx, u)
		return text.Of("A second factor is required here; only an administrator can change that."), !may && err == nil, err
	}
	return text.Of("mfad does not know that."), true, nil
}

// whyNot returns what the person is told of an error that lies with what they asked for.
func whyNot(err error, query url.Values) (why text.Sentence, told bool) {
	switch {
	case errors.Is(err, enroll.ErrNotEnrolled):
		return text.Of("You have no second factor yet: mfactl enroll sets one up."), true
	case errors.Is(err, enroll.ErrInvalid):
		return text.Of("%q is not set up for you: mfactl enroll adds a method.", query.Get(wire.QueryMethod)), true
	}
	return why, false
}

func (s exchange) showBackupCodes(ctx context.Context, service *enroll.Service, c *challenge.Conversation) error {
	codes, err := service.NewBackupCodes(ctx, c.User)
	if err == nil {
		c.Say(ctx, mfa.Info, enroll.BackupText(c.User.Words(), codes))
	}
	return err
}
