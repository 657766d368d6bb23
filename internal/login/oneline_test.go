package login

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"mfa/internal/account"
	"mfa/internal/audit"
	"mfa/internal/factor"
	"mfa/internal/factor/otp"
	"mfa/internal/mfa"
	"mfa/internal/wire"
	"mfa/internal/wire/wiretest"
)

// A line is the module in a login in one line: it answers one prompt, if it holds an
// answer, and no other.
type line struct {
	answer string
	asked  int
	said   []string
}

func (l *line) Prompt(_ context.Context, p mfa.Prompt) (string, error) {
	if p.Kind != mfa.Ask && p.Kind != mfa.AskHidden {
		l.said = append(l.said, p.Text)
		return "", nil
	}
	l.asked++
	if l.answer == "" || l.asked > 1 {
		return "", mfa.ErrNoConversation
	}
	return l.answer, nil
}

var aliceID = mfa.Identity{Name: "alice", UID: 1000}

// behind holds a login of alice with an answer behind the password, and returns what was
// said.
func (d *harness) behind(answer string, want mfa.Outcome) string {
	d.t.Helper()
	return d.behindOf(request("alice"), answer, want)
}

func (d *harness) behindOf(req mfa.Request, answer string, want mfa.Outcome) string {
	d.t.Helper()
	req.Held = mfa.HeldNothing
	if answer != "" {
		req.Held = mfa.HeldAnswer
	}
	l := &line{answer: answer}
	v, err := d.engine.Login(d.t.Context(), req, l)
	said := oneLine(strings.Join(l.said, "\n"))
	if v.Outcome != want {
		d.t.Fatalf("behind %q: outcome %v (%s, %v), want %v; said %q", answer, v.Outcome, v.Reason, err, want, said)
	}
	if answer == "" && l.asked > 0 || l.asked > 1 {
		d.t.Fatalf("behind %q: %d prompts", answer, l.asked)
	}
	return said
}

func (d *harness) mustSay(said, want string) {
	d.t.Helper()
	if !strings.Contains(said, want) {
		d.t.Errorf("said %q, want %q", said, want)
	}
}

var appSecret = []byte("12345678901234567890")

// withApp gives alice an app of so many digits beside what she has.
func (d *harness) withApp(digits int, en mfa.Enrollment) {
	d.t.Helper()
	en.UID = 1000
	en.TOTP = &mfa.TOTPSecret{Secret: d.accounts.SealTOTP(aliceID, appSecret), Algorithm: "SHA1", Digits: digits, Period: mfa.Duration(30 * time.Second), Confirmed: start}
	d.enroll("alice", en)
}

// appCode is what alice's app shows.
func (d *harness) appCode(digits int) string {
	d.t.Helper()
	p := otp.Params{Digits: digits, Period: 30 * time.Second, Algorithm: "SHA1"}
	code, err := otp.Code(appSecret, otp.Step(d.clock(), p.Period), p)
	if err != nil {
		d.t.Fatal(err)
	}
	return code
}

var mailAddress = &mfa.Address{Address: "alice@example.com", Confirmed: start}

// words are the endings that everybody has who is asked.
const words = "email text call"

// endings says what may stand behind a password, as words.
func (d *harness) endings(req mfa.Request) string {
	d.t.Helper()
	all := d.engine.Endings(d.t.Context(), req)
	over, err := wiretest.Endings(wire.EncodeCut(all))
	if err != nil || !slices.Equal(over, all) {
		d.t.Fatalf("over the wire %v became %v, %v", all, over, err)
	}
	var said []string
	for _, e := range all {
		switch {
		case e.Word != "":
			said = append(said, e.Word)
		case e.Grouped:
			said = append(said, fmt.Sprint("grouped ", e.Symbols))
		case e.Comma:
			said = append(said, fmt.Sprint("comma ", e.Symbols))
		default:
			said = append(said, fmt.Sprint("digits ", e.Symbols))
		}
	}
	return strings.Join(said, " ")
}

// Behind a password may stand what could be a code there and then. For those who are not
// asked, or have nothing, all of the line is the password.
func TestEndings(t *testing.T) {
	optional := func(s *settings) { s.policy.Policy.Mode = ModeOptional }
	for name, c := range map[string]struct {
		change  func(*settings)
		prepare func(d *harness)
		user    string
		want    string
	}{
		"sent, none yet":    {want: words},
		"sent":              {prepare: func(d *harness) { d.behind("", mfa.CodeSent) }, want: words + " digits 6"},
		"sent and expired":  {prepare: func(d *harness) { d.behind("", mfa.CodeSent); d.advance(11 * time.Minute) }, want: words},
		"sent elsewhere":    {prepare: func(d *harness) { r := request("alice"); r.RHost = "192.0.2.9"; d.behindOf(r, "", mfa.CodeSent) }, want: words},
		"app":               {prepare: func(d *harness) { d.withApp(6, mfa.Enrollment{}) }, want: words + " digits 6"},
		"long app":          {prepare: func(d *harness) { d.withApp(8, mfa.Enrollment{}) }, want: words + " digits 8"},
		"long app and mail": {prepare: func(d *harness) { d.withApp(8, mfa.Enrollment{Email: mailAddress}); d.behind("email", mfa.CodeSent) }, want: words + " comma 8 comma 6 digits 8 digits 6"},
		"backup codes": {prepare: func(d *harness) {
			d.withApp(6, mfa.Enrollment{Backup: &mfa.BackupSet{ID: "a", Symbols: 16}})
		}, want: words + " grouped 16 digits 6 comma 16"},
		"old backup codes": {prepare: func(d *harness) {
			d.withApp(6, mfa.Enrollment{Backup: &mfa.BackupSet{ID: "a"}})
		}, want: words + " grouped 12 comma 8 digits 6 comma 12"},
		"foreign backup codes": {prepare: func(d *harness) {
			d.withApp(6, mfa.Enrollment{Backup: &mfa.BackupSet{ID: "a", Symbols: 8}})
		}, want: words + " comma 8 digits 6"},
		"locked": {prepare: func(d *harness) {
			d.withApp(6, mfa.Enrollment{})
			for range 5 {
				d.behindAny("000000")
			}
		}, want: words + " grouped 16 digits 6 comma 16"},
		"mode off":              {change: func(s *settings) { s.policy.Policy.Mode = ModeOff }},
		"optional, has none":    {change: optional, user: "bob"},
		"required, has none":    {user: "bob"},
		"to be led to one":      {change: func(s *settings) { s.policy.Policy.EnrollAtLogin = true }, user: "bob"},
		"nobody":                {user: "ghost", want: words},
		"nobody, mode off":      {change: func(s *settings) { s.policy.Policy.Mode = ModeOff }, user: "ghost"},
		"NSS cannot say":        {user: "broken", want: words + " digits 6"},
		"method does not count": {change: func(s *settings) { s.policy.Policy.Methods = []mfa.Method{mfa.TOTP} }, want: words},
	} {
		t.Run(name, func(t *testing.T) {
			d := newHarness(t, func(s *settings) {
				if c.change != nil {
					c.change(s)
				}
			})
			if c.prepare != nil {
				c.prepare(d)
			}
			if c.user == "" {
				c.user = "alice"
			}
			if got := d.endings(request(c.user)); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// behindAny is behind for any refusal.
func (d *harness) behindAny(answer string) {
	d.t.Helper()
	req := request("alice")
	req.Held = mfa.HeldAnswer
	if v, _ := d.engine.Login(d.t.Context(), req, &line{answer: answer}); !v.Refuses() {
		d.t.Fatalf("let in: %+v", v)
	}
}

// The question leaves nothing: not a byte of the store or of the audit file changes, and
// nothing is sent.
func TestEndingsLeaveNothing(t *testing.T) {
	d := newHarness(t)
	d.withApp(6, mfa.Enrollment{Email: mailAddress})
	before, audited := fmt.Sprintf("%+v", d.state("alice")), d.auditSize()
	for range 20 {
		for _, user := range []string{"alice", "bob", "ghost"} {
			d.engine.Endings(t.Context(), request(user))
		}
	}
	if after := fmt.Sprintf("%+v", d.state("alice")); after != before || d.auditSize() != audited || d.mailCount() != 0 {
		t.Errorf("state %s, was %s; audit %d, was %d; %d mails", after, before, d.auditSize(), audited, d.mailCount())
	}
}

func (d *harness) auditSize() int64 {
	d.t.Helper()
	info, err := os.Stat(d.audit)
	if err != nil {
		d.t.Fatal(err)
	}
	return info.Size()
}

// The answers for those who exist and those who do not take the same time.
func TestEndingsTakeTheirTime(t *testing.T) {
	d := newHarness(t)
	for _, user := range []string{"alice", "bob", "ghost", "broken"} {
		began := time.Now()
		d.engine.Endings(t.Context(), request(user))
		if took := time.Since(began); took < endingsTake {
			t.Errorf("%s: %v", user, took)
		}
	}
}

func TestCodeOfTheAppBehindThePassword(t *testing.T) {
	d := newHarness(t)
	d.withApp(6, mfa.Enrollment{Email: mailAddress})
	code := d.appCode(6)
	d.mustSay(d.behind(wrongDigits(code), mfa.WrongCode), "not right")
	d.behind(code, mfa.Accepted)
	d.mustSay(d.behind(code, mfa.NoConversation), "used already")
	if n := len(d.state("alice").Failures); n != 0 {
		t.Errorf("%d failures", n)
	}
	d.advance(time.Minute)
	d.behind(d.appCode(6)[:3]+" "+d.appCode(6)[3:], mfa.Accepted)
	if n := d.mailCount(); n != 0 {
		t.Errorf("%d mails", n)
	}
}

func wrongDigits(code string) string { return string('0'+(code[0]-'0'+1)%10) + code[1:] }

// A password alone has a code sent to who has nothing else; the next login carries it.
func TestPasswordAloneHasACodeSent(t *testing.T) {
	d := newHarness(t)
	d.mustSay(d.behind("", mfa.CodeSent), "A code was sent to a***e@example.com.")
	d.advance(time.Minute)
	d.mustSay(d.behind("", mfa.CodeSent), "60 seconds ago")
	code := d.code()
	if n := d.mailCount(); n != 1 {
		t.Errorf("%d mails", n)
	}
	d.mustSay(d.behind(wrongDigits(code), mfa.WrongCode), "not right")
	d.behind(code, mfa.Accepted)
	d.mustSay(d.behind(code, mfa.NoConversation), "used already")
	en, err := d.accounts.Records().Enrollment(t.Context(), "alice")
	if err != nil || en.Email.Confirmed.IsZero() {
		t.Errorf("the address is not confirmed: %+v, %v", en.Email, err)
	}
}

// A user with an app gets none unasked, and is told what to do.
func TestPasswordAloneOfWhoHasAnApp(t *testing.T) {
	d := newHarness(t)
	d.withApp(6, mfa.Enrollment{Email: mailAddress})
	d.mustSay(d.behind("", mfa.NoConversation), ",email behind it to have one sent to a***e@example.com")
	if n := d.mailCount(); n != 0 {
		t.Errorf("%d mails", n)
	}
	if n := len(d.state("alice").Failures); n != 0 {
		t.Errorf("%d failures", n)
	}
}

// A word has a code sent, each time and within the limits; both that code and the app's are
// good then, and what fits neither is one attempt.
func TestWordBehindThePassword(t *testing.T) {
	d := newHarness(t)
	d.withApp(6, mfa.Enrollment{Email: mailAddress})
	d.mustSay(d.behind("EMAIL", mfa.CodeSent), "A code was sent to a***e@example.com.")
	first := d.code()
	d.mustSay(d.behind("email", mfa.CodeSent), "can be sent in 30 seconds")
	d.advance(31 * time.Second)
	d.behind("email", mfa.CodeSent)
	second := d.code()
	d.mustSay(d.behind(first, mfa.NoConversation), "older one")
	other := "000000"
	for other == first || other == second || other == d.appCode(6) {
		other = wrongDigits(other)
	}
	d.behind(other, mfa.WrongCode)
	if st := d.state("alice"); len(st.Failures) != 1 || st.MethodFailures[mfa.TOTP] != 1 || st.MethodFailures[mfa.Email] != 0 {
		t.Errorf("failures %v, of methods %v", st.Failures, st.MethodFailures)
	}
	d.behind(second, mfa.Accepted)
	d.behind(d.appCode(6), mfa.Accepted)
	for _, word := range []string{"text", "call"} {
		d.mustSay(d.behind(word, mfa.NoConversation), "No code can be sent to you by "+word)
	}
	for range 6 {
		d.advance(31 * time.Second)
		d.behindAny("email")
	}
	d.mustSay(d.behind("email", mfa.Exhausted), "Too many codes")
	if n := d.audited(audit.Failed); n != 1 {
		t.Errorf("%d wrong codes", n)
	}
}

// Where the last codes were not typed, as of a mail client that asks all day, a password
// alone has none sent any more; a word does.
func TestPasswordAloneAllDay(t *testing.T) {
	d := newHarness(t)
	for range 60 {
		req := request("alice")
		req.Held = mfa.HeldNothing
		if v, _ := d.engine.Login(t.Context(), req, &line{}); !v.Refuses() {
			t.Fatal(v)
		}
		d.advance(5 * time.Minute)
	}
	if n := d.mailCount(); n != 2 {
		t.Errorf("%d mails in five hours, want 2", n)
	}
	d.mustSay(d.behind("", mfa.NoConversation), "No code was sent: the last ones were not typed. Log in with ,email, ,text or ,call behind")
	d.behind("email", mfa.CodeSent)
	d.behind(d.code(), mfa.Accepted)
}

func TestBackupCodeBehindThePassword(t *testing.T) {
	d := newHarness(t)
	codes, set, err := factor.NewBackupSet(zeroReader{}, 2)
	if err != nil {
		t.Fatal(err)
	}
	d.withApp(6, mfa.Enrollment{Email: mailAddress, Backup: &set})
	d.behind(codes[0], mfa.Accepted)
	d.mustSay(d.behind(codes[0], mfa.NoConversation), "used already")
	d.behind(strings.ToUpper(strings.ReplaceAll(codes[1], "-", "")), mfa.NoConversation) // the same, as chance is none here
	d.behind(strings.Repeat("2222-", 3)+"3333", mfa.WrongCode)
	if st := d.state("alice"); len(st.Failures) != 1 || st.MethodFailures[mfa.Backup] != 1 {
		t.Errorf("failures %v, of methods %v", st.Failures, st.MethodFailures)
	}
}

// A zeroReader reads bytes that are alike.
type zeroReader struct{}

func (zeroReader) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 7
	}
	return len(p), nil
}

// The password alone lets in those who need no more, and the module is asked for no answer.
func TestNotAskedInOneLine(t *testing.T) {
	d := newHarness(t, func(s *settings) { s.policy.Policy.Mode = ModeOptional })
	for _, held := range []string{mfa.HeldNothing, mfa.HeldAnswer} {
		req := request("bob")
		req.Held = held
		l := &line{answer: "123456"}
		if v, err := d.engine.Login(t.Context(), req, l); v.Outcome != mfa.Exempt || l.asked != 0 {
			t.Errorf("%s: %+v, %v, %d prompts", held, v, err, l.asked)
		}
	}
}

// Nobody is enrolled in one line: who can put it off is let in, and who cannot is not.
func TestNotEnrolledInOneLine(t *testing.T) {
	for _, c := range []struct {
		change func(*PolicyConfig)
		want   mfa.Outcome
	}{
		{func(p *PolicyConfig) { p.EnrollAtLogin = true }, mfa.MustEnroll},
		{func(*PolicyConfig) {}, mfa.MustEnroll},
		{func(p *PolicyConfig) { p.EnrollAtLogin, p.EnrollGrace = true, minutes(60) }, mfa.Exempt},
		{func(p *PolicyConfig) { p.Mode, p.OptOut, p.EnrollAtLogin = ModeOptional, true, true }, mfa.Exempt},
	} {
		d := newHarness(t, func(s *settings) { c.change(&s.policy.Policy) })
		d.behindOf(request("bob"), "", c.want)
		if c.want == mfa.Exempt && d.engine.cfg.Policy.EnrollGrace > 0 {
			d.advance(2 * time.Hour)
			d.behindOf(request("bob"), "", mfa.MustEnroll)
		}
	}
}

// A login that is remembered needs no code, and uses none up; none is offered to be remembered.
func TestRememberedInOneLine(t *testing.T) {
	for mode, want := range map[string]mfa.Outcome{RememberAlways: mfa.Accepted, RememberAsk: mfa.NoConversation, RememberNever: mfa.NoConversation} {
		d := newHarness(t, func(s *settings) {
			s.policy.Session = SessionConfig{Remember: mode, Lifetime: minutes(60), Bind: []string{BindAddress}, IPv4Prefix: 32, IPv6Prefix: 64}
		})
		d.withApp(6, mfa.Enrollment{})
		d.behind(d.appCode(6), mfa.Accepted)
		d.behind("", want)
	}
}

// A lock is told of, whatever stands behind the password; a recovery code ends it.
func TestLockedInOneLine(t *testing.T) {
	d := newHarness(t, func(s *settings) { s.keeping.Lockout.Recovery, s.keeping.Lockout.Notify = true, true })
	d.withApp(6, mfa.Enrollment{Email: mailAddress})
	right := d.appCode(6)
	for range 4 {
		d.behind(wrongDigits(right), mfa.WrongCode)
	}
	d.mustSay(d.behind(wrongDigits(right), mfa.Exhausted), "locked")
	for _, answer := range []string{"", right, "email"} {
		d.mustSay(d.behind(answer, mfa.Exhausted), "locked")
	}
	const pattern = `\b([0-9a-z]{4}(?:-[0-9a-z]{4}){3})\b`
	d.await(func() bool { return len(d.mailed(pattern)) > 0 })
	d.mu.Lock()
	code := d.mailed(pattern)[0]
	d.mu.Unlock()
	d.mustSay(d.behind("2222-3333-4444-5555", mfa.Exhausted), "locked")
	d.mustSay(d.behind(code, mfa.NoConversation), "not locked any more")
	d.behind(right, mfa.Accepted)
}

// PAM_SILENT and no terminal, as saslauthd has it, keep nobody out and are no reason to send
// nothing: in one line nobody is asked.
func TestSilentInOneLine(t *testing.T) {
	d := newHarness(t)
	req := request("alice")
	req.Flags = pamSilent
	d.behindOf(req, "", mfa.CodeSent)
	d.behindOf(req, d.code(), mfa.Accepted)
}

// The names of user and service, and the password, are no attempt.
func TestNamesBehindThePassword(t *testing.T) {
	d := newHarness(t)
	d.withApp(6, mfa.Enrollment{})
	for _, name := range []string{"alice", "sshd", "no code at all"} {
		d.behind(name, mfa.NoConversation)
	}
	if n := len(d.state("alice").Failures); n != 0 {
		t.Errorf("%d failures", n)
	}
}

// A name without an account is refused in one line as elsewhere, and nothing is sent.
func TestNobodyInOneLine(t *testing.T) {
	d := newHarness(t)
	d.mustSay(d.behindOf(request("ghost"), "", mfa.CodeSent), "A code was sent to ")
	d.behindOf(request("ghost"), "123456", mfa.WrongCode)
	if n := d.mailCount(); n != 0 {
		t.Errorf("%d mails", n)
	}
}

// A token that counts is one of the codes that digits may be.
func TestTokenBehindThePassword(t *testing.T) {
	d := newHarness(t, func(s *settings) {
		s.policy.Policy.Methods = []mfa.Method{mfa.HOTP}
		s.asking.HOTP.Window = 10
	})
	d.enroll("alice", mfa.Enrollment{UID: 1000, HOTP: &mfa.HOTPSecret{
		Secret: d.accounts.SealHOTP(aliceID, appSecret), Algorithm: "SHA1", Digits: 6, Confirmed: start,
	}})
	if got := d.endings(request("alice")); got != words+" digits 6" {
		t.Errorf("endings %q", got)
	}
	d.mustSay(d.behind("", mfa.NoConversation), "A code is missing")
	d.behind("755224", mfa.Accepted) // RFC 4226, appendix D
	d.mustSay(d.behind("755224", mfa.NoConversation), "used already")
	d.behind("990099", mfa.WrongCode)
	d.behind("287082", mfa.Accepted)
}

// Before the password was right the directory is not asked, so that nobody without it can
// have it asked, tell by the time that takes who has a method of their own, or have what it
// says now written down and mailed.
func TestEndingsAskNoDirectory(t *testing.T) {
	d, r := withFakeDirectory(t)
	if got := d.endings(request("bob")); got != words {
		t.Errorf("never seen: %q, want %q: the directory may have an address", got, words)
	}
	d.mustSay(d.behindOf(request("bob"), "", mfa.CodeSent), "b***b@example.com")
	r.looked()
	kept := func() string { st := d.state("bob"); return fmt.Sprintf("%d %+v", st.Epoch, st.Contacts) }
	before, mails, audited := kept(), d.mailCount(), d.auditSize()
	r.says("bob", account.Found{Emails: []string{"other@example.com"}})
	d.advance(time.Minute)
	for _, user := range []string{"alice", "bob", "ghost"} {
		if got := d.endings(request(user)); user == "bob" && got != words+" digits 6" {
			t.Errorf("seen before: %q", got)
		}
	}
	time.Sleep(50 * time.Millisecond) // a notice is sent beside
	if asked := r.looked(); len(asked) > 0 {
		t.Errorf("the directory was asked of %q", asked)
	}
	if after := kept(); after != before || d.mailCount() != mails || d.auditSize() != audited {
		t.Errorf("state %s, was %s; %d mails, were %d; audit %d, was %d", after, before, d.mailCount(), mails, d.auditSize(), audited)
	}
}

// A code that was sent outlives what is remembered of the directory, where that is little.
func TestEndingsAfterTheDirectoryIsForgotten(t *testing.T) {
	d, _ := withFakeDirectory(t, func(s *settings) { s.keeping.Contacts.Keep = 0 })
	d.behindOf(request("bob"), "", mfa.CodeSent)
	d.advance(8 * time.Minute)
	if got, want := d.endings(request("bob")), words+" digits 6"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	d.behindOf(request("bob"), d.code(), mfa.Accepted)
}

// A user with nothing but an address of the directory ends a lock like others.
func TestLockedByTheDirectoryInOneLine(t *testing.T) {
	d, _ := withFakeDirectory(t, func(s *settings) { s.keeping.Lockout.Recovery, s.keeping.Lockout.Notify = true, true })
	d.mustSay(d.behindOf(request("bob"), "", mfa.CodeSent), "b***b@example.com")
	code := d.code()
	for i := range 5 {
		want := mfa.WrongCode
		if i == 4 {
			want = mfa.Exhausted
		}
		d.behindOf(request("bob"), wrongDigits(code), want)
	}
	if got, want := d.endings(request("bob")), words+" grouped 16 digits 6 comma 16"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// A choice to have none that [policy] leaves to users is worth nothing where a rule requires a
// second factor: there a stored one leads to setting one up, by every way in, in one line and
// in what explain says, and it stays where it counts.
func TestAStoredSkipMeetsAStricterRule(t *testing.T) {
	h := newHarness(t, func(s *settings) {
		s.policy.Policy.Mode, s.policy.Policy.OptOut, s.policy.Policy.EnrollAtLogin = ModeOptional, true, false
		s.policy.Policy.Rules = []Rule{{Services: []string{"sshd"}, Mode: new(ModeRequired)}}
	})
	h.enroll("bob", mfa.Enrollment{UID: 1001, Skipped: &start})
	for service, want := range map[string]mfa.Outcome{"sshd": mfa.MustEnroll, "vsftpd": mfa.Exempt} {
		req := request("bob")
		req.Service = service
		if v, _ := h.engine.Login(t.Context(), req, &line{}); v.Outcome != want {
			t.Errorf("%s: %v (%s), want %v", service, v.Outcome, v.Reason, want)
		}
		req.Held = mfa.HeldNothing
		if v, _ := h.engine.Login(t.Context(), req, &line{}); v.Outcome != want {
			t.Errorf("%s in one line: %v (%s), want %v", service, v.Outcome, v.Reason, want)
		}
	}
	if en, err := h.accounts.Records().Enrollment(t.Context(), "bob"); err != nil || en.Skipped == nil {
		t.Errorf("the choice is gone: %+v, %v", en, err)
	}
	h.engine.cfg.Policy.Rules[0].EnrollAtLogin = new(true)
	req := request("bob")
	if p, err := h.planFor(req); err != nil || p.decision != leadToEnroll {
		t.Errorf("with enroll_at_login: %+v, %v", p, err)
	}
}

// planFor is what the engine would do with a login.
func (h *harness) planFor(req mfa.Request) (plan, error) {
	h.t.Helper()
	acct, err := h.engine.account(h.t.Context(), req.User)
	if err != nil {
		h.t.Fatal(err)
	}
	l := h.engine.inquire(h.accounts.User(acct, OriginOf(req)), provenFactors(req))
	if err := l.findPolicy(h.t.Context()); err != nil {
		return plan{}, err
	}
	return l.look(h.t.Context())
}
