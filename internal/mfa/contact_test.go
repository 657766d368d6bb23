package mfa

import "testing"

func TestShapesOfContacts(t *testing.T) {
	for s, want := range map[string]bool{
		"alice@example.com": true, "a.b+c@example.com": true, "ä@example.com": true,
		"": false, "alice": false, " alice@example.com": false, "<alice@example.com>": false,
		"Alice <alice@example.com>": false, "alice@example.com (home)": false, "alice@example.com\n": false,
		"a@example.com, b@example.com": false,
	} {
		if IsAddress(s) != want {
			t.Errorf("address %q: %v", s, !want)
		}
	}
	for s, want := range map[string]bool{
		"+17891234567": true, "+491701": true, "+123456789012345": true,
		"": false, "+": false, "17891234567": false, "+07891234567": false, "+1 7891234567": false,
		"+1234567890123456": false, "+12345": false, "+17891234567\n": false, "+1789123456७": false,
	} {
		if IsNumber(s) != want {
			t.Errorf("number %q: %v", s, !want)
		}
	}
}
