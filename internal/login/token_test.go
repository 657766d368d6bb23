package login

import (
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"mfa/internal/enroll"
	"mfa/internal/factor/otp"
	"mfa/internal/mfa"
)

const tokenSecret = "12345678901234567890"

// tokens makes them a method of everybody.
func tokens(s *settings) {
	enrolling(s)
	s.policy.Policy.Methods = []mfa.Method{mfa.HOTP, mfa.Email, mfa.Backup}
}

// press is what the token shows at a count.
func press(t *testing.T, secret string, count int64, digits int) func() string {
	t.Helper()
	code, err := otp.Code([]byte(secret), count, otp.Params{Digits: digits, Algorithm: "SHA1", Period: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return say(code)
}

// withToken has bob set up his token at a login, at that count.
func withToken(d *harness, count int64, digits int) {
	d.t.Helper()
	d.login(request("bob"), mfa.Accepted,
		step{"Hardware token", say("1"), nil},
		step{"Type the number on your token", say("not a secret"), nil},
		step{"No token of that number waits for its user, and it is no secret", say("gezd gnbv gy3t qojq gezd gnbv gy3t qojq"), nil},
		step{"Press the button of your token", press(d.t, tokenSecret, count, digits), nil},
		step{"Backup codes", say(""), nil})
}

// A token is set up by its secret; how far it has counted and how many digits it shows, its
// first code tells, which is used then.
func TestEnrollTokenAtLogin(t *testing.T) {
	for _, digits := range []int{6, 8} {
		d := newHarness(t, tokens)
		withToken(d, 5, digits)
		en := d.enrollment("bob")
		if en.HOTP == nil || en.HOTP.Digits != digits || en.HOTP.Counter != 6 || en.HOTP.Confirmed.IsZero() || strings.Contains(en.HOTP.Secret, "GEZD") {
			t.Fatalf("%+v", en.HOTP)
		}
		d.login(request("bob"), mfa.Accepted,
			step{"Press the button of your token and type the code that it shows.", press(t, tokenSecret, 5, digits), nil},
			step{"used already", press(t, tokenSecret, 4, digits), nil},
			step{"used already", press(t, tokenSecret, 6, digits), nil})
		if n := len(d.state("bob").Failures); n != 0 {
			t.Errorf("%d failures", n)
		}
	}
}

// An app that counts takes the place of a token: its key is made here.
func TestEnrollCountingAppAtLogin(t *testing.T) {
	d := newHarness(t, tokens)
	a := &app{d: d}
	s := &script{t: t, steps: []step{
		{"Hardware token", say("1"), nil},
		{"type q", say("q"), nil},
		{"as one that counts", say("q"), nil},
		{"", func() string { return press(t, string(a.secret), 0, 6)() }, nil},
		{"Backup codes", say(""), nil},
	}}
	s.read = func(text string) {
		if strings.Contains(text, "Key: ") {
			a.scan(text)
			if !regexp.MustCompile(`otpauth://hotp/\S+&counter=0`).MatchString(strings.ReplaceAll(text, "\n", "")) {
				t.Errorf("no address in %q", text)
			}
		}
	}
	if v, err := d.engine.Login(t.Context(), request("bob"), s); v.Outcome != mfa.Accepted || len(s.steps) > 0 {
		t.Fatalf("%+v %v", v, err)
	}
	d.login(request("bob"), mfa.Accepted, step{"your token", press(t, string(a.secret), 1, 6), nil})
}

// A dropped connection goes on with the secret that was typed; whoever did not type it
// begins anew.
func TestTokenSetupResumes(t *testing.T) {
	d := newHarness(t, tokens)
	d.login(request("bob"), mfa.NoConversation,
		step{"Hardware token", say("1"), nil}, step{"Type the number on your token", say("3132333435363738393031323334353637383930"), nil},
		step{want: "Press the button", err: errors.New("gone")})
	d.login(request("bob"), mfa.Accepted,
		step{"ago from here. If that was not you", say("n"), nil}, step{"Type the number on your token", say(tokenSecret32), nil},
		step{"Press the button", press(t, tokenSecret, 0, 6), nil}, step{"Backup codes", say(""), nil})
}

const tokenSecret32 = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"

// Neither a reset nor setting the same token up again brings a used code back.
func TestTokenThatIsSetUpAgain(t *testing.T) {
	d := newHarness(t, tokens)
	withToken(d, 40, 6)
	if _, err := d.enrol.Reset(t.Context(), "bob", "root"); err != nil {
		t.Fatal(err)
	}
	bob := mfa.Identity{Name: "bob", UID: 1001}
	tok := enroll.Token{Secret: []byte(tokenSecret), Params: otp.Params{Digits: 6, Algorithm: "SHA1"}}
	if _, err := d.enrol.SetToken(t.Context(), bob, tok, "root"); err != nil {
		t.Fatal(err)
	}
	if v, err := d.enrol.Show(t.Context(), bob); err != nil || v.HOTP.Next != 41 || v.HOTP.Confirmed != nil {
		t.Errorf("%+v, %v", v.HOTP, err)
	}
	d.login(request("bob"), mfa.Accepted, step{"your token", press(t, tokenSecret, 40, 6), nil}, step{"used already", press(t, tokenSecret, 41, 6), nil})
	if d.enrollment("bob").HOTP.Confirmed.IsZero() {
		t.Error("the token of an administrator is not confirmed by its code")
	}
	if _, err := d.enrol.Reset(t.Context(), "bob", "root"); err != nil {
		t.Fatal(err)
	}
	d.login(request("bob"), mfa.Accepted,
		step{"Hardware token", say("1"), nil}, step{"Type the number on your token", say(tokenSecret32), nil},
		step{"Press the button", press(t, tokenSecret, 41, 6), nil}, step{"used already", press(t, tokenSecret, 42, 6), nil},
		step{"Backup codes", say(""), nil})
}

// A token that is far ahead is found again, which is written down; one among several
// methods is one key away.
func TestTokenIsResynchronised(t *testing.T) {
	d := newHarness(t, tokens)
	withToken(d, 0, 6)
	d.login(request("bob"), mfa.Accepted,
		step{"your token", say("m"), nil}, step{"Code from your token", say("1"), nil},
		step{"Code (m = other method):", press(t, tokenSecret, 31, 6), nil},
		step{"very next code now", press(t, tokenSecret, 32, 6), nil})
	if n := d.audited("factor.resynchronised"); n != 1 {
		t.Errorf("%d events", n)
	}
}

// Where policy does not list tokens they prove who somebody is, and do not count.
func TestTokenThatDoesNotCount(t *testing.T) {
	d := newHarness(t, enrolling)
	tok := enroll.Token{Secret: []byte(tokenSecret), Params: otp.Params{Digits: 6, Algorithm: "SHA1"}, Serial: "987654321"}
	if _, err := d.enrol.SetToken(t.Context(), mfa.Identity{Name: "bob", UID: 1001}, tok, "root"); err != nil {
		t.Fatal(err)
	}
	d.login(request("bob"), mfa.NoConversation, step{"your token", press(t, tokenSecret, 0, 6), nil}, step{want: "Choose one", err: errors.New("gone")})
}

// A name without an account is asked like one with an account, where tokens are what people have.
func TestStrangerIsAskedForAToken(t *testing.T) {
	d := newHarness(t, tokens, func(s *settings) { s.policy.Policy.Methods = []mfa.Method{mfa.HOTP} })
	d.login(request("mallory"), mfa.WrongCode, step{"Press the button of your token", say("123456"), nil},
		step{want: "very next code now", err: mfa.ErrNoConversation})
}
