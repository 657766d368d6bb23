package deliver

import (
	"strings"
	"testing"

	"mfa/internal/mfa"
)

func TestParsePhone(t *testing.T) {
	for in, want := range map[string]string{
		"+17891234567":                 "+17891234567", // the documented example
		"+14155552671":                 "+14155552671",
		"  +14155552671\n":             "+14155552671",
		"+49 170 1234567":              "+491701234567",
		"+ 1 415\u00a0555\u20092671\t": "+14155552671",
		"+4915112345678":               "+4915112345678",
		"+4407911123456":               "+447911123456", // people write the trunk zero
		"+390236618300":                "+390236618300", // and Italy keeps it
		"+5511912345678":               "+5511912345678",
		"+80012345678":                 "+80012345678",
	} {
		if got, err := ParsePhone(in, nil); got != want || err != nil {
			t.Errorf("%q: %q, %v, want %q", in, got, err, want)
		}
	}
}

func TestParsePhoneSaysWhatIsWrong(t *testing.T) {
	for _, tc := range []struct {
		in, want string
		regions  []string
	}{
		{"", "Type the number with + and the country code", nil},
		{"  ", "Type the number with + and the country code", nil},
		{"14155552671", "Begin the number with + and the country code", nil},
		{"415-555-2671", "Begin the number with + and the country code", nil},
		{"(415) 555-2671", "Begin the number with + and the country code", nil},
		{"004915112345678", "Write + in place of 00 before the country code", nil},
		{"+1800FLOWERS", "A number has digits only, no letters", nil},
		{"alice@example.com", "A number has digits only, no letters", nil},
		{"+14155552671 ext 5", "A number has digits only, no letters", nil},
		{"+1 789-123-4567", "Leave out dashes, points and brackets", nil},
		{"+1(415)5552671", "Leave out dashes, points and brackets", nil},
		{"+1.415.555.2671", "Leave out dashes, points and brackets", nil},
		{"+14155552671#5", "After the + there are digits only", nil},
		{"++14155552671", "After the + there are digits only", nil},
		{"+1415555267\x001", "After the + there are digits only", nil},
		{"+１４１５５５５２６７１", "After the + there are digits only", nil},
		{"+", "This number is too short", nil},
		{"+1", "This number is too short", nil},
		{"+1415555", "This number is too short", nil},
		{"+5552671", "This number is too short", nil},
		{"+141555526711234", "This number is too long", nil},
		{"+1415555267112345678901234567890", "This number is too long", nil},
		{"+4918156921777060", "This number is too long", nil}, // the plan of Germany has it, E.164 has no room
		{"+99912345678", "No country has this country code", nil},
		{"+04915112345678", "No country has this country code", nil},
		{"+10005551234", "This is no valid number of its country", nil},
		{"+491511", "This is no valid number of its country", nil},
		{"+19005551234", "Premium-rate numbers are not allowed, use an ordinary one", nil},
		{"+33899123456", "Premium-rate numbers are not allowed, use an ordinary one", nil},
		{"+491805123456", "Shared-cost numbers are not allowed, use an ordinary one", nil},
		{"+4915112345678", "Only numbers of US, CA are allowed here", []string{"US", "CA"}},
		{"+14165550123", "Only numbers of US are allowed here", []string{"US"}}, // Toronto
		{"+17891234567", "Only numbers of DE are allowed here", []string{"DE"}},
		{"+80012345678", "Only numbers of US are allowed here", []string{"US"}},
	} {
		got, err := ParsePhone(tc.in, tc.regions)
		if err == nil || err.Error() != tc.want+", like +17891234567" || got != "" {
			t.Errorf("%q: %q, %v, want %q", tc.in, got, err, tc.want)
		}
	}
}

func TestParsePhoneTakesAllowedRegions(t *testing.T) {
	for number, region := range map[string]string{
		"+14155552671": "US", "+14165550123": "CA", "+4915112345678": "DE", "+17891234567": "US",
	} {
		if _, err := ParsePhone(number, []string{"FR", region}); err != nil {
			t.Errorf("%s in %s: %v", number, region, err)
		}
	}
}

func TestCheckRegions(t *testing.T) {
	if err := checkRegions([]string{"US", "DE", "GB"}); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{"us", "USA", "UK", "", "ZZ", "+1"} {
		if err := checkRegions([]string{"US", bad}); err == nil || !strings.Contains(err.Error(), "sms.regions: \""+bad+"\" ") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func FuzzParsePhone(f *testing.F) {
	f.Add("+1 (415) 555-2671", "US")
	f.Add("+17891234567", "")
	f.Add("+44 (0)7911 123456", "GG")
	f.Add("+800 1234 5678", "DE")
	f.Add("+1800FLOWERS;ext=1", "")
	f.Fuzz(func(t *testing.T, in, region string) {
		var regions []string
		if region != "" {
			regions = []string{region}
		}
		got, err := ParsePhone(in, regions)
		if err != nil {
			if got != "" || !strings.HasSuffix(err.Error(), ", like +17891234567") || strings.Contains(err.Error(), "\n") && region == "" {
				t.Fatalf("%q: %q, %v", in, got, err)
			}
			return
		}
		if !mfa.IsNumber(got) {
			t.Fatalf("%q became %q", in, got)
		}
		if again, err := ParsePhone(got, regions); again != got || err != nil {
			t.Errorf("%q became %q, and that %q, %v", in, got, again, err)
		}
	})
}
