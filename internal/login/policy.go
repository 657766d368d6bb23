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

	"mfa/internal/host/nss"
	"mfa/internal/mfa"
)

// A Rule is one table [[policy.rule]]: what is different for some logins. A login
// is one of them if it matches everything that the rule names; what the rule
// does not name matches every login. The first rule that matches counts, and
// no other.
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

// password is the first factor of a login for which nobody names another.
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

// Changes says whether the rule makes any difference.
func (r Rule) Changes() bool {
	return r.Mode != nil || r.Methods != nil || r.Remember != nil ||
		r.OptOut != nil || r.EnrollAtLogin != nil || r.EnrollGrace != nil
}

// MatchesAll says whether every login matches.
func (r Rule) MatchesAll() bool {
	return len(r.Users)+len(r.Groups)+len(r.Services)+len(r.Networks) == 0 &&
		(r.FirstFactor == "" || r.FirstFactor == AnyFactor)
}

// Off says whether nobody at all is asked, by no rule either.
func (p PolicyConfig) Off() bool {
	return p.Mode == ModeOff && !slices.ContainsFunc(p.Rules, func(r Rule) bool {
		return r.Mode != nil && *r.Mode != ModeOff
	})
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

// A policy is what counts for one login: the table [policy], with what the first
// rule that matches says in its place.
type policy struct {
	PolicyConfig
	Remember string // of the rule; empty: as session.remember says
	Rule     string // label; noRule if none matches
}

// noRule is the Rule of logins that only [policy] is about.
const noRule = "policy"

// apply puts what the rule says in place of what [policy] says.
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

// strictest is what counts for a service that no rule can mean: whoever names one
// so may be about to get around a rule. It is at least as strict as [policy] and
// every rule; only where nobody is ever asked, nobody is here.
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

// provenFactors returns what was proven before we are asked, in sshd's words.
// sshd tells it in SSH_AUTH_INFO_0, a line for each method that is complete:
// its name, perhaps a slash and the device, perhaps a blank and details. Where
// nothing is told, and from all others, who could have it from the user's own
// environment, it is what the PAM stack asks for: a password.
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

// findPolicy finds out what counts for this login. After an error nothing does.
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

// A matcher is a key of a rule that says whom it is about.
type matcher string

const (
	services    matcher = "services"
	firstFactor matcher = "first_factor"
	networks    matcher = "networks"
	users       matcher = "users"
	groups      matcher = "groups"
)

// mismatch returns the first matcher of r that this login does not match, or ""
// if r matches. Users and groups come last: NSS is asked only if all depends on it.
func (l *inquiry) mismatch(ctx context.Context, r Rule, label string) (matcher, error) {
	switch {
	case len(r.Services) > 0 && !slices.Contains(r.Services, l.user.Origin.Service):
		return services, nil
	case !l.provedFirst(r.FirstFactor):
		return firstFactor, nil
	case len(r.Networks) > 0 && !inNetwork(r.Networks, l.user.Origin.Address):
		return networks, nil
	}
	if is, err := l.isUser(ctx, r.Users); err != nil || !is {
		return users, err
	}
	if is, err := l.inGroup(ctx, r.Groups, label); err != nil || !is {
		return groups, err
	}
	return "", nil
}

func (l *inquiry) provedFirst(want string) bool {
	return want == "" || want == AnyFactor || slices.Contains(l.factors, want)
}

// inNetwork says whether address is an IP address in one of the networks. The
// name of a host never is: whoever owns the address chose it, in DNS.
func inNetwork(networks []netip.Prefix, address string) bool {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return false
	}
	a = a.Unmap().WithZone("")
	return slices.ContainsFunc(networks, func(p netip.Prefix) bool { return p.Contains(a) })
}

// isUser says whether one of the names is the user's, however it is spelled; of no
// names, each is. NSS is asked about them for who is no account too, so that it
// fails for them as for others.
func (l *inquiry) isUser(ctx context.Context, names []string) (bool, error) {
	if len(names) == 0 || slices.Contains(names, l.user.Account.ID.Name) {
		return true, nil
	}
	for _, name := range names {
		id, known, err := l.engine.ruleUser(ctx, name)
		if err != nil {
			return false, err
		}
		if known && id.UID == l.user.Account.ID.UID && !l.user.Account.IsNobody() {
			return true, nil
		}
	}
	return false, nil
}

// A ruleUser is whom a name in a rule meant when NSS was asked last.
type ruleUser struct {
	id    mfa.Identity
	known bool // else there was surely nobody
	asked time.Time
}

// ruleUserFor is how long that counts: a rule of many users is looked at by every
// login.
const ruleUserFor = time.Minute

// ruleUser returns whom a name in a rule means, if anybody.
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

// inGroup says whether the user is in one of the groups; of no groups, everybody
// is. Somebody who is no account is in none, but NSS is asked about the groups all
// the same, so that it fails for them as for others.
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
		if l.user.Account.IsNobody() {
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

// warnOnce says that a group does not exist, once for each configuration.
func (l *inquiry) warnOnce(label, group string) {
	if _, before := l.engine.unknownGroups.LoadOrStore(group, true); !before {
		l.engine.deps.Log.Warn("a rule of the policy names a group that does not exist, so nobody is in it", "rule", label, "group", group)
	}
}
