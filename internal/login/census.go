package login

import (
	"context"
	"fmt"
	"log/slog"
	"reflect"
	"time"

	"mfa/internal/account"
	"mfa/internal/host/nss"
	"mfa/internal/mfa"
	"mfa/internal/wire"
)

// Count adds one user with the enrollment en to c: how the policy of cfg treats a login
// by sshd with a password from an unlisted address. It asks NSS, and reads no record, so it
// takes grace to begin now. When ctx ended it sets c.Partly instead.
func Count(ctx context.Context, c *wire.Census, cfg Config, look Groups, user string, en mfa.Enrollment) {
	if ctx.Err() != nil {
		c.Partly = true
		return
	}
	accounts := account.New(account.Config{}, account.Deps{}) // nothing is read of them
	e := New(cfg, Deps{Accounts: accounts, Lookup: nss.Lookup, Groups: look, Now: func() time.Time { return time.Time{} }, Log: slog.New(slog.DiscardHandler)})
	id := mfa.Identity{Name: user, UID: en.UID}
	l := e.inquire(accounts.User(accounts.Records().Account(id), mfa.Origin{Service: "sshd", Address: "unlisted"}), []string{password})
	c.Users++
	if l.findPolicy(ctx) != nil {
		c.Unknown++
		return
	}
	if l.policy.Mode == ModeOff {
		c.Alone++
		return
	}
	p := l.lookAtMethods(en, mfa.State{})
	switch {
	case p.decision == exempt:
		c.Alone++
	case len(p.methods) > 0 && len(l.counting(en)) == 0:
		c.Without++
		if p.decision == denyNotEnrolled || p.decision == leadToEnroll && l.stuck(mfa.State{}, l.offerOf(cfg.Directory)) || l.noneSent(en, p.methods) {
			c.Out++
		}
	case l.noneSent(en, p.methods):
		c.Without++
		c.Out++
	}
}

// CensusTime bounds how long a reload or a check counts.
const CensusTime = 5 * time.Second

// TellOfPolicy says in the log how many users the policy of after lets in by the first
// factor alone, or leaves without a second factor that counts, if that is not as with
// before, and returns the same for people.
func TellOfPolicy(before, after Config, records account.Records, log *slog.Logger) string {
	carried := before.TextMessages == after.TextMessages && before.FallbackToEmail == after.FallbackToEmail && before.Directory == after.Directory
	if reflect.DeepEqual(before.Policy, after.Policy) && before.Generation == after.Generation && carried {
		return ""
	}
	ctx, cancel := context.WithTimeout(context.Background(), CensusTime)
	defer cancel()
	var then, now wire.Census
	err := records.EachEnrollment(ctx, func(user string, en mfa.Enrollment, err error) error {
		if err == nil { // who cannot be read is kept out, whatever the policy
			Count(ctx, &then, before, nss.Groups{}, user, en)
			Count(ctx, &now, after, nss.Groups{}, user, en)
		}
		return nil
	})
	switch {
	case ctx.Err() != nil:
		then.Partly, now.Partly = true, true
	case err != nil:
		log.Error("the users whom the new policy asks were not counted", "error", err)
		return ""
	}
	was, is := before.Policy.Newcomers(before.TextMessages), after.Policy.Newcomers(after.TextMessages)
	if then == now && was == is {
		return ""
	}
	const what = "the policy changes who gets in by the first factor alone: "
	log.Warn(what+now.String(),
		"alone", now.Alone, "alone_before", then.Alone, "without", now.Without, "without_before", then.Without,
		"no_record", is, "no_record_before", was)
	text := what + now.String()
	if then.Alone != now.Alone {
		text += fmt.Sprintf("; it was %d before", then.Alone)
	}
	return text + "; whoever has no record is " + is
}

// Newcomers says what becomes of whoever has no record, where no rule says otherwise.
// Texts says whether text messages can be sent.
func (p PolicyConfig) Newcomers(texts bool) string {
	can := len(offered(p.Methods, texts, p.SelfContacts).Choices()) > 0
	switch {
	case p.Mode == ModeOff, p.Mode == ModeOptional && (!p.OptOut || !p.EnrollAtLogin):
		return "let in by the first factor alone"
	case !p.EnrollAtLogin:
		return "kept out"
	case !can && (p.Mode == ModeOptional || p.EnrollGrace > 0):
		return "let in by the first factor alone while they may put it off, as nothing can be set up by users"
	case !can:
		return "kept out, as nothing can be set up by users: only administrators enroll them"
	}
	return "led to a second factor"
}

// NewcomersBut is Newcomers where a directory may have addresses of them.
func (p PolicyConfig) NewcomersBut(texts bool, c account.ContactsConfig) string {
	switch {
	case c.Source == "" || p.Mode == ModeOff:
		return p.Newcomers(texts)
	case c.Confirmed:
		return "asked for a code that goes where the directory says; of whom it has nothing, they are " + p.Newcomers(texts)
	case p.EnrollAtLogin:
		p.SelfContacts = true // as far as the directory has one
		return p.Newcomers(texts) + " (what the directory has is offered there)"
	}
	return p.Newcomers(texts)
}
