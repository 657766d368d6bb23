package mfa

import (
	"errors"
	"net/mail"
	"net/netip"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// number is the shape of a number in E.164 (ITU-T E.164, 6.2.1).
var number = regexp.MustCompile(`^\+[1-9][0-9]{5,14}$`)

// IsNumber says whether s has the one shape in which numbers are kept and sent to:
// E.164, with the plus and the country code and nothing between the digits. Whether there
// is such a number deliver.ParsePhone says, when it is entered.
func IsNumber(s string) bool { return number.MatchString(s) }

// maxAddress is the length of the longest address: a path has 256 octets, and two of
// them are angle brackets (RFC 5321, 4.5.3.1.3). A local part has no bound of its own:
// mail systems deliver to longer ones than the 64 octets that they have to take.
const maxAddress = 254

// IsAddress says whether s has the one shape in which addresses are entered and sent to:
// an addr-spec that is no longer than mail can carry and has no character that cannot be
// seen. Its domain is one that DNS could know, or an IPv4 address in brackets (RFC 5321,
// 4.1.3).
func IsAddress(s string) bool {
	return len(s) <= maxAddress && !strings.ContainsFunc(s, isUnseen) && IsAddrSpec(s) && isMailDomain(DomainOf(s))
}

// IsAddrSpec says whether s is one bare address, RFC 5322 addr-spec without comments,
// quoting or a name, so that it can stand in a header and an envelope as it is. Records
// are held to this alone: earlier versions wrote down addresses that no mail reaches,
// and a record that is refused ends logins by other methods too.
func IsAddrSpec(s string) bool {
	a, err := mail.ParseAddress(s)
	return err == nil && a.Name == "" && a.Address == s
}

// DomainOf returns the domain of a bare address.
func DomainOf(address string) string {
	_, domain, _ := strings.Cut(address, "@")
	return domain
}

// ParseSender reads the address that messages come from: a bare one, or a name before a
// bare one in angle brackets (RFC 5322, 3.4: mailbox). Neither holds a control character.
func ParseSender(s string) (mail.Address, error) {
	a, err := mail.ParseAddress(s)
	switch {
	case err != nil:
		return mail.Address{}, err
	case !IsAddress(a.Address):
		return mail.Address{}, errors.New("no relay takes mail from this address")
	case strings.ContainsFunc(s+a.Name, unicode.IsControl):
		return mail.Address{}, errors.New("a control character in the name")
	}
	return *a, nil
}

// ParseReplyTo reads the address that answers go to, as ParseSender does. It is of ASCII, but
// for its name: in a header others are for mails that are sent with SMTPUTF8 (RFC 6531, 3.4),
// which is asked for when the sender or the reader has such an address.
func ParseReplyTo(s string) (mail.Address, error) {
	a, err := ParseSender(s)
	if err == nil && strings.ContainsFunc(a.Address, func(r rune) bool { return r > unicode.MaxASCII }) {
		return mail.Address{}, errors.New("the address is not in ASCII")
	}
	return a, err
}

// isUnseen says whether r leaves no ink: a control or format character, or a space. The
// two joiners are none of them: words of Persian and of India are spelled with them
// (RFC 5892, A.1 and A.2).
func isUnseen(r rune) bool {
	return !unicode.IsGraphic(r) && !unicode.Is(unicode.Join_Control, r) || unicode.IsSpace(r)
}

// isMailDomain says whether mail can be sent to the domain s. A letter beyond ASCII
// counts as one letter (RFC 6531, 3.3).
func isMailDomain(s string) bool {
	if literal, ok := strings.CutPrefix(s, "["); ok {
		ip, err := netip.ParseAddr(strings.TrimSuffix(literal, "]"))
		return err == nil && ip.Is4()
	}
	return IsHostName(strings.Map(func(r rune) rune {
		if r >= utf8.RuneSelf {
			return 'x'
		}
		return r
	}, s))
}

// IsHostName says whether s can be the name of a host (RFC 1123, 2.1), with the
// underscore that names in use have beside it.
func IsHostName(s string) bool {
	if len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(strings.TrimSuffix(s, "."), ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, "-") != label || strings.ContainsFunc(label, notInHostName) {
			return false
		}
	}
	return true
}

func notInHostName(r rune) bool {
	return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_')
}
