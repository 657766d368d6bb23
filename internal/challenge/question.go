package challenge

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"mfa/internal/account"
	"mfa/internal/mfa"
	"mfa/internal/text"
)

// How prompts end. Programs wait for these.
const (
	EndCode       = "Code: "
	EndCodeOrMenu = "Code (r = resend, m = other method): " // of a code that is sent
	EndCodeMenu   = "Code (m = other method): "             // of one that is not
	EndBackup     = "Backup code: "
	EndRecovery   = "Recovery code: "
)

// Keys that are typed in place of a code.
const (
	KeyMenu   = "m" // shows the other methods
	keyResend = "r" // has another code sent
)

// A Question is a code that is asked for.
type Question struct {
	Code Code
	Text string   // what the prompt says above its end, in the language of the person
	End  string   // of the prompt, in English; empty: that of the code's Kind
	Keys []string // answers that leave the question, such as KeyMenu
}

// leaves says whether an answer leaves the question, and by which key.
func (q Question) leaves(answer string) (key string, does bool) {
	key = text.Key(answer)
	return key, slices.Contains(q.Keys, key)
}

// A questionEnd is how a Question ends: by a key, or with a verdict.
type questionEnd struct {
	key     string
	verdict mfa.Verdict
	err     error
}

// posing is one Question being asked.
type posing struct {
	*Conversation
	q    Question
	kind Kind
	text string // of the next prompt
	idle int    // answers in a row that are no attempt
	news string // Code.News, for the next prompt
	held bool   // the first prompt was shown
}

// Pose asks until there is a decision. The verdict is Accepted if the code was
// right, else a refusal. If key is not empty there is no verdict: the person typed that
// key, or KeyMenu stands for a code that could not be sent or checked. The errors are
// those of NoAnswer and Failed.
func (c *Conversation) Pose(ctx context.Context, q Question) (key string, v mfa.Verdict, err error) {
	p := &posing{Conversation: c, q: q, text: q.Text}
	for {
		if end := p.once(ctx); end != nil {
			return end.key, end.verdict, end.err
		}
	}
}

// end returns the turnout with a verdict.
func (p *posing) end(o mfa.Outcome, reason string) *questionEnd {
	return &questionEnd{verdict: mfa.Verdict{Outcome: o, Method: p.kind.Method, Reason: reason}}
}

// failed returns the turnout after an error; see Failed.
func (p *posing) failed(ctx context.Context, err error) *questionEnd {
	v, err := p.Failed(ctx, err)
	return &questionEnd{verdict: v, err: err}
}

// tell has the next prompt show text, after an answer that was no attempt.
func (p *posing) tell(text string) *questionEnd {
	p.idle, p.text = p.idle+1, text
	return nil
}

// once asks once. It returns nil to ask again.
func (p *posing) once(ctx context.Context) *questionEnd {
	p.kind = p.q.Code.Kind()
	if p.idle == maxIdle {
		p.Say(ctx, mfa.Failure, p.Words(TextStopped))
		return p.end(p.refusal(mfa.NoConversation), "only answers that are no attempt")
	}
	if end := p.hear(ctx); end != nil {
		return end
	}
	text := strings.TrimPrefix(p.news+"\n"+p.text, "\n")
	p.news = ""
	answer, err := p.ask(ctx, text+"\n"+p.Words(cmp.Or(p.q.End, p.kind.End)))
	if errors.Is(err, mfa.ErrPasswordTyped) {
		p.advise("the password was given in place of a code; nothing was counted")
		return p.tell(p.Words(textWasPassword))
	}
	if err != nil {
		v, err := p.NoAnswer(ctx, p.kind.Method, err)
		return &questionEnd{verdict: v, err: err}
	}
	if end := p.hear(ctx); end != nil {
		return end // whatever was typed, it is not that code
	}
	p.kind = p.q.Code.Kind()
	return p.take(ctx, answer)
}

// hear takes the news of the code. If it could not be sent the question ends: with
// KeyMenu, if that is one of its keys.
func (p *posing) hear(ctx context.Context) *questionEnd {
	news, err := p.q.Code.News()
	if err == nil {
		p.news = strings.Trim(p.news+"\n"+news, "\n")
		return nil
	}
	p.Say(ctx, mfa.Failure, news)
	if slices.Contains(p.q.Keys, KeyMenu) {
		return &questionEnd{key: KeyMenu}
	}
	return &questionEnd{verdict: mfa.Verdict{Outcome: p.refusal(mfa.Unavailable), Method: p.kind.Method, Reason: "code not delivered"}, err: err}
}

// ask shows the prompt and reads the answer. A code that is due is sent while the first
// prompt stands.
func (p *posing) ask(ctx context.Context, text string) (string, error) {
	due := p.kind.Due && !p.held
	p.held = true
	if !due {
		return p.Line(ctx, p.codeKind(), text)
	}
	end := afterQuiet(ctx, func(ctx context.Context) { _, _ = p.q.Code.Send(ctx, true) }) // News has its error
	defer end()
	return p.Line(ctx, p.codeKind(), text)
}

// take acts on what the person typed: a key, or a code.
func (p *posing) take(ctx context.Context, answer string) *questionEnd {
	key, leaves := p.q.leaves(answer)
	switch {
	case answer == "":
		return p.tell(p.kind.Hint)
	case leaves:
		p.adviseClock(p.kind)
		return &questionEnd{key: key}
	case p.isName(answer):
		p.advise(adviceName)
		return p.tell(p.User.Words().Join(p.Words(textWasName), p.kind.Hint))
	case key == KeyMenu:
		p.text = p.noOther()
		return nil
	case key == keyResend:
		text, err := p.q.Code.Send(ctx, false)
		if err != nil {
			return p.failed(ctx, err)
		}
		p.text = text
		return nil
	}
	res, err := p.check(ctx, p.q.Code, p.kind, answer)
	if err != nil {
		return p.failed(ctx, err)
	}
	return p.follow(ctx, res)
}

// follow acts on the result of check.
func (p *posing) follow(ctx context.Context, res checked) *questionEnd {
	switch {
	case res.wasLocked:
		p.Say(ctx, mfa.Failure, res.lockText)
		return p.end(mfa.Exhausted, "locked")
	case res.wasDisabled:
		p.Say(ctx, mfa.Failure, p.Words(TextDisabled))
		return p.end(mfa.Exhausted, "method disabled")
	case res.Result == Right:
		if res.Drift != nil {
			p.Say(ctx, mfa.Info, p.textDrift(*res.Drift))
		}
		return p.end(mfa.Accepted, "right code")
	case res.Result == Doubted:
		p.Say(ctx, mfa.Failure, p.kind.Doubted)
		if slices.Contains(p.q.Keys, KeyMenu) {
			return &questionEnd{key: KeyMenu}
		}
		return p.end(p.refusal(mfa.Unavailable), p.kind.DoubtedReason)
	case res.Result == Wrong:
		return p.wrongCode(ctx, res)
	}
	return p.tell(p.toldOf(p.kind, res.Result))
}

// wrongCode tells the person of a wrong code, and ends the question if it was the last.
func (p *posing) wrongCode(ctx context.Context, res checked) *questionEnd {
	hint := p.clockHint(p.kind, res)
	text := p.Words(textWrongCode) + hint
	told, reason := p.shut(text, res.counted)
	switch {
	case told != "":
		p.Say(ctx, mfa.Failure, told)
		return p.end(mfa.Exhausted, reason)
	case p.wrong == maxTries:
		p.Say(ctx, mfa.Failure, p.User.Words().Join(text, p.Words(TextStopped)))
		return p.end(mfa.Exhausted, "wrong code, the last of this login")
	}
	p.idle, p.text = 0, textWrong(p.User.Words(), min(res.counted.Left, maxTries-p.wrong))+hint
	if p.kind.Advice != "" {
		p.text += "\n" + p.kind.Advice
	}
	return nil
}

// shut returns what a person is told, and what is noted, of a wrong code that locked them, disabled
// the method, or both; "" where it did neither. Text says that the code was wrong.
func (c *Conversation) shut(text string, w account.Wrong) (told, reason string) {
	reason = "wrong code"
	if w.Left == 0 {
		text, reason = text+"\n"+w.LockText, reason+"; now locked"
	}
	if w.Disabled {
		text, reason = text+"\n"+c.Words(TextDisabled), reason+"; method now disabled"
	}
	if w.Left > 0 && !w.Disabled {
		return "", ""
	}
	return text, reason
}

// noOther is the text after KeyMenu if there is no other method.
func (p *posing) noOther() string {
	if slices.Contains(p.q.Keys, KeyPassword) {
		return p.Words(textNoOther) + "\n" + p.Words(TextPasswordKey)
	}
	return p.Words(textNoOther)
}
