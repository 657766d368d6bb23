package main

import (
	"cmp"
	"encoding/base32"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"time"

	"mfa/internal/mfa"
	"mfa/internal/wire/wiretest"
)

// Services that rules are about.
const (
	rememberService = "soak-remember"
	exemptService   = "soak-exempt"
	lineService     = "soak-line"
)

// Entries of menus.
const (
	byBackup = "Backup code"
	byEmail  = "Code by email"
	toSetUp  = "Authenticator app"
)

// A story is what a person does, in one login or a few.
type story struct {
	name   string
	weight float64
	kind   int
	tell   func(*telling)
}

// stories are all there are.
var stories = []story{
	{"app", 32, withApp, (*telling).app},
	{"app alone", 5, withAppOnly, (*telling).app},
	{"token", 10, withToken, (*telling).app},
	{"remembered", 16, withApp, (*telling).remembered},
	{"revoked", 0.2, withApp, (*telling).revoked},
	{"one line", 4, withApp, (*telling).oneLine},
	{"wrong once", 6, withApp, (*telling).wrongOnce},
	{"wrong token once", 1.5, withToken, (*telling).wrongOnce},
	{"wrong thrice", 1.5, withApp, (*telling).wrongThrice},
	{"replay", 3, withApp, (*telling).replay},
	{"gone", 2, withApp, (*telling).gone},
	{"gone from mail", 1, withMail, (*telling).gone},
	{"backup code", 1, withApp, (*telling).backupCode},
	{"other method", 2, withApp, (*telling).otherMethod},
	{"mail", 6, withMail, (*telling).sent},
	{"mail again", 1, withMail, (*telling).sentAgain},
	{"text", 3, withPhone, (*telling).sent},
	{"text or mail", 1.5, withBoth, (*telling).sent},
	{"recovered", 0.7, withApp, (*telling).recovered},
	{"unlocked", 0.3, withAppOnly, (*telling).unlocked},
	{"stranger", 1.5, withAppOnly, (*telling).stranger},
	{"exempt", 2, withApp, (*telling).exempt},
	{"enrolls", 0.3, newcomer, (*telling).enrolls},
}

// A telling is a story under way.
type telling struct {
	s    *soak
	u    *user
	r    *rand.Rand
	name string
}

// begin has some person do something.
func (s *soak) begin(r *rand.Rand) {
	sum := 0.0
	for _, st := range stories {
		sum += st.weight
	}
	at := r.Float64() * sum
	for _, st := range stories {
		if at -= st.weight; at >= 0 {
			continue
		}
		if u := s.people.take(st.kind); u != nil {
			u.box.tidy()
			t := &telling{s, u, rand.New(rand.NewPCG(r.Uint64(), r.Uint64())), st.name}
			s.busy.Go(func() {
				st.tell(t)
				s.people.leave(u)
				<-s.places
			})
			return
		}
		break
	}
	<-s.places
}

// A wish is how a login must end if nothing is in its way: by one of these outcomes.
type wish []mfa.Outcome

var (
	in     = wish{mfa.Accepted}
	out    = wish{mfa.Exhausted}
	hungUp = wish{mfa.NoConversation}
)

// quick is a login by sshd in which nothing is sent.
func (t *telling) quick(p *wiretest.Person, want wish) *visit {
	return t.enters(&visit{Service: "sshd", Quick: true}, p, want)
}

// sending is a login by sshd in which a code may be sent.
func (t *telling) sending(p *wiretest.Person, want wish) *visit {
	return t.enters(&visit{Service: "sshd"}, p, want)
}

// enters goes through one login, notes what came of it, and returns it.
func (t *telling) enters(v *visit, p *wiretest.Person, want wish) *visit {
	v.Story, v.User = t.name, cmp.Or(v.User, t.u.name)
	turn := t.s.w.turns.Load()
	t.s.desk.hold(v, t.u, p)
	calm := turn%2 == 0 && turn == t.s.w.turns.Load() && (v.Quick || t.s.carriers.wellSince(v.Began.Add(-retries)))
	if v.Strange = cmp.Or(v.Strange, want.missed(v, calm)); v.Strange != "" {
		v.Said = v.heard
	}
	t.s.book.add(v)
	return v
}

// retries is how long a carrier that was not well is felt.
const retries = 40 * time.Second

// unwanted is an end that a login must not have, if nothing is in its way.
const unwanted = "not as it must be"

// missed returns what of a visit must not be, or "". Calm says that nothing was in its way.
func (w wish) missed(v *visit, calm bool) string {
	outcomes := make([]string, len(w))
	for i, o := range w {
		outcomes[i] = o.String()
	}
	switch {
	case v.letIn() && !slices.Contains(outcomes, v.Outcome):
		return "let in"
	case !calm:
		return ""
	case v.End == done && !slices.Contains(outcomes, v.Outcome):
		return unwanted
	case v.End == lost || v.End == unreached:
		return "cut off"
	}
	return ""
}

// right is somebody with the next code of what they hold.
func (t *telling) right() *wiretest.Person {
	return &wiretest.Person{Code: func(string) string { return t.u.own() }}
}

// wrong is somebody who types so many wrong codes and goes away.
func (t *telling) wrong(n int) *wiretest.Person {
	return &wiretest.Person{Code: func(string) string {
		if n--; n < 0 {
			return wiretest.Leave
		}
		return t.u.wrong()
	}}
}

// app is a login with the right code.
func (t *telling) app() { t.quick(t.right(), in) }

// remembered is a login of a service that remembers.
func (t *telling) remembered() {
	t.enters(&visit{Service: rememberService, Quick: true}, t.right(), in)
}

// revoked is a login that was remembered until an administrator ended that.
func (t *telling) revoked() {
	t.remembered()
	if !t.admin("sessions", "revoke", t.u.name) {
		return
	}
	asked := false
	v := t.enters(&visit{Service: rememberService, Quick: true}, &wiretest.Person{Code: func(string) string {
		asked = true
		return t.u.own()
	}}, in)
	if v.letIn() && !asked {
		t.s.book.fault(fmt.Errorf("login %d was let in by what was revoked", v.N))
	}
}

// admin runs mfactl, and returns whether it did what it was told.
func (t *telling) admin(args ...string) bool {
	err := t.s.admin(args...)
	if err != nil {
		t.s.book.fault(err)
	}
	return err == nil
}

// oneLine is a login with the code behind the password.
func (t *telling) oneLine() {
	t.s.desk.split(t.u)
	t.enters(&visit{Service: lineService, Quick: true, held: mfa.HeldAnswer}, t.right(), in)
}

// back is a login that makes good what wrong codes left behind.
func (t *telling) back() {
	if !t.quick(t.right(), in).letIn() {
		t.admin("unlock", t.u.name)
	}
}

func (t *telling) wrongOnce() {
	wrong, right := t.wrong(1), t.right()
	v := t.quick(&wiretest.Person{Code: func(prompt string) string {
		if line := wrong.Code(prompt); line != wiretest.Leave {
			return line
		}
		return right.Code(prompt)
	}}, in)
	if !v.letIn() {
		t.back()
	}
}

func (t *telling) wrongThrice() {
	t.quick(t.wrong(3), out)
	t.back()
}

// replay types a code a second time. It is told to be used, or counted as wrong, if it was
// long ago.
func (t *telling) replay() {
	code := t.u.own()
	if !t.quick(&wiretest.Person{Code: wiretest.Typing(code, wiretest.Leave)}, in).letIn() {
		return
	}
	v := t.enters(&visit{Service: "sshd", Quick: true, word: true}, &wiretest.Person{Code: wiretest.Typing(code, code, wiretest.Leave)},
		wish{mfa.NoConversation, mfa.WrongCode})
	if v.Wrong > 0 {
		t.back()
	}
}

// gone goes away at the prompt.
func (t *telling) gone() {
	t.enters(&visit{Service: "sshd", Quick: t.u.kind != withMail, word: t.r.IntN(2) == 0}, &wiretest.Person{}, hungUp)
}

func (t *telling) backupCode() {
	if len(t.u.backup) == 0 {
		return
	}
	code := t.u.backup[0]
	t.u.backup = t.u.backup[1:]
	t.quick(&wiretest.Person{Choose: byBackup, Code: wiretest.Typing(code, wiretest.Leave)}, in)
}

// otherMethod has the code sent in the place of the app's.
func (t *telling) otherMethod() {
	t.sending(&wiretest.Person{Choose: byEmail, Code: t.comes()}, in)
}

// comes types codes that come, and has another sent if none does.
func (t *telling) comes() func(string) string {
	asked := 0
	return func(string) string {
		if code, came := t.u.box.takeCode(delivery); came {
			return code
		}
		if asked++; asked == 3 {
			return wiretest.Leave
		}
		return resend
	}
}

// delivery is how long somebody waits for a code before they want another.
const delivery = 6 * time.Second

// resend is typed for another code.
const resend = "r"

// sent is a login with a code that is sent.
func (t *telling) sent() { t.sending(&wiretest.Person{Code: t.comes()}, in) }

// sentAgain has a second code sent, and types the first and then the second.
func (t *telling) sentAgain() {
	comes, n, first := t.comes(), 0, ""
	t.sending(&wiretest.Person{Code: func(prompt string) string {
		switch n++; n {
		case 1:
			if first = comes(prompt); first == resend {
				return wiretest.Leave
			}
			return resend
		case 2:
			return first
		}
		return comes(prompt)
	}}, wish{mfa.Accepted, mfa.NoConversation})
}

// locked types five wrong codes.
func (t *telling) locked() {
	t.quick(t.wrong(3), out)
	t.quick(t.wrong(2), out)
}

// recovered is locked, and unlocked by what the mail says.
func (t *telling) recovered() {
	t.locked()
	code, came := t.u.box.takeRecovery(2 * delivery)
	if !came {
		t.admin("unlock", t.u.name)
		t.back()
		return
	}
	v := t.quick(&wiretest.Person{Code: func(prompt string) string {
		if strings.HasSuffix(prompt, "Recovery code: ") {
			return code
		}
		return t.u.own()
	}}, in)
	if !v.letIn() {
		t.admin("unlock", t.u.name)
	}
}

// unlocked is locked, and unlocked by an administrator.
func (t *telling) unlocked() {
	t.locked()
	t.admin("unlock", t.u.name)
	t.back()
}

// stranger is a name that is nobody's.
func (t *telling) stranger() {
	name := fmt.Sprintf("nobody-%02d", t.r.IntN(100))
	t.enters(&visit{Service: "sshd", User: name}, t.wrong(3), wish{mfa.Exhausted})
}

func (t *telling) exempt() {
	t.enters(&visit{Service: exemptService, Quick: true}, &wiretest.Person{}, wish{mfa.Exempt})
}

var secretLine = regexp.MustCompile(`secret=([A-Z2-7]+)`)

// enrolls sets up an app at a login, and has an administrator clear it again.
func (t *telling) enrolls() {
	t.u.secret = nil
	v := t.sending(&wiretest.Person{Choose: toSetUp, Code: func(prompt string) string {
		if m := secretLine.FindStringSubmatch(prompt); m != nil {
			t.u.secret, _ = base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(m[1])
			t.u.step = 0
		}
		if t.u.secret == nil {
			return wiretest.Leave
		}
		return t.u.shows()
	}}, in)
	if v.letIn() {
		t.app()
	}
	t.admin("reset", t.u.name, "--yes")
}
