package factor

import (
	"time"

	"mfa/internal/factor/otp"
)

// CheckTOTP is otp.Verify for a code that Digits returned. With otp.Right it returns the
// step to store in the commit that counts the attempt. otp.Spent lets nobody in: the
// person is told to wait for the next code.
func CheckTOTP(secret []byte, code string, now time.Time, last int64, skew int, p otp.Params) (int64, otp.Result, error) {
	return otp.Verify(secret, code, now, last, skew, p)
}
