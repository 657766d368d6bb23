package login

import (
	"context"
	"errors"
	"strings"

	"mfa/internal/mfa"
	"mfa/internal/text"
)

// pamSilent is PAM_SILENT of pam_authenticate(3): the application shows no messages.
const pamSilent = 0x8000

// endEnter is how a prompt ends that only tells. Programs wait for it.
const endEnter = "Press Enter to go on: "

// ttyOfSSHD is PAM_TTY of every login by sshd. Before OpenSSH 10.3 it shows messages
// that come after the last prompt twice where a shell follows: as the login succeeds,
// and above the shell.
const ttyOfSSHD = "ssh"

// A bufferedPrompter is the Prompter of an application that may show no messages, like sudo: only
// prompts reach the person. It keeps messages for the next prompt. It also keeps those
// that sshd would show twice. One goroutine at a time may use it.
type bufferedPrompter struct {
	Prompter
	silent   bool                 // PAM_SILENT
	twice    bool                 // what is said last is shown twice
	buffered []string             // said, and not shown yet
	line     *heldLine            // nil: prompts can be answered
	words    func() *text.Printer // of the person; nil: English
}

// newBufferedPrompter returns the far end of the login that req asks for.
func newBufferedPrompter(req mfa.Request, p Prompter) *bufferedPrompter {
	f := &bufferedPrompter{Prompter: p, silent: req.Flags&pamSilent != 0, twice: req.TTY == ttyOfSSHD}
	if req.OneLine() {
		f.line = &heldLine{held: req.Held == mfa.HeldAnswer}
	}
	return f
}

// Prompt implements Prompter. A prompt that asks shows what was kept above it.
func (f *bufferedPrompter) Prompt(ctx context.Context, p mfa.Prompt) (string, error) {
	asks := p.Kind == mfa.Ask || p.Kind == mfa.AskHidden
	if f.silent && !asks || f.twice && p.Kind == mfa.Info {
		f.buffered = append(f.buffered, p.Text)
		return "", nil
	}
	if asks && f.line != nil {
		return f.line.lend()
	}
	if len(f.buffered) > 0 {
		p.Text = strings.Join(append(f.buffered, p.Text), "\n")
		f.buffered = nil
	}
	return f.Prompter.Prompt(ctx, p)
}

// spoken returns the Printer of the person.
func (f *bufferedPrompter) spoken() *text.Printer {
	if f.words == nil {
		return nil
	}
	return f.words()
}

// finish shows what is still kept, and returns the verdict. A silent application shows it
// in a prompt that wants only Enter: the answer does not matter, but without one an
// acceptance becomes a refusal, as the module would refuse, too. Nothing is asked where
// nobody answered before. sshd gets no such prompt, as it would hold up the login: it
// gets a message, unless the login is accepted and no new password is demanded.
func (f *bufferedPrompter) finish(ctx context.Context, v mfa.Verdict) mfa.Verdict {
	if len(f.buffered) == 0 || v.Outcome == mfa.NoConversation && f.line == nil || ctx.Err() != nil {
		return v
	}
	if f.silent && f.line != nil {
		return v // it cannot be told
	}
	if !f.silent {
		if v.Outcome != mfa.Accepted || v.ChangePassword {
			_, _ = f.Prompter.Prompt(ctx, mfa.Prompt{Kind: mfa.Info, Text: strings.Join(f.buffered, "\n")})
		}
		return v
	}
	_, err := f.Prompt(ctx, mfa.Prompt{Kind: mfa.Ask, Text: f.spoken().Say(endEnter)})
	if err != nil && !errors.Is(err, mfa.ErrPasswordTyped) && !v.Refuses() {
		return mfa.Verdict{Outcome: mfa.NoConversation, Method: v.Method, Reason: v.Reason + ", but the last prompt got no answer"}
	}
	return v
}
