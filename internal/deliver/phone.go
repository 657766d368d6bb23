package deliver

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nyaruka/phonenumbers"

	"mfa/internal/mfa"
	"mfa/internal/text"
)

// PhoneExample is the number that every prompt and message shows. Its area code is not
// assigned, but ParsePhone accepts it: people type what they see, and to hear that the
// example is no number does not help them.
const PhoneExample = "+17891234567"

// maxPhoneDigits is the length of the longest number (ITU-T E.164, 6.2.1).
const maxPhoneDigits = 15

// ParsePhone returns the number s in its one canonical form, E.164 (see mfa.IsNumber).
// White space in s does not count; anything else between the digits is refused. So are
// numbers that no country gives out, premium-rate and shared-cost numbers, and if regions
// is not empty, numbers of any region but those (ISO 3166-1 codes in capitals).
//
// The error is a text.Fault, one sentence for the person who typed s, without a full stop. It
// says what is wrong, ends with an example and repeats nothing of s.
func ParsePhone(s string, regions []string) (e164 string, err error) {
	digits, wrong := phoneDigits(s)
	if wrong.IsZero() {
		e164, wrong = canonicalPhone(digits, regions)
	}
	if !wrong.IsZero() {
		return "", text.Fault{Sentence: text.Of("%s, like %s", wrong, PhoneExample)}
	}
	return e164, nil
}

// phoneDigits returns s without its plus.
func phoneDigits(s string) (digits string, wrong text.Sentence) {
	s = strings.Join(strings.Fields(s), "") // written in groups, as people do
	number, plus := strings.CutPrefix(s, "+")
	switch {
	case s == "":
		return "", text.Of("Type the number with + and the country code")
	case strings.ContainsFunc(s, isLetter):
		return "", text.Of("A number has digits only, no letters")
	case !plus && strings.HasPrefix(s, "00"):
		return "", text.Of("Write + in place of 00 before the country code")
	case !plus:
		return "", text.Of("Begin the number with + and the country code")
	}
	if strings.ContainsAny(number, "-./()") {
		return "", text.Of("Leave out dashes, points and brackets")
	}
	if strings.ContainsFunc(number, func(r rune) bool { return !isDigit(r) }) {
		return "", text.Of("After the + there are digits only")
	}
	return number, text.Sentence{}
}

func isLetter(r rune) bool { return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' }

func canonicalPhone(digits string, regions []string) (e164 string, wrong text.Sentence) {
	// The library takes a number that is too long for one that a country code
	// of its own choosing begins.
	if len(digits) > maxPhoneDigits+1 { // and a trunk zero after the country code
		return "", text.Of("This number is too long")
	}
	n, err := phonenumbers.Parse("+"+digits, "")
	switch {
	case errors.Is(err, phonenumbers.ErrInvalidCountryCode) && len(digits) >= 3:
		return "", text.Of("No country has this country code")
	case err != nil:
		return "", text.Of("This number is too short")
	}
	e164 = phonenumbers.Format(n, phonenumbers.E164)
	if e164 == PhoneExample {
		return e164, refusedRegion([]string{"US", "CA"}, regions)
	}
	switch phonenumbers.IsPossibleNumberWithReason(n) {
	case phonenumbers.TOO_SHORT, phonenumbers.IS_POSSIBLE_LOCAL_ONLY:
		return "", text.Of("This number is too short")
	case phonenumbers.TOO_LONG:
		return "", text.Of("This number is too long")
	}
	if len(e164) > 1+maxPhoneDigits { // Germany has numbers that E.164 has no room for
		return "", text.Of("This number is too long")
	}
	if !phonenumbers.IsValidNumber(n) || !mfa.IsNumber(e164) {
		return "", text.Of("This is no valid number of its country")
	}
	switch phonenumbers.GetNumberType(n) {
	case phonenumbers.PREMIUM_RATE:
		return "", text.Of("Premium-rate numbers are not allowed, use an ordinary one")
	case phonenumbers.SHARED_COST:
		return "", text.Of("Shared-cost numbers are not allowed, use an ordinary one")
	}
	return e164, refusedRegion([]string{phonenumbers.GetRegionCodeForNumber(n)}, regions)
}

// refusedRegion returns what is wrong with a number of these regions, "" if one of them is
// allowed.
func refusedRegion(of, allowed []string) (wrong text.Sentence) {
	if len(allowed) == 0 || slices.ContainsFunc(of, func(r string) bool { return slices.Contains(allowed, r) }) {
		return text.Sentence{}
	}
	return text.Of("Only numbers of %s are allowed here", strings.Join(allowed, ", "))
}

// checkRegions returns an error that names the key if one of regions is no
// region whose numbers are known.
func checkRegions(regions []string) error {
	for _, r := range regions {
		if !phonenumbers.GetSupportedRegions()[r] {
			return fmt.Errorf("sms.regions: %q is not a country code of two capitals like \"US\" or \"DE\"", r)
		}
	}
	return nil
}
