package otp

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// A series has the codes that the library makes, of any secret and step.
func TestSeriesIsTheLibrarys(t *testing.T) {
	chance := rand.New(rand.NewPCG(1, 2))
	for _, algorithm := range []string{"SHA1", "SHA256", "SHA512"} {
		for digits := 6; digits <= 8; digits++ {
			p := Params{Digits: digits, Period: 30 * time.Second, Algorithm: algorithm}
			for range 200 {
				secret := make([]byte, minSecret+chance.IntN(150))
				for i := range secret {
					secret[i] = byte(chance.Uint32())
				}
				s := newSeries(secret, p)
				for range 3 {
					step := chance.Int64N(1 << 40)
					want, err := Code(secret, step, p)
					if err != nil {
						t.Fatal(err)
					}
					if got := fmt.Sprintf("%0*d", digits, s.at(step)); got != want {
						t.Fatalf("%s, %d digits, step %d of %x: %s, want %s", algorithm, digits, step, secret, got, want)
					}
				}
			}
		}
	}
}

// An answer that is no code of that many digits is near nothing.
func TestNearOfNoCode(t *testing.T) {
	p, now := Params{Digits: 6, Period: 30 * time.Second, Algorithm: "SHA1"}, time.Unix(1_700_000_000, 0)
	secret := []byte("12345678901234567890")
	code, err := Code(secret, Step(now, p.Period), p)
	if err != nil {
		t.Fatal(err)
	}
	if step, ok, err := Near(secret, code, now, 2, p); !ok || err != nil || step != Step(now, p.Period) {
		t.Errorf("Near = %d, %v, %v", step, ok, err)
	}
	for _, answer := range []string{"", "0" + code, code[1:], "+" + code[1:], "-" + code[1:], code + "\n", "99999999999999999999"} {
		if _, ok, err := Near(secret, answer, now, 120, p); ok || err != nil {
			t.Errorf("%q is near: %v, %v", answer, ok, err)
		}
	}
}

// BenchmarkNear is what a wrong code costs to tell how far a clock is off.
func BenchmarkNear(b *testing.B) {
	p := Params{Digits: 6, Period: 30 * time.Second, Algorithm: "SHA1"}
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := Near([]byte("12345678901234567890"), "000000", time.Unix(1_700_000_000, 0), 120, p); err != nil {
			b.Fatal(err)
		}
	}
}
