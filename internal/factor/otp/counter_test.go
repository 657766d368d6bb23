package otp

import (
	"encoding/base32"
	"math/rand/v2"
	"net/url"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	pquerna "github.com/pquerna/otp"
)

// Another program, which shares no line of code, must come to the same codes.
func TestCountCodesOfOathtool(t *testing.T) {
	program(t, "oathtool", "oathtool")
	random := rand.New(rand.NewPCG(4, 226))
	for _, digits := range []int{6, 7, 8} {
		for range 4 {
			p, secret, count := Params{Digits: digits, Algorithm: "SHA1"}, NewSecret("SHA1"), random.Int64N(MaxCount)
			cmd := exec.CommandContext(t.Context(), "oathtool", "--hotp", "--digits="+strconv.Itoa(digits), "--counter="+strconv.FormatInt(count, 10), "--base32", "-")
			cmd.Stdin = strings.NewReader(base32.StdEncoding.EncodeToString(secret) + "\n")
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("oathtool: %v\n%s", err, out)
			}
			want := strings.TrimSpace(string(out))
			if got, err := Code(secret, count, p.counting()); got != want || err != nil {
				t.Errorf("%d digits at %d: %q, %v; oathtool says %q", digits, count, got, err, want)
			}
			if at, found, err := Find(secret, want, count-2, 5, p); !found || at < count || err != nil {
				t.Errorf("%d digits at %d: found %v at %d, %v", digits, count, found, at, err)
			}
		}
	}
}

func TestFindLooksNowhereElse(t *testing.T) {
	secret, p := rfcSecret("SHA1"), Params{Digits: 6, Algorithm: "SHA1"}
	for count, code := range []string{"755224", "287082", "359152", "969429", "338314"} { // RFC 4226, appendix D
		at, found, err := Find(secret, code, 1, 3, p)
		if in := count >= 1 && count <= 3; found != in || err != nil || in && at != int64(count) || !in && at != 0 {
			t.Errorf("count %d: %d, %v, %v", count, at, found, err)
		}
	}
	if _, found, err := Find(secret, "755224", 0, 0, p); found || err != nil {
		t.Errorf("among none: %v, %v", found, err)
	}
}

// Phones read what URIs of counting apps say.
func TestCountURI(t *testing.T) {
	uri := CountURI("host", "alice", rfcSecret("SHA1"), 7, Params{Digits: 6, Algorithm: "SHA1"})
	k, err := pquerna.NewKeyFromURL(uri)
	if err != nil || k.Type() != "hotp" || k.Issuer() != "host" || k.AccountName() != "alice" || k.Secret() != encode(rfcSecret("SHA1")) {
		t.Errorf("%s: %v, %v", uri, k, err)
	}
	u, err := url.Parse(uri)
	if err != nil || u.Query().Get("counter") != "7" || u.Query().Has("period") {
		t.Errorf("%s: %v", uri, err)
	}
}

// A token goes by the same name everywhere, and by no other's.
func TestTokenName(t *testing.T) {
	a := TokenName(rfcSecret("SHA1"))
	if b := TokenName(rfcSecret("SHA1")); a != b || a == TokenName(rfcSecret("SHA256")) || len(a) != 22 {
		t.Errorf("%q and %q", a, b)
	}
}
