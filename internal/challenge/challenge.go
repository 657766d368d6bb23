// Package challenge asks a person for a code and checks the answer. A login asks for a
// code to let somebody in, an enrollment to know that the new method works; both use the
// same rules. A Code is one kind of code; a Question asks for one.
//
// What to know before trusting it: a code is stored before it is sent. An answer
// is counted, checked, spent and, on the last failure allowed, locked in one
// compare-and-swap that is durable before anybody hears of it, so parallel
// guesses, restarts and other hosts give nobody a free try. Only an answer that could
// have been a code is counted as a failure.
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
	"mfa/internal/text"
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
	Calls    account.Spending // asked before each call
	Underway *Underway        // outlives the Asker; nil: one of its own
}

// Undelivered tells the administrator of a text message or a call that was taken and did not
// arrive, and has its code go another way. It does not use Accounts, which may be nil.
func (d Deps) Undelivered(m mfa.Message, receipt string, err error) {
	to := deliver.Mask(m.To)
	d.Log.Error(wordOf(m.Carrier).thing+" did not arrive", "user", m.User, "to", to, "receipt", receipt, "error", err)
	d.Audit.Record(mfa.Event{
		Time: d.Now(), Event: audit.Undelivered, User: m.User, Method: string(m.Carrier),
		To: to, Message: m.ID, Receipt: receipt, Reason: err.Error(),
	})
	d.Mail.Lost(m.ID, err)
}

// An Asker begins Conversations, under one configuration. It may be used from many
// goroutines.
type Asker struct {
	cfg    Config
	deps   Deps
	voice  deliver.Voice // of calls
	argons chan struct{} // room for as many Argon2id at once
	costly nameLocks     // one costly answer of a user at a time
}

// maxArgons bounds the memory that answers to backup codes take: 19 MiB each for a set
// that we made.
const maxArgons = 2

// New returns an Asker.
func New(cfg Config, deps Deps) *Asker {
	voice, _ := deliver.VoiceOf(cfg.Prompt.Language) // checked where it counts
	if deps.Underway == nil {
		deps.Underway = &Underway{}
	}
	return &Asker{cfg: cfg, deps: deps, voice: voice, argons: make(chan struct{}, maxArgons)}
}

const (
	maxTries   = 3  // wrong codes in one conversation; sshd's MaxAuthTries does not see them
	maxIdle    = 3  // answers in a row that are no attempt
	maxPrompts = 24 // whatever is answered; the module relays no more than 64 frames
)

// A Conversation is one person being asked. One goroutine at a time may call its methods.
// While a prompt stands for a code that is due, the goroutine of afterQuiet runs issue
// beside it: of the Conversation that reads asker, User and unprivileged only.
type Conversation struct {
	// User is the user who is asked, as the conversation saw them.
	User *account.User

	// Presence says whether anybody may be there to answer.
	Presence Presence

	// OwnDigits are the lengths of the codes that the user's app and token show, in a login in
	// one line: where one that is sent has another length, a comma is to stand before it.
	OwnDigits []int

	asker        *Asker
	p            mfa.Prompter
	names        []string // of the user, the service and the host; an answer that is one of them is no attempt
	wrong        int      // codes typed here that were wrong, of a setup too
	prompts      int      // asked so far
	arrived      Target   // the way of the last code that was sent and typed back
	setupStep    int64    // of the code that proved an app or token which is being set up
	setupDigits  int      // that it has, of a token
	mustChange   bool     // at the right code, a password change was due
	unprivileged bool     // a peer that is not root asks
	news         string   // to be said at the next prompt
	said         string   // by Say, last
	answered     bool     // some prompt, with more than Enter
	guessed      bool     // a code was typed that was not right, and not of a setup; a recovery code, too
	unanswered   error    // of a prompt; if not nil, nobody is let in any more
	withheld     bool     // sshd withholds what is typed; see mfa.Withheld
}

// A Presence says whether somebody is likely to answer a prompt. It decides when a code
// is sent.
type Presence uint8

// The presences.
const (
	Present  Presence = iota // a code is sent before the prompt is shown
	Doubtful                 // it is sent once the prompt has stood for a moment: a client without a terminal answers at once
	Absent                   // it is sent when r is typed
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

// Called adds another name of the user, such as the one that was typed.
func (c *Conversation) Called(name string) { c.names = append(c.names, name) }

// isName reports whether an answer is one of names: programs give them in place of a code.
func (c *Conversation) isName(answer string) bool { return factor.IsName(answer, c.names...) }

const adviceName = "a name was given in place of a code; nothing was counted. Programs that answer every visible prompt " +
	"with the user's name (dovecot, OpenVPN and FreeRADIUS by default) hold no conversation and cannot ask for a code: pam_mfa(8) tells which can"

// MustChangePassword reports whether mfa.State.MustChangePassword was set when the right
// code was given.
func (c *Conversation) MustChangePassword() bool { return c.mustChange }

// Say shows a text that wants no answer, which is in the language of the person already. It ignores
// errors: no decision depends on it.
func (c *Conversation) Say(ctx context.Context, kind mfa.PromptKind, text string) {
	c.said = text
	_, _ = c.p.Prompt(ctx, mfa.Prompt{Kind: kind, Text: fold(text)})
}

// errNoEntry: nobody typed within code.entry_timeout.
var errNoEntry = errors.New("no answer within code.entry_timeout")

// errTooMany: maxPrompts were asked.
var errTooMany = fmt.Errorf("%w: too many prompts", mfa.ErrNoConversation)

// Line shows text and reads a line; kind says whether with echo. It waits at most
// code.entry_timeout. Its errors are those of mfa.Prompter, errNoEntry and errTooMany. After
// any but mfa.ErrPasswordTyped the conversation lets nobody in any more.
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

// Entry is Line for an answer that is no code: a choice, an address. A person who types
// the password there is told so and asked again, at most maxIdle times in all.
func (c *Conversation) Entry(ctx context.Context, kind mfa.PromptKind, text string) (string, error) {
	told := text
	for range maxIdle - 1 {
		answer, err := c.Line(ctx, kind, told)
		if !errors.Is(err, mfa.ErrPasswordTyped) {
			return answer, err
		}
		told = c.Words(textNoPassword) + "\n" + text
	}
	return c.Line(ctx, kind, told)
}

// Patience returns how long the next prompt waits: code.entry_timeout, or
// what is left of the login.
func (c *Conversation) Patience(ctx context.Context) text.Span {
	wait := time.Duration(c.asker.cfg.Code.EntryTimeout)
	if end, ok := ctx.Deadline(); ok {
		wait = min(wait, time.Until(end))
	}
	return text.SpanLeft(wait)
}

// codeKind is the kind of a prompt for a code, by prompt.echo.
func (c *Conversation) codeKind() mfa.PromptKind {
	if c.asker.cfg.Prompt.Echo {
		return mfa.Ask
	}
	return mfa.AskHidden
}

// NoAnswer returns the verdict after a prompt failed with err, and tells the person why. The
// error it returns is err.
func (c *Conversation) NoAnswer(ctx context.Context, method mfa.Method, err error) (mfa.Verdict, error) {
	v := mfa.Verdict{Outcome: c.refusal(mfa.NoConversation), Reason: "no answer", Method: method}
	if _, ended := errors.AsType[mfa.Ended](context.Cause(ctx)); ended {
		return v, err // Close says why
	}
	switch {
	case errors.Is(err, errNoEntry), errors.Is(context.Cause(ctx), context.DeadlineExceeded):
		c.Say(ctx, mfa.Failure, c.Words(textTooSlow))
		v.Reason = "nothing was typed in time"
	case ctx.Err() != nil:
		v.Reason = fmt.Sprintf("ended: %v", context.Cause(ctx))
	case errors.As(err, new(mfa.Withheld)):
		c.Say(ctx, mfa.Failure, c.Words(textWithheld))
		v.Reason = "sshd does not let this user in this way"
		c.adviseWithheld()
	case errors.Is(err, mfa.ErrPasswordTyped):
		c.Say(ctx, mfa.Failure, c.Words(TextStopped))
		v.Reason = "the password was given where it was not asked for"
	case errors.Is(err, errTooMany):
		c.Say(ctx, mfa.Failure, c.Words(TextStopped))
		v.Reason = "too many prompts"
	case errors.Is(err, mfa.ErrNoConversation):
		v.Reason = "the client cannot be asked, or gave up"
		if c.wrong == 0 {
			c.advise("the client cannot be asked, or gave up; nothing was counted")
		}
	}
	return v, err
}

// refusal returns the outcome of a conversation that ends without a decision about a
// code: o, or WrongCode if a wrong code was typed before.
func (c *Conversation) refusal(o mfa.Outcome) mfa.Outcome {
	if c.wrong > 0 {
		return mfa.WrongCode
	}
	return o
}

// Guessed reports whether a wrong code was typed here. A wrong code of a setup does not
// count: it could let nobody in.
func (c *Conversation) Guessed() bool { return c.guessed }

// Failed returns the verdict after a record or the store could not be used: a refusal,
// never "not enrolled". It tells the person, except for account.ErrChanged,
// account.ErrAccount and ErrVoid, which the caller handles. The error it returns is err.
func (c *Conversation) Failed(ctx context.Context, err error) (mfa.Verdict, error) {
	if errors.Is(err, account.ErrChanged) || errors.Is(err, ErrVoid) || errors.Is(err, account.ErrAccount) {
		return mfa.Verdict{Outcome: mfa.Unavailable, Reason: err.Error()}, err
	}
	if _, ended := errors.AsType[mfa.Ended](context.Cause(ctx)); !ended {
		c.Say(ctx, mfa.Failure, c.Words(TextUnavailable))
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
