package otp

import (
	"bytes"
	"encoding/base32"
	"net/url"
	"strings"
	"testing"
	"time"

	pquerna "github.com/pquerna/otp"
)

func TestNewSecretIsAsLongAsTheHash(t *testing.T) {
	for algorithm, want := range map[string]int{"SHA1": 20, "SHA256": 32, "SHA512": 64} {
		a, b := NewSecret(algorithm), NewSecret(algorithm)
		if len(a) != want || len(b) != want || bytes.Equal(a, b) {
			t.Errorf("%s: %d and %d bytes, equal %v", algorithm, len(a), len(b), bytes.Equal(a, b))
		}
	}
}

func TestGroupsAreForTyping(t *testing.T) {
	for secret, want := range map[string]string{
		"":                     "",
		"12345678901234567890": "GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ",
		"1234567890123456":     "GEZD GNBV GY3T QOJQ GEZD GNBV GY", // no padding
	} {
		if got := Groups([]byte(secret)); got != want {
			t.Errorf("%q: %q, want %q", secret, got, want)
		}
	}
}

func TestParseSecretReadsWhatPeopleAndProgramsWrite(t *testing.T) {
	const want = "1234567890123456"
	for _, text := range []string{
		"GEZD GNBV GY3T QOJQ GEZD GNBV GY",
		"GEZDGNBVGY3TQOJQGEZDGNBVGY",
		"GEZDGNBVGY3TQOJQGEZDGNBVGY======",
		"gezd-gnbv-gy3t-qojq-gezd-gnbv-gy",
		"  gezd gnbv\tgy3t qojq\r\ngezd gnbv gy\n",
		"GEZD GNBV GY3T QOJQ GEZD GNBV GY== ====",
	} {
		if got, err := ParseSecret(text); err != nil || string(got) != want {
			t.Errorf("%q: %q %v", text, got, err)
		}
	}
}

func TestParseSecretRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                                 "0 bytes",
		"====":                             "0 bytes",
		"GEZDGNBVGY3TQOI":                  "9 bytes",
		"GEZDGNBVGY3TQOJQGEZDGNBVG":        "not base32", // a letter is missing
		"GEZDGNBVGY3TQOJQGEZ":              "not base32",
		"GEZDGNBVGY3TQOJQGEZDGN":           "not base32",
		"GEZDGNBVGY3TQOJ0GEZDGNBVGY":       "not base32", // zero
		"GEZDGNBVGY3TQOJ1GEZDGNBVGY":       "not base32",
		"GEZDGNBVGY3TQO=JQGEZDGNBVGY":      "not base32",
		"GEZDGNBVGY3TQOJQGEZDGNBVG\u0131":  "not base32", // upper case is I
		"GEZDGNBVGY3TQOJQGEZDGNBVG\u017f":  "not base32", // upper case is S
		"GEZDGNBVGY3TQOJQGEZDGNBVGY\x00":   "not base32",
		"GEZDGNBVGY3TQOJQGEZDGNBVGY\u00a0": "not base32",
	} {
		got, err := ParseSecret(text)
		if err == nil || got != nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %q %v, want %q", text, got, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "GEZD") {
			t.Errorf("the error tells the secret: %v", err)
		}
	}
}

func FuzzParseSecret(f *testing.F) {
	f.Add("GEZD GNBV GY3T QOJQ GEZD GNBV GY")
	f.Add("gezd-gnbv-gy3t-qojq-gezd-gnbv-gy======")
	f.Add("GEZDGNBVGY3TQOJQGEZDGNBVG")
	f.Add("\u0131\u017f \xff=")
	f.Fuzz(func(t *testing.T, text string) {
		secret, err := ParseSecret(text)
		if err != nil {
			if secret != nil {
				t.Errorf("%q: both a secret and %v", text, err)
			}
			return
		}
		if len(secret) < minSecret {
			t.Errorf("%q: %d bytes", text, len(secret))
		}
		again, err := ParseSecret(Groups(secret))
		if err != nil || !bytes.Equal(again, secret) {
			t.Errorf("%q: %x, and again %x %v", text, secret, again, err)
		}
		if _, err := Code(secret, 1, usual); err != nil {
			t.Errorf("%q is a secret without codes: %v", text, err)
		}
	})
}

func TestURIOfTheUsualParametersIsShort(t *testing.T) {
	got := URI("Example", "alice@host.example.com", rfcSecret("SHA1"), usual)
	want := "otpauth://totp/Example:alice@host.example.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Example"
	if got != want {
		t.Errorf("uri\n%s, want\n%s", got, want)
	}
}

func TestURINamesWhatIsNotUsual(t *testing.T) {
	got := URI("", "alice", rfcSecret("SHA1"), Params{Digits: 8, Period: time.Minute, Algorithm: "SHA512"})
	want := "otpauth://totp/alice?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&algorithm=SHA512&digits=8&period=60"
	if got != want {
		t.Errorf("uri\n%s, want\n%s", got, want)
	}
}

// Two readers that know nothing of the writer: net/url and pquerna/otp.
func TestURIIsReadAsItWasMeant(t *testing.T) {
	for _, tc := range []struct{ issuer, account, wantIssuer, wantAccount string }{
		{"Example", "alice@host.example.com", "Example", "alice@host.example.com"},
		{"Big Corp & Sons", "al ice", "Big Corp & Sons", "al ice"},
		{"a+b=c?d#e/f%41", "x+y&z/../%2F", "a+b=c?d#e/f%41", "x+y&z/../%2F"},
		{"Zürich 日本", "jürgen", "Zürich 日本", "jürgen"},
		{"ssh: prod", "alice@2001:db8::1", "ssh- prod", "alice@2001-db8--1"},
		{"", "alice", "", "alice"},
	} {
		for _, p := range []Params{usual, {Digits: 8, Period: time.Minute, Algorithm: "SHA256"}} {
			text := URI(tc.issuer, tc.account, rfcSecret(p.Algorithm), p)
			if strings.ContainsAny(text, "+ \"<>\\") {
				t.Errorf("%s: holds what readers differ about", text)
			}
			u, err := url.Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			label := tc.wantAccount
			if tc.issuer != "" {
				label = tc.wantIssuer + ":" + label
			}
			if u.Scheme != "otpauth" || u.Host != "totp" || u.Path != "/"+label || u.Fragment != "" ||
				u.Query().Get("issuer") != tc.wantIssuer || u.Query().Has("issuer") != (tc.issuer != "") {
				t.Errorf("%s: net/url reads %+v %v", text, u, u.Query())
			}
			k, err := pquerna.NewKeyFromURL(text)
			if err != nil {
				t.Fatal(err)
			}
			if k.Issuer() != tc.wantIssuer || k.AccountName() != tc.wantAccount || k.Digits().Length() != p.Digits ||
				time.Duration(k.Period())*time.Second != p.Period || k.Algorithm().String() != p.Algorithm ||
				k.Secret() != base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(rfcSecret(p.Algorithm)) {
				t.Errorf("%s: pquerna/otp reads %q %q %d %d %s %s", text,
					k.Issuer(), k.AccountName(), k.Digits(), k.Period(), k.Algorithm(), k.Secret())
			}
		}
	}
}
