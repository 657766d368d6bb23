package challenge

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"mfa/internal/mfa"
)

// How prompts end. Programs wait for these.
const (
	EndCode       = "Code: "
	EndCodeOrMenu = "Code (r = resend, m = other method): " // of a code that is sent
	EndCodeMenu   = "Code (m = other method): "             // of one that is not
	EndBackup     = "Backup code: "
	EndRecovery   = "Recovery code: "
)

// A Result is what an answer turned out to be. The zero value is a wrong code, the
// only one that is counted.
type Result uint8

// The results.
const (
	Wrong     Result = iota // counted
	Right                   // and spent
	None                    // cannot be a code
	Spent                   // was right, and is used
	Expired                 // was right, and is too old
	Replaced                // was right, and a newer one was sent
	Void                    // was right, and was given up
	Elsewhere               // is right for another login
	Doubted                 // not looked at: the clock may be wrong
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
	// Match prepares the look at an answer: what is slow, or may fail. It returns
	// nil for what has not the shape of a code.
	Match func(ctx context.Context, answer string) (Match, error)
	// Costly says that Match takes long: of one user one answer is looked at at a
	// time, and none while they are locked.
	Costly bool
	// Resend sends another code and returns what to say; nil: nothing is sent.
	Resend func(ctx context.Context) (text string, err error)
	// News returns what is to be said once at the next prompt, or ""; nil: never.
	News func() string
	// Undelivered returns what to say when the code could not be sent, and why;
	// nil: nothing was sent.
	Undelivered func() (text string, err error)
	// Meanwhile begins what happens while the first prompt stands, and end ends it;
	// nil: nothing.
	Meanwhile func(ctx context.Context) (end func())
	// Unsent says whether no code was sent that could be typed; nil: one was.
	Unsent func(ctx context.Context) (bool, error)
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
		if idle == maxIdle {
			c.Say(ctx, mfa.Failure, TextStopped)
			return verdict(c.refusal(mfa.NoConversation), "only answers that are no attempt")
		}
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
		end := func() {}
		if q.Meanwhile != nil {
			end = q.Meanwhile(ctx)
		}
		answer, err := c.Line(ctx, c.codeKind(), text+"\n"+q.End)
		end()
		if errors.Is(err, mfa.ErrPasswordTyped) {
			c.advise("the password was given in place of a code; nothing was counted")
			idle, text = idle+1, textWasPassword
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
			idle, text = idle+1, q.Hint()
			continue
		case slices.Contains(q.Keys, lower):
			c.adviseClock(q.Method)
			return lower, mfa.Verdict{}, nil
		case c.isName(answer):
			c.advise(adviceName)
			idle, text = idle+1, textWasName+" "+q.Hint()
			continue
		case lower == "m":
			text = q.noOther()
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

		said, err := c.unsent(ctx, q, answer)
		if err != nil {
			v, err := c.Failed(ctx, err)
			return "", v, err
		}
		if said != "" {
			idle, text = idle+1, said
			continue
		}
		res, err := c.check(ctx, q, answer)
		switch {
		case err != nil:
			v, err := c.Failed(ctx, err)
			return "", v, err
		case res.wasLocked:
			c.Say(ctx, mfa.Failure, res.lockText)
			return verdict(mfa.Exhausted, "locked")
		case res.wasDisabled:
			c.Say(ctx, mfa.Failure, TextDisabled)
			return verdict(mfa.Exhausted, "method disabled")
		case res.Result == Right:
			if res.drift != nil {
				c.Say(ctx, mfa.Info, textDrift("Your app's", *res.drift)+adviceDrift)
			}
			return verdict(mfa.Accepted, "right code")
		case res.Result == Doubted:
			c.Say(ctx, mfa.Failure, textClock)
			if slices.Contains(q.Keys, "m") {
				return "m", mfa.Verdict{}, nil
			}
			return verdict(c.refusal(mfa.Unavailable), "the clock may be wrong")
		case res.Result != Wrong:
			idle, text = idle+1, q.why(res.Result)
			continue
		case res.counted.Disabled:
			c.Say(ctx, mfa.Failure, textWrongCode+c.hint(res)+"\n"+TextDisabled)
			return verdict(mfa.Exhausted, "wrong code; method now disabled")
		case res.counted.Left == 0:
			c.Say(ctx, mfa.Failure, textWrongCode+c.hint(res)+"\n"+res.counted.LockText)
			return verdict(mfa.Exhausted, "wrong code; now locked")
		case c.wrong == maxTries:
			c.Say(ctx, mfa.Failure, textWrongCode+c.hint(res)+" "+TextStopped)
			return verdict(mfa.Exhausted, "wrong code, the last of this login")
		}
		idle, text = 0, textWrong(min(res.counted.Left, maxTries-c.wrong))+c.hint(res)
	}
}

// why is what is said to an answer that is neither right nor counted.
func (q Question) why(r Result) string {
	switch r {
	case Spent:
		return q.Spent
	case Expired:
		return textExpired
	case Replaced:
		return textReplaced
	case Void:
		return textVoid
	case Elsewhere:
		return textElsewhere
	}
	return textNoCode + " " + q.Hint()
}

func (q Question) undelivered() (string, error) {
	if q.Undelivered == nil {
		return "", nil
	}
	return q.Undelivered()
}

// noOther is what is said to who asks for another method and has none.
func (q Question) noOther() string {
	if slices.Contains(q.Keys, KeyPassword) {
		return textNoOther + "\n" + TextPasswordKey
	}
	return textNoOther
}
