package config

import (
	"net/netip"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"mfa/internal/login"
	"mfa/internal/mfa"
)

// otherRule holds a value, as TOML, for each key of [[policy.rule]], and what
// becomes of it.
var otherRule = []struct {
	key, value string
	want       func(r *login.Rule)
}{
	{"name", `"contractors"`, func(r *login.Rule) { r.Name = "contractors" }},
	{"users", `["alice", "bob"]`, func(r *login.Rule) { r.Users = []string{"alice", "bob"} }},
	{"groups", `["wheel"]`, func(r *login.Rule) { r.Groups = []string{"wheel"} }},
	{"services", `["sshd"]`, func(r *login.Rule) { r.Services = []string{"sshd"} }},
	{"networks", `["192.0.2.0/24", "::ffff:198.51.100.7"]`, func(r *login.Rule) {
		r.Networks = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("198.51.100.7/32")}
	}},
	{"first_factor", `"publickey"`, func(r *login.Rule) { r.FirstFactor = "publickey" }},
	{"mode", `"off"`, func(r *login.Rule) { r.Mode = new(login.ModeOff) }},
	{"methods", `["totp"]`, func(r *login.Rule) { r.Methods = []mfa.Method{mfa.TOTP} }},
	{"remember", `"never"`, func(r *login.Rule) { r.Remember = new("never") }},
	{"opt_out", `false`, func(r *login.Rule) { r.OptOut = new(false) }},
	{"enroll_at_login", `false`, func(r *login.Rule) { r.EnrollAtLogin = new(false) }},
	{"enroll_grace", `"0s"`, func(r *login.Rule) { r.EnrollGrace = new(mfa.Duration(0)) }},
}

func TestEveryRuleKeyArrives(t *testing.T) {
	var keys []string
	for _, tc := range otherRule {
		keys = append(keys, tc.key)
		document, want := "[[policy.rule]]\n"+tc.key+" = "+tc.value, login.Rule{}
		tc.want(&want)
		if !want.Changes() {
			document, want.Mode = document+"\nmode = 'off'", new(login.ModeOff)
		}
		c, err := Parse("F", []byte(document))
		if err != nil {
			t.Errorf("%s: %v", document, err)
		} else if len(c.Policy.Rules) != 1 || !reflect.DeepEqual(c.Policy.Rules[0], want) {
			t.Errorf("%s gave %+v, want %+v", document, c.Policy.Rules, want)
		}
		c.Policy.Rules = nil
		if err == nil && !reflect.DeepEqual(c, Default()) {
			t.Errorf("%s changed something else: %+v", document, c)
		}
	}
	if !slices.Equal(keys, ruleKeys()) {
		t.Errorf("tried %q of %q", keys, ruleKeys())
	}
	for key := range ruleRules {
		if !slices.Contains(keys, key) {
			t.Errorf("the rule for %s has no key", key)
		}
	}
	if len(ruleRules) != len(keys) {
		t.Errorf("%d rules for %d keys", len(ruleRules), len(keys))
	}
}

func TestRulesKeepTheirOrder(t *testing.T) {
	for name, document := range map[string]string{
		"tables": "[[policy.rule]]\nname = 'a'\nmode = 'off'\n[code]\ndigits = 8\n[[policy.rule]]\nname = 'b'\nenroll_grace = '1d'\n[[policy.rule]]\nname = 'c'\nmode = 'off'\n",
		"list":   "policy.rule = [\n {name = 'a', mode = 'off', users = ['x']},\n {name = 'b', enroll_grace = '1d'},\n]",
	} {
		if name == "tables" {
			document = strings.ReplaceAll(document, "name = '", "users = ['x']\nname = '")
		}
		c, err := Parse("F", []byte(document))
		if err != nil || len(c.Policy.Rules) < 2 || c.Policy.Rules[0].Name != "a" || c.Policy.Rules[1].Name != "b" ||
			*c.Policy.Rules[1].EnrollGrace != mfa.Duration(24*time.Hour) {
			t.Errorf("%s: %+v %v", name, c.Policy.Rules, err)
		}
	}
}

func TestParseRefusesRules(t *testing.T) {
	const (
		networks = "; allowed: a list of networks like \"192.0.2.0/24\" or \"2001:db8::/32\", and addresses"
		settings = "; allowed: at least one of mode, methods, remember, opt_out, enroll_at_login, enroll_grace"
		factors  = `; allowed: "any", "password", "publickey", "keyboard-interactive", "hostbased", "gssapi-with-mic" or "gssapi-keyex"`
	)
	for _, tc := range []struct{ name, document, want string }{
		{"table in place of a list", "[policy.rule]\nmode = 'off'", "F:1: policy.rule: a table in place of a list of tables; allowed: [[policy.rule]]"},
		{"value in place of a list", "[policy]\nrule = 'off'", "F:2: policy.rule: text in place of a list of tables; allowed: [[policy.rule]]"},
		{"list of values", "[policy]\nrule = ['off']", "F:2: policy.rule: a list in place of a list of tables; allowed: [[policy.rule]]"},
		{"mixed list", "[policy]\nrule = [{mode = 'off'}, 'off']", "F:2: policy.rule: a list in place of a list of tables; allowed: [[policy.rule]]"},
		{"unknown key, near one", "[[policy.rule]]\nuser = ['x']\nmode = 'off'", `F:2: policy.rule[1].user: unknown key, did you mean "users"?`},
		{"unknown key, near none", "[[policy.rule]]\nweather_of_today = 1\nmode = 'off'", "F:2: policy.rule[1].weather_of_today: unknown key; allowed: name, users, groups, services, networks, first_factor, mode, methods, remember, opt_out, enroll_at_login, enroll_grace"},
		{"key of [policy] alone", "[[policy.rule]]\nself_contacts = true\nmode = 'off'", "F:2: policy.rule[1].self_contacts: unknown key; allowed: name, users, groups, services, networks, first_factor, mode, methods, remember, opt_out, enroll_at_login, enroll_grace"},
		{"table in a rule", "[[policy.rule]]\nmode = 'off'\n[policy.rule.users]\nx = 1", "F:3: policy.rule[1].users: a table in place of a list; allowed: a list of names of users"},
		{"empty", "\n[[policy.rule]]", "F:2: policy.rule[1]: it changes nothing" + settings},
		{"no setting", "[[policy.rule]]\nusers = ['x']", "F:1: policy.rule[1]: it changes nothing" + settings},
		{"mode", "[[policy.rule]]\nmode = 'on'", `F:2: policy.rule[1].mode: "on" is unknown; allowed: "off", "optional" or "required"`},
		{"methods empty", "[[policy.rule]]\nmethods = []", `F:2: policy.rule[1].methods: the list is empty; allowed: a list of "totp", "hotp", "email", "sms", "call" or "backup"`},
		{"remember", "[[policy.rule]]\nremember = true", `F:2: policy.rule[1].remember: true or false in place of text in quotes; allowed: "never", "ask" or "always"`},
		{"opt_out", "[[policy.rule]]\nopt_out = 'no'", "F:2: policy.rule[1].opt_out: text in place of true or false; allowed: true or false, without quotes"},
		{"grace", "[[policy.rule]]\nenroll_grace = '2y'", `F:2: policy.rule[1].enroll_grace: "2y" is not a duration like "90s", "10m" or "90d"; allowed: "0s" to "365d"`},
		{"first factor", "[[policy.rule]]\nfirst_factor = 'key'\nmode = 'off'", `F:2: policy.rule[1].first_factor: "key" is unknown` + factors},
		{"text for users", "[[policy.rule]]\nusers = 'x'\nmode = 'off'", "F:2: policy.rule[1].users: text in place of a list; allowed: a list of names of users"},
		{"user with a blank", "[[policy.rule]]\nusers = [' x']\nmode = 'off'", `F:2: policy.rule[1].users: " x" is not a name; allowed: a list of names of users`},
		{"group twice", "[[policy.rule]]\ngroups = ['x', 'x']\nmode = 'off'", `F:2: policy.rule[1].groups: "x" is in the list twice; allowed: a list of names of groups`},
		{"service empty", "[[policy.rule]]\nservices = ['']\nmode = 'off'", `F:2: policy.rule[1].services: "" is not a name; allowed: a list of names of PAM services`},
		{"network is a host", "[[policy.rule]]\nnetworks = ['office.example.com']\nmode = 'off'", `F:2: policy.rule[1].networks: "office.example.com" is neither a network nor an address` + networks},
		{"network too long", "[[policy.rule]]\nnetworks = ['192.0.2.0/33']\nmode = 'off'", `F:2: policy.rule[1].networks: "192.0.2.0/33" is neither a network nor an address` + networks},
		{"network with bits behind", "[[policy.rule]]\nnetworks = ['192.0.2.1/24']\nmode = 'off'", `F:2: policy.rule[1].networks: "192.0.2.1/24" has bits behind its prefix; the network is "192.0.2.0/24"` + networks},
		{"network mapped in part", "[[policy.rule]]\nnetworks = ['::ffff:192.0.2.0/95']\nmode = 'off'", `F:2: policy.rule[1].networks: "::ffff:192.0.2.0/95" is IPv4 only in part` + networks},
		{"address with a zone", "[[policy.rule]]\nnetworks = ['fe80::1%eth0']\nmode = 'off'", `F:2: policy.rule[1].networks: "fe80::1%eth0" is neither a network nor an address` + networks},
		{"name of none", "[[policy.rule]]\nname = 'policy'\nmode = 'off'", `F:2: policy.rule[1].name: "policy" is what logins are told to fall under that no rule is about; allowed: one line of 1 to 64 bytes, other than "policy"`},
		{"name twice", "[[policy.rule]]\nname = 'a'\nusers = ['x']\nmode = 'off'\n\n[[policy.rule]]\nname = 'a'\nmode = 'off'", `F:6: policy.rule[2]: policy.rule[1] is named "a" too; allowed: a name of its own`},
		{"never reached", "[[policy.rule]]\nmode = 'off'\n[[policy.rule]]\nusers = ['x']\nmode = 'required'", "F:3: policy.rule[2]: it never counts, because every login matches policy.rule[1]; allowed: a place before that"},
		{
			"each on its line", "[[policy.rule]]\nmode = 'on'\n\n[[ policy . \"rule\" ]] # [[policy.rule]]\nname = '''x\n[[policy.rule]]'''\nmode = 'off'\n[code]\ndigits = 5\n\n[[policy.rule]]\nmode = 'x'\nusers = [\n 1]\n",
			`F:2: policy.rule[1].mode: "on" is unknown; allowed: "off", "optional" or "required"` + "\n" +
				`F:5: policy.rule[2].name: a control character in the name; allowed: one line of 1 to 64 bytes, other than "policy"` + "\n" +
				"F:9: code.digits: 5 is out of range; allowed: 6 to 10\n" +
				`F:12: policy.rule[3].mode: "x" is unknown; allowed: "off", "optional" or "required"` + "\n" +
				"F:13: policy.rule[3].users: a whole number in place of text in quotes in the list; allowed: a list of names of users",
		},
		{"too many", strings.Repeat("[[policy.rule]]\nmode = 'off'\nusers = ['x']\n", 257), "F:769: policy.rule: 257 rules are too many; allowed: at most 256"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, err := Parse("F", []byte(tc.document)); err == nil || err.Error() != tc.want {
				t.Errorf("document\n%s\nsays %v\nwant %s", tc.document, err, tc.want)
			}
		})
	}
}

// The rules in mfa.toml.example are comments; they hold once the # is gone.
func TestExampleRules(t *testing.T) {
	data, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	var rules strings.Builder
	in := false
	seen := map[string]bool{}
	for line := range strings.Lines(string(data)) {
		text, comment := strings.CutPrefix(line, "#")
		switch {
		case strings.HasPrefix(text, "[[policy.rule]]"):
			in = true
		case !comment:
			in = false
		}
		if in && comment && !strings.HasPrefix(text, " ") {
			rules.WriteString(text)
			key, _, _ := strings.Cut(text, " = ")
			seen[strings.TrimSpace(key)] = true
		}
	}
	c, err := Parse("F", []byte(rules.String()))
	if err != nil || len(c.Policy.Rules) == 0 || c.Policy.Rules[0].Name != "break-glass" {
		t.Errorf("%+v, %v in\n%s", c.Policy.Rules, err, &rules)
	}
	for _, key := range ruleKeys() {
		if !seen[key] && !strings.Contains(string(data), "#   "+key+" ") {
			t.Errorf("the example does not explain %s", key)
		}
	}
}
