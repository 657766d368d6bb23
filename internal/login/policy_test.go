package login

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"mfa/internal/host/nss"
	"mfa/internal/mfa"
	"mfa/internal/wire"
)

// A directory is NSS as far as groups go. Alice is a contractor by a group within
// the group, bob is staff.
type directory struct {
	ids     map[string]uint32
	members map[string][]uint32
	down    error
	hidden  error // what Whole says
	asked   int
}

func newDirectory() *directory {
	return &directory{
		ids:     map[string]uint32{"contractors": 70, "staff": 71, "empty": 72},
		members: map[string][]uint32{"alice": {1000, 70, 75}, "bob": {71}},
	}
}

func (g *directory) ID(_ context.Context, name string) (uint32, error) {
	g.asked++
	if g.down != nil {
		return 0, g.down
	}
	id, ok := g.ids[name]
	if !ok {
		return 0, nss.ErrNoGroup
	}
	return id, nil
}

func (g *directory) Of(_ context.Context, account string) ([]uint32, error) {
	g.asked++
	ids, ok := g.members[account]
	if !ok {
		return nil, fmt.Errorf("look up the groups of %q: gone", account)
	}
	return ids, g.down
}

func (g *directory) Whole(context.Context, string, string) error { return g.hidden }

// rules returns a change of settings that has these rules.
func rules(rs ...Rule) func(*settings) {
	return func(s *settings) { s.policy.Policy.Rules = rs }
}

// off is a rule that lets in who matches it.
func off(r Rule) Rule {
	r.Mode = new(ModeOff)
	return r
}

func nets(texts ...string) (ps []netip.Prefix) {
	for _, s := range texts {
		p, err := ParseNetwork(s)
		if err != nil {
			panic(err)
		}
		ps = append(ps, p)
	}
	return ps
}

const keyInfo = "publickey ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGtleQ==\n"

func TestMatchers(t *testing.T) {
	base := mfa.Request{Service: "sshd", User: "alice", RHost: "192.0.2.1"}
	with := func(change func(r *mfa.Request)) mfa.Request {
		r := base
		change(&r)
		return r
	}
	for name, tc := range map[string]struct {
		rule Rule
		req  mfa.Request
		want matcher // "": it matches
	}{
		"nothing named":              {Rule{}, base, ""},
		"any factor":                 {Rule{FirstFactor: AnyFactor}, base, ""},
		"user":                       {Rule{Users: []string{"bob", "alice"}}, base, ""},
		"user by another spelling":   {Rule{Users: []string{"alice"}}, with(func(r *mfa.Request) { r.User = "ALICE" }), ""},
		"another spelling of a rule": {Rule{Users: []string{"gone", "ALICE"}}, base, ""},
		"another user":               {Rule{Users: []string{"bob", "gone"}}, base, matchUsers},
		"group within a group":       {Rule{Groups: []string{"empty", "contractors"}}, base, ""},
		"another group":              {Rule{Groups: []string{"staff"}}, base, matchGroups},
		"group that does not exist":  {Rule{Groups: []string{"gone"}}, base, matchGroups},
		"service":                    {Rule{Services: []string{"su", "sshd"}}, base, ""},
		"another service":            {Rule{Services: []string{"sudo"}}, base, matchServices},
		"network":                    {Rule{Networks: nets("10.0.0.0/8", "192.0.2.0/24")}, base, ""},
		"address":                    {Rule{Networks: nets("192.0.2.1")}, base, ""},
		"another network":            {Rule{Networks: nets("10.0.0.0/8", "::/0")}, base, matchNetworks},
		"mapped network":             {Rule{Networks: nets("::ffff:192.0.2.0/120")}, base, ""},
		"mapped address":             {Rule{Networks: nets("192.0.2.0/24")}, with(func(r *mfa.Request) { r.RHost = "::ffff:192.0.2.9" }), ""},
		"IPv6":                       {Rule{Networks: nets("2001:db8::/32")}, with(func(r *mfa.Request) { r.RHost = "2001:db8::9" }), ""},
		"another IPv6":               {Rule{Networks: nets("2001:db8::/32", "0.0.0.0/0")}, with(func(r *mfa.Request) { r.RHost = "2001:db9::9" }), matchNetworks},
		"IPv6 with a zone":           {Rule{Networks: nets("fe80::/10")}, with(func(r *mfa.Request) { r.RHost = "fe80::1%eth0" }), ""},
		"host name":                  {Rule{Networks: nets("0.0.0.0/0", "::/0")}, with(func(r *mfa.Request) { r.RHost = "192.0.2.1.example.com" }), matchNetworks},
		"no network":                 {Rule{Networks: nets("0.0.0.0/0", "::/0")}, with(func(r *mfa.Request) { r.RHost = "" }), matchNetworks},
		"what sshd says of the peer": {Rule{Networks: nets("198.51.100.7")}, with(func(r *mfa.Request) { r.SSHConnection = "198.51.100.7 1 192.0.2.2 22" }), ""},
		"key":                        {Rule{FirstFactor: "publickey"}, with(func(r *mfa.Request) { r.SSHAuthInfo = keyInfo }), ""},
		"key in place of password":   {Rule{FirstFactor: "password"}, with(func(r *mfa.Request) { r.SSHAuthInfo = keyInfo }), matchFirstFactor},
		"password":                   {Rule{FirstFactor: "password"}, base, ""},
		"password in place of key":   {Rule{FirstFactor: "publickey"}, base, matchFirstFactor},
		"the second of two":          {Rule{FirstFactor: "publickey"}, with(func(r *mfa.Request) { r.SSHAuthInfo = "password\n" + keyInfo }), ""},
		"method with a device":       {Rule{FirstFactor: "keyboard-interactive"}, with(func(r *mfa.Request) { r.SSHAuthInfo = "keyboard-interactive/pam\n" }), ""},
		"single sign-on":             {Rule{FirstFactor: "gssapi-with-mic"}, with(func(r *mfa.Request) { r.SSHAuthInfo = "gssapi-with-mic alice@EXAMPLE.COM\n" }), ""},
		"key, as sudo tells it":      {Rule{FirstFactor: "publickey"}, with(func(r *mfa.Request) { r.Service, r.SSHAuthInfo = "sudo", keyInfo }), matchFirstFactor},
		"all of them": {
			Rule{
				Users: []string{"alice"}, Groups: []string{"contractors"}, Services: []string{"sshd"},
				Networks: nets("192.0.2.0/24"), FirstFactor: "publickey",
			},
			with(func(r *mfa.Request) { r.SSHAuthInfo = keyInfo }), "",
		},
		"all but one": {
			Rule{
				Users: []string{"alice"}, Groups: []string{"contractors"}, Services: []string{"sshd"},
				Networks: nets("192.0.2.0/24"), FirstFactor: "publickey",
			},
			base, matchFirstFactor,
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := newHarness(t)
			acct, err := d.engine.account(t.Context(), tc.req.User)
			if err != nil {
				t.Fatal(err)
			}
			l := d.engine.inquire(d.accounts.User(acct, OriginOf(tc.req)), provenFactors(tc.req))
			if got, err := l.mismatch(t.Context(), tc.rule, "it"); err != nil || got != tc.want {
				t.Errorf("mismatch %q, %v; want %q", got, err, tc.want)
			}
		})
	}
}

func TestFirstMatchingRuleWins(t *testing.T) {
	d := newHarness(t, rules(
		Rule{Name: "first", Users: []string{"bob"}, Mode: new(ModeRequired)},
		off(Rule{Name: "second", Users: []string{"alice"}}),
		Rule{Name: "third", Mode: new(ModeRequired)},
	))
	d.login(request("alice"), mfa.Exempt)
	d.login(request("bob"), mfa.MustEnroll, step{want: "No second factor"})
	d.login(request("nobody-here"), mfa.NoConversation, step{want: "sent", err: mfa.ErrNoConversation})
	if got := auditRules(t, d); !slices.Equal(got, []string{"second", "first", "third"}) {
		t.Errorf("the audit file has the rules %q", got)
	}
}

// auditRules returns the field rule of each login in the audit file.
func auditRules(t *testing.T, d *harness) (labels []string) {
	t.Helper()
	data, err := os.ReadFile(d.audit)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		var ev struct{ Event, Rule string }
		if err := json.Unmarshal([]byte(line), &ev); err != nil {
			t.Fatal(err)
		}
		if ev.Event == "login" {
			labels = append(labels, ev.Rule)
		}
	}
	return labels
}

func TestUnmatchedFallsToPolicy(t *testing.T) {
	d := newHarness(t, rules(off(Rule{Users: []string{"bob"}})))
	d.login(request("alice"), mfa.Accepted, d.withCode())
	d.login(request("bob"), mfa.Exempt)
	if got := auditRules(t, d); !slices.Equal(got, []string{"policy", "policy.rule[1]"}) {
		t.Errorf("the audit file has the rules %q", got)
	}
}

// Each setting of a rule, seen in a login.
func TestRuleSettings(t *testing.T) {
	app := mfa.Enrollment{UID: 1001, TOTP: &mfa.TOTPSecret{}, Email: &mfa.Address{Address: "bob@example.com"}}
	for name, tc := range map[string]struct {
		policy func(*settings)
		rule   Rule
		en     *mfa.Enrollment
		want   mfa.Outcome
		steps  []step
	}{
		"mode": {nil, off(Rule{}), &app, mfa.Exempt, nil},
		"methods": {
			nil,
			Rule{Methods: []mfa.Method{mfa.TOTP}},
			&app, mfa.NoConversation,
			[]step{{want: "authenticator app shows.\nCode: ", err: mfa.ErrNoConversation}},
		},
		"opt_out": {
			func(s *settings) {
				s.policy.Policy.Mode, s.policy.Policy.OptOut, s.policy.Policy.EnrollAtLogin = ModeOptional, true, true
			},
			Rule{OptOut: new(false)},
			nil, mfa.Exempt, nil,
		},
		"enroll_at_login": {
			func(s *settings) { s.policy.Policy.EnrollAtLogin = true },
			Rule{EnrollAtLogin: new(false)},
			nil,
			mfa.MustEnroll,
			[]step{{want: "No second factor"}},
		},
		"enroll_grace": {
			func(s *settings) { s.policy.Policy.EnrollAtLogin = true },
			Rule{EnrollGrace: new(minutes(60))},
			nil,
			mfa.Exempt,
			[]step{{"Later", say("2"), nil}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := newHarness(t, func(s *settings) {
				if tc.policy != nil {
					tc.policy(s)
				}
				s.policy.Policy.Rules = []Rule{tc.rule}
			})
			if tc.en != nil {
				d.enroll("bob", *tc.en)
			}
			d.login(request("bob"), tc.want, tc.steps...)
		})
	}
}

func TestRuleRemember(t *testing.T) {
	d := newHarness(t, rules(Rule{Users: []string{"alice"}, Remember: new("never")}))
	for name, want := range map[string]string{"alice": "never", "bob": ""} {
		acct, err := d.engine.account(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		l := d.engine.inquire(d.accounts.User(acct, mfa.Origin{Service: "sshd"}), nil)
		if err := l.findPolicy(t.Context()); err != nil || l.policy.Remember != want {
			t.Errorf("%s: %q %v, want %q", name, l.policy.Remember, err, want)
		}
	}
}

// A look-up that fails is never "not a member", and is made only if it matters.
func TestGroupLookUpThatFailsDenies(t *testing.T) {
	d := newHarness(t, rules(
		off(Rule{Users: []string{"bob"}}),
		Rule{Name: "contractors", Groups: []string{"contractors"}, Mode: new(ModeRequired)},
		off(Rule{}),
	))
	d.groups.down = errors.New("ldap is down")
	for _, name := range []string{"alice", "nobody-here"} {
		d.login(request(name), mfa.Unavailable, step{want: "cannot be checked"})
	}
	if d.groups.asked != 2 {
		t.Errorf("NSS was asked %d times", d.groups.asked)
	}
	d.login(request("bob"), mfa.Exempt)
	if d.groups.asked != 2 {
		t.Error("NSS was asked about a login that it does not matter for")
	}
	data, err := os.ReadFile(d.audit)
	if want := `policy look-up failed: match rule \"contractors\": ldap is down`; err != nil || strings.Count(string(data), want) != 2 {
		t.Errorf("the audit file does not say %q: %s", want, data)
	}

	d.groups.down, d.groups.hidden = nil, errors.New("ldap is down for some")
	d.login(request("alice"), mfa.NoConversation, step{want: "sent", err: mfa.ErrNoConversation}) // a member all the same
	d.groups.members["alice"] = nil
	d.login(request("alice"), mfa.Unavailable, step{want: "cannot be checked"})
	d.groups.hidden = nil

	delete(d.groups.members, "alice") // between the two look-ups
	d.login(request("alice"), mfa.Unavailable, step{want: "cannot be checked"})
	if n := d.mailCount(); n != 1 {
		t.Errorf("%d mails", n)
	}
}

func TestUnknownGroupIsSaidOnce(t *testing.T) {
	d := newHarness(t, rules(off(Rule{Name: "typo", Groups: []string{"contactors"}})))
	for range 3 {
		d.login(request("bob"), mfa.MustEnroll, step{want: "No second factor"})
	}
	if n := strings.Count(d.log.String(), "group that does not exist"); n != 1 || !strings.Contains(d.log.String(), "contactors") {
		t.Errorf("said %d times: %s", n, d.log)
	}
}

// A name without an account falls under the rules for that name, but is in no group.
func TestRulesForNobody(t *testing.T) {
	d := newHarness(t, rules(
		off(Rule{Users: []string{"deploy"}}),
		off(Rule{Groups: []string{"staff"}}),
		off(Rule{Networks: nets("198.51.100.0/24")}),
	))
	d.login(request("deploy"), mfa.Unavailable, step{want: "cannot be checked"})
	d.login(request("nobody-here"), mfa.NoConversation, step{want: "sent", err: mfa.ErrNoConversation})
	near := request("nobody-here")
	near.RHost = "198.51.100.9"
	d.login(near, mfa.Unavailable, step{want: "cannot be checked"})
	if got := auditRules(t, d); !slices.Equal(got, []string{"policy.rule[1]", "policy", "policy.rule[3]"}) {
		t.Errorf("the audit file has the rules %q", got)
	}
}

// Somebody whom NSS does not know may be a member of a directory that is down.
// A rule that lets others in does not let them in.
func TestStrangersAreNeverLetIn(t *testing.T) {
	optional := func(change func(*PolicyConfig)) func(*settings) {
		return func(s *settings) {
			s.policy.Policy.Mode = ModeOptional
			change(&s.policy.Policy)
		}
	}
	for name, change := range map[string]func(*settings){
		"off":              func(s *settings) { s.policy.Policy.Mode = ModeOff },
		"optional":         optional(func(*PolicyConfig) {}),
		"opt-out":          optional(func(p *PolicyConfig) { p.OptOut = true }),
		"enroll at login":  optional(func(p *PolicyConfig) { p.OptOut, p.EnrollAtLogin = true, true }),
		"nothing to ask":   optional(func(p *PolicyConfig) { p.Methods = []mfa.Method{mfa.Backup} }),
		"grace":            func(s *settings) { s.policy.Policy.EnrollAtLogin, s.policy.Policy.EnrollGrace = true, minutes(60) },
		"rule":             rules(off(Rule{})),
		"rule by name":     rules(off(Rule{Users: []string{"bob", "ghost"}})),
		"rule by network":  rules(off(Rule{Networks: nets("0.0.0.0/0")})),
		"rule by service":  rules(off(Rule{Services: []string{"sshd"}})),
		"rule by factor":   rules(off(Rule{FirstFactor: "password"})),
		"rule to optional": rules(Rule{Mode: new(ModeOptional), OptOut: new(true)}),
	} {
		t.Run(name, func(t *testing.T) {
			d := newHarness(t, change)
			giveUp := promptFunc(func(_ context.Context, p mfa.Prompt) (string, error) {
				if p.Kind == mfa.Ask || p.Kind == mfa.AskHidden {
					return "", mfa.ErrNoConversation
				}
				return "", nil
			})
			v, _ := d.engine.Login(t.Context(), request("ghost"), giveUp)
			switch v.Outcome {
			case mfa.Unavailable, mfa.NoConversation, mfa.MustEnroll:
			default:
				t.Errorf("%+v", v)
			}
			x := d.engine.Explain(t.Context(), wire.Visit{User: "ghost", Service: "sshd", RHost: "192.0.2.1"})
			if x.Result == wire.ResultLetIn || x.Result == wire.ResultEnroll || x.Account || v.Outcome == mfa.Unavailable && (x.Result != wire.ResultUnavailable || !strings.Contains(x.Text, "no such account")) {
				t.Errorf("explained as %s, %s", x.Result, x.Text)
			}
		})
	}
}

// A rule is about the account, whichever of its names it says. A name that cannot
// be looked up is no "not the user".
func TestRuleUsersAreLookedUp(t *testing.T) {
	d := newHarness(t, rules(off(Rule{Name: "vip", Users: []string{"ghost", "ALICE"}})))
	d.login(request("alice"), mfa.Exempt)
	d.login(request("ALICE"), mfa.Exempt)
	d.login(request("bob"), mfa.MustEnroll, step{want: "No second factor"})

	asked := 0
	d = newHarness(t, rules(off(Rule{Name: "vip", Users: []string{"ALICE"}})))
	d.engine.deps.Lookup = func(ctx context.Context, name string) (mfa.Identity, error) {
		if name == "ALICE" {
			asked++
		}
		return lookUpAccount(ctx, name)
	}
	for range 3 {
		d.login(request("bob"), mfa.MustEnroll, step{want: "No second factor"})
	}
	if asked != 1 {
		t.Errorf("asked %d times", asked)
	}
	d.advance(time.Minute)
	d.login(request("bob"), mfa.MustEnroll, step{want: "No second factor"})
	if asked != 2 {
		t.Errorf("asked %d times, after a minute", asked)
	}

	d = newHarness(t, rules(off(Rule{Name: "vip", Users: []string{"broken"}}), off(Rule{})))
	d.login(request("alice"), mfa.Unavailable, step{want: "cannot be checked"})
	d.login(request("ghost"), mfa.Unavailable, step{want: "cannot be checked"})
}

// A rule that lets in needs nothing that can be broken.
func TestBreakGlass(t *testing.T) {
	glass := Rule{Name: "break-glass", Users: []string{"alice"}, Networks: nets("192.0.2.0/28"), FirstFactor: "publickey"}
	d := newHarness(t, rules(off(glass)))
	d.store.Fail(errors.New("disk on fire"))
	d.groups.down = errors.New("ldap is down")
	byKey := request("alice")
	byKey.SSHAuthInfo = keyInfo
	d.login(byKey, mfa.Exempt)
	d.login(request("alice"), mfa.Unavailable, step{want: "cannot be checked"})
	away := byKey
	away.RHost = "203.0.113.1"
	d.login(away, mfa.Unavailable, step{want: "cannot be checked"})
	if got := auditRules(t, d); !slices.Equal(got, []string{"break-glass", "policy", "policy"}) {
		t.Errorf("the audit file has the rules %q", got)
	}
}

// A rule that does not count what the user has asks for it all the same, before
// it hands out another second factor: else a stolen password would be enough for
// one, and that one for every other service.
func TestWhatDoesNotCountIsProvenBeforeMore(t *testing.T) {
	for _, mode := range []string{ModeRequired, ModeOptional} {
		d := newHarness(t, enrolling, rules(Rule{
			Services: []string{"sshd"}, Methods: []mfa.Method{mfa.TOTP}, Mode: &mode, OptOut: new(true),
		}))
		d.login(request("alice"), mfa.Exhausted, wrong("sent to a***e"), wrong(""), wrong(""), step{want: "ends here"})
		after, outcome := step{want: "Key: ", err: mfa.ErrNoConversation}, mfa.NoConversation
		if mode == ModeOptional { // what was proven is enough for today, and stays
			after, outcome = step{"2  Not now", say("2"), nil}, mfa.Accepted
		}
		steps := []step{d.withCode(), {want: "A second factor is needed"}, after}
		if mode == ModeOptional {
			steps = slices.Delete(steps, 1, 2)
		}
		d.login(request("alice"), outcome, steps...)
	}
}

func TestOwnEnrollmentFallsUnderRules(t *testing.T) {
	d := newHarness(t, func(s *settings) { s.policy.Policy.Mode, s.policy.Policy.OptOut = ModeOptional, true },
		rules(
			Rule{Groups: []string{"contractors"}, Mode: new(ModeRequired), Methods: []mfa.Method{mfa.TOTP}},
			off(Rule{Services: []string{"sshd"}}),
		))
	origin := mfa.Origin{Service: "mfactl", Address: "local"}
	for name, tc := range map[string]struct {
		may     bool
		methods int
	}{"alice": {false, 1}, "bob": {true, 3}} {
		id, err := lookUpAccount(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		c := d.engine.Converse(id, origin, nil)
		may, err := d.engine.MayOptOut(t.Context(), c.User)
		offer, oerr := d.engine.Offer(t.Context(), c.User)
		if err != nil || oerr != nil || may != tc.may || len(offer.Methods) != tc.methods {
			t.Errorf("%s: %v %+v, %v %v", name, may, offer, err, oerr)
		}
	}

	// A method that a rule does not count is a second factor, and so is one that nobody asks for.
	alice, _ := lookUpAccount(t.Context(), "alice")
	s := &script{t: t, steps: []step{d.withCode()}}
	if v, err := d.engine.Prove(t.Context(), d.engine.Converse(alice, origin, s)); v.Outcome != mfa.Accepted || len(s.steps) > 0 {
		t.Errorf("%+v %v, left %v", v, err, s.steps)
	}

	d.groups.down = errors.New("ldap is down")
	s = &script{t: t, steps: []step{{want: "cannot be checked"}}}
	c := d.engine.Converse(alice, origin, s)
	if v, err := d.engine.Prove(t.Context(), c); v.Outcome != mfa.Unavailable || err == nil {
		t.Errorf("%+v %v", v, err)
	}
	if may, err := d.engine.MayOptOut(t.Context(), c.User); may || err == nil {
		t.Errorf("may opt out: %v %v", may, err)
	}
	if offer, err := d.engine.Offer(t.Context(), c.User); len(offer.Methods) > 0 || err == nil {
		t.Errorf("offer %+v %v", offer, err)
	}
}

func TestPolicyIsOffForEverybody(t *testing.T) {
	for name, tc := range map[string]struct {
		policy PolicyConfig
		want   bool
	}{
		"off":                  {PolicyConfig{Mode: ModeOff}, true},
		"off by all rules":     {PolicyConfig{Mode: ModeOff, Rules: []Rule{off(Rule{}), {Remember: new("never")}}}, true},
		"off but for some":     {PolicyConfig{Mode: ModeOff, Rules: []Rule{{Mode: new(ModeOptional)}}}, false},
		"off for some by rule": {PolicyConfig{Mode: ModeRequired, Rules: []Rule{off(Rule{})}}, false},
	} {
		if got := tc.policy.Off(); got != tc.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// FuzzNetwork holds that what is accepted as a network is one, in one form, and
// that it matches its own addresses and no text that is none.
func FuzzNetwork(f *testing.F) {
	for _, s := range []string{
		"192.0.2.0/24", "192.0.2.1", "::/0", "2001:db8::/32", "::ffff:192.0.2.0/120", "::ffff:0.0.0.0/96",
		"fe80::1%eth0", "192.0.2.1/24", "0.0.0.0/0", "example.com", "", "1.2.3.4/-1", "::ffff:1.2.3.4/95",
	} {
		f.Add(s, "192.0.2.9")
		f.Add(s, "::ffff:192.0.2.9")
	}
	f.Fuzz(func(t *testing.T, network, address string) {
		p, err := ParseNetwork(network)
		if err != nil {
			return
		}
		if !p.IsValid() || p != p.Masked() || p.Addr().Is4In6() || p.Addr().Zone() != "" {
			t.Errorf("%q gave %v", network, p)
		}
		again, err := ParseNetwork(p.String())
		if err != nil || again != p {
			t.Errorf("%v reads back as %v, %v", p, again, err)
		}
		if own := p.Addr(); !inNetwork([]netip.Prefix{p}, own.String()) ||
			own.Is4() && !inNetwork([]netip.Prefix{p}, "::ffff:"+own.String()) {
			t.Errorf("%v does not match its own address", p)
		}
		if a, err := netip.ParseAddr(address); inNetwork([]netip.Prefix{p}, address) && (err != nil || a.Unmap().Is4() != p.Addr().Is4()) {
			t.Errorf("%q matches %v", address, p)
		}
	})
}

// FuzzFirstFactors: whatever sshd's variable holds there is a first factor, and
// none that only stands within a line.
func FuzzFirstFactors(f *testing.F) {
	f.Add(keyInfo)
	f.Add("keyboard-interactive/pam\npassword\n")
	f.Add("\n \n/\n")
	f.Add("none publickey\n")
	f.Fuzz(func(t *testing.T, info string) {
		lines := map[string]bool{password: true}
		for line := range strings.Lines(info) {
			lines[strings.TrimSpace(line)] = true
		}
		words := provenFactors(mfa.Request{Service: "sshd", SSHAuthInfo: info})
		if len(words) == 0 {
			t.Error("no first factor")
		}
		for _, word := range words {
			begins := func(line string) bool { return strings.HasPrefix(line, word) }
			if word == "" || strings.Contains(word, " ") || !slices.ContainsFunc(slices.Collect(maps.Keys(lines)), begins) {
				t.Errorf("%q has the first factor %q", info, word)
			}
		}
	})
}
