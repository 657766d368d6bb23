package factor

import (
	"time"

	"mfa/internal/factor/otp"
)

// CheckTOTP is otp.Verify for a code that Digits returned. With otp.Right it
// returns the step to keep in the same commit that counts the attempt; otp.Spent is
// for telling the person to wait for the next code, and lets nobody in.
func CheckTOTP(secret []byte, code string, now time.Time, last int64, skew int, p otp.Params) (int64, otp.Result, error) {
	return otp.Verify(secret, code, now, last, skew, p)
}
