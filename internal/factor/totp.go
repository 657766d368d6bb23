package factor

import (
	"strings"
	"time"

	"mfa/internal/otp"
)

// joined takes out what people put between the digits of a code.
var joined = strings.NewReplacer(" ", "", "-", "")

// CheckTOTP is otp.Verify for an answer as people type it: spaces and dashes do
// not count. With otp.Right it returns the step to keep in the same commit that
// counts the attempt; otp.Spent is for telling the person to wait for the next
// code, and lets nobody in.
func CheckTOTP(secret []byte, answer string, now time.Time, last int64, skew int, p otp.Params) (int64, otp.Result, error) {
	return otp.Verify(secret, joined.Replace(answer), now, last, skew, p)
}
