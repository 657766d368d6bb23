package foreign

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"mfa/internal/factor/otp"
)

// secret in base32 and in hexadecimal, as the RFCs have it.
const (
	secret32  = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
	secret16  = "3132333435363738393031323334353637383930"
	plainText = "12345678901234567890"
)

var usual = otp.Params{Digits: 6, Period: 30 * time.Second, Algorithm: "SHA1"}

var counting = otp.Params{Digits: 6, Algorithm: "SHA1"}

func TestGoogleAuthenticator(t *testing.T) {
	whole := secret32 + `
" RATE_LIMIT 3 30 1700000000
" WINDOW_SIZE 17
" STEP_SIZE 60
" DISALLOW_REUSE 56666665 56666667 56666666
" TIME_SKEW -2
" TOTP_AUTH
" LAST0 203.0.113.7 1700000000
12345678
00000001
`
	longer := usual
	longer.Period = time.Minute
	for text, want := range map[string]App{
		whole: {
			Secret: []byte(plainText), Params: longer, LastStep: 56666667, Scratch: []string{"12345678", "00000001"},
			Notes: []string{"had a window of 17 codes: totp.skew counts now", "the app's clock was -2 steps off"},
		},
		secret32 + "\n\" TOTP_AUTH\n":                    {Secret: []byte(plainText), Params: usual},
		secret32 + "\r\n\" TOTP_AUTH\r\n\r\n":            {Secret: []byte(plainText), Params: usual},
		strings.ToLower(secret32) + "\n\" TOTP_AUTH":     {Secret: []byte(plainText), Params: usual},
		secret32[:18] + "\n\" TOTP_AUTH":                 {Secret: []byte(plainText[:11]), Params: usual},
		secret32[:17] + "\n\" TOTP_AUTH":                 {Secret: []byte(plainText[:10]), Params: usual},
		"geld GNBV-GY3TQ0JQ" + "\n\" TOTP_AUTH":          {Secret: mustSecret("GELDGNBVGY3TQOJQ"), Params: usual},
		"GE1DGNBVGY3TQOJQ" + "\n\" TOTP_AUTH":            {Secret: mustSecret("GELDGNBVGY3TQOJQ"), Params: usual},
		secret32 + "\n\" DISALLOW_REUSE\n\" TOTP_AUTH\n": {Secret: []byte(plainText), Params: usual},
		secret32 + "\n\" HOTP_COUNTER 7\n12345678\n": {
			Secret: []byte(plainText), Params: counting, Count: 7, Scratch: []string{"12345678"},
		},
		secret32 + "\n\" WINDOW_SIZE 4\n\" HOTP_COUNTER 0\n\" DISALLOW_REUSE 5\n": {
			Secret: []byte(plainText), Params: counting, Notes: []string{"had a window of 4 codes: hotp.window counts now"},
		},
	} {
		got, err := GoogleAuthenticator(text)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q:\ngot  %+v, %v\nwant %+v", text, got, err, want)
		}
	}
}

func mustSecret(text string) []byte {
	b, err := otp.ParseSecret(text)
	if err != nil {
		panic(err)
	}
	return b
}

func TestGoogleAuthenticatorRefuses(t *testing.T) {
	for rest, want := range map[string]string{
		"":                                    "TOTP_AUTH",
		"12345678\n":                          "TOTP_AUTH",
		"\" TOTP_AUTH\n\" HOTP_COUNTER 7":     "TOTP_AUTH",
		"\" HOTP_COUNTER\n":                   "line 2: HOTP_COUNTER",
		"\" HOTP_COUNTER -1\n":                "line 2: HOTP_COUNTER",
		"\" HOTP_COUNTER 9999999999999\n":     "line 2: HOTP_COUNTER",
		"\" TOTP_AUTH\n1234567\n":             "line 3: neither an option nor a code of 8 digits",
		"\" TOTP_AUTH\n1234567a\n":            "line 3: neither",
		"\" TOTP_AUTH\n\" SHELL rm\n":         "line 3: an option that is not known",
		"\" STEP_SIZE 0\n\" TOTP_AUTH\n":      "line 2: STEP_SIZE",
		"\" STEP_SIZE 61\n\" TOTP_AUTH\n":     "line 2: STEP_SIZE",
		"\" DISALLOW_REUSE x\n":               "line 2: DISALLOW_REUSE",
		"\" DISALLOW_REUSE -1\n":              "line 2: DISALLOW_REUSE",
		"\" WINDOW_SIZE\n":                    "line 2: WINDOW_SIZE",
		"\" TIME_SKEW soon\n":                 "line 2: TIME_SKEW",
		strings.Repeat("12345678\n", 1000):    "line 102: more than 100 codes",
		"\" TOTP_AUTH\nroot:$6$x:19000:0::\n": "line 3: neither",
	} {
		_, err := GoogleAuthenticator(secret32 + "\n" + rest)
		expectError(t, rest, err, want)
	}
	for _, text := range []string{"", "\n", "root:x:0:0\n", "GEZDGNBV\n\" TOTP_AUTH\n"} {
		_, err := GoogleAuthenticator(text)
		expectError(t, text, err, "line 1: ")
	}
}

func expectError(t *testing.T, text string, err error, want string) {
	t.Helper()
	if err == nil || !strings.HasPrefix(err.Error(), want) && !strings.Contains(err.Error(), `"`+want+`"`) {
		t.Errorf("%q: error %v, want %s", text, err, want)
	}
}

func TestOath(t *testing.T) {
	zone := time.FixedZone("", 2*3600)
	login := time.Date(2030, 5, 17, 9, 30, 0, 0, zone)
	step := otp.Step(login, 30*time.Second)
	ahead, err := otp.Code([]byte(plainText), step+3, usual)
	if err != nil {
		t.Fatal(err)
	}
	with := func(digits int, period time.Duration, last int64) App {
		p := usual
		p.Digits, p.Period = digits, period
		return App{Secret: []byte(plainText), Params: p, LastStep: last}
	}
	counts := func(digits int, count int64) App {
		return App{Secret: []byte(plainText), Params: otp.Params{Digits: digits, Algorithm: "SHA1"}, Count: count}
	}
	text := "# comment\n\n" +
		"HOTP/T30 alice - " + secret16 + "\n" +
		"\tHOTP/T60/8\tbob\t+\t" + strings.ToUpper(secret16) + "\t0\n" +
		"HOTP/T30/7 carol - " + secret16 + " 0 " + ahead + " 2030-05-17T09:30:00L\n" +
		"HOTP/T30/6 dave - " + secret16 + " 0 000000 2030-05-17T09:30:00L\n" +
		"HOTP/T30/6 erin - " + secret16 + " 0 " + ahead + " 2030-05-17T09:30:00L\n" +
		"HOTP frank - " + secret16 + "\n" +
		"HOTP/E/8 frank - " + secret16 + "\n" +
		"HOTP/E/8 alice - " + secret16 + " 4\n" +
		"HOTP/E nick - " + secret16 + " 4 000000 2030-05-17T09:30:00L\n" +
		"HOTP olga - " + secret16 + " -4\n" +
		"HOTP pete 1234 " + secret16 + "\n" +
		"HOTP/T30 alice - " + secret16 + "\n" +
		"HOTP/T30 grace 1234 " + secret16 + "\n" +
		"HOTP/T45 heidi - " + secret16 + "\n" +
		"HOTP/T30 ivan - xyz\n" +
		"HOTP/T30 judy - 00ff\n" +
		"HOTP/T30 kim - " + secret16 + " 0 000000 yesterday\n" +
		"HOTP/T30 leo -\n" +
		"HOTP/T30 mia - " + secret16 + " 0 1 2 3\n" +
		"HOTP\n"
	want := []struct {
		line int
		user string
		app  App
		err  string
	}{
		{3, "alice", with(6, 30*time.Second, 0), ""},
		{4, "bob", with(8, time.Minute, 0), ""},
		{5, "carol", with(7, 30*time.Second, step), ""}, // the code is not of 7 digits
		{6, "dave", with(6, 30*time.Second, step), ""},
		{7, "erin", with(6, 30*time.Second, step+3), ""},
		{8, "frank", with(6, 0, 0), ""},
		{9, "frank", App{}, "another app of this user, beside line 8"},
		{10, "alice", counts(8, 4), ""}, // beside her app that goes by time
		{11, "nick", counts(6, 5), ""},  // the code of 4 was used
		{12, "olga", App{}, "the counter is not"},
		{13, "pete", App{}, "it has a PIN"},
		{14, "alice", App{}, "another app of this user, beside line 3"},
		{15, "grace", App{}, "it has a PIN"},
		{16, "heidi", App{}, "a type that is not known"},
		{17, "ivan", App{}, "the secret is not hexadecimal"},
		{18, "judy", App{}, "it cannot be used: make one-time code: the secret is too short"},
		{19, "kim", App{}, "the time of the last login"},
		{20, "leo", App{}, "3 words"},
		{21, "mia", App{}, "8 words"},
		{22, "", App{}, "1 words"},
	}
	got := Oath(text, zone)
	if len(got) != len(want) {
		t.Fatalf("%d lines, want %d: %+v", len(got), len(want), got)
	}
	for i, w := range want {
		g := got[i]
		if g.Line != w.line || g.User != w.user || !reflect.DeepEqual(g.App, w.app) {
			t.Errorf("line %d: %+v, want %+v", w.line, g, w)
		}
		if w.err == "" && g.Err != nil || w.err != "" && (g.Err == nil || !strings.HasPrefix(g.Err.Error(), w.err)) {
			t.Errorf("line %d: error %v, want %s", w.line, g.Err, w.err)
		}
	}
}

// Whatever the file holds, it is refused or gives an app that makes codes; and
// no error gives away what may be a secret.
func FuzzGoogleAuthenticator(f *testing.F) {
	f.Add(secret32 + "\n\" RATE_LIMIT 3 30\n\" WINDOW_SIZE 17\n\" DISALLOW_REUSE 1 2\n\" TOTP_AUTH\n12345678\n")
	f.Add(secret32 + "\n\" HOTP_COUNTER 1\n")
	f.Add("0189\n\" STEP_SIZE 30\n")
	f.Fuzz(func(t *testing.T, text string) {
		a, err := GoogleAuthenticator(text)
		if err != nil {
			quotesNothing(t, text, err)
			return
		}
		usable(t, a)
	})
}

// Likewise, for each line.
func FuzzOath(f *testing.F) {
	f.Add("HOTP/T30/6 alice - " + secret16 + " 0 123456 2030-05-17T09:30:00L\n")
	f.Add("# x\nHOTP alice + " + secret16 + "\n")
	f.Fuzz(func(t *testing.T, text string) {
		seen := map[string]bool{}
		for _, l := range Oath(text, time.UTC) {
			if l.Err != nil {
				quotesNothing(t, text, l.Err)
				continue
			}
			usable(t, l.App)
			of := fmt.Sprint(l.User, l.App.Counts())
			if seen[of] || l.User == "" {
				t.Errorf("user %q twice", l.User)
			}
			seen[of] = true
		}
	})
}

func usable(t *testing.T, a App) {
	t.Helper()
	p := a.Params
	if a.Counts() {
		p.Period = time.Second
	}
	if _, err := otp.Code(a.Secret, 1, p); err != nil || a.Count < 0 || a.LastStep < 0 || len(a.Scratch) > maxScratch {
		t.Errorf("%+v: %v", a, err)
	}
	for _, code := range a.Scratch {
		if len(code) != 8 {
			t.Errorf("scratch code %q", code)
		}
	}
}

// quotesNothing checks that an error repeats no long word of the text.
func quotesNothing(t *testing.T, text string, err error) {
	t.Helper()
	for _, word := range strings.Fields(text) {
		if len(word) > 16 && strings.Contains(err.Error(), word) {
			t.Errorf("error %v quotes %q", err, word)
		}
	}
	if len(err.Error()) > 300 {
		t.Errorf("a long error: %v", err)
	}
}
