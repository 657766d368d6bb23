package smtp

import (
	"strings"
	"testing"

	"mfa/internal/deliver"
)

func TestQueueID(t *testing.T) {
	for said, want := range map[string]string{
		"2.0.0 Ok: queued as 4bXyZ1234zABC":                  "4bXyZ1234zABC",
		"OK id=1sXy12-000000001AB-0cDE":                      "1sXy12-000000001AB-0cDE",
		"2.0.0 51MAbCdE012345 Message accepted for delivery": "51MAbCdE012345",
		"2.0.0 OK  1700000000 d2e1a72fcca58-6c3 - gsmtp":     "",
		"ok":                                    "",
		"queued as " + strings.Repeat("x", 100): strings.Repeat("x", 64),
		"Ok: queued as [hidden]":                "",
		"2.6.0 <m@web1> [InternalId=12, Hostname=EX] Queued mail for delivery": "",
	} {
		if got := queueID(said); got != want {
			t.Errorf("%q: %q, want %q", said, got, want)
		}
	}
}

// Whatever a relay says, its name for a message is one short word: it goes to
// the audit log.
func FuzzQueueID(f *testing.F) {
	f.Add("2.0.0 Ok: queued as 4bXyZ1234zABC")
	f.Add("OK id=1sXy12-000000001AB-0cDE")
	f.Add("2.0.0 x Message accepted for delivery")
	f.Fuzz(func(t *testing.T, said string) {
		id := queueID(said)
		odd := func(r rune) bool { return !deliver.IsWord(r) && !strings.ContainsRune("_.-", r) }
		if len(id) > 64 || strings.ContainsFunc(id, odd) {
			t.Errorf("%q: %q", said, id)
		}
	})
}
