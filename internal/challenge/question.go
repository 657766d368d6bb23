package challenge

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"mfa/internal/audit"
	"mfa/internal/mfa"
)

// How prompts end. Programs wait for these.
const (
	EndCode       = "Code: "
	EndCodeOrMenu = "Code (r = resend, m = other method): "
	EndBackup     = "Backup code: "
)

// A Result is what an answer turned out to be. The zero value is a wrong code.
type Result uint8

// The results.
const (
	Wrong   Result = iota // counted
	Right                 // and spent
	Expired               // right, but too late; not counted
	Spent                 // right, but used before; not counted
)

// A Match looks at an answer within the update that counts it. It spends what it
// accepts, has no other effect, and may run several times.
type Match func(st *mfa.State, now time.Time) Result

// A Question is a code that is asked for.
type Question struct {
	Method mfa.Method
	Text   string // what the prompt says above its end
	End    string // EndCode or one of its like
	Spent  string // what is said to a code that was used before

	// Keys are answers that leave the question, such as "m".
	Keys []string
	// Match prepares the look at an answer: what is slow, or may fail.
	Match func(ctx context.Context, answer string) (Match, error)
	// Resend sends another code and returns what to say; nil: nothing is sent.
	Resend func(ctx context.Context) (text string, err error)
	// News returns what is to be said once at the next prompt, or ""; nil: never.
	News func() string
	// Undelivered returns what to say when the code could not be sent, and why;
	// nil: nothing was sent.
	Undelivered func() (text string, err error)
	// Hint is what is said to an empty line.
	Hint func() string
}

// Pose asks until there is a decision. Its verdict is Accepted if the code was
// right, or a refusal; unless key is not empty: then the person typed that key.
func (c *Conversation) Pose(ctx context.Context, q Question) (key string, v mfa.Verdict, err error) {
	verdict := func(o mfa.Outcome, reason string) (string, mfa.Verdict, error) {
		return "", mfa.Verdict{Outcome: o, Method: q.Method, Reason: reason}, nil
	}
	text, idle := q.Text, 0
	for {
		if said, err := q.undelivered(); err != nil {
			c.Say(ctx, mfa.Failure, said)
			if slices.Contains(q.Keys, "m") {
				return "m", mfa.Verdict{}, nil // there is another way
			}
			return "", mfa.Verdict{Outcome: c.refusal(mfa.Unavailable), Method: q.Method, Reason: "code not delivered"}, err
		}
		if q.News != nil {
			text = strings.TrimPrefix(q.News()+"\n"+text, "\n")
		}
		answer, err := c.Line(ctx, c.codeKind(), text+"\n"+q.End)
		if errors.Is(err, mfa.ErrPasswordTyped) {
			c.advise("the password was given in place of a code; nothing was counted")
			if idle++; idle == maxIdle {
				return verdict(c.refusal(mfa.NoConversation), "only answers that are no attempt")
			}
			text = textWasPassword
			continue
		}
		if err != nil {
			v, err := c.NoAnswer(ctx, q.Method, err)
			return "", v, err
		}
		if _, err := q.undelivered(); err != nil {
			continue // whatever was typed, it is not that code
		}

		switch lower := strings.ToLower(answer); {
		case answer == "":
			if idle++; idle == maxIdle {
				return verdict(c.refusal(mfa.NoConversation), "only answers that are no attempt")
			}
			text = q.Hint()
			continue
		case slices.Contains(q.Keys, lower):
			return lower, mfa.Verdict{}, nil
		case lower == "m":
			text = textNoOther
			continue
		case lower == "r":
			if q.Resend == nil {
				text = textNotSent
			} else if text, err = q.Resend(ctx); err != nil {
				v, err := c.Failed(ctx, err)
				return "", v, err
			}
			continue
		}

		res, err := c.check(ctx, q, answer)
		switch {
		case err != nil:
			v, err := c.Failed(ctx, err)
			return "", v, err
		case res.wasLocked:
			c.Say(ctx, mfa.Failure, TextLocked(res.lock))
			return verdict(mfa.Exhausted, "locked")
		case res.Result == Right:
			return verdict(mfa.Accepted, "right code")
		case res.Result == Expired:
			text = textExpired
			continue
		case res.Result == Spent:
			if idle++; idle == maxIdle {
				return verdict(c.refusal(mfa.WrongCode), "codes that were used before")
			}
			text = q.Spent
			continue
		case res.left == 0:
			c.Say(ctx, mfa.Failure, textLocks(res.lock))
			return verdict(mfa.Exhausted, "wrong code; now locked")
		case c.wrong == maxTries:
			c.Say(ctx, mfa.Failure, textWrongLast)
			return verdict(mfa.Exhausted, "wrong code, the last of this login")
		}
		idle, text = 0, textWrong(min(res.left, maxTries-c.wrong))
	}
}

func (q Question) undelivered() (string, error) {
	if q.Undelivered == nil {
		return "", nil
	}
	return q.Undelivered()
}

// commitTimeout bounds the write of an answer, which no disconnect stops.
const commitTimeout = 10 * time.Second

// A checked answer.
type checked struct {
	Result
	wasLocked bool          // not looked at
	left      int           // wrong: how many more until the lock
	lock      time.Duration // locked: for how long, zero until unlocked
}

// check counts an answer, looks at it, spends the code or locks the user, all in
// one update that is durable when it returns. An answer that arrived is checked
// even if the client is gone by now.
func (c *Conversation) check(ctx context.Context, q Question, answer string) (checked, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
	defer cancel()
	match, err := q.Match(ctx, answer)
	if err != nil {
		return checked{}, err
	}
	var res checked
	err = c.Account.Update(ctx, func(st *mfa.State) error {
		res = checked{}
		now := c.deps.Now()
		if res.lock, _, res.wasLocked = st.Locked(now); res.wasLocked {
			return nil
		}
		st.LockedUntil = nil
		switch res.Result = match(st, now); res.Result {
		case Right:
			st.Failures = nil
		case Wrong:
			if res.left = c.cfg.Lockout.fail(st, now); res.left == 0 {
				res.lock, _, _ = st.Locked(now)
			}
		}
		return nil
	})
	if err == nil && res.Result == Wrong && !res.wasLocked {
		c.failed(q.Method, res)
	}
	return res, err
}

// failed writes down a wrong code that was counted.
func (c *Conversation) failed(method mfa.Method, res checked) {
	c.wrong++
	ev := c.Event(audit.Failed)
	ev.Method = string(method)
	c.deps.Audit.Record(ev)
	if res.left == 0 {
		ev.Event = audit.Locked
		c.deps.Audit.Record(ev)
		c.deps.Log.Warn("second factor locked after wrong codes; mfactl unlock ends it", "user", c.Account.ID.Name,
			"for", res.lock, "service", c.Origin.Service, "address", c.Origin.Address)
	}
}
