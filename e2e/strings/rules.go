package main

import (
	"regexp"
	"strings"
	"unicode"
)

// A rule is about strings of some audiences and kinds: none may match.
type rule struct {
	what  string
	wrong *regexp.Regexp
	to    func(said) bool // nil: all
}

func toUsers(s said) bool { return s.to == users }

// rules are those that a pattern can hold.
var rules = []rule{
	{"two blanks", regexp.MustCompile(`[\pL.,:;]  +\pL`), notAligned},
	{"a blank at the end of a line", regexp.MustCompile(` \n`), nil},
	{"an exclamation mark", regexp.MustCompile(`!(?:\s|$)`), nil},
	{"a character that is not ASCII", regexp.MustCompile(`[^\x00-\x7f]`), nil},
	{"%s in quotes in place of %q", regexp.MustCompile(`["']%s["']`), func(s said) bool { return !strings.HasSuffix(s.path, ".c") }},
	{"please", regexp.MustCompile(`(?i)\bplease\b`), nil},
	{"cannot", regexp.MustCompile(`(?i)\bcan not\b|n't\b`), nil},
	{"email", regexp.MustCompile(`(?i)\be-mails?\b`), nil},
	{"user name, host name, backup code", regexp.MustCompile(`(?i)(?:^|[^.])\busernames? |\bhostnames? [a-z]|\bbackup-codes? [a-z]+ (?:is|are)\b`), nil},
	{"second factor", regexp.MustCompile(`(?i)\b(?:2fa|two-factor|second-factor)\b`), nil},
	{"log in, a login", regexp.MustCompile(`(?i)\b(?:to|cannot|can|not|then|again:?) login\b|\blog-in|\blogon\b|\b(?:a|the|this|each|every) log in\b`), nil},
	{"enroll", regexp.MustCompile(`(?i)\benrol(?:s|ment|ments)?\b`), nil},
	{"American spelling", regexp.MustCompile(`(?i)colour|behaviour|licence\b|[a-z]{3,}(?:nis|lis|ris)(?:e|ed|es|ing|ation)\b|cancelled|catalogue|centre`), american},
	{"remembered login", regexp.MustCompile(`remembered session`), nil},
	{"SMS in place of text message", regexp.MustCompile(`\bSMS\b`), toUsers},
	{"a word of ours", regexp.MustCompile(`\b(?:TOTP|PAM|RFC|[Dd]aemon|[Ss]ocket|[Cc]onfig|stdin)\b`), toUsers},
}

// notAligned: not what is aligned on purpose, as lines of PAM, examples and columns.
func notAligned(s said) bool {
	return s.kind != "help" && !strings.Contains(s.text, "pam_mfa.so") && !strings.Contains(s.text, "requi") && !strings.HasPrefix(s.text, "%")
}

// american: words that are spelled with an s everywhere.
func american(s said) bool {
	return !regexp.MustCompile(`(?i)\b(?:otherwise|likewise|enterprise|promise|precise|premise|raises?|raised|rise|arise|surprises|surprise)\b`).MatchString(s.text)
}

// fragments are what users read within a sentence, or as a line of a list or a mail, by
// what they are.
var fragments = regexp.MustCompile(`^(?:` + strings.Join([]string{
	`Wrong codes?|Second factor (?:changed|locked|removed)|Your second factor|New backup codes|Few backup codes|Login code for %s|%s on %s`, // subjects of mails
	`Host|User|Service|From|Time`, // their tables
	`this machine itself|(?:%d|1) (?:day|hour|minute|second)s?(?: ago)?`,
	`.* (?:the|this) (?:country )?code|.* country code|This number is too (?:long|short)|.* of its country|.*, no letters|.* and brackets|.* digits only|.* use an ordinary one|.* are allowed here|%s, like %s`, // behind them stands an example
	`Code (?:by|from) .*|Codes by .*|Backup code|Authenticator app on a phone|Hardware token, .*|Later \(within %s\)|Not now|Skip for now`,                                                                       // choices
	`.* (?:run|is|with|up): ?mfactl (?:enroll|backup-codes)`,
	`Your code: %s|Key: %s|Hello\. Your login code for %s is`,
}, "|") + `)$`)

// wrong says which rules a string breaks.
func (s said) wrong() (broken []string) {
	for _, r := range rules {
		if (r.to == nil || r.to(s)) && r.wrong.MatchString(s.text) {
			broken = append(broken, r.what)
		}
	}
	if s.piece {
		return broken
	}
	switch {
	case s.to == users && !fragments.MatchString(s.text):
		broken = append(broken, s.sentence()...)
	case s.kind == "why":
		broken = append(broken, s.sentence()...)
	case s.kind == "error", s.kind == "log", s.kind == "what", s.kind == "reason", s.kind == "flag":
		if capital(s.text) {
			broken = append(broken, "a capital at the beginning")
		}
		if strings.HasSuffix(s.text, ".") && !strings.HasSuffix(s.text, "...") {
			broken = append(broken, "a full stop at the end")
		}
	case s.kind == "hint":
		if !startsWell(s.text) {
			broken = append(broken, "no capital at the beginning")
		}
	}
	return broken
}

// sentence says what a sentence lacks: it begins with a capital, unless with a value, a key
// to type or the name of a program, and ends with a full stop, or as a prompt does.
func (s said) sentence() (broken []string) {
	if !startsWell(s.text) {
		broken = append(broken, "no capital at the beginning")
	}
	if !strings.HasSuffix(s.text, ".") && !strings.HasSuffix(s.text, ": ") && !strings.HasSuffix(s.text, "?") && !strings.HasSuffix(s.text, ":") {
		broken = append(broken, "no full stop at the end")
	}
	return broken
}

var named = regexp.MustCompile(`^(?:[A-Z0-9%{]|mfactl |mfad |pam_mfa |sshd |sudo |libpam |m shows |y: |\* )`)

func startsWell(text string) bool { return named.MatchString(strings.TrimLeft(text, " \n")) }

// capital says whether a text begins with a capital that is not that of a name.
func capital(text string) bool {
	first, _, _ := strings.Cut(text, " ")
	rest := strings.TrimRight(first, ",.:;")
	return rest != "" && unicode.IsUpper(rune(rest[0])) && rest == rest[:1]+strings.ToLower(rest[1:]) && rest != "A"
}
