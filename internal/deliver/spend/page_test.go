package spend_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"mfa/internal/deliver/spend"
	"mfa/internal/store"
	"mfa/internal/store/storetest"
)

// TestLedgerDamagedRecord never takes a record it cannot read for an empty one.
func TestLedgerDamagedRecord(t *testing.T) {
	for _, data := range []string{
		"", "{", `{} {}`, `[]`, `{"counts":{"total":{"1":0}}}`, `{"counts":{"total":{"1":-5}}}`,
		`{"counts":{"total":{"1":9223372036854775807}}}`, `{"counts":{"total":{"x":1}}}`, `{"new":1}`,
	} {
		s := &storetest.Memory{}
		if _, err := s.Put(t.Context(), store.Item{Key: "meta/spend", Value: []byte(data)}); err != nil {
			t.Fatal(err)
		}
		l, _ := newLedger(s, spend.Limits{})
		err := l.Reserve(t.Context(), "alice", "+12025550100", false)
		if err == nil || errors.Is(err, spend.ErrLimit) || !strings.Contains(err.Error(), `"meta/spend"`) {
			t.Errorf("record %q: %v", data, err)
		}
		if _, err := l.Usage(t.Context()); err == nil {
			t.Errorf("record %q: usage has no error", data)
		}
		if got := content(t, s); len(got) != 1 || got["meta/spend"] != data {
			t.Errorf("record %q became %v", data, got)
		}
	}
}

// TestLedgerKeepsNoNumber looks for the number in all that is kept and said.
func TestLedgerKeepsNoNumber(t *testing.T) {
	s := &storetest.Memory{}
	l, _ := newLedger(s, spend.Limits{NumberPerDay: 1})
	reserve(t, l, "alice", "+12025550143")
	err := l.Reserve(t.Context(), "alice", "+12025550143", false)
	said := fmt.Sprint(content(t, s), err, usage(t, l))
	if strings.Contains(said, "5550143") || strings.Contains(said, "550143") {
		t.Errorf("the number is in %s", said)
	}
	l.Hash = nil
	if err := l.Reserve(t.Context(), "bob", "+12025550144", false); err == nil || errors.Is(err, spend.ErrLimit) {
		t.Errorf("without a hash: %v", err)
	}
}

func TestLedgerRefusesWhatIsNoNumber(t *testing.T) {
	l, _ := newLedger(&storetest.Memory{}, spend.Limits{})
	for _, to := range []string{"", "+", "12025550100", "+1202", "+12025", "+1202555x100", "+1234567890123456", "+1 2025550100"} {
		err := l.Reserve(t.Context(), "alice", to, false)
		if err == nil || errors.Is(err, spend.ErrLimit) || len(to) > 4 && strings.Contains(err.Error(), to) {
			t.Errorf("%q: %v", to, err)
		}
	}
	if u := usage(t, l); u.Total.Used != 0 || len(u.Users)+len(u.Numbers)+len(u.Prefixes) != 0 {
		t.Errorf("usage is %+v", u)
	}
}

// TestLedgerNamesThatAreNotText guards against a counter that JSON loses.
func TestLedgerNamesThatAreNotText(t *testing.T) {
	for _, name := range []string{"a\xffb", "", "../x", "a\"b\n", "<&>", "\u2028"} {
		l, _ := newLedger(&storetest.Memory{}, spend.Limits{UserPerDay: 1})
		reserve(t, l, name, number(1))
		refused(t, l, name, number(2), spend.LimitUser)
	}
}

// TestLedgerSweeps runs for twenty days and looks at what is kept.
func TestLedgerSweeps(t *testing.T) {
	s := &storetest.Memory{}
	l, clock := newLedger(s, spend.Limits{UserPerDay: 10})
	for i := range 20 * 50 {
		clock.advance(24 * time.Hour / 50)
		reserve(t, l, user(i), number(i))
	}
	u := usage(t, l)
	if n := len(u.Users); n < 50 || n > 53 {
		t.Errorf("%d users within a day, want 50 or a few more", n)
	}
	if n := len(u.Numbers); n < 50 || n > 53 {
		t.Errorf("%d numbers within a day, want 50 or a few more", n)
	}
	all := content(t, s)
	size := 0
	for _, value := range all {
		size += len(value)
	}
	if len(all) > 257 || size > 40_000 {
		t.Errorf("%d records hold %d bytes", len(all), size)
	}
	if n := len(all["meta/spend"]); n > 1000 {
		t.Errorf("the last hour takes %d bytes", n)
	}
}

// TestLedgerClockWasWrong sends while the clock is years ahead.
func TestLedgerClockWasWrong(t *testing.T) {
	l, clock := newLedger(&storetest.Memory{}, spend.Limits{UserPerDay: 1, TotalPerHour: 1})
	right := clock.now()
	clock.advance(10 * 365 * 24 * time.Hour)
	reserve(t, l, "alice", number(1))
	clock.set(right)
	reserve(t, l, "alice", number(1))

	clock.advance(-time.Minute) // another host, a little behind
	refused(t, l, "alice", number(1), spend.LimitUser)
}

// FuzzLedgerRecord puts anything where the ledger looks: it errs, or counts
// within its limits and leaves what it can read again.
func FuzzLedgerRecord(f *testing.F) {
	f.Add([]byte(`{"counts":{"total":{"6000000":3},"prefix/+12025":{"6000000":3}},"alerted":{"80":{"slot":6000000,"max":3}}}`))
	f.Add([]byte(`{"counts":{"total":null}}`))
	f.Add([]byte(`{"counts":null,"alerted":null}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s := &storetest.Memory{}
		if _, err := s.Put(t.Context(), store.Item{Key: "meta/spend", Value: data}); err != nil {
			t.Fatal(err)
		}
		const limit = 5
		l, _ := newLedger(s, spend.Limits{TotalPerHour: limit})
		before, err := l.Usage(t.Context())
		if err != nil {
			if err := l.Reserve(t.Context(), "alice", "+12025550100", false); err == nil {
				t.Error("counted in what cannot be read")
			}
			return
		}
		err = l.Reserve(t.Context(), "alice", "+12025550100", false)
		after := usage(t, l)
		switch {
		case err == nil && (before.Total.Used >= limit || after.Total.Used != before.Total.Used+1):
			t.Errorf("%d became %d", before.Total.Used, after.Total.Used)
		case err != nil && (!errors.Is(err, spend.ErrLimit) || before.Total.Used < limit):
			t.Errorf("%d used: %v", before.Total.Used, err)
		case err != nil && after.Total.Used != before.Total.Used:
			t.Errorf("refused, but %d became %d", before.Total.Used, after.Total.Used)
		}
	})
}
