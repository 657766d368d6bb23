package config

import (
	"strings"
	"testing"

	"mfa/internal/mfa"
)

// asked is how a document begins that policy.nist is true in.
const asked = "[policy]\nnist = true\n"

// byStandard is how each refusal ends.
const byStandard = ", and policy.nist asks for NIST SP 800-63B-4; allowed: "

// nistRefusals are what the standard does not allow: documents behind asked, which begin
// on line 3, and what is said of each.
var nistRefusals = []struct{ name, document, want string }{
	{"the defaults", "", `F:2: policy.methods: "email" is no second factor (3.1.3.1)` + byStandard + `a list of "totp", "hotp", "sms", "call" or "backup"` +
		"\n" + `F:2: sms.fallback_to_email: true sends a code by email, which is not allowed (3.1.3.1)` + byStandard + `false`},
	{"email", "methods = ['totp', 'email']", `F:3: policy.methods: "email" is no second factor (3.1.3.1)` + byStandard + `a list of "totp", "hotp", "sms", "call" or "backup"`},
	{
		"email by a rule", "methods = ['totp']\n[[policy.rule]]\nusers = ['alice']\nmode = 'off'\n[[policy.rule]]\nusers = ['bob']\nmethods = ['email']",
		`F:9: policy.rule[2].methods: "email" is no second factor (3.1.3.1)` + byStandard + `a list of "totp", "hotp", "sms", "call" or "backup"`,
	},
	{
		"texts alone", "methods = ['sms', 'backup']\n[sms]\nfallback_to_email = false",
		"F:3: policy.methods: text messages and calls are restricted, and need another method beside them (3.2.9)" + byStandard + `a list with "totp" or "hotp"`,
	},
	{
		"calls alone by a rule", "methods = ['hotp']\n[[policy.rule]]\nmethods = ['call']\n[sms]\nprovider = 'twilio'\nfallback_to_email = false\n[sms.twilio]\naccount_sid = 'AC1'\nauth_token_file = '/t'\nfrom = '+14155552671'",
		"F:5: policy.rule[1].methods: text messages and calls are restricted, and need another method beside them (3.2.9)" + byStandard + `a list with "totp" or "hotp"`,
	},
	{
		"texts that fall back", "methods = ['totp', 'sms']\n[sms]\nfallback_to_email = true",
		`F:5: sms.fallback_to_email: true sends a code by email, which is not allowed (3.1.3.1)` + byStandard + "false",
	},
	{
		"texts by a rule that fall back", "methods = ['totp']\n[[policy.rule]]\nmethods = ['hotp', 'sms']",
		`F:2: sms.fallback_to_email: true sends a code by email, which is not allowed (3.1.3.1)` + byStandard + "false",
	},
	{"remembered", "methods = ['totp']\n[session]\nremember = 'ask'", `F:5: session.remember: "ask" lets in without a second factor (5.1)` + byStandard + `"never"`},
	{
		"remembered by a rule", "methods = ['totp']\n[[policy.rule]]\nremember = 'always'",
		`F:5: policy.rule[1].remember: "always" lets in without a second factor (5.1)` + byStandard + `"never"`,
	},
	{"a code for long", "methods = ['totp']\n[code]\nlifetime = '11m'", `F:5: code.lifetime: "11m" is too long (3.1.3.2)` + byStandard + `up to "10m"`},
	{"a slow app", "methods = ['totp']\n[totp]\nperiod = '3m'", `F:5: totp.period: "3m" is too long (3.1.4.1)` + byStandard + `up to "2m"`},
	{
		"WhatsApp", "methods = ['totp', 'sms']\n[sms]\nprovider = 'twilio'\nfallback_to_email = false\n[sms.twilio]\naccount_sid = 'AC1'\nauth_token_file = '/t'\ncontent_sid = 'HX1'\nfrom = 'whatsapp:+14155552671'",
		"F:11: sms.twilio.from: WhatsApp shows codes on devices that no SIM card proves (3.1.3.1)" + byStandard + "a number",
	},
	{"what is wrong anyhow", "methods = ['totp']\n[code]\nlifetime = '2h'", `F:5: code.lifetime: "2h" is too long; allowed: "1s" to "1h"`},
}

func TestNISTRefuses(t *testing.T) {
	for _, tc := range nistRefusals {
		t.Run(tc.name, func(t *testing.T) {
			_, err := Parse("F", []byte(asked+tc.document))
			if err == nil || err.Error() != tc.want {
				t.Errorf("document\n%s\nsays %v\nwant %s", asked+tc.document, err, tc.want)
			}
			// It is the key that refuses, and nothing else does.
			if _, err := Parse("F", []byte("[policy]\n\n"+tc.document)); err != nil && tc.name != "what is wrong anyhow" {
				t.Errorf("refused without policy.nist: %v", err)
			}
		})
	}
}

// TestAgainstNIST holds that the keys are told where policy.nist does not ask, each once.
func TestAgainstNIST(t *testing.T) {
	c := Default()
	c.Policy.Methods = []mfa.Method{mfa.Email, mfa.SMS}
	if got := strings.Join(c.AgainstNIST(), " "); got != "policy.methods sms.fallback_to_email" {
		t.Errorf("against it are %s", got)
	}
	c.Policy.Methods = []mfa.Method{mfa.TOTP}
	if got := c.AgainstNIST(); len(got) > 0 {
		t.Errorf("against it are %s", got)
	}
}

func TestNISTAllows(t *testing.T) {
	for name, document := range map[string]string{
		"an app":        "methods = ['totp']",
		"all it allows": "methods = ['sms', 'hotp', 'backup']\n[sms]\nfallback_to_email = false\n[code]\nlifetime = '10m'\n[totp]\nperiod = '2m'\n[session]\nremember = 'never'\n[[policy.rule]]\nusers = ['a']\nmethods = ['totp', 'sms']\nremember = 'never'",
		"break-glass":   "methods = ['totp']\n[[policy.rule]]\nusers = ['breakglass']\nmode = 'off'",
		"no texts":      "methods = ['totp']\n[sms]\nfallback_to_email = true",
	} {
		if _, err := Parse("F", []byte(asked+document)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
