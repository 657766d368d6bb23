package config

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"unicode"

	"mfa/internal/login"
	"mfa/internal/mfa"
)

// policyRule is the list of tables [[policy.rule]].
const policyRule = "policy.rule"

// maxRules bounds the work of a login, which may have to look at every rule.
const maxRules = 256

// ruleRules holds one rule for each key of a table [[policy.rule]].
var ruleRules = map[string]rule{
	"name":         ruleName,
	"users":        names("users"),
	"groups":       names("groups"),
	"services":     services,
	"networks":     newRule(`a list of networks like "192.0.2.0/24" or "2001:db8::/32", and addresses`, func([]netip.Prefix) string { return "" }),
	"first_factor": word(login.FirstFactors...),

	"mode":            rules["policy.mode"],
	"methods":         rules["policy.methods"],
	"remember":        word(login.RememberNever, login.RememberAsk, login.RememberAlways),
	"opt_out":         flag,
	"enroll_at_login": flag,
	"enroll_grace":    rules["policy.enroll_grace"],
}

var ruleName = newRule(`one line of 1 to 64 bytes, other than "policy"`, func(s string) string {
	switch {
	case s == "" || len(s) > 64:
		return fmt.Sprintf("%d bytes are too few or too many", len(s))
	case s == "policy":
		return `"policy" is what logins are told to fall under that no rule is about`
	case strings.ContainsFunc(s, unicode.IsControl):
		return "a control character in the name"
	}
	return ""
})

// services allows the names that a login can match; see login.IsPlain.
var services = newRule("a list of names of PAM services", func(list []string) string {
	if wrong := names("").wrong(&list); wrong != "" {
		return wrong
	}
	for _, s := range list {
		if !login.IsPlain(s) {
			return fmt.Sprintf("%q is not the name of a service", s)
		}
	}
	return ""
})

// names allows a list of names of things that NSS or PAM know.
func names(things string) rule {
	return newRule("a list of names of "+things, func(list []string) string {
		for i, s := range list {
			switch {
			case s == "" || s != strings.TrimSpace(s) || strings.ContainsFunc(s, unicode.IsControl):
				return fmt.Sprintf("%q is not a name", s)
			case slices.Contains(list[:i], s):
				return fmt.Sprintf("%q is in the list twice", s)
			}
		}
		return ""
	})
}

// readRules takes the tables [[policy.rule]].
func (r *reader) readRules(e entry) {
	switch {
	case !e.list:
		r.refuse(e, kind(e.value)+" in place of a list of tables", "[["+policyRule+"]]")
		return
	case len(e.under) > maxRules:
		r.refuse(e, fmt.Sprintf("%d rules are too many", len(e.under)), fmt.Sprintf("at most %d", maxRules))
		return
	}
	labels := map[string]string{} // by name: the key of the rule that has it
	catchAll := ""
	for _, table := range e.under {
		before := len(r.problems)
		var to login.Rule
		r.readRule(table, &to)
		if len(r.problems) > before {
			continue
		}
		switch other := labels[to.Name]; {
		case !to.Changes():
			r.refuse(table, "it changes nothing", "at least one of "+strings.Join(ruleKeys()[matchers:], ", "))
		case to.Name != "" && other != "":
			r.refuse(table, fmt.Sprintf("%s is named %q too", other, to.Name), "a name of its own")
		case catchAll != "":
			r.refuse(table, fmt.Sprintf("it never counts, because every login matches %s", catchAll), "a place before that")
		}
		labels[to.Name] = table.key
		if catchAll == "" && to.MatchesAll() {
			catchAll = table.key
		}
		r.config.Policy.Rules = append(r.config.Policy.Rules, to)
	}
}

// matchers is how many keys of a rule are conditions or its name.
const matchers = 6

// ruleKeys returns the keys of a table [[policy.rule]], in order.
func ruleKeys() []string {
	var keys []string
	for field := range reflect.TypeFor[login.Rule]().Fields() {
		keys = append(keys, field.Tag.Get("toml"))
	}
	return keys
}

// readRule takes one of the tables.
func (r *reader) readRule(table entry, to *login.Rule) {
	if _, ok := table.value.(map[string]any); !ok {
		r.refuse(table, kind(table.value)+" in place of a table", "[["+policyRule+"]]")
		return
	}
	fields := map[string]reflect.Value{}
	for field, at := range reflect.ValueOf(to).Elem().Fields() {
		fields[table.key+"."+field.Tag.Get("toml")] = at
	}
	for _, e := range table.under {
		at, known := fields[e.key]
		_, name := split(e.key)
		switch {
		case e.twice:
			r.refuse(e, "set twice", "once")
		case !known:
			what := "unknown key"
			if near := nearest(name, ruleKeys()); near != "" {
				r.refuse(e, fmt.Sprintf("%s, did you mean %q?", what, near), "")
			} else {
				r.refuse(e, what, strings.Join(ruleKeys(), ", "))
			}
		default:
			r.lines[e.key] = e.line
			if what := assignField(at, e.value, ruleRules[name]); what != "" {
				r.refuse(e, what, ruleRules[name].allowed)
			}
		}
	}
}

// assignField sets a field that may be a pointer, nil while it is not set. It
// returns what is wrong, "" if nothing.
func assignField(at reflect.Value, value any, rule rule) (wrong string) {
	to := at.Addr()
	if at.Kind() == reflect.Pointer {
		to = reflect.New(at.Type().Elem())
	}
	if wrong := assign(to.Interface(), value); wrong != "" {
		return wrong
	}
	if wrong := rule.wrong(to.Interface()); wrong != "" {
		return wrong
	}
	if at.Kind() == reflect.Pointer {
		at.Set(to)
	}
	return ""
}

// assignList sets a list to the results of parse for each text.
func assignList[T any](at *[]T, value any, parse func(string) (T, error)) (wrong string) {
	var list []any
	if wrong := assignAs(&list, value, "a list"); wrong != "" {
		return wrong
	}
	all := make([]T, len(list))
	for i, v := range list {
		var s string
		if wrong := assignAs(&s, v, "text in quotes"); wrong != "" {
			return wrong + " in the list"
		}
		var err error
		if all[i], err = parse(s); err != nil {
			return err.Error()
		}
	}
	*at = all
	return ""
}

func asText(s string) (string, error)       { return s, nil }
func asMethod(s string) (mfa.Method, error) { return mfa.Method(s), nil }
