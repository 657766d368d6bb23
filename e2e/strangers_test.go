package e2e

import (
	"errors"
	"math/rand/v2"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// errHungUp ends a connection where its script does.
var errHungUp = errors.New("hung up")

// A visit is one connection to sshd by somebody who has nothing but a name: all that
// is said to them, and how long each prompt took to come.
type visit struct {
	said []string
	took []time.Duration
}

// visit connects under a name and gives one answer after the other to prompts for
// codes, and to those for passwords a wrong one. After the last answer it hangs up.
func (s *site) visit(name string, answers ...string) (v visit) {
	s.t.Helper()
	began := time.Now()
	c, err := ssh.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(s.sshdPort)), &ssh.ClientConfig{
		User: name, Timeout: patience, HostKeyCallback: ssh.InsecureIgnoreHostKey(),
		Auth: []ssh.AuthMethod{ssh.KeyboardInteractive(func(_, told string, questions []string, _ []bool) (given []string, err error) {
			v.took = append(v.took, time.Since(began))
			v.said = append(v.said, told)
			for _, q := range questions {
				v.said = append(v.said, q)
				switch {
				case strings.HasPrefix(q, "Password"):
					given = append(given, "no password")
				case len(answers) == 0:
					return nil, errHungUp
				default:
					given, answers = append(given, answers[0]), answers[1:]
				}
			}
			began = time.Now()
			return given, nil
		})},
	})
	if err == nil {
		_ = c.Close()
		s.t.Fatalf("%q is let in", name)
	}
	v.said = append(v.said, err.Error())
	return v
}

// Parts of a text that differ from one user to the next, or from moment to moment.
var (
	maskedSomebody = regexp.MustCompile(`\b[a-z]\*\*\*[a-z]@example\.com|\+1\*{7}\d\d\b`)
	someSpan       = regexp.MustCompile(`\d+ (second|minute)s?`)
)

// alike is what a visit heard, without what differs.
func (v visit) alike() string {
	text := strings.Join(strings.Fields(strings.Join(v.said, " | ")), " ")
	return someSpan.ReplaceAllString(maskedSomebody.ReplaceAllString(text, "MASKED"), "N $1")
}

// Where the module is reached before the first factor is decided, a name that exists
// and one that does not hear the same, connection after connection: of a code that was
// sent before, of a new one, of wrong codes, at the lock, while it lasts and after it.
func TestStrangersHearWhatOthersHear(t *testing.T) {
	texts, _ := byTwilio(t)
	byEmail := func(s *site) account {
		a := s.newUser("alice")
		s.login(a, 1) // now the address is confirmed
		return a
	}
	for name, tc := range map[string]struct {
		settings []string
		enroll   func(s *site) account
	}{
		"email":           {[]string{`policy.methods = ["email"]`}, byEmail},
		"several methods": {[]string{`policy.methods = ["totp", "email", "backup"]`}, byEmail},
		"hidden":          {[]string{`policy.methods = ["email"]`, "prompt.echo = false"}, byEmail},
		"totp": {[]string{`policy.methods = ["totp"]`}, func(s *site) account {
			a := newAccount(s.t, "alice")
			s.mustControl("enroll", a.name, "--totp", "--no-message")
			return a
		}},
		"sms": {append(slices.Clone(texts), `policy.methods = ["sms"]`), func(s *site) account {
			a := newAccount(s.t, "alice")
			s.mustControl("enroll", a.name, "--phone", number, "--no-message")
			return a
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s, clock := inProcess(t, append(tc.settings, `email.from = "mfa@example.com"`)...)
			alice, ghost := tc.enroll(s).name, "ghost"
			visits := []struct {
				answers []string
				after   time.Duration
			}{
				{nil, 0},
				{[]string{"r", "990099", "99009"}, time.Minute},
				{[]string{"r", "", "xy", "990099"}, 0},
				{[]string{"990099", "990098", "990097"}, 0}, // five in all
				{[]string{"990099", "2222-2222-2222-2222", "22"}, time.Minute},
				{nil, 20 * time.Minute},
				{[]string{"990099", "990098"}, 0},
				{nil, 11 * time.Minute},
				{[]string{"990099"}, 0},
			}
			s.stack("sshd", append(s.codeOnly(), "auth required pam_unix.so nodelay")...)
			letters := 0
			for i, v := range visits {
				known, unknown := s.visit(alice, v.answers...), s.visit(ghost, v.answers...)
				if known, unknown := known.alike(), unknown.alike(); known != unknown {
					t.Fatalf("visit %d: somebody real hears\n%s\na stranger\n%s", i+1, known, unknown)
				}
				letters += strings.Count(known.alike(), " sent to")
				clock.pass(v.after)
			}
			if letters == 0 && name != "totp" {
				t.Error("nobody was told of a code")
			}
		})
	}
}

// A stranger's prompts take as long to come as others'. What keeps one of the two waiting is
// there each time; what the machine does meanwhile is not.
func TestStrangersWaitAsLongAsOthers(t *testing.T) {
	s, alice := ready(t, "lockout.failures = 100", `email.from = "mfa@example.com"`)
	s.stack("sshd", s.codeOnly()...)
	for range 3 {
		if s.waitsAlike(alice.name, "ghost") {
			return
		}
	}
	t.Error("strangers can be told from others by the time that their prompts take")
}

// waitsAlike reports whether prompts for a user and for a stranger take as long. The bound is
// wide: two means of the same run, each of the middle half. (What takes either three
// milliseconds or six, by when the kernel runs it, tips a median.)
func (s *site) waitsAlike(user, stranger string) bool {
	s.t.Helper()
	const rounds = 15
	var took [2][2][]time.Duration // by who; the first prompt, and the one after a wrong code
	for round := range 2 * rounds {
		for i := range 2 {
			who := (round + i) % 2                    // each first as often as the other
			time.Sleep(rand.N(16 * time.Millisecond)) // or the kernel's ticks always fall on the same of the two
			v := s.visit([]string{user, stranger}[who], "990099")
			if len(v.took) != 2 {
				s.t.Fatalf("%q hears %q", []string{user, stranger}[who], v.said)
			}
			for i, d := range v.took {
				took[who][i] = append(took[who][i], d)
			}
		}
	}
	alike := true
	for i, what := range []string{"the first prompt", "the prompt after a wrong code"} {
		known, unknown := midmean(took[0][i]), midmean(took[1][i])
		s.t.Logf("%s takes %v, for a stranger %v", what, known, unknown)
		alike = alike && known <= 2*unknown && unknown <= 2*known
	}
	return alike
}

// A name that sshd refuses hears what others hear, but nothing is counted: what was
// typed never came.
func TestWithheldAnswersAreNotCounted(t *testing.T) {
	s, alice := ready(t, `email.from = "mfa@example.com"`)
	s.stack("sshd", s.codeOnly()...)
	s.sshd("DenyUsers " + alice.name)
	for range 2 {
		refused, unknown := s.visit(alice.name, "990099", "990098").alike(), s.visit("ghost", "990099", "990098").alike()
		if refused != unknown || !strings.Contains(refused, "One try left") {
			t.Fatalf("refused, one hears %q, a stranger %q", refused, unknown)
		}
	}
	c := s.ssh(alice)
	for range 3 { // seven in all
		c.expect(t, `Code[^\n]*: $`)
		c.send(s.code(alice, 1)) // the right one, which never comes
	}
	c.expectOut(t)
	s.expectFailures(alice, 0)
	awaitText(t, s.log, 0, "AllowUsers, DenyUsers")
	s.sshd()
	s.stack("sshd", s.passwordThenCode()...)
	s.login(alice, 1)
}

// midmean returns the mean of the middle half of ds.
func midmean(ds []time.Duration) (mean time.Duration) {
	slices.Sort(ds)
	middle := ds[len(ds)/4 : len(ds)-len(ds)/4]
	for _, d := range middle {
		mean += d / time.Duration(len(middle))
	}
	return mean
}
