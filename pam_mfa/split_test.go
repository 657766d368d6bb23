package main

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/msteinert/pam/v2"

	"mfa/internal/mfa"
	"mfa/internal/wire"
)

const symbols = "23456789acdefhjkmnprtvwxyzsbgqu"

// enrolled are endings as a daemon sends them to somebody who has an app and backup codes.
var enrolled = []mfa.Ending{
	{Word: "email"},
	{Word: "text"},
	{Symbols: 16, Of: symbols, Comma: true, Grouped: true},
	mfa.Digits(8),
	mfa.Digits(6),
	{Symbols: 16, Of: symbols, Comma: true},
}

func cutOf(endings ...mfa.Ending) []byte { return wire.EncodeCut(endings).Payload }

// Where a line is cut, by what may stand behind the password.
func TestSplitLine(t *testing.T) {
	t.Parallel()
	six := []mfa.Ending{{Word: "email"}, mfa.Digits(6)}
	scratch := []mfa.Ending{{Word: "email"}, {Symbols: 8, Of: "0123456789", Comma: true}, mfa.Digits(6)}
	for _, c := range []struct {
		line           string
		endings        []mfa.Ending
		password, code string // code empty: not cut
	}{
		{"hunter2", six, "hunter2", ""},
		{"hunter654321", six, "hunter", "654321"},
		{"hunter2654321", six, "hunter2", "654321"},
		{"hunter123456654321", six, "hunter123456", "654321"},
		{"correct horse 654321", six, "correct horse ", "654321"},
		{"hunter654 321", six, "hunter", "654 321"},
		{"hunter12 654-321", six, "hunter12 ", "654-321"},
		{"hunter654321  ", six, "hunter", "654321"},
		{"hunter12345678", enrolled, "hunter", "12345678"},
		{"hunter1234567", enrolled, "hunter1", "234567"},
		{"hunter-654321", six, "hunter-", "654321"},
		{"pä654321", six, "pä", "654321"},
		{"pw12é3456", six, "pw12é3456", ""},
		{"654321", six, "654321", ""}, // it would leave nothing
		{" 654321", six, " ", "654321"},
		{"hunter65432", six, "hunter65432", ""},
		{"hunter65432x1", six, "hunter65432x1", ""},
		{"a,b", six, "a,b", ""},
		{"a,b654321", six, "a,b", "654321"},
		{"a,654321", six, "a,", "654321"},
		{"a,,email", six, "a,", "email"},
		{"hunter2,email", six, "hunter2", "email"},
		{"hunter2,EMail ", six, "hunter2", "EMail"},
		{"hunter2, email", six, "hunter2", "email"},
		{"hunter2email", six, "hunter2email", ""},
		{"hunter2,emails", six, "hunter2,emails", ""},
		{",email", six, ",email", ""},
		{"email", six, "email", ""},
		{"secret,email,email", six, "secret,email", "email"},
		{"secret,email654321", six, "secret,email", "654321"},
		{"hunter2,k7mx-24wp-9hre-3cdf", enrolled, "hunter2", "k7mx-24wp-9hre-3cdf"},
		{"hunter2,K7MX 24WP 9HRE 3CDF", enrolled, "hunter2", "K7MX 24WP 9HRE 3CDF"},
		{"hunter2,k7mx\u201324wp\u20139hre\u20133cdf", enrolled, "hunter2", "k7mx\u201324wp\u20139hre\u20133cdf"},
		{"hunter2,k7mx24wp9hre3cdf", enrolled, "hunter2", "k7mx24wp9hre3cdf"},
		{"hunter2, k7mx-24wp-9hre-3cdf ", enrolled, "hunter2", "k7mx-24wp-9hre-3cdf"},
		{"hunter2,k7mx-24wp-9hre-345678", enrolled, "hunter2,k7mx-24wp-9hre-", "345678"}, // 18 symbols
		{"hunter2k7mx-24wp-9hre-3cdf", enrolled, "hunter2k7mx-24wp-9hre-3cdf", ""},
		{"a,b,k7mx-24wp-9hre-3456", enrolled, "a,b", "k7mx-24wp-9hre-3456"},
		{"hello,acdefhjkmn654321", enrolled, "hello,acdefhjkmn", "654321"}, // no dashes: a password with a comma
		{"hello,world-of-passwords", enrolled, "hello,world-of-passwords", ""},
		{"hunter2,12345678", scratch, "hunter2", "12345678"},
		{"hunter2,123456", scratch, "hunter2,", "123456"},
		{"hunter654321", nil, "hunter654321", ""},
		{"", six, "", ""},
		{"   ", six, "   ", ""},
	} {
		found, password, code := split(c.line, cutOf(c.endings...))
		want := foundNothing
		if c.code != "" {
			want = foundCode
		}
		if found != want || password != c.password || code != c.code {
			t.Errorf("%q: %d, %q and %q; want %q and %q", c.line, found, password, code, c.password, c.code)
		}
	}
}

// Endings that break the protocol cut nothing, wherever they break it.
func TestSplitBrokenEndings(t *testing.T) {
	t.Parallel()
	good := string(cutOf(enrolled...))
	for _, broken := range []string{
		"d", "d\x06", "d\x06\x00", "d\x06\x02" + "0", "d\x00\x01" + "0", "w\x01\x01x", "w\x00\x00", "x\x06\x01" + "0",
		"d\x06\x0a" + "0123456789" + "w",
	} {
		for _, endings := range []string{broken, good + broken} {
			if found, _, _ := split("hunter654321", []byte(endings)); found != foundBroken {
				t.Errorf("%q: %d", endings, found)
			}
		}
	}
}

// OpenVPN carries the answer to its static challenge beside the password.
func TestSplitChallenge(t *testing.T) {
	t.Parallel()
	b64 := base64.StdEncoding.EncodeToString
	for _, c := range []struct{ password, answer string }{
		{"hunter2", "123456"}, {"hunter", "k7mx-24wp"}, {"hunte", ""}, {"pä ss:word,", "email"},
	} {
		for _, line := range []string{
			"SCRV1:" + b64([]byte(c.password)) + ":" + b64([]byte(c.answer)),
			"SCRV1:" + strings.TrimRight(b64([]byte(c.password)), "=") + ":" + strings.TrimRight(b64([]byte(c.answer)), "="),
		} {
			if p, a, ok := challenge(line); !ok || p != c.password || a != c.answer {
				t.Errorf("%q: %q and %q, %v", line, p, a, ok)
			}
		}
	}
	for _, line := range []string{
		"", "SCRV1", "SCRV1:", "SCRV1:aGk=", "scrv1:aGk=:aGk=", " SCRV1:aGk=:aGk=", "SCRV1:aGk=:aGk=:aGk=", "SCRV1:a:aGk=", "SCRV1:aGk=:a",
		"SCRV1::", "SCRV1::aGk=", "SCRV1::MTIzNDU2", // no password: the application saw one
		"SCRV1:a*k=:aGk=", "SCRV1:====:aGk=", "SCRV1:a===:aGk=", "SCRV1:aGk==:aGk=", "SCRV1:AAAA:aGk=", "SCRV1:aGk=:aGkA", "CRV1:aGk=:aGk=",
	} {
		if p, a, ok := challenge(line); ok {
			t.Errorf("%q: %q and %q", line, p, a)
		}
	}
}

// cuts is a daemon that says how a line is cut.
func cuts(t *testing.T, endings ...mfa.Ending) script {
	return func(p *peer) {
		f, err := wire.Read(p.conn)
		if err != nil || f.Type != wire.Split {
			t.Errorf("frame %q, %v; want SPLIT", f.Type, err)
		}
		p.send(wire.EncodeCut(endings))
		p.left()
	}
}

// holds is a daemon that is told that the module holds an answer, or none.
func holds(t *testing.T, answer string, o mfa.Outcome) script {
	return func(p *peer) {
		want := mfa.HeldNothing
		if answer != "" {
			want = mfa.HeldAnswer
		}
		if got := p.hello().Held; got != want {
			t.Errorf("HELLO says %q, want %q", got, want)
		}
		if answer != "" {
			p.say(mfa.AskHidden, "Code: ")
			p.wantAnswer(answer)
		}
		p.say(mfa.Ask, "Once more: ") // nothing is asked
		p.wantNoAnswer(mfa.ErrNoConversation)
		p.done(o)
		p.left()
	}
}

// once is holds without a second prompt.
func once(t *testing.T, answer string, o mfa.Outcome) script {
	return func(p *peer) {
		if got := p.hello().Held; got != mfa.HeldAnswer {
			t.Errorf("HELLO says %q", got)
		}
		p.say(mfa.AskHidden, "Code: ")
		p.wantAnswer(answer)
		p.done(o)
		p.left()
	}
}

// oneLine is a stack whose password is first, with the code behind what is typed.
func oneLine(t *testing.T, password string, args ...string) *stack {
	t.Helper()
	s := newStack(t, args...)
	s.line = password
	return s
}

// A line of password and code lets in whom both are right of; the password never reaches the
// daemon, and nothing of the line stays in memory.
func TestOneLine(t *testing.T) {
	t.Parallel()
	const long = "0123456789abcdefghijklmnopqrstuvwxyz-0123456789ABCDEFGH"
	for _, c := range []struct {
		typed, password, code string
	}{
		{long + "654321", long, "654321"},
		{"a,b654 321", "a,b", "654 321"},
		{"hunter2,email", "hunter2", "email"},
		{"SCRV1:aHVudGVyMg==:NjU0MzIx", "hunter2", "654321"},
		{"SCRV1:aHVudGVyMjY1NDMyMQ==:", "hunter2", "654321"},
	} {
		t.Run(c.typed, func(t *testing.T) {
			t.Parallel()
			s := oneLine(t, c.password)
			s.serve(t, cuts(t, enrolled...), once(t, c.code, mfa.Accepted))
			got := s.login(t, nil, c.typed)
			got.wantAuth(t, success)
			if n := got.code(t, "kept"); n != 0 {
				t.Errorf("%d lines are still in memory", n)
			}
			if asked := got.named("conv"); len(asked) != 1 || asked[0] != (event{"conv", int(pam.PromptEchoOff), "Password: "}) {
				t.Errorf("asked %v", asked)
			}
		})
	}
}

// After a wrong password the daemon hears nothing of a login.
func TestOneLineWrongPassword(t *testing.T) {
	t.Parallel()
	s := oneLine(t, "hunter2")
	s.serve(t, cuts(t, enrolled...))
	s.login(t, nil, "hunter3654321").wantAuth(t, pam.ErrAuth)
}

// Nothing is asked in one line, whatever the daemon wants: the second prompt gets no answer,
// and a daemon that lets in all the same is not obeyed.
func TestOneLineAsksNothing(t *testing.T) {
	t.Parallel()
	for answer, typed := range map[string]string{"": "hunter2", "654321": "hunter2654321"} {
		s := oneLine(t, "hunter2")
		s.serve(t, cuts(t, enrolled...), holds(t, answer, mfa.Accepted))
		got := s.login(t, nil, typed)
		got.wantAuth(t, pam.ErrConv)
		if n := len(got.named("conv")); n != 1 {
			t.Errorf("%d questions, want that for the password", n)
		}
	}
}

// A code that was sent is no wrong code to fail2ban, and who typed it may try again.
func TestOneLineCodeSent(t *testing.T) {
	t.Parallel()
	s := oneLine(t, "hunter2")
	s.serve(t, cuts(t, enrolled...), once(t, "email", mfa.CodeSent))
	got := s.login(t, []string{"-r", "203.0.113.7"}, "hunter2,email")
	got.wantAuth(t, pam.ErrAuth)
	got.wantLog(t, logNotice, "refused, a code was sent and the next login carries it (PAM_AUTH_ERR) rhost=203.0.113.7 user=alice")
}

// The password typed twice is not sent on.
func TestOneLinePasswordTwice(t *testing.T) {
	t.Parallel()
	s := oneLine(t, "123456")
	s.serve(t, cuts(t, mfa.Digits(6)), func(p *peer) {
		p.hello()
		p.say(mfa.AskHidden, "Code: ")
		p.wantNoAnswer(mfa.ErrPasswordTyped)
		p.done(mfa.NoConversation)
		p.left()
	})
	s.login(t, nil, "123456123456").wantAuth(t, pam.ErrConv)
}

// All that hinders the question how to cut refuses, the right password too, and the line below
// asks nobody; only with unavailable=ignore all of the line is the password.
func TestOneLineWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		args []string
		play []script // nil: nobody listens
		want pam.Error
		says string
	}{
		{"an older daemon", nil, []script{older}, pam.ErrSystem, "is it older than this module?"},
		{"unavailable", nil, []script{refuses(mfa.Unavailable)}, pam.ErrAuthinfoUnavail, "cannot be checked"},
		{"may not ask", nil, []script{refuses(mfa.NotAllowed)}, pam.ErrPermDenied, "may not ask"},
		{"lets in", nil, []script{refuses(mfa.Accepted)}, pam.ErrSystem, "lets in whom it was not asked about"},
		{"exempts", []string{"exempt=success"}, []script{refuses(mfa.Exempt)}, pam.ErrSystem, "lets in whom it was not asked about"},
		{"prompts", nil, []script{func(p *peer) { _, _ = wire.Read(p.conn); p.say(mfa.AskHidden, "Password: "); p.left() }}, pam.ErrSystem, "in place of how a line is cut"},
		{"broken endings", nil, []script{func(p *peer) { _, _ = wire.Read(p.conn); p.raw([]byte("\x00\x00\x00\x02Cd")); p.left() }}, pam.ErrSystem, "malformed endings"},
		{"too many endings", nil, []script{func(p *peer) {
			_, _ = wire.Read(p.conn)
			p.send(wire.Frame{Type: wire.Cut, Payload: make([]byte, wire.MaxCut+1)})
			p.left()
		}}, pam.ErrSystem, "513 bytes of endings"},
		{"nobody", nil, nil, pam.ErrAuthinfoUnavail, "mfad is not there"},
		{"nobody, and that is no matter", []string{"unavailable=ignore"}, nil, ignored, "all that was typed counts as the password"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := oneLine(t, "hunter2", c.args...)
			if c.play != nil {
				s.serve(t, c.play...)
			}
			got := s.login(t, nil, "hunter2")
			got.wantAuth(t, c.want)
			if !strings.Contains(fmt.Sprint(got.named("log")), c.says) {
				t.Errorf("the log says %v, want %q", got.named("log"), c.says)
			}
		})
	}
}

// As pam_mfa(8) says of "proven": "split" beside it cuts nothing off, and asks nobody.
func TestOneLineWithProven(t *testing.T) {
	t.Parallel()
	s := oneLine(t, "hunter2654321", "proven=publickey")
	s.first = "hunter2654321"
	s.login(t, nil).wantAuth(t, ignored)
}

// older is a daemon that knows no SPLIT.
func older(p *peer) { refuses(mfa.Broken)(p) }

// refuses is a daemon that says DONE to SPLIT.
func refuses(o mfa.Outcome) script {
	return func(p *peer) {
		_, _ = wire.Read(p.conn)
		p.done(o)
		p.left()
	}
}

// An application that cannot ask for the password is told so, and nobody else is.
func TestOneLineNobodyAnswers(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{"@fail", "@none"} {
		s := oneLine(t, "hunter2")
		got := s.login(t, nil, answer)
		got.wantAuth(t, pam.ErrConv)
		got.wantLog(t, logNotice, "no password was given")
	}
}

// Each try stands for itself: what was kept in the one before is gone.
func TestOneLineTwiceInOneTransaction(t *testing.T) {
	t.Parallel()
	s := oneLine(t, "hunter2")
	s.serve(t, cuts(t, enrolled...), once(t, "111111", mfa.WrongCode), cuts(t, enrolled...), once(t, "654321", mfa.Accepted))
	got := s.login(t, []string{"-a", "2"}, "hunter2111111", "hunter2654321")
	var codes []int
	for _, e := range got.named("auth") {
		codes = append(codes, e.number)
	}
	if fmt.Sprint(codes) != fmt.Sprint([]int{int(pam.ErrAuth), int(success)}) {
		t.Errorf("pam_authenticate returned %v", codes)
	}
}

// The kept answer is of one attempt. In a stack that jumps over "split" in the next one, the code
// that was typed before would have been looked at there, and a refusal of "split" obeyed.
func TestOneLineThatWasJumpedOver(t *testing.T) {
	t.Parallel()
	asked := func(p *peer) {
		if got := p.hello().Held; got != "" {
			t.Errorf("HELLO says that it holds %q", got)
		}
		p.say(mfa.Ask, "Code: ")
		p.wantAnswer("222222")
		p.done(mfa.Accepted)
		p.left()
	}
	for name, c := range map[string]struct {
		typed string
		first script
		codes []pam.Error
	}{
		"a code behind a wrong password": {"hunter3654321", cuts(t, enrolled...), []pam.Error{pam.ErrAuth, success}},
		"nothing behind one":             {"hunter3", cuts(t, enrolled...), []pam.Error{pam.ErrAuth, success}},
		"a refusal":                      {"hunter3", refuses(mfa.Unavailable), []pam.Error{pam.ErrAuthinfoUnavail, success}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := oneLine(t, "hunter2")
			s.over = true
			s.serve(t, c.first, asked)
			got := s.login(t, []string{"-a", "2"}, c.typed, "222222")
			var codes []pam.Error
			for _, e := range got.named("auth") {
				codes = append(codes, pam.Error(e.number))
			}
			if !slices.Equal(codes, c.codes) {
				t.Errorf("pam_authenticate returned %v, want %v; %v", codes, c.codes, got)
			}
		})
	}
}
