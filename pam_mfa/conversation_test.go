package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/msteinert/pam/v2"

	"mfa/internal/mfa"
	"mfa/internal/wire"
)

// Every kind of frame reaches the application in its PAM style, in order.
func TestConversation(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	s.serve(t, whole("123456"))
	got := s.login(t, nil, "123456", "654321")
	got.wantAuth(t, success)
	want := events{
		{"conv", int(pam.TextInfo), "A code was sent.\n"},
		{"conv", int(pam.PromptEchoOn), "Code: "},
		{"conv", int(pam.ErrorMsg), "Not that one."},
		{"conv", int(pam.PromptEchoOff), "Code again: "},
	}
	if said := got.named("conv"); !slices.Equal(said, want) {
		t.Errorf("the application was told %v, want %v", said, want)
	}
}

// Under PAM_SILENT prompts still come, and nothing else does.
func TestSilent(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	s.serve(t, whole("123456"))
	got := s.login(t, []string{"-s"}, "123456", "654321")
	got.wantAuth(t, success)
	for _, e := range got.named("conv") {
		if e.number != int(pam.PromptEchoOn) && e.number != int(pam.PromptEchoOff) {
			t.Errorf("PAM_SILENT, and the user saw %v", e)
		}
	}
	if n := len(got.named("conv")); n != 2 {
		t.Errorf("%d prompts, want 2", n)
	}
}

// The password never crosses the socket, costs no attempt and ends nothing: the
// next answer counts.
func TestPasswordTyped(t *testing.T) {
	t.Parallel()
	for _, typed := range []string{"hunter2", "hun\x1bter2\t"} {
		s := newStack(t)
		s.first = "hunter2"
		s.serve(t, func(p *peer) {
			p.hello()
			for range 2 {
				p.say(mfa.AskHidden, "Code: ")
				p.wantNoAnswer(mfa.ErrPasswordTyped)
			}
			p.say(mfa.AskHidden, "Code: ")
			p.wantAnswer("123456")
			p.done(mfa.Accepted)
		})
		got := s.login(t, nil, typed, typed, "123456")
		got.wantAuth(t, success)
		got.wantLog(t, logNotice, "use keyboard-interactive (KbdInteractiveAuthentication yes)")
		if n := len(got.named("log")); n != 2 {
			t.Errorf("%d log lines, want 2: %v", n, got.named("log"))
		}
		for _, e := range got.named("log") {
			if strings.Contains(e.text, "hunter2") {
				t.Errorf("the log has the password: %q", e.text)
			}
		}
	}
}

// An answer of bytes that sshd gives in the place of what was typed is sent as it is.
func TestWithheldAnswers(t *testing.T) {
	t.Parallel()
	const junk = "\b\n\r\x7fINCORRECT\b\n\r\x7fINCORRECT"
	s := newStack(t)
	lengths := []int{1, 5, 6, 13, 20}
	s.serve(t, func(p *peer) {
		p.hello()
		for _, n := range lengths {
			p.say(mfa.Ask, "Code: ")
			p.wantAnswer(junk[:n])
		}
		p.say(mfa.Ask, "Code: ")
		p.wantAnswer("in")
		p.done(mfa.WrongCode)
	})
	var answers []string
	for _, n := range lengths {
		answers = append(answers, junk[:n])
	}
	s.login(t, nil, append(answers, "\b\n\r\x7fin")...).wantAuth(t, pam.ErrAuth)
}

// Without a first factor's password an empty answer is an answer.
func TestEmptyAnswer(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	s.serve(t, func(p *peer) {
		p.hello()
		p.say(mfa.Ask, "Code: ")
		p.wantAnswer("")
		p.done(mfa.WrongCode)
	})
	s.login(t, nil, "").wantAuth(t, pam.ErrAuth)
}

// When nobody answers, the daemon is told and its verdict counts, but no
// verdict lets in.
func TestNobodyAnswers(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{"@fail", "@null", "@none", strings.Repeat("9", wire.MaxAnswer+1)} {
		for _, c := range []struct {
			outcome mfa.Outcome
			want    pam.Error
		}{
			{mfa.NoConversation, pam.ErrConv},
			{mfa.Exhausted, pam.ErrMaxtries},
			{mfa.Accepted, pam.ErrConv},
			{mfa.Exempt, pam.ErrConv},
		} {
			t.Run(answer[:5]+c.outcome.String(), func(t *testing.T) {
				t.Parallel()
				s := newStack(t, "exempt=success", "unavailable=ignore")
				s.serve(t, func(p *peer) {
					p.hello()
					p.say(mfa.Ask, "Code: ")
					p.wantNoAnswer(mfa.ErrNoConversation)
					p.say(mfa.Ask, "Really? ")
					p.wantNoAnswer(mfa.ErrNoConversation)
					p.say(mfa.Failure, "Bye.")
					p.done(c.outcome)
				})
				got := s.login(t, nil, answer, "123456")
				got.wantAuth(t, c.want)
				// The application is not asked again, but may tell the user why.
				want := events{
					{"conv", int(pam.PromptEchoOn), "Code: "},
					{"conv", int(pam.ErrorMsg), "Bye."},
				}
				if said := got.named("conv"); !slices.Equal(said, want) {
					t.Errorf("the application was told %v, want %v", said, want)
				}
			})
		}
	}
}

// The daemon may die, or say nothing, after nobody answered.
func TestNobodyAnswersAndNothingComes(t *testing.T) {
	t.Parallel()
	for name, then := range map[string]func(p *peer){
		"closed": func(*peer) {},
		"silent": (*peer).left,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStack(t, "unavailable=ignore")
			s.serve(t, func(p *peer) {
				p.hello()
				p.say(mfa.Ask, "Code: ")
				p.wantNoAnswer(mfa.ErrNoConversation)
				then(p)
			})
			s.login(t, nil, "@fail").wantAuth(t, pam.ErrConv)
		})
	}
}

// Control bytes get through in neither direction; UTF-8 does.
func TestControlBytes(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	s.serve(t, func(p *peer) {
		p.hello()
		p.say(mfa.Info, "a\x00b\x1b[2Jc\r\x07\x08\x7f\u009b\u0080d\tnext\n\u2588\u2584 gr\u00fc\u00df")
		p.say(mfa.Ask, "C\xc2\x01\x9bode\x0b: ")
		p.wantAnswer("12345\u00df6")
		p.done(mfa.Accepted)
	})
	got := s.login(t, nil, "\x1b12\t3\r\n4\x7f5\u009b\u00df6\x01")
	got.wantAuth(t, success)
	want := events{
		{"conv", int(pam.TextInfo), "ab[2Jcd\tnext\n\u2588\u2584 gr\u00fc\u00df"},
		{"conv", int(pam.PromptEchoOn), "Code: "},
	}
	if said := got.named("conv"); !slices.Equal(said, want) {
		t.Errorf("the application was told %v, want %v", said, want)
	}
}

// The longest answer is sent whole, and one that is longer only by bytes that
// are dropped is not too long.
func TestLongestAnswer(t *testing.T) {
	t.Parallel()
	longest := strings.Repeat("9", wire.MaxAnswer)
	s := newStack(t)
	s.serve(t, func(p *peer) {
		p.hello()
		p.say(mfa.Ask, "Code: ")
		p.wantAnswer(longest)
		p.done(mfa.Accepted)
	})
	s.login(t, nil, longest+"\r\n").wantAuth(t, success)
}
