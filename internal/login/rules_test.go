package login

import (
	"context"
	"errors"
	"testing"
	"time"

	"mfa/internal/host/nss"
	"mfa/internal/mfa"
	"mfa/internal/wire"
)

// reload makes change what counts from now on, for conversations under way too.
func (d *harness) reload(change func(*Config)) {
	cfg, deps := d.engine.cfg, d.engine.deps
	change(&cfg)
	next := New(cfg, deps)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.next = next
}

// reloads lets reload be called.
func reloads(d *harness) *harness {
	d.engine.deps.Current = func() *Engine {
		d.mu.Lock()
		defer d.mu.Unlock()
		return d.next
	}
	return d
}

const textRules = "The rules for logging in have changed, so this begins again."

func TestPolicyChangedWhileAsked(t *testing.T) {
	again, out := step{textRules, nil, nil}, step{want: "No second factor"}
	for name, tc := range map[string]struct {
		change func(*Config)
		want   mfa.Outcome
		then   []step // an answer of again is the code
	}{
		"nothing":           {func(*Config) {}, mfa.Accepted, nil},
		"another table":     {func(c *Config) { c.Session.Remember, c.MailDomain = RememberNever, "example.org" }, mfa.Accepted, nil},
		"a rule for others": {func(c *Config) { c.Policy.Rules = []Rule{off(Rule{Users: []string{"bob"}})} }, mfa.Accepted, nil},
		"after off":         {func(c *Config) { c.Policy.ReenrollAfterOff = !c.Policy.ReenrollAfterOff }, mfa.Accepted, nil},
		"off":               {func(c *Config) { c.Policy.Mode = ModeOff }, mfa.Exempt, nil},
		"methods":           {func(c *Config) { c.Policy.Methods = []mfa.Method{mfa.Email} }, mfa.Accepted, []step{again}},
		"not theirs":        {func(c *Config) { c.Policy.Methods = []mfa.Method{mfa.TOTP} }, mfa.MustEnroll, []step{out}},
		"generation":        {func(c *Config) { c.Generation++ }, mfa.MustEnroll, []step{out}},
		"a rule for them":   {func(c *Config) { c.Policy.Rules = []Rule{{Services: []string{"sshd"}, OptOut: new(true)}} }, mfa.Accepted, []step{again}},
		"groups are down":   {func(c *Config) { c.Policy.Rules = []Rule{off(Rule{Groups: []string{"staff"}})} }, mfa.Unavailable, []step{{want: "cannot be checked"}}},
	} {
		t.Run(name, func(t *testing.T) {
			d := reloads(newHarness(t))
			d.groups.down = errors.New("ldap is down")
			steps := append([]step{{"sent to a***e@example.com", func() string { d.reload(tc.change); return d.code() }, nil}}, tc.then...)
			for i := range steps {
				if steps[i].want == textRules {
					steps[i].answer = d.code
				}
			}
			d.login(request("alice"), tc.want, steps...)
			if st := d.state("alice"); len(st.Failures) > 0 {
				t.Errorf("counted: %v", st.Failures)
			}
		})
	}
}

// The name is another account's by now, or nobody's.
func TestAccountGoneWhileAsked(t *testing.T) {
	for name, now := range map[string]struct {
		id   mfa.Identity
		err  error
		want string
	}{
		"another":        {mfa.Identity{Name: "bob", UID: 6001}, nil, "This account changed. Log in again."},
		"nobody":         {mfa.Identity{}, nss.ErrNoAccount, "This account changed. Log in again."},
		"nobody can say": {mfa.Identity{}, errors.New("ldap is down"), "cannot be checked"},
	} {
		for _, enrolled := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				d := newHarness(t, enrolling)
				gone := false
				d.engine.deps.Lookup = func(ctx context.Context, user string) (mfa.Identity, error) {
					if gone {
						return now.id, now.err
					}
					return lookUpAccount(ctx, user)
				}
				a := &app{d: d}
				theirs := mfa.Enrollment{UID: 6001, Email: &mfa.Address{Address: "new@example.com"}}
				s := &script{t: t, steps: []step{
					{"Authenticator app", say("1"), nil},
					{"type the code that the app shows", func() string {
						if gone = true; enrolled {
							d.enroll("bob", theirs)
						}
						return a.code(0)
					}, nil},
					{want: now.want},
				}, read: func(text string) {
					if a.secret == nil && len(text) > 200 {
						a.scan(text)
					}
				}}
				v, err := d.engine.Login(t.Context(), request("bob"), s)
				if v.Outcome != mfa.Unavailable || len(s.steps) > 0 {
					t.Errorf("%+v %v, left %v", v, err, s.steps)
				}
				en, err := d.engine.deps.Accounts.Records().Enrollment(t.Context(), "bob")
				if enrolled && (err != nil || en.TOTP != nil || en.Email.Address != "new@example.com") || !enrolled && err == nil {
					t.Errorf("the record is %+v %v", en, err)
				}
			})
		}
	}
}

// Programs that run as the user may do nothing with the demand for a new password.
func TestDemandForAPasswordIsRootsToTake(t *testing.T) {
	d := newHarness(t)
	demanded := func() bool { return d.state("alice").MustChangePassword }
	err := d.engine.deps.Accounts.Records().Account(mfa.Identity{Name: "alice", UID: 1000}).Update(t.Context(), func(st *mfa.State) error {
		st.MustChangePassword = true
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, uid := range []uint32{1000, 33} { // themselves, a program of server.trusted_users
		req := request("alice")
		req.UID = uid
		v, _ := d.engine.Login(t.Context(), req, &script{t: t, steps: []step{{"", d.code, nil}, {want: "required to change your password"}}})
		if v.Outcome != mfa.Accepted || !v.ChangePassword || !demanded() {
			t.Errorf("uid %d: %+v; still demanded: %v", uid, v, demanded())
		}
		d.advance(time.Minute)
	}
	if v, _ := d.engine.Login(t.Context(), request("alice"), &script{t: t, steps: []step{{"", d.code, nil}, {want: "required to change your password"}}}); !v.ChangePassword || demanded() {
		t.Errorf("root: %+v; still demanded: %v", v, demanded())
	}
}

// Nothing can be set up where only administrators enter addresses: policy decides all the
// same who is let in without.
func TestNothingToSetUp(t *testing.T) {
	nothing := func(s *settings) {
		enrolling(s)
		s.policy.Policy.SelfContacts, s.policy.Policy.Methods = false, []mfa.Method{mfa.Email}
	}
	optional := func(s *settings) { s.policy.Policy.Mode, s.policy.Policy.OptOut = ModeOptional, true }
	grace := func(s *settings) { s.policy.Policy.EnrollGrace = minutes(60 * 24 * 3) }
	ask := step{want: "Ask your administrator to enroll you"}
	for name, tc := range map[string]struct {
		more   func(*settings)
		app    bool // is set up, and does not count
		want   mfa.Outcome
		result string
	}{
		"required":         {func(*settings) {}, false, mfa.MustEnroll, wire.ResultKeepOut},
		"grace":            {grace, false, mfa.Exempt, wire.ResultLetIn},
		"optional":         {optional, false, mfa.Exempt, wire.ResultLetIn},
		"optional, proven": {optional, true, mfa.Accepted, wire.ResultAsk},
		"required, proven": {func(*settings) {}, true, mfa.MustEnroll, wire.ResultKeepOut},
	} {
		t.Run(name, func(t *testing.T) {
			d := newHarness(t, nothing, tc.more)
			steps := []step{ask}
			if tc.app {
				a := &app{d: d, secret: make([]byte, 20)}
				bob := mfa.Identity{Name: "bob", UID: 1001}
				d.enroll("bob", mfa.Enrollment{UID: 1001, TOTP: &mfa.TOTPSecret{
					Secret: d.accounts.SealTOTP(bob, a.secret), Algorithm: "SHA1", Digits: 6, Period: mfa.Duration(30 * time.Second),
				}})
				steps = []step{{"authenticator app", a.shows(), nil}, ask}
			}
			if x := d.engine.Explain(t.Context(), wire.Visit{User: "bob", Service: "sshd", RHost: "192.0.2.1"}); x.Result != tc.result || len(x.Offers) > 0 {
				t.Errorf("explained as %+v", x)
			}
			d.login(request("bob"), tc.want, steps...)
			if en, err := d.engine.deps.Accounts.Records().Enrollment(t.Context(), "bob"); err == nil && en.Skipped != nil {
				t.Error("a choice is noted that was none")
			}
			if tc.want == mfa.Exempt { // a robot cannot answer, and need not
				req := request("bob")
				req.Flags, req.TTY = pamSilent, ""
				d.login(req, tc.want)
			}
		})
	}
}

// Only administrators set up the first factor of those whom policy keeps out until they
// did, and leads to one nowhere.
func TestFirstFactorByAdministratorsOnly(t *testing.T) {
	no, yes := new(false), new(true)
	for name, tc := range map[string]struct {
		policy func(*PolicyConfig)
		only   bool
	}{
		"as it comes": {func(*PolicyConfig) {}, false},
		"policy":      {func(p *PolicyConfig) { p.EnrollAtLogin = false }, true},
		"optional":    {func(p *PolicyConfig) { p.Mode, p.EnrollAtLogin = ModeOptional, false }, false},
		"their rule":  {func(p *PolicyConfig) { p.Rules = []Rule{{Users: []string{"bob"}, EnrollAtLogin: no}} }, true},
		"others'":     {func(p *PolicyConfig) { p.Rules = []Rule{{Users: []string{"alice"}, EnrollAtLogin: no}} }, false},
		"their rule says otherwise": {func(p *PolicyConfig) {
			p.EnrollAtLogin, p.Rules = false, []Rule{{Users: []string{"bob"}, EnrollAtLogin: yes}}
		}, false},
		"ssh alone": {func(p *PolicyConfig) {
			p.Mode, p.Rules = ModeOff, []Rule{{Services: []string{"sshd"}, Mode: new(ModeRequired), EnrollAtLogin: no}}
		}, true},
		"led at ssh": {func(p *PolicyConfig) { p.Rules = []Rule{{Services: []string{"sudo"}, EnrollAtLogin: no}} }, false},
	} {
		t.Run(name, func(t *testing.T) {
			d := newHarness(t, enrolling, func(s *settings) { tc.policy(&s.policy.Policy) })
			for user, uid := range map[string]uint32{"bob": 1001, "alice": 1000} {
				c := d.engine.Converse(mfa.Identity{Name: user, UID: uid}, mfa.Origin{Service: "mfactl", Address: local, UID: uid}, &script{t: t})
				_, err := d.engine.Offer(t.Context(), c.User)
				if got := errors.Is(err, ErrOnlyAdministrators); got != (tc.only && user == "bob") || err != nil && !got {
					t.Errorf("%s: %v", user, err) // alice has an address
				}
			}
		})
	}
}
