package otp

import (
	"encoding/base32"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

var usual = Params{Digits: 6, Period: 30 * time.Second, Algorithm: "SHA1"}

// rfcSecret is the seed of RFC 6238, appendix B: the ten digits over and over,
// as long as the hash.
func rfcSecret(algorithm string) []byte {
	size := map[string]int{"SHA1": 20, "SHA256": 32, "SHA512": 64}[algorithm]
	return []byte(strings.Repeat("1234567890", 7)[:size])
}

// RFC 6238, appendix B.
func TestCodesOfTheStandard(t *testing.T) {
	for _, tc := range []struct {
		unix                 int64
		sha1, sha256, sha512 string
	}{
		{59, "94287082", "46119246", "90693936"},
		{1111111109, "07081804", "68084774", "25091201"},
		{1111111111, "14050471", "67062674", "99943326"},
		{1234567890, "89005924", "91819424", "93441116"},
		{2000000000, "69279037", "90698825", "38618901"},
		{20000000000, "65353130", "77737706", "47863826"},
	} {
		for algorithm, want := range map[string]string{"SHA1": tc.sha1, "SHA256": tc.sha256, "SHA512": tc.sha512} {
			p := Params{Digits: 8, Period: 30 * time.Second, Algorithm: algorithm}
			got, err := Code(rfcSecret(algorithm), Step(time.Unix(tc.unix, 0), p.Period), p)
			if err != nil || got != want {
				t.Errorf("%s at %d: %q %v, want %q", algorithm, tc.unix, got, err, want)
			}
		}
	}
}

// Another program, which shares no line of code, must come to the same codes.
func TestCodesOfOathtool(t *testing.T) {
	program(t, "oathtool", "oathtool")
	random := rand.New(rand.NewPCG(6, 238))
	for algorithm := range algorithms {
		for _, digits := range []int{6, 7, 8} {
			for _, period := range []time.Duration{30 * time.Second, time.Minute} {
				p := Params{Digits: digits, Period: period, Algorithm: algorithm}
				at := time.Unix(random.Int64N(4_000_000_000), 0).UTC()
				secret := NewSecret(algorithm)
				want := oathtool(t, secret, at, p)
				got, err := Code(secret, Step(at, period), p)
				if err != nil || got != want {
					t.Errorf("%+v at %v: %q %v, oathtool says %q", p, at, got, err, want)
				}
				if step, r, err := Verify(secret, want, at, 0, 0, p); r != Right || step != Step(at, period) || err != nil {
					t.Errorf("%+v at %v: the code of oathtool is %v, step %d, %v", p, at, r, step, err)
				}
			}
		}
	}
}

// oathtool plays the authenticator app.
func oathtool(t *testing.T, secret []byte, at time.Time, p Params) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "oathtool", "--totp="+p.Algorithm, "--digits="+strconv.Itoa(p.Digits),
		fmt.Sprintf("--time-step-size=%ds", int(p.Period.Seconds())), "--now="+at.Format("2006-01-02 15:04:05 UTC"), "--base32", "-")
	cmd.Stdin = strings.NewReader(base32.StdEncoding.EncodeToString(secret) + "\n")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("oathtool: %v\n%s", err, out)
	}
	return strings.TrimSpace(string(out))
}

func TestVerifyLooksAroundNow(t *testing.T) {
	secret := rfcSecret("SHA1")
	now := time.Unix(1111111109, 0)
	here := Step(now, usual.Period)
	for skew := range 3 {
		for away := int64(-4); away <= 4; away++ {
			answer, err := Code(secret, here+away, usual)
			if err != nil {
				t.Fatal(err)
			}
			wantStep, want := int64(0), Wrong
			if max(away, -away) <= int64(skew) {
				wantStep, want = here+away, Right
			}
			if step, r, err := Verify(secret, answer, now, 0, skew, usual); step != wantStep || r != want || err != nil {
				t.Errorf("skew %d, code %d steps away: %d %v %v, want %d %v", skew, away, step, r, err, wantStep, want)
			}
		}
	}
}

func TestVerifyTakesAStepOnceAndNoOlderOne(t *testing.T) {
	secret := rfcSecret("SHA256")
	p := Params{Digits: 8, Period: 30 * time.Second, Algorithm: "SHA256"}
	now := time.Unix(1111111109, 0)
	here := Step(now, p.Period)
	for away := int64(-1); away <= 1; away++ {
		for last := here - 2; last <= here+2; last++ {
			answer, err := Code(secret, here+away, p)
			if err != nil {
				t.Fatal(err)
			}
			wantStep, want := here+away, Right
			if here+away <= last {
				wantStep, want = 0, Spent
			}
			if step, r, err := Verify(secret, answer, now, last, 1, p); step != wantStep || r != want || err != nil {
				t.Errorf("code %d steps away, last %d: %d %v %v, want %d %v", away, last-here, step, r, err, wantStep, want)
			}
		}
	}
	if _, r, err := Verify(secret, "00000000", now, here, 1, p); r != Wrong || err != nil {
		t.Errorf("a wrong code after a right one: %v %v", r, err)
	}
}

// These two steps of the standard's secret have the same code. Were the older
// one taken, the newer would let the same code in a second time.
// sameCode and the step after it have the same code, found by trying.
const sameCode = 910737

func TestVerifyTakesTheNewerOfTwoStepsWithOneCode(t *testing.T) {
	secret := rfcSecret("SHA1")
	a, errA := Code(secret, sameCode, usual)
	b, errB := Code(secret, sameCode+1, usual)
	if a != b || errA != nil || errB != nil {
		t.Fatalf("codes %q and %q: %v %v", a, b, errA, errB)
	}
	now := time.Unix(sameCode*30, 0)
	step, r, err := Verify(secret, a, now, 0, 1, usual)
	if step != sameCode+1 || r != Right || err != nil {
		t.Errorf("step %d %v %v, want the newer one", step-sameCode, r, err)
	}
	if _, r, err := Verify(secret, a, now, step, 1, usual); r != Spent || err != nil {
		t.Errorf("the code again: %v %v", r, err)
	}
	if step, r, err := Verify(secret, a, now, sameCode, 1, usual); step != sameCode+1 || r != Right || err != nil {
		t.Errorf("the code with the older step spent: %d %v %v", step-sameCode, r, err)
	}
}

func TestVerifyTakesTheDigitsAlone(t *testing.T) {
	secret := rfcSecret("SHA1")
	now := time.Unix(59, 0)
	answer, err := Code(secret, Step(now, usual.Period), usual)
	if err != nil {
		t.Fatal(err)
	}
	for _, wrong := range []string{"", " ", answer + " ", " " + answer, answer[1:], "0" + answer, answer + "0", strings.Repeat("9", 10000)} {
		if _, r, err := Verify(secret, wrong, now, 0, 1, usual); r != Wrong || err != nil {
			t.Errorf("answer %q: %v %v", wrong, r, err)
		}
	}
}

// Nobody may be let in, or be charged with a failure, by a record that makes no
// sense.
func TestWhatCannotBeUsedIsAnError(t *testing.T) {
	now := time.Unix(59, 0)
	for name, tc := range map[string]struct {
		secret []byte
		skew   int
		change func(p *Params)
		want   string
	}{
		"no secret":        {nil, 1, func(*Params) {}, "too short"},
		"short secret":     {make([]byte, 9), 1, func(*Params) {}, "too short"},
		"few digits":       {make([]byte, 20), 1, func(p *Params) { p.Digits = 5 }, "digits are 5"},
		"many digits":      {make([]byte, 20), 1, func(p *Params) { p.Digits = 9 }, "digits are 9"},
		"no period":        {make([]byte, 20), 1, func(p *Params) { p.Period = 0 }, "period is 0s"},
		"negative period":  {make([]byte, 20), 1, func(p *Params) { p.Period = -30 * time.Second }, "period is -30s"},
		"broken period":    {make([]byte, 20), 1, func(p *Params) { p.Period = 1500 * time.Millisecond }, "whole seconds"},
		"algorithm":        {make([]byte, 20), 1, func(p *Params) { p.Algorithm = "MD5" }, `algorithm is "MD5"`},
		"algorithm's case": {make([]byte, 20), 1, func(p *Params) { p.Algorithm = "sha1" }, `algorithm is "sha1"`},
		"no algorithm":     {make([]byte, 20), 1, func(p *Params) { p.Algorithm = "" }, `algorithm is ""`},
		"negative skew":    {make([]byte, 20), -1, func(*Params) {}, "skew is -1"},
		"huge skew":        {make([]byte, 20), 1 << 40, func(*Params) {}, "skew is"},
	} {
		t.Run(name, func(t *testing.T) {
			p := usual
			tc.change(&p)
			if _, r, err := Verify(tc.secret, "000000", now, 0, tc.skew, p); r != Wrong || err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("verify: %v %v, want %q", r, err, tc.want)
			}
			if strings.Contains(tc.want, "skew") {
				return
			}
			if code, err := Code(tc.secret, 1, p); code != "" || err == nil {
				t.Errorf("code %q %v", code, err)
			}
		})
	}
}

func BenchmarkVerify(b *testing.B) {
	secret := rfcSecret("SHA1")
	now := time.Unix(1111111109, 0)
	for b.Loop() {
		if _, _, err := Verify(secret, "000000", now, 0, 1, usual); err != nil {
			b.Fatal(err)
		}
	}
}
