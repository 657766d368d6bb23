package login

import (
	"context"
	"slices"
	"testing"

	"mfa/internal/mfa"
)

// A transcript is a Prompter that notes what it is asked to show.
type transcript []mfa.Prompt

func (t *transcript) Prompt(_ context.Context, p mfa.Prompt) (string, error) {
	*t = append(*t, p)
	return "typed", nil
}

func TestFarEnd(t *testing.T) {
	info, failure := mfa.Prompt{Text: "info"}, mfa.Prompt{Kind: mfa.Failure, Text: "failure"}
	ask := mfa.Prompt{Kind: mfa.AskHidden, Text: "Code: "}
	enter := func(text string) mfa.Prompt { return mfa.Prompt{Kind: mfa.Ask, Text: text + "\n" + endEnter} }
	for _, test := range []struct {
		name    string
		flags   uint32
		tty     string
		said    []mfa.Prompt
		outcome mfa.Outcome
		want    []mfa.Prompt
	}{
		{"messages are shown", 1, "", []mfa.Prompt{info, ask, failure}, mfa.WrongCode, []mfa.Prompt{info, ask, failure}},
		{"silent: nothing to say", pamSilent, "", []mfa.Prompt{ask}, mfa.Accepted, []mfa.Prompt{ask}},
		{
			"silent: in the next prompt, once", pamSilent | 1, "",
			[]mfa.Prompt{info, failure, ask, ask},
			mfa.Accepted,
			[]mfa.Prompt{{Kind: mfa.AskHidden, Text: "info\nfailure\nCode: "}, ask},
		},
		{"silent: at the end", pamSilent, "", []mfa.Prompt{ask, failure}, mfa.Exhausted, []mfa.Prompt{ask, enter("failure")}},
		{"silent: let in", pamSilent, "", []mfa.Prompt{ask, info, info}, mfa.Accepted, []mfa.Prompt{ask, enter("info\ninfo")}},
		{"sshd: in the next prompt", 0, ttyOfSSHD, []mfa.Prompt{info, ask}, mfa.Accepted, []mfa.Prompt{{Kind: mfa.AskHidden, Text: "info\nCode: "}}},
		{"sshd: failures at once", 0, ttyOfSSHD, []mfa.Prompt{ask, failure}, mfa.WrongCode, []mfa.Prompt{ask, failure}},
		{"sshd: nothing behind the last prompt", 0, ttyOfSSHD, []mfa.Prompt{ask, info}, mfa.Accepted, []mfa.Prompt{ask}},
		{"sshd: without a prompt", 0, ttyOfSSHD, []mfa.Prompt{info}, mfa.Exempt, []mfa.Prompt{info}},
		{"silent: nobody answers", pamSilent, "", []mfa.Prompt{ask, failure}, mfa.NoConversation, []mfa.Prompt{ask}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got transcript
			f := newBufferedPrompter(mfa.Request{Flags: test.flags, TTY: test.tty}, &got)
			for _, p := range test.said {
				if _, err := f.Prompt(t.Context(), p); err != nil {
					t.Error(err)
				}
			}
			f.finish(t.Context(), mfa.Verdict{Outcome: test.outcome})
			if !slices.Equal(got, test.want) {
				t.Errorf("shown: %q\nwant: %q", got, test.want)
			}
		})
	}
}
