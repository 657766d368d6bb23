package main

import (
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/msteinert/pam/v2"

	"mfa/internal/mfa"
	"mfa/internal/wire"
	"mfa/internal/wire/wiretest"
)

// frame is a frame whose length word says n, whatever follows.
func frame(n uint32, rest string) []byte {
	return append(binary.BigEndian.AppendUint32(nil, n), rest...)
}

// endless is more prompts than the module takes, and then a way in.
func endless(kind mfa.PromptKind) []byte {
	prompt := frames(wire.EncodePrompt(mfa.Prompt{Kind: kind, Text: "?"}))
	return append(slices.Repeat(prompt, maxFrames), letIn...)
}

var letIn = frames(wire.EncodeDone(mfa.Verdict{Outcome: mfa.Accepted}))

// hostile is what an mfad may do that breaks the protocol, or nearly. None of
// them waits for the module's deadline.
var hostile = []struct {
	name string
	play script
	want pam.Error
	says string // in the log, if the login ends by a fault
}{
	{"garbage", sends([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")), pam.ErrSystem, "sent a frame of 1213486160 bytes"},
	{"zeroes", sends(make([]byte, 64)), pam.ErrSystem, "sent a frame of 0 bytes"},
	{"zero length", sends(append(frame(0, ""), letIn...)), pam.ErrSystem, "sent a frame of 0 bytes"},
	{"length just too large", sends(frame(wire.MaxFrame+1, "Is")), pam.ErrSystem, "sent a frame of 65537 bytes"},
	{"huge length", sends(frame(0x7fffffff, "Is")), pam.ErrSystem, "sent a frame of 2147483647 bytes"},
	{"negative length", sends(frame(0xffffffff, "Is")), pam.ErrSystem, "sent a frame of 4294967295 bytes"},
	{"text longer than its frame", sends(append(frame(wire.MaxFrame, "I"+strings.Repeat("\x1bx", wire.MaxFrame/2)), letIn...)), pam.ErrSystem, "sent a frame of 2013265920 bytes"},
	{"largest frame, well-formed", sends(append(frame(wire.MaxFrame, "I"+strings.Repeat("x", wire.MaxFrame-1)), letIn...)), success, ""},
	{"unknown type", sends(frame(3, "Zs\x00")), pam.ErrSystem, "sent a frame of the unknown type 90"},
	{"module's own types", sends(append(frame(1, "A"), letIn...)), pam.ErrSystem, "sent a frame of the unknown type 65"},
	{"HELLO back", sends(frames(wiretest.Hello(mfa.Request{User: "alice"}))), pam.ErrSystem, "sent a frame of the unknown type 72"},
	{"prompt without echo", sends(append(frame(1, "P"), letIn...)), pam.ErrSystem, "sent a malformed prompt"},
	{"prompt of unknown echo", sends(append(frame(3, "Px:"), letIn...)), pam.ErrSystem, "sent a malformed prompt"},
	{"empty prompt", sends(append(frame(2, "Pv"), letIn...)), success, ""},
	{"empty text", sends(append(frame(1, "I"), letIn...)), success, ""},
	{"DONE of nothing", sends(frame(1, "D")), pam.ErrSystem, "sent an outcome of 0 bytes"},
	{"DONE of one byte", sends(frame(2, "Ds")), pam.ErrSystem, "sent an outcome of 1 bytes"},
	{"DONE with junk", sends(frame(4, "Ds\x00\x00")), pam.ErrSystem, "sent an outcome of 3 bytes"},
	{"DONE of unknown outcome", sends(frame(3, "DS\x00")), pam.ErrSystem, "sent the unknown outcome 83"},
	{"DONE of zero", sends(frame(3, "D\x00\x00")), pam.ErrSystem, "sent the unknown outcome 0"},
	{"refusal, then a way in", sends(append(frame(3, "Dw\x00"), letIn...)), pam.ErrAuth, ""},
	{"a way in, then junk", sends(append(slices.Clone(letIn), "junk"...)), success, ""},
	{"endless prompts", sends(endless(mfa.Ask)), pam.ErrSystem, "sent 64 frames and no outcome"},
	{"endless texts", sends(endless(mfa.Info)), pam.ErrSystem, "sent 64 frames and no outcome"},
	{"closed in the length", closes([]byte{0, 0, 0}), pam.ErrAuthinfoUnavail, "closed the connection"},
	{"closed in the type", closes(frame(3, "")), pam.ErrAuthinfoUnavail, "closed the connection"},
	{"closed in a way in", closes(letIn[:len(letIn)-1]), pam.ErrAuthinfoUnavail, "closed the connection"},
	{"closed in a prompt", closes(frame(20, "PvCode")), pam.ErrAuthinfoUnavail, "closed the connection"},
	{"one byte at a time", trickles(append(frames(wire.EncodePrompt(mfa.Prompt{Kind: mfa.Ask, Text: "Code: "})), letIn...)), success, ""},
}

// closes is a script that writes bytes after HELLO and leaves.
func closes(b []byte) script {
	return func(p *peer) {
		p.hello()
		p.raw(b)
	}
}

// trickles is a script that writes one byte a write.
func trickles(b []byte) script {
	return func(p *peer) {
		p.hello()
		for i := range b {
			p.raw(b[i : i+1])
		}
		p.left()
	}
}

func TestHostileDaemon(t *testing.T) {
	t.Parallel()
	for _, c := range hostile {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newStack(t)
			s.serve(t, c.play)
			answers := slices.Repeat([]string{"123456"}, maxFrames)
			got := s.login(t, nil, answers...)
			got.wantAuth(t, c.want)
			if c.want == pam.ErrSystem || c.want == pam.ErrAuthinfoUnavail {
				got.wantLog(t, logErr, "mfad "+c.says)
			}
		})
	}
}

// memoryRuns are the conversations that are looked at for mistakes with memory:
// one of each kind, and every hostile daemon, in one process.
func memoryRuns() (scripts []script, want []int) {
	secret := strings.Repeat("1", 64)
	add := func(play script, code pam.Error) {
		scripts = append(scripts, play)
		want = append(want, int(code))
	}
	add(whole(secret), success)
	add(ends(mfa.Exempt), ignored)
	add(ends(mfa.WrongCode), pam.ErrAuth)
	add(func(p *peer) { // the driver has two answers and then fails
		p.hello()
		for range 2 {
			p.say(mfa.Ask, "Code: ")
			_, _ = p.answer()
		}
		p.say(mfa.Ask, "Code: ")
		p.wantNoAnswer(mfa.ErrNoConversation)
		p.done(mfa.NoConversation)
	}, pam.ErrConv)
	add(func(p *peer) { // frames in one piece, some of which fit into the room
		p.hello()
		var all []wire.Frame
		for _, n := range append(aroundRoom(), 1, 3*room, 1) {
			all = append(all, wire.EncodePrompt(mfa.Prompt{Kind: mfa.Info, Text: strings.Repeat("x", n)}))
		}
		p.raw(frames(append(all, wire.EncodePrompt(mfa.Prompt{Kind: mfa.Ask, Text: "Code: "}))...))
		p.wantAnswer(secret)
		p.done(mfa.WrongCode)
	}, pam.ErrAuth)
	for _, c := range hostile {
		if c.name == "endless prompts" { // two answers are too few
			continue
		}
		add(c.play, c.want)
	}
	hangUp := func(*peer) {}
	scripts = append(scripts, slices.Repeat([]script{hangUp}, calls-1)...)
	add(hangUp, pam.ErrAuthinfoUnavail)
	return scripts, want
}

// calls is how often a login calls a daemon that hangs up without a word
// (RELAY_CALLS in relay.h).
const calls = 4

// runForMemory plays memoryRuns and one daemon that says nothing.
func runForMemory(t *testing.T, prepare func(s *stack)) {
	t.Helper()
	scripts, want := memoryRuns()
	s := newStack(t)
	prepare(s)
	s.serve(t, scripts...)
	answer := strings.Repeat("1", 64)
	all := s.login(t, []string{"-n", strconv.Itoa(len(want)), "-r", "203.0.113.7"}, answer, "654321")
	var got []int
	for _, e := range all.named("auth") {
		got = append(got, e.number)
	}
	if !slices.Equal(got, want) {
		t.Errorf("pam_authenticate returned %v, want %v", got, want)
	}

	s = newStack(t, "timeout=1")
	prepare(s)
	s.serve(t, func(p *peer) { p.left() })
	s.login(t, nil).wantAuth(t, pam.ErrAuthinfoUnavail)

	s = newStack(t, "debug", "nonsense")
	prepare(s)
	s.login(t, nil).wantAuth(t, pam.ErrSystem)

	for _, typed := range []string{"hunter2654321", "SCRV1:aHVudGVyMg==:NjU0MzIx", "hunter3654321", ""} {
		s = oneLine(t, "hunter2")
		prepare(s)
		switch typed {
		case "hunter3654321":
			s.serve(t, cuts(t, enrolled...))
			s.login(t, nil, typed).wantAuth(t, pam.ErrAuth)
		case "":
			s.serve(t, older)
			s.login(t, nil, "hunter2").wantAuth(t, pam.ErrSystem)
		default:
			s.serve(t, cuts(t, enrolled...), once(t, "654321", mfa.Accepted))
			s.login(t, nil, typed).wantAuth(t, success)
		}
	}
}

// needTool skips a test whose tool is not installed; make test installs it.
func needTool(t *testing.T, name string) {
	t.Helper()
	if _, err := exec.LookPath(name); err == nil {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("needs %s", name)
	}
	t.Skipf("needs %s", name)
}

func TestValgrind(t *testing.T) {
	t.Parallel()
	needTool(t, "valgrind")
	runForMemory(t, func(s *stack) {
		s.wrap = []string{
			"valgrind", "-q", "--error-exitcode=99", "--leak-check=full", "--keep-debuginfo=yes",
			"--errors-for-leak-kinds=definite,indirect", "--show-leak-kinds=definite,indirect",
		}
	})
}

// The module and its application built with AddressSanitizer (leaks too) and
// UndefinedBehaviorSanitizer.
func TestSanitizers(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp(built.dir, "sanitized")
	if err != nil {
		t.Fatal(err)
	}
	const flags = "-g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer"
	module, driver := filepath.Join(dir, "pam_mfa.so"), filepath.Join(dir, "driver")
	for _, argv := range [][]string{
		moduleBuild(module, "MODULE_FORTIFY=", "MODULE_DEFS=", "MODULE_EXTRA="+flags),
		slices.Concat([]string{"cc"}, strings.Fields(flags), []string{"-o", driver, "testdata/driver.c", "-lpam"}),
	} {
		if out, err := exec.CommandContext(t.Context(), argv[0], argv[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", strings.Join(argv, " "), err, out)
		}
	}
	runForMemory(t, func(s *stack) { s.module, s.driver = module, driver })
}
