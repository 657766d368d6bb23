package login

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"mfa/internal/account"
	"mfa/internal/host/nss"
	"mfa/internal/mfa"
)

// A Rule is one table [[policy.rule]]: what is different for some logins. It matches a
// login if each of its conditions does; an empty condition matches every login. Only the
// first rule that matches counts.
type Rule struct {
	Name        string         `toml:"name"`         // for messages; empty: its number
	Users       []string       `toml:"users"`        // by any of the names that NSS knows
	Groups      []string       `toml:"groups"`       // any of them, however nested
	Services    []string       `toml:"services"`     // PAM_SERVICE
	Networks    []netip.Prefix `toml:"networks"`     // that the login comes from
	FirstFactor string         `toml:"first_factor"` // a word of FirstFactors; empty: any

	// The differences; nil: as [policy] says.
	Mode          *string       `toml:"mode"`
	Methods       []mfa.Method  `toml:"methods"`
	Remember      *string       `toml:"remember"` // in place of session.remember
	OptOut        *bool         `toml:"opt_out"`
	EnrollAtLogin *bool         `toml:"enroll_at_login"`
	EnrollGrace   *mfa.Duration `toml:"enroll_grace"`
}

// AnyFactor is a Rule.FirstFactor that matches every login.
const AnyFactor = "any"

// password is the first factor of a login when none is known.
const password = "password"

// FirstFactors are the words of Rule.FirstFactor: AnyFactor, and the names that
// sshd gives to its methods in SSH_AUTH_INFO_0.
var FirstFactors = []string{
	AnyFactor, password, "publickey", "keyboard-interactive", "hostbased", "gssapi-with-mic", "gssapi-keyex",
}

// Label names the rule for people. Index is its place among the rules, from 0.
func (r Rule) Label(index int) string {
	if r.Name != "" {
		return r.Name
	}
	return fmt.Sprintf("policy.rule[%d]", index+1)
}

// Changes reports whether the rule sets anything.
func (r Rule) Changes() bool {
	return r.Mode != nil || r.Methods != nil || r.Remember != nil ||
		r.OptOut != nil || r.EnrollAtLogin != nil || r.EnrollGrace != nil
}

// MatchesAll reports whether the rule has no condition, so that every login matches.
func (r Rule) MatchesAll() bool {
	return len(r.Users)+len(r.Groups)+len(r.Services)+len(r.Networks) == 0 &&
		(r.FirstFactor == "" || r.FirstFactor == AnyFactor)
}

// Off reports whether nobody is asked: the mode is "off", and no rule sets another.
func (p PolicyConfig) Off() bool {
	return p.Mode == ModeOff && !slices.ContainsFunc(p.Rules, func(r Rule) bool {
		return r.Mode != nil && *r.Mode != ModeOff
	})
}

// Noted is what of the policy decides whether everybody has to enroll anew.
func (p PolicyConfig) Noted() account.Policy {
	return account.Policy{Mode: p.Mode, Off: p.Off(), Reenroll: p.ReenrollAfterOff}
}

// Counting returns the methods that count for somebody, by [policy] or a rule.
func (p PolicyConfig) Counting() []mfa.Method {
	all := slices.Clone(p.Methods)
	for _, r := range p.Rules {
		for _, m := range r.Methods {
			if !slices.Contains(all, m) {
				all = append(all, m)
			}
		}
	}
	return all
}

// ParseNetwork reads "192.0.2.0/24" or the address of one machine, IPv4 or IPv6.
// IPv4 mapped into IPv6 (RFC 4291, 2.5.5.2) is IPv4. Bits behind the prefix are
// an error, as one of the two numbers must be wrong.
func ParseNetwork(s string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(s)
	if err != nil {
		a, aerr := netip.ParseAddr(s)
		if aerr != nil || a.Zone() != "" {
			return netip.Prefix{}, fmt.Errorf("%q is neither a network nor an address", s)
		}
		p = netip.PrefixFrom(a, a.BitLen())
	}
	if a := p.Addr(); a.Is4In6() {
		if p.Bits() < 96 {
			return netip.Prefix{}, fmt.Errorf("%q is IPv4 only in part", s)
		}
		p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
	}
	if p != p.Masked() {
		return netip.Prefix{}, fmt.Errorf("%q has bits behind its prefix; the network is %q", s, p.Masked())
	}
	return p, nil
}

// A policy is what counts for one login: the table [policy], changed by the first rule
// that matches.
type policy struct {
	PolicyConfig
	Remember string // of the rule; empty: as session.remember says
	Rule     string // label; noRule if none matches
}

// noRule is the Rule of logins that only [policy] is about.
const noRule = "policy"

// apply changes p by what the rule sets.
func (p *policy) apply(r Rule) {
	put(&p.Mode, r.Mode)
	put(&p.Remember, r.Remember)
	put(&p.OptOut, r.OptOut)
	put(&p.EnrollAtLogin, r.EnrollAtLogin)
	put(&p.EnrollGrace, r.EnrollGrace)
	if r.Methods != nil {
		p.Methods = r.Methods
	}
}

func put[T any](at, value *T) {
	if value != nil {
		*at = *value
	}
}

// oddService is the Rule of logins through a service whose name is not plain.
const oddService = "name of the service"

// strictest returns the policy for a service whose name is not plain: somebody may have
// chosen the name to get around a rule. Unless Off, the mode is "required", without
// opting out, grace or remembered sessions. The methods are those that [policy] and all
// rules allow, except that a rule which would leave none but backup codes is passed over.
func (p PolicyConfig) strictest() policy {
	s := policy{PolicyConfig: p, Rule: oddService, Remember: RememberNever}
	if !p.Off() {
		s.Mode = ModeRequired
	}
	s.OptOut, s.EnrollGrace = false, 0
	for _, r := range p.Rules {
		s.EnrollAtLogin = s.EnrollAtLogin && (r.EnrollAtLogin == nil || *r.EnrollAtLogin)
		common := slices.DeleteFunc(slices.Clone(s.Methods), func(m mfa.Method) bool {
			return r.Methods != nil && !slices.Contains(r.Methods, m)
		})
		if slices.ContainsFunc(common, func(m mfa.Method) bool { return m != mfa.Backup }) {
			s.Methods = common
		}
	}
	return s
}

// provenFactors returns the first factors that were proven, by sshd's names. sshd puts
// them into SSH_AUTH_INFO_0, a line for each method that is complete: its name, perhaps a
// slash and the device, perhaps a blank and details. It counts for the service "sshd"
// alone, unlike in OriginOf and presence: a rule can let a login in by its first factor,
// and the PAM environment of another program may hold what the user put there. Without the
// variable it is what the PAM stack asks for: a password.
func provenFactors(req mfa.Request) []string {
	var words []string
	if req.Service == "sshd" {
		for line := range strings.Lines(req.SSHAuthInfo) {
			word, _, _ := strings.Cut(strings.TrimSpace(line), " ")
			word, _, _ = strings.Cut(word, "/")
			if word != "" {
				words = append(words, word)
			}
		}
	}
	if words == nil {
		words = []string{password}
	}
	return words
}

// findPolicy sets the policy that counts for this login. After an error it is zero.
func (l *inquiry) findPolicy(ctx context.Context) error {
	l.policy, l.passed = policy{}, nil
	if !IsPlain(l.user.Origin.Service) {
		l.policy = l.engine.cfg.Policy.strictest()
		return nil
	}
	found := policy{PolicyConfig: l.engine.cfg.Policy, Rule: noRule}
	for i, r := range l.engine.cfg.Policy.Rules {
		m, err := l.mismatch(ctx, r, r.Label(i))
		if err != nil {
			return fmt.Errorf("match rule %q: %w", r.Label(i), err)
		}
		if m == "" {
			found.Rule = r.Label(i)
			found.apply(r)
			break
		}
		l.passed = append(l.passed, m)
	}
	l.policy = found
	return nil
}

// A matcher is the key of a condition of a rule.
type matcher string

const (
	matchServices    matcher = "services"
	matchFirstFactor matcher = "first_factor"
	matchNetworks    matcher = "networks"
	matchUsers       matcher = "users"
	matchGroups      matcher = "groups"
)

// mismatch returns the first matcher of r that this login does not match, or ""
// if r matches. Users and groups come last, so NSS is asked only if all else matches.
func (l *inquiry) mismatch(ctx context.Context, r Rule, label string) (matcher, error) {
	switch {
	case len(r.Services) > 0 && !slices.Contains(r.Services, l.user.Origin.Service):
		return matchServices, nil
	case !l.provedFirst(r.FirstFactor):
		return matchFirstFactor, nil
	case len(r.Networks) > 0 && !inNetwork(r.Networks, l.user.Origin.Address):
		return matchNetworks, nil
	}
	if is, err := l.isUser(ctx, r.Users); err != nil || !is {
		return matchUsers, err
	}
	if is, err := l.inGroup(ctx, r.Groups, label); err != nil || !is {
		return matchGroups, err
	}
	return "", nil
}

func (l *inquiry) provedFirst(want string) bool {
	return want == "" || want == AnyFactor || slices.Contains(l.factors, want)
}

// inNetwork reports whether address is an IP address in one of the networks. A host name
// never is: the owner of the address chose it, in DNS.
func inNetwork(networks []netip.Prefix, address string) bool {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return false
	}
	a = a.Unmap().WithZone("")
	return slices.ContainsFunc(networks, func(p netip.Prefix) bool { return p.Contains(a) })
}

// isUser reports whether one of the names means the user, by any name that NSS has for
// them; without names it is true. NSS is asked for a name without an account, too, so that
// a failure shows as it does for others.
func (l *inquiry) isUser(ctx context.Context, names []string) (bool, error) {
	if len(names) == 0 || slices.Contains(names, l.user.Account.ID.Name) {
		return true, nil
	}
	for _, name := range names {
		id, known, err := l.engine.ruleUser(ctx, name)
		if err != nil {
			return false, err
		}
		if known && id.UID == l.user.Account.ID.UID && !l.user.Account.IsUnknown() {
			return true, nil
		}
	}
	return false, nil
}

// A ruleUser is the account of a name in a rule when NSS was asked last.
type ruleUser struct {
	id    mfa.Identity
	known bool // else there was surely nobody
	asked time.Time
}

// ruleUserFor is how long a ruleUser counts: every login looks at all users of a rule.
const ruleUserFor = time.Minute

// ruleUser returns the account of a name in a rule, and whether there is one.
func (e *Engine) ruleUser(ctx context.Context, name string) (id mfa.Identity, known bool, err error) {
	now := e.deps.Now()
	if v, ok := e.ruleUsers.Load(name); ok {
		u := v.(ruleUser)
		if age := now.Sub(u.asked); age >= 0 && age < ruleUserFor {
			return u.id, u.known, nil
		}
	}
	id, err = e.deps.Lookup(ctx, name)
	known = err == nil
	if err != nil && !errors.Is(err, nss.ErrNoAccount) {
		return id, false, err
	}
	e.ruleUsers.Store(name, ruleUser{id, known, now})
	return id, known, nil
}

// inGroup reports whether the user is in one of the groups; without names it is true. A
// name without an account is in none, but NSS is asked about the groups all the same, so
// that a failure shows as it does for others.
func (l *inquiry) inGroup(ctx context.Context, names []string, label string) (bool, error) {
	if len(names) == 0 {
		return true, nil
	}
	var unsure error
	for _, name := range names {
		gid, err := l.engine.deps.Groups.ID(ctx, name)
		if errors.Is(err, nss.ErrNoGroup) {
			l.warnOnce(label, name)
			continue
		}
		if err != nil {
			return false, err
		}
		if l.user.Account.IsUnknown() {
			continue
		}
		if l.gids == nil {
			if l.gids, err = l.engine.deps.Groups.Of(ctx, l.user.Account.ID.Name); err != nil {
				return false, err
			}
		}
		if slices.Contains(l.gids, gid) {
			return true, nil
		}
		unsure = cmp.Or(unsure, l.engine.deps.Groups.Whole(ctx, l.user.Account.ID.Name, name))
	}
	return false, unsure
}

// warnOnce logs that a group does not exist, once for each configuration.
func (l *inquiry) warnOnce(label, group string) {
	if _, before := l.engine.unknownGroups.LoadOrStore(group, true); !before {
		l.engine.deps.Log.Warn("a rule of the policy names a group that does not exist, so nobody is in it", "rule", label, "group", group)
	}
}
