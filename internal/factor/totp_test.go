package factor

import (
	"testing"
	"time"

	"mfa/internal/factor/otp"
)

func TestCheckTOTP(t *testing.T) {
	// RFC 6238, appendix B.
	secret := []byte("12345678901234567890")
	p := otp.Params{Digits: 8, Period: 30 * time.Second, Algorithm: "SHA1"}
	now := time.Unix(1111111111, 0)
	here := otp.Step(now, p.Period)
	for answer, want := range map[string]otp.Result{
		"14050471": otp.Right,
		"07081804": otp.Right, // the step before
		"":         otp.Wrong, "1405047": otp.Wrong, "1405 0471": otp.Wrong, "140504710": otp.Wrong, "14050472": otp.Wrong,
	} {
		step, got, err := CheckTOTP(secret, answer, now, 0, 1, p)
		if got != want || err != nil || (want == otp.Right) != (step >= here-1) {
			t.Errorf("answer %q: step %d, %v %v, want %v", answer, step, got, err, want)
		}
	}
	if _, got, err := CheckTOTP(secret, "14050471", now, here, 1, p); got != otp.Spent || err != nil {
		t.Errorf("the code again: %v %v", got, err)
	}
	if _, got, err := CheckTOTP(nil, "14050471", now, 0, 1, p); got != otp.Wrong || err == nil {
		t.Errorf("no secret: %v %v", got, err)
	}
}
