package spend_test

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"mfa/internal/deliver/spend"
	"mfa/internal/store/storetest"
)

// Calls are counted apart from text messages, in records of their own, and their limits are
// named by their own keys.
func TestCallsAreCountedApart(t *testing.T) {
	s := &storetest.Memory{}
	for limit, limits := range map[string]spend.Limits{
		"sms.call.per_user_per_day":    {UserPerDay: 1},
		"sms.call.per_number_per_day":  {NumberPerDay: 1},
		"sms.call.per_prefix_per_hour": {PrefixPerHour: 1},
		"sms.call.per_hour":            {TotalPerHour: 1},
	} {
		s = &storetest.Memory{}
		texts, _ := newLedger(s, limits)
		calls, _ := newLedger(s, limits)
		var log bytes.Buffer
		calls.Calls, calls.Log = true, slog.New(slog.NewTextHandler(&log, nil))
		reserve(t, texts, "alice", "+12025550100")
		reserve(t, calls, "alice", "+12025550100")
		refused(t, calls, "alice", "+12025550100", limit)
		if err := texts.Reserve(t.Context(), "alice", "+12025550100", false); !errors.Is(err, spend.ErrLimit) || strings.Contains(err.Error(), "call") {
			t.Errorf("%s: texts: %v", limit, err)
		}
		if said := log.String(); limits.TotalPerHour > 0 && (!strings.Contains(said, "calls reached their limit") || !strings.Contains(said, limit)) {
			t.Errorf("the log says %q", said)
		}
		if u := usage(t, calls); u.Total.Used != 1 || len(u.Users) != 1 {
			t.Errorf("%s: usage of calls is %+v", limit, u)
		}
	}
	for key := range content(t, s) {
		if !strings.HasPrefix(key, "meta/spend") {
			t.Errorf("record %q", key)
		}
	}
}
