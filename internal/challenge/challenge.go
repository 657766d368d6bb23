// Package challenge asks a person for a code and looks at the answer: what holds
// for every code, whoever asks for it and whatever for. A login asks for one to
// let somebody in, an enrollment to know that the new method works. A kind of code is
// a Code; a Question is one that is posed.
//
// What to know before trusting it: a code is stored before it is sent. An answer
// is counted, checked, spent and, on the last failure allowed, locked in one
// compare-and-swap that is durable before anybody hears of it, so parallel
// guesses, restarts and other hosts give nobody a free try. A failure is counted
// only for an answer that was really tried.
package challenge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"mfa/internal/account"
	"mfa/internal/audit"
	"mfa/internal/deliver"
	"mfa/internal/factor"
	"mfa/internal/mfa"
	"mfa/internal/seal"
)

// Deps is what an Asker works with.
type Deps struct {
	Accounts *account.Accounts
	Key      *seal.Key
	Mail     *deliver.Queue // text messages too
	Audit    *audit.Log
	Log      *slog.Logger
	Now      func() time.Time // the clock
	Spending account.Spending // asked before each text message
}

// An Asker asks. It keeps nothing between conversations but what is in the
// store. It may be used from many goroutines.
type Asker struct {
	cfg     Config
	deps    Deps
	goodFor string        // what is said of how long a code is good that was just sent
	argons  chan struct{} // room for as many Argon2id at once
	turns   turns         // one costly answer of a user at a time
}

// maxArgons bounds the memory that guesses at backup codes take: 19 MiB each.
const maxArgons = 2

// New returns an Asker.
func New(cfg Config, deps Deps) *Asker {
	return &Asker{cfg: cfg, deps: deps, goodFor: textGoodFor(cfg.Code.lifetime()), argons: make(chan struct{}, maxArgons)}
}

const (
	maxTries   = 3  // wrong codes in one conversation; sshd's MaxAuthTries does not see them
	maxIdle    = 3  // answers in a row that are no attempt
	maxPrompts = 24 // whatever is answered; the module relays no more than 64 frames
)

// A Conversation is one person being asked. It is used from one goroutine at a time: while
// a prompt stands for a code that is due, that of afterQuiet; else that of its caller.
type Conversation struct {
	// User is who is asked, as the conversation saw them.
	User *account.User

	// Presence is what is known of whether anybody is there to answer.
	Presence Presence

	asker        *Asker
	p            mfa.Prompter
	names        []string // by which whoever logs in, and where, is called; no answer that is one is an attempt
	wrong        int      // codes typed here that were wrong, of a setup too
	prompts      int      // asked so far
	arrived      Target   // the way of the last code that was sent and typed back
	setupStep    int64    // of the code that proved an app which is being set up
	mustChange   bool     // at the right code, a password change was due
	unprivileged bool     // a peer that is not root asks
	news         string   // to be said at the next prompt
	answered     bool     // some prompt, with more than Enter
	guessed      bool     // a code was typed that was not right, and not of a setup; a recovery code, too
	unanswered   error    // of a prompt: nobody is let in any more
	withheld     bool     // sshd keeps back what is typed
}

// A Presence says whether there is somebody to answer a prompt, as far as it can be
// known beforehand. Where nobody is, nothing is sent to anybody.
type Presence uint8

// The presences.
const (
	Present  Presence = iota // a code is sent before the prompt is shown
	Doubtful                 // it is sent once the prompt has stood for a moment: a client without a terminal answers at once
	Absent                   // it is sent to who types r
)

// Converse begins a conversation with user over p.
func (a *Asker) Converse(user *account.User, p mfa.Prompter) *Conversation {
	names := []string{user.Account.ID.Name, user.Origin.Service, a.cfg.Host}
	return &Conversation{asker: a, User: user, p: p, names: names}
}

// CountApart says that the peer which asks is not root; see account.User.CountApart.
func (c *Conversation) CountApart() {
	c.unprivileged = true
	c.User.CountApart()
}

// Called says by which other name the user is called, such as what was typed.
func (c *Conversation) Called(name string) { c.names = append(c.names, name) }

// isName says whether an answer is a name that a program may give in place of a
// code.
func (c *Conversation) isName(answer string) bool { return factor.IsName(answer, c.names...) }

const adviceName = "a name was given in place of a code; nothing was counted. Programs that answer every visible prompt " +
	"with the user's name (dovecot, OpenVPN and FreeRADIUS by default) hold no conversation and cannot ask for a code: pam_mfa(8) tells which can"

// MustChangePassword says whether the right code given here found a demand to
// change the password standing.
func (c *Conversation) MustChangePassword() bool { return c.mustChange }

// Say shows a text that wants no answer. Who is not there to read it loses
// nothing: no decision depends on it.
func (c *Conversation) Say(ctx context.Context, kind mfa.PromptKind, text string) {
	_, _ = c.p.Prompt(ctx, mfa.Prompt{Kind: kind, Text: fold(text)})
}

// errNoEntry: nobody typed within code.entry_timeout.
var errNoEntry = errors.New("no answer within code.entry_timeout")

// errTooMany: the conversation goes round and round.
var errTooMany = fmt.Errorf("%w: too many prompts", mfa.ErrNoConversation)

// Line shows text and reads a line, with echo or as prompt.echo says for codes.
// It waits at most code.entry_timeout.
func (c *Conversation) Line(ctx context.Context, kind mfa.PromptKind, text string) (string, error) {
	if c.prompts++; c.prompts > maxPrompts {
		return "", errTooMany
	}
	if c.news != "" {
		text, c.news = c.news+"\n"+text, ""
	}
	ctx, cancel := context.WithTimeoutCause(ctx, time.Duration(c.asker.cfg.Code.EntryTimeout), errNoEntry)
	defer cancel()
	answer, err := c.p.Prompt(ctx, mfa.Prompt{Kind: kind, Text: fold(text)})
	if err != nil && errors.Is(context.Cause(ctx), errNoEntry) {
		err = errNoEntry
	}
	answer, err = c.take(answer, err)
	if err != nil && !errors.Is(err, mfa.ErrPasswordTyped) {
		c.unanswered = err
	}
	c.answered = c.answered || err == nil && answer != ""
	return answer, err
}

// Entry is Line for what is no code: a choice, an address. Who gives the password there is
// told so and asked again, a few times: keys are slow, and people type what they expect.
func (c *Conversation) Entry(ctx context.Context, kind mfa.PromptKind, text string) (string, error) {
	told := text
	for range maxIdle - 1 {
		answer, err := c.Line(ctx, kind, told)
		if !errors.Is(err, mfa.ErrPasswordTyped) {
			return answer, err
		}
		told = textNoPassword + "\n" + text
	}
	return c.Line(ctx, kind, told)
}

// Patience says how long the next prompt waits, for people: code.entry_timeout, or
// what is left of the login.
func (c *Conversation) Patience(ctx context.Context) string {
	wait := time.Duration(c.asker.cfg.Code.EntryTimeout)
	if end, ok := ctx.Deadline(); ok {
		wait = min(wait, time.Until(end))
	}
	return mfa.SpanLeft(wait)
}

// codeKind is how a code is asked for.
func (c *Conversation) codeKind() mfa.PromptKind {
	if c.asker.cfg.Prompt.Echo {
		return mfa.Ask
	}
	return mfa.AskHidden
}

// NoAnswer is the verdict on a prompt that got no answer, which it tells.
func (c *Conversation) NoAnswer(ctx context.Context, method mfa.Method, err error) (mfa.Verdict, error) {
	v := mfa.Verdict{Outcome: c.refusal(mfa.NoConversation), Reason: "no answer", Method: method}
	if _, ended := errors.AsType[mfa.Ended](context.Cause(ctx)); ended {
		return v, err // Close says why
	}
	switch {
	case errors.Is(err, errNoEntry), errors.Is(context.Cause(ctx), context.DeadlineExceeded):
		c.Say(ctx, mfa.Failure, textTooSlow)
		v.Reason = "nothing was typed in time"
	case ctx.Err() != nil:
		v.Reason = fmt.Sprintf("ended: %v", context.Cause(ctx))
	case errors.As(err, new(mfa.Withheld)):
		c.Say(ctx, mfa.Failure, textWithheld)
		v.Reason = "sshd does not let this user in this way"
		c.adviseWithheld()
	case errors.Is(err, mfa.ErrPasswordTyped):
		c.Say(ctx, mfa.Failure, TextStopped)
		v.Reason = "the password was given where it was not asked for"
	case errors.Is(err, errTooMany):
		c.Say(ctx, mfa.Failure, TextStopped)
		v.Reason = "too many prompts"
	case errors.Is(err, mfa.ErrNoConversation):
		v.Reason = "the client cannot be asked, or gave up"
		c.advise("the client cannot be asked, or gave up; nothing was counted")
	}
	return v, err
}

// refusal is the outcome of a conversation that ends without a decision about a
// code: as given, or a wrong code if one was typed before.
func (c *Conversation) refusal(o mfa.Outcome) mfa.Outcome {
	if c.wrong > 0 {
		return mfa.WrongCode
	}
	return o
}

// Guessed says whether a code that was not right was typed. One of a setup is none:
// it could open nothing.
func (c *Conversation) Guessed() bool { return c.guessed }

// Failed is the verdict on a record or store that cannot be used, which it
// tells. That is never "not enrolled". account.ErrChanged, account.ErrAccount and ErrVoid it hands on: who
// began the conversation knows what to do.
func (c *Conversation) Failed(ctx context.Context, err error) (mfa.Verdict, error) {
	if errors.Is(err, account.ErrChanged) || errors.Is(err, ErrVoid) || errors.Is(err, account.ErrAccount) {
		return mfa.Verdict{Outcome: mfa.Unavailable, Reason: err.Error()}, err
	}
	if _, ended := errors.AsType[mfa.Ended](context.Cause(ctx)); !ended {
		c.Say(ctx, mfa.Failure, TextUnavailable)
	}
	return mfa.Verdict{Outcome: mfa.Unavailable, Reason: "record or store unusable"}, err
}

// advise logs what happened, and what to do about clients of sshd that cannot be
// asked: its password method answers hidden prompts with the password and
// refuses visible ones, and BatchMode refuses all.
func (c *Conversation) advise(what string) {
	if c.User.Origin.Service == "sshd" {
		what += ". For ssh, use keyboard-interactive: KbdInteractiveAuthentication yes and PasswordAuthentication no in sshd_config"
	}
	c.asker.deps.Log.Warn(what, "user", c.User.Account.ID.Name, "service", c.User.Origin.Service, "address", c.User.Origin.Address)
}
