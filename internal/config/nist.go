package config

import (
	"fmt"
	"slices"
	"time"

	"mfa/internal/login"
	"mfa/internal/mfa"
)

// unrestricted are the methods that NIST SP 800-63B-4 restricts neither (3.2.9) nor
// allows only beside another one. Backup codes come with a method, and are none alone.
var unrestricted = []mfa.Method{mfa.TOTP, mfa.HOTP}

// nist refuses what NIST SP 800-63B-4 does not allow, if policy.nist asks for that: see
// docs/standards.md. A key that the file does not set is refused at the line that asks.
func (r *reader) nist() {
	if !r.config.Policy.Nist || r.refused["policy.nist"] {
		return
	}
	for _, p := range r.config.againstNIST() {
		if r.refused[p.key] {
			continue
		}
		p.line = r.lineOf([]string{p.key, "policy.nist"})
		p.what += ", and policy.nist asks for NIST SP 800-63B-4"
		r.problems = append(r.problems, p)
	}
}

// AgainstNIST returns the keys whose values NIST SP 800-63B-4 does not allow, whatever
// policy.nist says; none if it is true.
func (c *Config) AgainstNIST() []string {
	var keys []string
	for _, p := range c.againstNIST() {
		if !slices.Contains(keys, p.key) {
			keys = append(keys, p.key)
		}
	}
	return keys
}

// againstNIST returns what the standard does not allow; sections are its own. What it asks
// of every value, like six digits, the rules of the keys ask for always.
func (c *Config) againstNIST() []problem {
	found := slices.Concat(
		nistMethods("policy.methods", c.Policy.Methods),
		nistRemember("session.remember", c.Session.Remember),
	)
	for i, rule := range c.Policy.Rules {
		at := fmt.Sprintf("%s[%d].", policyRule, i+1)
		if rule.Methods != nil {
			found = append(found, nistMethods(at+"methods", rule.Methods)...)
		}
		if rule.Remember != nil {
			found = append(found, nistRemember(at+"remember", *rule.Remember)...)
		}
	}
	return slices.Concat(
		found,
		nistIf(c.SMS.FallbackToEmail && c.Sends(), "sms.fallback_to_email", "true sends a code by email, which is not allowed (3.1.3.1)", "false"),
		nistIf(c.SMS.Twilio.WhatsApp(), "sms.twilio.from", "WhatsApp shows codes on devices that no SIM card proves (3.1.3.1)", "a number"),
		nistAtMost("code.lifetime", c.Code.Lifetime, 10*time.Minute, "3.1.3.2"),
		nistAtMost("totp.period", c.TOTP.Period, 2*time.Minute, "3.1.4.1"),
	)
}

// Sends reports whether codes over the telephone network count for anybody.
func (c *Config) Sends() bool {
	return sends(c.Policy.Methods) || slices.ContainsFunc(c.Policy.Rules, func(r login.Rule) bool { return sends(r.Methods) })
}

func sends(methods []mfa.Method) bool {
	return slices.Contains(methods, mfa.SMS) || slices.Contains(methods, mfa.Call)
}

func nistMethods(key string, methods []mfa.Method) []problem {
	alone := sends(methods) && !slices.ContainsFunc(unrestricted, func(m mfa.Method) bool { return slices.Contains(methods, m) })
	return slices.Concat(
		nistIf(slices.Contains(methods, mfa.Email), key, `"email" is no second factor (3.1.3.1)`, `a list of "totp", "hotp", "sms", "call" or "backup"`),
		nistIf(alone, key, "text messages and calls are restricted, and need another method beside them (3.2.9)", `a list with "totp" or "hotp"`),
	)
}

// nistRemember refuses remembered logins: no secret of the session binds them, and they
// stand in place of a second factor.
func nistRemember(key, remember string) []problem {
	return nistIf(remember != login.RememberNever, key, fmt.Sprintf("%q lets in without a second factor (5.1)", remember), `"never"`)
}

func nistAtMost(key string, is mfa.Duration, most time.Duration, section string) []problem {
	return nistIf(time.Duration(is) > most, key, fmt.Sprintf("%q is too long (%s)", is, section), fmt.Sprintf("up to %q", mfa.Duration(most)))
}

func nistIf(wrong bool, key, what, allowed string) []problem {
	if !wrong {
		return nil
	}
	return []problem{{key: key, what: what, allowed: allowed}}
}
