package login

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"mfa/internal/account"
	"mfa/internal/mfa"
	"mfa/internal/wire"
)

var bothBound = SessionConfig{
	Remember: RememberAlways, Lifetime: mfa.Duration(90 * 24 * time.Hour),
	Bind: []string{BindAddress, BindKey}, IPv4Prefix: 32, IPv6Prefix: 64,
}

func bound(words ...string) SessionConfig {
	c := bothBound
	c.Bind = words
	return c
}

func prefixes(v4, v6 int) SessionConfig {
	c := bothBound
	c.IPv4Prefix, c.IPv6Prefix = v4, v6
	return c
}

func TestPlace(t *testing.T) {
	for name, tc := range map[string]struct {
		cfg     SessionConfig
		address string
		key     string
		want    string // "": never remembered
	}{
		"address and key":      {bothBound, "203.0.113.7", "SHA256:A", "203.0.113.7/32 SHA256:A"},
		"password":             {bothBound, "203.0.113.7", "", "203.0.113.7/32 "},
		"ipv6":                 {bothBound, "2001:db8:1:2:3:4:5:6", "", "2001:db8:1:2::/64 "},
		"prefixes":             {prefixes(20, 48), "203.0.113.7", "", "203.0.112.0/20 "},
		"ipv6 prefix":          {prefixes(20, 48), "2001:db8:1:2:3:4:5:6", "", "2001:db8:1::/48 "},
		"mapped":               {bothBound, "::ffff:203.0.113.7", "", "203.0.113.7/32 "},
		"address alone":        {bound(BindAddress), "203.0.113.7", "SHA256:A", "203.0.113.7/32 any"},
		"key alone":            {bound(BindKey), "203.0.113.7", "SHA256:A", "any SHA256:A"},
		"key alone, host name": {bound(BindKey), "laptop.example.com", "SHA256:A", "any SHA256:A"},
		"key alone, no key":    {bound(BindKey), "203.0.113.7", "", ""},
		"nothing bound":        {bound(), "203.0.113.7", "SHA256:A", ""},
		"host name":            {bothBound, "laptop.example.com", "SHA256:A", ""},
		"local":                {bothBound, "local", "", ""},
		"nothing":              {bothBound, "", "", ""},
		"loopback":             {bothBound, "127.0.0.2", "SHA256:A", ""},
		"loopback alone":       {bound(BindAddress), "127.0.0.1", "SHA256:A", ""},
		"ipv6 loopback":        {bothBound, "::1", "SHA256:A", ""},
		"mapped loopback":      {bothBound, "::ffff:127.0.0.1", "SHA256:A", ""},
		"link-local":           {bothBound, "fe80::1", "SHA256:A", ""},
		"multicast":            {bothBound, "ff02::1", "SHA256:A", ""},
		"unspecified":          {bothBound, "::", "SHA256:A", ""},
		"no such prefix":       {prefixes(33, 64), "203.0.113.7", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s, ok := tc.cfg.binding(mfa.Origin{Service: "sshd", Address: tc.address, Key: tc.key})
			got := s.Address + " " + s.Key
			if !ok {
				got = ""
			}
			if got != tc.want || s.Service != "sshd" {
				t.Errorf("%q, want %q; service %q", got, tc.want, s.Service)
			}
		})
	}
}

// FuzzPlace: equal places are of one network, and what is no address is no place.
func FuzzPlace(f *testing.F) {
	f.Add("203.0.113.7", "203.0.113.8", "SHA256:A", "", uint8(24), uint8(64))
	f.Add("::ffff:1.2.3.4%x", "fe80::1%eth0", "", "any", uint8(8), uint8(32))
	f.Fuzz(func(t *testing.T, a, b, keyA, keyB string, v4, v6 uint8) {
		c := prefixes(int(v4), int(v6))
		from := func(address, key string) (mfa.Session, bool) {
			return c.binding(OriginOf(mfa.Request{Service: "sshd", RHost: address, SSHAuthInfo: key}))
		}
		s, okA := from(a, keyA)
		r, okB := from(b, keyB)
		_, isA := address(a)
		_, isB := address(b)
		if okA && !isA || okB && !isB {
			t.Errorf("%q or %q is taken for an address", a, b)
		}
		if p, err := netip.ParsePrefix(s.Address); okA && (err != nil || p.Addr().IsLoopback() || p.Addr().IsLinkLocalUnicast()) {
			t.Errorf("%q is taken for a place", a)
		}
		if okA && okB && s.SamePlace(r) && !strings.Contains(s.Address, "/") {
			t.Errorf("%q and %q are the same place %q", a, b, s.Address)
		}
	})
}

// good is what a right code of alice from 203.0.113.7 leaves.
func good() (mfa.Session, mfa.Enrollment, mfa.Origin) {
	en := mfa.Enrollment{UID: 1000, Email: &mfa.Address{Address: "alice@example.com"}}
	return mfa.Session{
		ID: "x", Service: "sshd", Address: "203.0.113.7/32", Key: "SHA256:A", Method: mfa.Email,
		Enrollment: en.Fingerprint(), Created: start, LastUsed: start, Expires: start.Add(time.Duration(bothBound.Lifetime)),
	}, en, mfa.Origin{Service: "sshd", Address: "203.0.113.7", Key: "SHA256:A"}
}

func TestRemembered(t *testing.T) {
	type login struct {
		s       mfa.Session
		cfg     SessionConfig
		o       mfa.Origin
		en      mfa.Enrollment
		methods []mfa.Method
		now     time.Time
		st      mfa.State
	}
	for name, tc := range map[string]struct {
		change func(*login)
		want   bool
	}{
		"the same":              {func(*login) {}, true},
		"another service":       {func(l *login) { l.o.Service = "sudo" }, false},
		"another address":       {func(l *login) { l.o.Address = "203.0.113.8" }, false},
		"another key":           {func(l *login) { l.o.Key = "SHA256:B" }, false},
		"by password":           {func(l *login) { l.o.Key = "" }, false},
		"a host name":           {func(l *login) { l.o.Address = "203.0.113.7.example.com" }, false},
		"local":                 {func(l *login) { l.o.Address = "local" }, false},
		"another prefix":        {func(l *login) { l.cfg.IPv4Prefix = 24 }, false},
		"bound to less now":     {func(l *login) { l.cfg.Bind = []string{BindAddress} }, false},
		"bound to more now":     {func(l *login) { l.s.Key = mfa.Any }, false},
		"bound to nothing now":  {func(l *login) { l.cfg.Bind = nil }, false},
		"at the last moment":    {func(l *login) { l.now = l.s.Expires.Add(-1) }, true},
		"expired":               {func(l *login) { l.now = l.s.Expires }, false},
		"lifetime shortened":    {func(l *login) { l.cfg.Lifetime, l.now = minutes(5), start.Add(5*time.Minute) }, false},
		"lifetime prolonged":    {func(l *login) { l.cfg.Lifetime, l.now = 2*l.cfg.Lifetime, l.s.Expires }, false},
		"clocks that differ":    {func(l *login) { l.now = start.Add(-clockSlack) }, true},
		"from the future":       {func(l *login) { l.now = start.Add(-clockSlack - 1) }, false},
		"another address of en": {func(l *login) { l.en.Email = &mfa.Address{Address: "bob@example.com"} }, false},
		"another uid":           {func(l *login) { l.en.UID++ }, false},
		"method not allowed":    {func(l *login) { l.methods = []mfa.Method{mfa.TOTP} }, false},
		"method disabled": {func(l *login) {
			l.st.MethodFailures = map[mfa.Method]int{mfa.Email: mfa.MaxMethodFailures}
		}, false},
		"password to change": {func(l *login) { l.st.MustChangePassword = true }, false},
		"no fingerprint":     {func(l *login) { l.s.Enrollment = "" }, false},
	} {
		t.Run(name, func(t *testing.T) {
			s, en, o := good()
			l := login{s, bothBound, o, en, []mfa.Method{mfa.Email}, start, mfa.State{}}
			tc.change(&l)
			l.st.Sessions = []mfa.Session{{ID: "other", Service: "sshd"}, l.s}
			got, ok := remembered(l.st, l.cfg, l.o, l.en, l.methods, l.now)
			if ok != tc.want || ok && got.ID != "x" {
				t.Errorf("%+v %v, want %v", got, ok, tc.want)
			}
		})
	}
}

func TestSessionsAreBounded(t *testing.T) {
	var st mfa.State
	expired := mfa.Session{ID: "expired", Service: "s", Expires: start}
	st.Sessions = append(st.Sessions, expired)
	for i := range maxSessions + 3 {
		at := start.Add(time.Duration(i) * time.Second)
		remember(&st, mfa.Session{ID: fmt.Sprint(i), Service: fmt.Sprint(i), Created: at, LastUsed: at, Expires: start.Add(time.Hour)})
		if i == maxSessions-1 { // the oldest was used since
			st.Sessions[0].LastUsed = start.Add(time.Minute)
		}
	}
	var ids []string
	for _, s := range st.Sessions {
		ids = append(ids, s.ID)
	}
	if len(ids) != maxSessions || !slices.Contains(ids, "0") || slices.Contains(ids, "1") || slices.Contains(ids, "3") || !slices.Contains(ids, "4") {
		t.Errorf("kept: %v", ids)
	}
	// Of one place there is one.
	remember(&st, mfa.Session{ID: "new", Service: "7", Created: start, Expires: start.Add(time.Hour)})
	if n := len(st.Sessions); n != maxSessions {
		t.Errorf("%d sessions after one more of the same place", n)
	}
}

func always(s *settings) { s.policy.Session = bothBound }

func asking(s *settings) { s.policy.Session = bothBound; s.policy.Session.Remember = RememberAsk }

const question = "from 192.0.2.1.\nRemember this login for 90 days? [y/N]: "

// again is a login that is let in by the session of the one before.
func (d *harness) again() {
	d.t.Helper()
	d.login(request("alice"), mfa.Accepted)
}

func (d *harness) events() string {
	d.t.Helper()
	b, err := os.ReadFile(d.audit)
	if err != nil {
		d.t.Fatal(err)
	}
	return string(b)
}

func TestAlwaysRemembers(t *testing.T) {
	d := newHarness(t, always)
	d.login(request("alice"), mfa.Accepted, d.withCode())
	s := d.state("alice").Sessions[0]
	if len(s.ID) != 10 || s.Method != mfa.Email || !s.Created.Equal(start) || !s.Expires.Equal(start.Add(90*24*time.Hour)) {
		t.Errorf("session %+v", s)
	}
	d.advance(time.Hour)
	d.again()
	if now := d.state("alice").Sessions[0]; !now.LastUsed.Equal(start.Add(time.Hour)) || !now.Expires.Equal(s.Expires) {
		t.Errorf("session %+v", now)
	}
	if text := d.events(); !strings.Contains(text, `"event":"session.remembered"`) ||
		!strings.Contains(text, `"outcome":"accepted","reason":"remembered login `+s.ID+`"`) {
		t.Errorf("audit: %s", text)
	}
	d.login(mfa.Request{Service: "sshd", User: "alice", RHost: "192.0.2.2"}, mfa.Accepted, d.withCode())
	d.advance(90 * 24 * time.Hour)
	d.login(request("alice"), mfa.Accepted, d.withCode())
	if n := len(d.state("alice").Sessions); n != 1 {
		t.Errorf("%d sessions: those that expired are dropped", n)
	}
}

func TestAskRemembers(t *testing.T) {
	for _, answer := range []string{"y", "Y", "yes", "YES"} {
		d := newHarness(t, asking)
		d.login(request("alice"), mfa.Accepted, d.withCode(), step{question, say(answer), nil})
		d.again()
	}
	for _, answer := range []string{"", "n", "no", "yy", "j", "1"} {
		d := newHarness(t, asking)
		d.login(request("alice"), mfa.Accepted, d.withCode(), step{question, say(answer), nil})
		if st := d.state("alice"); st.Sessions != nil {
			t.Errorf("%q: %+v", answer, st.Sessions)
		}
	}
	// A prompt without an answer lets nobody in, as the module has it; the password in
	// its place is an answer.
	for err, want := range map[error]mfa.Outcome{
		mfa.ErrNoConversation: mfa.NoConversation, errors.New("gone"): mfa.NoConversation, mfa.ErrPasswordTyped: mfa.Accepted,
	} {
		d := newHarness(t, asking)
		d.login(request("alice"), want, d.withCode(), step{question, nil, err})
		if st := d.state("alice"); st.Sessions != nil {
			t.Errorf("%v: %+v", err, st.Sessions)
		}
	}
}

func TestNothingIsRemembered(t *testing.T) {
	d := newHarness(t, func(s *settings) { s.policy.Session = bothBound; s.policy.Session.Remember = RememberNever })
	d.login(request("alice"), mfa.Accepted, d.withCode())
	d.login(request("alice"), mfa.Accepted, d.withCode())

	d = newHarness(t, always)
	d.login(request("alice"), mfa.Exhausted, wrong("sent"), wrong(""), wrong(""), step{want: "ends here"})
	d.login(mfa.Request{Service: "sudo", User: "alice"}, mfa.Accepted, d.withCode())
	d.login(mfa.Request{Service: "sshd", User: "alice", RHost: "laptop.example.com"}, mfa.Accepted, d.withCode())
	if st := d.state("alice"); st.Sessions != nil {
		t.Errorf("%+v", st.Sessions)
	}
}

// A session that exists is of no use where nothing is remembered: a setting that
// was tightened counts at once.
func TestNeverEndsWhatWasRemembered(t *testing.T) {
	d := newHarness(t, always)
	d.login(request("alice"), mfa.Accepted, d.withCode())
	d.engine.cfg.Session.Remember = RememberNever
	d.login(request("alice"), mfa.Accepted, d.withCode())
}

func TestBackupCodesAreNotRemembered(t *testing.T) {
	d := newHarness(t, always)
	codes, err := d.enrol.NewBackupCodes(t.Context(), d.accounts.ByAdministrator(mfa.Identity{Name: "alice", UID: 1000}))
	if err != nil {
		t.Fatal(err)
	}
	d.login(request("alice"), mfa.Accepted, step{"sent to", say("m"), nil}, step{"Choice", say("2"), nil},
		step{"2 backup codes are left", say(codes[0]), nil})
	if st := d.state("alice"); st.Sessions != nil {
		t.Errorf("%+v", st.Sessions)
	}
}

// Before a change of one's enrollment the second factor is asked for, whatever is
// remembered, and that is remembered in turn by nobody.
func TestProofIsNeverRemembered(t *testing.T) {
	d := newHarness(t, always)
	d.login(request("alice"), mfa.Accepted, d.withCode())
	id := mfa.Identity{Name: "alice", UID: 1000}
	for range 2 {
		p := &script{t: t, steps: []step{d.withCode()}}
		c := d.engine.Converse(id, OriginOf(request("alice")), p)
		if v, err := d.engine.Prove(t.Context(), c); v.Outcome != mfa.Accepted || v.Reason != "right code" || len(p.steps) > 0 {
			t.Fatalf("%+v, %v", v, err)
		}
	}
	if n := len(d.state("alice").Sessions); n != 1 {
		t.Errorf("%d sessions", n)
	}
}

// The lock, and what else forbids the login, come first.
func TestLockComesBeforeTheSession(t *testing.T) {
	d := newHarness(t, always)
	d.login(request("alice"), mfa.Accepted, d.withCode())
	d.update("alice", func(st *mfa.State) { st.LockedHard = true })
	d.login(request("alice"), mfa.Exhausted, step{want: "locked"})
	d.update("alice", func(st *mfa.State) { st.LockedHard = false })
	d.again()
	d.enroll("alice", mfa.Enrollment{UID: 2000, Email: &mfa.Address{Address: "alice@example.com"}})
	d.login(request("alice"), mfa.MustEnroll, step{want: "No second factor is set up"})
}

func (d *harness) update(user string, fn func(*mfa.State)) {
	d.t.Helper()
	err := d.engine.deps.Accounts.Records().UpdateState(d.t.Context(), user, func(st *mfa.State) error { fn(st); return nil })
	if err != nil {
		d.t.Fatal(err)
	}
}

// recalling returns a login under way that is remembered, and that nobody answers.
func (d *harness) recalling() (*attempt, plan) {
	d.t.Helper()
	d.login(request("alice"), mfa.Accepted, d.withCode())
	p := promptFunc(func(context.Context, mfa.Prompt) (string, error) { return "", mfa.ErrNoConversation })
	l := d.engine.attempt(d.engine.Converse(mfa.Identity{Name: "alice", UID: 1000}, OriginOf(request("alice")), p), nil)
	if err := l.findPolicy(d.t.Context()); err != nil {
		d.t.Fatal(err)
	}
	todo, err := l.look(d.t.Context())
	if err != nil || todo.decision != acceptRemembered {
		d.t.Fatalf("%+v, %v", todo, err)
	}
	return l, todo
}

// Changes since the state was read count: the update looks again.
func TestRecallLooksAgain(t *testing.T) {
	for name, change := range map[string]func(*mfa.State){
		"revoked": func(st *mfa.State) { st.RevokeSessions() },
		"locked":  func(st *mfa.State) { st.LockedHard = true },
	} {
		t.Run(name, func(t *testing.T) {
			d := newHarness(t, always)
			l, todo := d.recalling()
			d.update("alice", change)
			want := mfa.ErrNoConversation
			if name == "locked" {
				want = account.ErrChanged
			}
			if v, err := l.acceptSession(t.Context(), todo); v.Outcome == mfa.Accepted || !errors.Is(err, want) {
				t.Errorf("%+v, %v; want %v", v, err, want)
			}
		})
	}
}

// A use that cannot be written down lets nobody in, and neither does it count as
// "not remembered".
func TestSessionOfAStoreThatFails(t *testing.T) {
	d := newHarness(t, always)
	l, todo := d.recalling()
	broken := errors.New("disk on fire")
	d.store.Fail(broken)
	defer d.store.Fail(nil)
	d.advance(time.Hour)
	if v, err := l.acceptSession(t.Context(), todo); v.Outcome != mfa.Unavailable || !errors.Is(err, broken) {
		t.Errorf("%+v, %v", v, err)
	}
}

// A rule says for whom it is different, and explain says so.
func TestRulesAboutRemembering(t *testing.T) {
	rule := func(remember string) func(*settings) {
		return func(s *settings) {
			s.policy.Session = bothBound
			s.policy.Session.Remember = RememberNever
			if remember == RememberNever {
				s.policy.Session.Remember = RememberAlways
			}
			s.policy.Policy.Rules = []Rule{{Users: []string{"alice"}, Remember: &remember}}
		}
	}
	d := newHarness(t, rule(RememberAlways))
	d.login(request("alice"), mfa.Accepted, d.withCode())
	id := d.state("alice").Sessions[0].ID
	visit := wire.Visit{User: "alice", Service: "sshd", RHost: "192.0.2.1"}
	if x := d.engine.Explain(t.Context(), visit); x.Result != wire.ResultRemembered || x.PAM != "PAM_SUCCESS" || !slices.Equal(x.Sessions, []string{id}) ||
		x.Settings.Remember != RememberAlways || len(x.Asks) != 0 || !strings.Contains(x.Text, id) {
		t.Errorf("%+v", x)
	}
	d.again()
	visit.RHost = "192.0.2.2"
	if x := d.engine.Explain(t.Context(), visit); x.Result != wire.ResultAsk || len(x.Sessions) != 0 {
		t.Errorf("%+v", x)
	}
	d = newHarness(t, rule(RememberNever))
	d.login(request("alice"), mfa.Accepted, d.withCode())
	d.login(request("alice"), mfa.Accepted, d.withCode())
	d = newHarness(t, rule(RememberAsk))
	d.login(request("alice"), mfa.Accepted, d.withCode(), step{question, say("y"), nil})
	d.again()
}

// A user who proves a method that does not count here, before setting up one that does, is not asked
// whether to be remembered.
func TestSetUpIsNotRemembered(t *testing.T) {
	d := newHarness(t, asking, enrolling, func(s *settings) { s.policy.Policy.Methods = []mfa.Method{mfa.TOTP} })
	a := &app{d: d}
	s := &script{t: t, steps: []step{d.withCode(), {want: "is needed"}, {"the app shows", a.shows(), nil}, {want: "it works"}}, read: func(text string) {
		if strings.Contains(text, "Key: ") {
			a.scan(text)
		}
	}}
	v, err := d.engine.Login(t.Context(), request("alice"), s)
	if v.Outcome != mfa.Accepted {
		t.Fatalf("%+v, %v", v, err)
	}
	if st := d.state("alice"); st.Sessions != nil {
		t.Errorf("%+v", st.Sessions)
	}
}

// A code that was right lets in, also if that cannot be remembered.
func TestLoginThatCannotBeRemembered(t *testing.T) {
	d := newHarness(t, asking)
	d.login(request("alice"), mfa.Accepted, d.withCode(),
		step{question, func() string { d.store.Fail(errors.New("disk on fire")); return "y" }, nil},
		step{want: "could not be remembered"})
	d.store.Fail(nil)
	if st := d.state("alice"); st.Sessions != nil {
		t.Errorf("%+v", st.Sessions)
	}
}

// Each change of the enrollment ends what is remembered; preferring a method and
// entering the same address again are none.
func TestChangesRevoke(t *testing.T) {
	id := mfa.Identity{Name: "alice", UID: 1000}
	for name, tc := range map[string]struct {
		change func(d *harness) error
		kept   bool
	}{
		"the same address": {func(d *harness) error {
			return d.enrol.SetContact(t.Context(), id, mfa.Email, "alice@example.com", "root")
		}, true},
		"another address": {func(d *harness) error {
			return d.enrol.SetContact(t.Context(), id, mfa.Email, "al@example.com", "root")
		}, false},
		"a number": {func(d *harness) error { return d.enrol.SetContact(t.Context(), id, mfa.SMS, "+17891234567", "root") }, false},
		"preferred": {func(d *harness) error {
			return d.enrol.Prefer(t.Context(), d.accounts.ByAdministrator(id), mfa.Email)
		}, true},
		"backup codes": {func(d *harness) error {
			_, err := d.enrol.NewBackupCodes(t.Context(), d.accounts.ByAdministrator(id))
			return err
		}, false},
		"opted out": {func(d *harness) error {
			return d.enrol.OptOut(t.Context(), d.accounts.ByAdministrator(id))
		}, false},
		"reset": {func(d *harness) error { _, err := d.enrol.Reset(t.Context(), "alice", "root"); return err }, false},
		"another method": {func(d *harness) error {
			a := &app{d: d}
			p := &script{t: t, steps: []step{
				{"What do you want to set up", say("1"), nil}, {"the app shows", a.shows(), nil}, {want: "it works"},
			}}
			p.read = func(text string) {
				if strings.Contains(text, "Key: ") {
					a.scan(text)
				}
			}
			_, err := d.enrol.Add(t.Context(), d.engine.Converse(id, mfa.Origin{Service: "mfactl", Address: local}, p), mfa.EnrollOffer{
				Methods: []mfa.Method{mfa.TOTP, mfa.Email}, SelfContacts: true,
			})
			return err
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			d := newHarness(t, always)
			d.login(request("alice"), mfa.Accepted, d.withCode())
			if err := tc.change(d); err != nil {
				t.Fatal(err)
			}
			if n := len(d.state("alice").Sessions); (n == 1) != tc.kept {
				t.Errorf("%d sessions", n)
			}
			if told := strings.Contains(d.events(), `"event":"session.revoked"`); told == tc.kept && name != "reset" {
				t.Errorf("audit: %s", d.events())
			}
		})
	}
}

// A file that was edited by hand ends what is remembered, too.
func TestHandEditsRevoke(t *testing.T) {
	d := newHarness(t, always)
	d.login(request("alice"), mfa.Accepted, d.withCode())
	d.again()
	d.enroll("alice", mfa.Enrollment{UID: 1000, Email: &mfa.Address{Address: "al@example.com"}})
	d.login(request("alice"), mfa.Accepted, step{"sent to a***l@example.com", d.code, nil})
}
