package deliver

import (
	"strings"
	"testing"
	"testing/quick"
	"time"

	"mfa/internal/mfa"
	"mfa/internal/text"
)

func smsNotice() CodeNotice {
	return CodeNotice{Code: "123456", Host: "web1.example.com", Lifetime: testLifetime, To: "+14155552671"}
}

func TestSMSText(t *testing.T) {
	for _, tc := range []struct{ template, domain, want string }{
		{"", "", "123456 is your login code for web1.example.com. It works once, within 10 minutes. Give it to nobody."},
		{"", "example.com", "123456 is your login code for web1.example.com. It works once, within 10 minutes. Give it to nobody.\n\n@example.com #123456"},
		{"{{.Host}}: {{.Code}} ({{.Minutes}} min)\n\n", "example.com", "web1.example.com: 123456 (10 min)\n\n@example.com #123456"},
		{"Ihr Code für {{.Host}}: {{.Code}}, {{.Lifetime}}", "", "Ihr Code für web1.example.com: 123456, 10 minutes"},
	} {
		m, err := smsNotice().SMS("id1", tc.template, tc.domain)
		want := mfa.Message{ID: "id1", Carrier: mfa.SMS, To: "+14155552671", Text: tc.want, Code: "123456"}
		if m != want || err != nil {
			t.Errorf("%q, %q: %+v, %v\nwant %+v", tc.template, tc.domain, m, err, want)
		}
		if err := CheckSMSTemplate(tc.template, tc.domain); err != nil {
			t.Error(err)
		}
	}
}

// In another language a text is as short as in English, or it is in English.
func TestSMSTextInALanguage(t *testing.T) {
	for _, tc := range []struct{ language, domain, want string }{
		{"de", "", "123456 ist Ihr Anmeldecode für web1.example.com. Er gilt einmal, 10 Minuten lang. Geben Sie ihn niemandem."},
		{"ja", "", "web1.example.comのログインコード: 123456（10分有効、1回限り）。誰にも教えないでください。"},
		{"ja", "example.com", "123456 is your login code for web1.example.com. It works once, within 10 minutes. Give it to nobody.\n\n@example.com #123456"},
	} {
		n := smsNotice()
		n.Words = text.In(tc.language)
		if m, err := n.SMS("1", "", tc.domain); err != nil || m.Text != tc.want {
			t.Errorf("%s: %q, %v\nwant %q", tc.language, m.Text, err, tc.want)
		}
		if m, err := n.SMS("1", "{{.Code}} {{.Lifetime}}", ""); err != nil || m.Text != "123456 10 minutes" {
			t.Errorf("%s: a template of their own is %q, %v", tc.language, m.Text, err)
		}
		if m := InvitationSMS("1", strings.Repeat("host.", 20), "+14155552671", n.Words); !fits(m.Text) {
			t.Errorf("%s: %q does not fit", tc.language, m.Text)
		}
		n.Code, n.Lifetime, n.Host = "1234567890", 86399*time.Second, strings.Repeat("h", minHost)
		if in, err := n.SMS("1", "", ""); err != nil || in.Text == strings.Repeat("h", minHost) || !fits(in.Text) || strings.Contains(in.Text, "login code") {
			t.Errorf("%s: the longest text is %q, %v", tc.language, in.Text, err)
		}
	}
}

func TestSMSTextShortensTheHost(t *testing.T) {
	n := smsNotice()
	n.Host = "a-very-long-name-of-a-machine.in-a-long-department.example.com"
	n.Code, n.Lifetime = "1234567890", 86399*time.Second
	m, err := n.SMS("1", "", "login.department.example.com")
	if err != nil {
		t.Fatal(err)
	}
	if got := septets(m.Text); got != oneSegment {
		t.Errorf("%d septets, want all of %d used: %q", got, oneSegment, m.Text)
	}
	if !strings.Contains(m.Text, "for a-very-long") || !strings.HasSuffix(m.Text, "\n\n@login.department.example.com #1234567890") {
		t.Errorf("text is %q", m.Text)
	}
}

func TestSMSTextOfOddHosts(t *testing.T) {
	for _, host := range []string{"", "ünï", "a`b^c{d}", "x\ny\x1b[1m", strings.Repeat("{", 500)} {
		n := smsNotice()
		n.Host = host
		m, err := n.SMS("1", "", "")
		if err != nil {
			t.Fatal(err)
		}
		if septets(m.Text) > oneSegment || notGSM7(m.Text) != "" || strings.Contains(m.Text, "\n") {
			t.Errorf("host %q makes %q", host, m.Text)
		}
	}
}

func TestSMSMinutes(t *testing.T) {
	n := smsNotice()
	n.Lifetime = 90 * time.Second
	if m, err := n.SMS("1", "{{.Code}} {{.Minutes}} {{.Lifetime}}", ""); err != nil || m.Text != "123456 1 90 seconds" {
		t.Errorf("%q, %v", m.Text, err)
	}
}

// A template is tried with one code, and what it does with another keeps nobody without a code.
func TestSMSTemplateThatFailsWithSomeCodes(t *testing.T) {
	for _, template := range []string{
		`{{if gt .Code "5"}}{{.Code}}{{end}}`,
		`{{.Code}}{{if lt .Code "5"}}{{slice .Code 99}}{{end}}`,
		`{{.Code}}{{if lt .Code "5"}}` + strings.Repeat("x", 155) + `{{end}}`,
	} {
		if err := CheckSMSTemplate(template, ""); err != nil {
			t.Fatal(err)
		}
		m, err := smsNotice().SMS("1", template, "")
		if err != nil || m.Text != "123456 is your login code for web1.example.com. It works once, within 10 minutes. Give it to nobody." {
			t.Errorf("%s: %q, %v", template, m.Text, err)
		}
	}
}

func TestCheckSMSTemplate(t *testing.T) {
	for _, tc := range []struct{ template, domain, want string }{
		{"Hello {{.Host}}", "", "sms.template: does not show the code"},
		{"{{.Code", "", "sms.template: is no template"},
		{"{{.Code}} {{.User}}", "", "sms.template: cannot be filled in"},
		{"{{.Code}} – {{.Host}}", "", `sms.template: "–" is not in the GSM 7-bit alphabet`},
		{"{{.Code}}\t", "", `sms.template: "\t" is not in`},
		{"{{.Code}} \xff", "", "sms.template: \"\uFFFD\" is not in"},
		{"{{.Code}}" + strings.Repeat("x", 151), "", "sms.template: needs up to 161 characters"},
		{"{{.Code}}" + strings.Repeat("€", 76), "", "sms.template: needs up to 162 characters"},
		{"{{.Code}}{{.Host}}" + strings.Repeat("x", 139), "", "sms.template: needs up to 161 characters"},
		{"{{.Code}}{{.Lifetime}}" + strings.Repeat("x", 138), "", "sms.template: needs up to 161 characters"},
		{"{{.Code}}" + strings.Repeat("x", 125), "example.com", "sms.template: needs up to 161 characters"},
		{"", "example", "sms.autofill_domain: "},
		{"", "https://example.com", "sms.autofill_domain: "},
		{"", "example.com/", "sms.autofill_domain: "},
		{"", strings.Repeat("long.", 20) + "example.com", "sms.template: needs up to "},
	} {
		if err := CheckSMSTemplate(tc.template, tc.domain); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%q, %q: %v, want %q", tc.template, tc.domain, err, tc.want)
		}
	}
	for _, fits := range []string{strings.Repeat("x", 150), strings.Repeat("€", 75)} {
		if err := CheckSMSTemplate("{{.Code}}"+fits, ""); err != nil {
			t.Error(err)
		}
	}
}

// Each character of the two tables stands once, and the basic one has all 128
// of the standard but the three left out.
func TestGSMAlphabet(t *testing.T) {
	seen := map[rune]bool{}
	for _, r := range gsmBasic + gsmExtended {
		if seen[r] {
			t.Errorf("%q is there twice", r)
		}
		seen[r] = true
	}
	if n := len([]rune(gsmBasic)); n != 128-2 { // without CR and ESC
		t.Errorf("basic alphabet of %d", n)
	}
	if n := len([]rune(gsmExtended)); n != 10-1 { // without form feed
		t.Errorf("extension of %d", n)
	}
}

func TestShortenTakesOne(t *testing.T) {
	err := quick.Check(func(s string) bool {
		host := gsmOnly(ASCII(s, FieldLimit))
		for len(host) > minHost {
			next := shorten(host)
			if len(next) != len(host)-1 || !strings.HasSuffix(next, "..") {
				return false
			}
			host = next
		}
		return true
	}, nil)
	if err != nil {
		t.Error(err)
	}
}

// Whatever template passes the check, its texts fit on one segment.
func FuzzSMSTemplate(f *testing.F) {
	f.Add("", "example.com", "web1.example.com")
	f.Add("{{.Code}} {{.Host}} {{.Host}} {{.Minutes}} {{.Lifetime}}", "", "a{b")
	f.Add("{{if .Host}}{{.Code}}{{end}}", "", "")
	f.Fuzz(func(t *testing.T, template, domain, host string) {
		if strings.Contains(template, "{{") && strings.ContainsAny(template, "$%()|\"`") || CheckSMSTemplate(template, domain) != nil {
			return // a template is an administrator's program; these would be one to get lost in
		}
		n := smsNotice()
		n.Host = host
		m, err := n.SMS("1", template, domain)
		if err != nil {
			return // one that shows the code for some hosts only
		}
		if !strings.Contains(m.Text, n.Code) || notGSM7(m.Text) != "" {
			t.Errorf("template %q makes %q", template, m.Text)
		}
		if got := septets(m.Text); got > oneSegment && !strings.Contains(template, "{{if") && !strings.Contains(template, "{{with") {
			t.Errorf("template %q makes %d septets", template, got)
		}
	})
}
