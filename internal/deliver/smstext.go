package deliver

import (
	"errors"
	"fmt"
	"strings"
	"text/template"
	"time"
	"unicode/utf16"

	"mfa/internal/mfa"
	"mfa/internal/text"
)

// defaultSMS is the text of a message when sms.template is empty.
const defaultSMS = "{{.Code}} is your login code for {{.Host}}. It works once, within {{.Lifetime}}. Give it to nobody."

// oneSegment is what one text message holds, in septets (3GPP TS 23.038, 6.1.2.1.1).
const oneSegment = 160

// oneWideSegment is what it holds in UCS-2.
const oneWideSegment = 70

// minHost is how much of the host's name a text must have room for.
const minHost = 12

// smsFields are the fields of sms.template.
type smsFields struct {
	Host     string // name of the machine, shortened to what fits
	Code     string
	Minutes  int    // how long the code works, rounded down, at least 1
	Lifetime string // the same in words: "10 minutes"
}

// longestSMS holds values at least as long as any that mfa.toml allows.
var longestSMS = smsFields{Code: "8888888888", Minutes: 99999, Lifetime: "86399 seconds"}

// CheckSMSTemplate returns an error that begins with the key if sms.template or
// sms.autofill_domain is wrong. A template (text/template) may be empty for the default,
// or use {{.Host}}, {{.Code}}, {{.Minutes}} and {{.Lifetime}}. It must show the code, hold
// only characters of the GSM 7-bit alphabet, and fit into one text message with the
// longest values and the line for autofillDomain.
func CheckSMSTemplate(template, autofillDomain string) error {
	if autofillDomain != "" && (Domain(autofillDomain) != autofillDomain || !strings.Contains(autofillDomain, ".")) {
		return fmt.Errorf("sms.autofill_domain: %q is not a host name like \"example.com\"", autofillDomain)
	}
	fields := longestSMS
	fields.Host = strings.Repeat("h", minHost)
	text, err := renderSMS(template, fields, autofillDomain)
	if err != nil {
		return err
	}
	if bad := notGSM7(text); bad != "" {
		return fmt.Errorf("sms.template: %q is not in the GSM 7-bit alphabet, which one text message of 160 characters needs", bad)
	}
	if n := septets(text); n > oneSegment {
		return fmt.Errorf("sms.template: needs up to %d characters with sms.autofill_domain; one text message holds %d", n, oneSegment)
	}
	return nil
}

// SMS returns the notice as a text message with that ID, in one segment: the host's
// name is shortened as far as needed. The template is one that CheckSMSTemplate
// accepted, or empty: then the text is in the language of Words, if that fits into one
// segment, else in English. So it is where the template fails with this code. If autofillDomain is not empty, the last line is one that
// phones recognise and offer to fill in on that host only
// (https://wicg.github.io/sms-one-time-codes/).
func (n CodeNotice) SMS(id, template, autofillDomain string) (mfa.Message, error) {
	fields := smsFields{Host: gsmOnly(ASCII(n.Host, FieldLimit)), Code: n.Code, Minutes: max(1, int(n.Lifetime/time.Minute))}
	render := func(template string, w *text.Printer) (string, error) {
		fields.Lifetime = w.Say("%s", text.Exact(n.Lifetime))
		return renderSMS(template, fields, autofillDomain)
	}
	said, err := render(template, nil)
	if template != "" && (err != nil || !fits(said)) { // with this code: it was tried with another
		template = ""
		said, err = render(template, nil)
	}
	if template == "" && n.Words != nil {
		if in, err := render(n.Words.Say(defaultSMS), n.Words); err == nil && fits(in) {
			said = in
		}
	}
	if err != nil {
		return mfa.Message{}, fmt.Errorf("write message %q: %w", id, err)
	}
	return mfa.Message{ID: id, Carrier: mfa.SMS, To: n.To, Text: said, Code: n.Code}, nil
}

// InvitationSMS returns the text message, with that ID, that tells a number that codes
// for logins on host will go there. It fits into one segment. Words are of who reads it.
func InvitationSMS(id, host, to string, words *text.Printer) mfa.Message {
	host = gsmOnly(ASCII(host, FieldLimit))
	said := words.Say(smsInvitation, host)
	for !fits(said) && len(host) > minHost {
		host = shorten(host)
		said = words.Say(smsInvitation, host)
	}
	return mfa.Message{ID: id, Carrier: mfa.SMS, To: to, Text: said}
}

const smsInvitation = "Codes for your logins on %s will be sent to this number. Typing the first one confirms it."

// renderSMS returns the text with as much of the host's name as fits, but at least minHost
// characters of it, even if the text is too long then.
func renderSMS(text string, f smsFields, autofillDomain string) (string, error) {
	if text == "" {
		text = defaultSMS
	}
	t, err := template.New("sms.template").Option("missingkey=error").Parse(text)
	if err != nil {
		return "", fmt.Errorf("sms.template: is no template: %w", err)
	}
	full, err := executeSMS(t, f, autofillDomain)
	for err == nil && !fits(full) && len(f.Host) > minHost {
		f.Host = shorten(f.Host)
		full, err = executeSMS(t, f, autofillDomain)
	}
	return full, err
}

func executeSMS(t *template.Template, f smsFields, autofillDomain string) (string, error) {
	var b strings.Builder
	if err := t.Execute(&b, f); err != nil {
		return "", fmt.Errorf("sms.template: cannot be filled in: %w", err)
	}
	text := strings.TrimRight(b.String(), "\n ")
	if !strings.Contains(text, f.Code) {
		return "", errors.New("sms.template: does not show the code; write {{.Code}} where it shall stand")
	}
	if autofillDomain != "" {
		text += fmt.Sprintf("\n\n@%s #%s", autofillDomain, f.Code)
	}
	return text, nil
}

// shorten takes one character off a name that ends with dots when it was cut.
func shorten(host string) string {
	name, _ := strings.CutSuffix(host, "..")
	return name[:min(len(name), len(host)-3)] + ".."
}

// The GSM 7-bit default alphabet (3GPP TS 23.038, 6.2.1): what takes one septet,
// and what takes two. Carriage return, escape and form feed are left out: no
// text of ours needs them.
const (
	gsmBasic = "@£$¥èéùìòÇ\nØøÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?" +
		"¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
	gsmExtended = "^{}\\[~]|€"
)

// fits says whether one text message holds a text: 160 septets, or with another letter
// than those 70 of two octets (3GPP TS 23.038, 6.2.3).
func fits(said string) bool {
	if notGSM7(said) != "" {
		return len(utf16.Encode([]rune(said))) <= oneWideSegment
	}
	return septets(said) <= oneSegment
}

// septets returns the length of a text in the GSM 7-bit alphabet.
func septets(text string) int {
	n := 0
	for _, r := range text {
		n++
		if strings.ContainsRune(gsmExtended, r) {
			n++
		}
	}
	return n
}

// notGSM7 returns the first character that the GSM 7-bit alphabet lacks.
func notGSM7(text string) string {
	for _, r := range text {
		if !strings.ContainsRune(gsmBasic, r) && !strings.ContainsRune(gsmExtended, r) {
			return string(r)
		}
	}
	return ""
}

// gsmOnly makes a question mark of what does not take one septet.
func gsmOnly(s string) string {
	return strings.Map(func(r rune) rune {
		if !strings.ContainsRune(gsmBasic, r) {
			return '?'
		}
		return r
	}, s)
}
