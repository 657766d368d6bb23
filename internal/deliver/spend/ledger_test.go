package spend_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mfa/internal/deliver"
	"mfa/internal/deliver/spend"
	"mfa/internal/seal"
	"mfa/internal/store"
	"mfa/internal/store/local"
	"mfa/internal/store/storetest"
)

// A clock is set by the test.
type clock struct{ ns atomic.Int64 }

// newClock returns a clock that stands at the beginning of a slot.
func newClock() *clock {
	c := &clock{}
	c.ns.Store(time.Unix(500_000*3600, 0).UnixNano())
	return c
}

func (c *clock) now() time.Time          { return time.Unix(0, c.ns.Load()) }
func (c *clock) advance(d time.Duration) { c.ns.Add(int64(d)) }
func (c *clock) set(at time.Time)        { c.ns.Store(at.UnixNano()) }

// keyed is a hash as the daemon has one.
func keyed(number string) string {
	h := hmac.New(sha256.New, []byte("a key of the test"))
	h.Write([]byte(number))
	return string(h.Sum(nil))
}

// newLedger returns a ledger on s, with a clock.
func newLedger(s store.Store, limits spend.Limits) (*spend.Ledger, *clock) {
	c := newClock()
	return &spend.Ledger{
		Limits: limits, Hash: keyed, Now: c.now,
		Update: func(ctx context.Context, key string, fn func([]byte) ([]byte, error)) error {
			return store.Update(ctx, s, key, fn)
		},
	}, c
}

func openStore(tb testing.TB, dir string) *local.Store {
	tb.Helper()
	s, err := local.Open(dir, func(string) (*seal.Key, error) { return seal.Parse(strings.Repeat("5a", 32)) })
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

// reserve counts a message that there must be room for.
func reserve(t *testing.T, l *spend.Ledger, user, to string) {
	t.Helper()
	if err := l.Reserve(t.Context(), user, to, false); err != nil {
		t.Fatalf("%s to %s: %v", user, to, err)
	}
}

// refused asks for a message that limit must forbid, and returns until when.
func refused(t *testing.T, l *spend.Ledger, user, to, limit string) time.Time {
	t.Helper()
	err := l.Reserve(t.Context(), user, to, false)
	var e spend.LimitError
	if !errors.Is(err, spend.ErrLimit) || !errors.As(err, &e) || e.Limit != limit {
		t.Fatalf("%s to %s: %v, want refused by %s", user, to, err, limit)
	}
	return e.Until
}

func usage(t *testing.T, l *spend.Ledger) spend.Usage {
	t.Helper()
	u, err := l.Usage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// content returns every record of s.
func content(t *testing.T, s store.Store) map[string]string {
	t.Helper()
	keys, err := s.Keys(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, key := range keys {
		it, err := s.Get(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		all[key] = string(it.Value)
	}
	return all
}

func user(i int) string { return fmt.Sprintf("user%d", i) }

// number returns numbers that share no prefix, for i below 10,000.
func number(i int) string { return fmt.Sprintf("+4%04d555000", i) }

// limitCases has each limit alone, messages that it alone makes refuse, and one
// beside them that it leaves in peace.
var limitCases = []struct {
	limit      string
	limits     func(n int) spend.Limits
	window     time.Duration
	user, to   func(i int) string
	other      string
	otherPhone string
}{
	{
		spend.LimitUser, func(n int) spend.Limits { return spend.Limits{UserPerDay: n} }, 24 * time.Hour,
		func(int) string { return "alice" }, number, "bob", number(0),
	},
	{
		spend.LimitNumber, func(n int) spend.Limits { return spend.Limits{NumberPerDay: n} }, 24 * time.Hour,
		user, func(int) string { return "+12025550100" }, user(0), "+12025550101",
	},
	{
		spend.LimitPrefix, func(n int) spend.Limits { return spend.Limits{PrefixPerHour: n} }, time.Hour,
		user, func(i int) string { return fmt.Sprintf("+120255501%02d", i) }, user(0), "+12035550100",
	},
	{
		spend.LimitTotal, func(n int) spend.Limits { return spend.Limits{TotalPerHour: n} }, time.Hour,
		user, number, "", "",
	},
}

// TestLedgerEnforces fails for each limit that is not enforced.
func TestLedgerEnforces(t *testing.T) {
	for _, c := range limitCases {
		t.Run(c.limit, func(t *testing.T) {
			s := &storetest.Memory{}
			l, clock := newLedger(s, c.limits(3))
			for i := range 3 {
				reserve(t, l, c.user(i), c.to(i))
			}
			before := content(t, s)
			if err := l.Room(t.Context(), c.user(3), c.to(3), false); !errors.Is(err, spend.ErrLimit) || !strings.Contains(err.Error(), c.limit) {
				t.Errorf("there is room: %v", err)
			}
			if c.other != "" {
				if err := l.Room(t.Context(), c.other, c.otherPhone, false); err != nil {
					t.Errorf("there is no room: %v", err)
				}
			}
			until := refused(t, l, c.user(3), c.to(3), c.limit)
			if !maps.Equal(before, content(t, s)) {
				t.Error("the refusal was counted")
			}
			if d := until.Sub(clock.now()); d < c.window || d > c.window+time.Hour {
				t.Errorf("until %v from now", d)
			}
			// It was "in 25 hours" for a limit in any 24 hours.
			if d := (spend.LimitError{Until: until, Window: c.window}).Wait(clock.now()); d != c.window {
				t.Errorf("people are told to wait %v", d)
			}
			if c.other != "" {
				reserve(t, l, c.other, c.otherPhone)
			}
			clock.set(until.Add(-time.Nanosecond))
			refused(t, l, c.user(3), c.to(3), c.limit)
			clock.set(until)
			reserve(t, l, c.user(3), c.to(3))
		})
	}
}

func TestLedgerWithoutLimits(t *testing.T) {
	l, _ := newLedger(&storetest.Memory{}, spend.Limits{})
	for range 50 {
		reserve(t, l, "alice", "+12025550100")
	}
	u := usage(t, l)
	if u.Total.Used != 50 || len(u.Users) != 1 || u.Users[0] != (spend.LimitUse{Name: "alice", Used: 50}) {
		t.Errorf("usage is %+v", u)
	}
}

// TestLedgerSlides sends whenever it may, at random times, and looks at every
// window there is.
func TestLedgerSlides(t *testing.T) {
	for _, c := range limitCases {
		t.Run(c.limit, func(t *testing.T) {
			l, clock := newLedger(&storetest.Memory{}, c.limits(3))
			var sent []time.Time
			for i := range 600 {
				clock.advance(rand.N(c.window / 20))
				now := clock.now()
				err := l.Reserve(t.Context(), c.user(i%90), c.to(i%90), false)
				if err != nil && !errors.Is(err, spend.ErrLimit) {
					t.Fatal(err)
				}
				inWindow := 0
				for _, at := range sent[max(0, len(sent)-3):] {
					if now.Sub(at) < c.window {
						inWindow++
					}
				}
				switch {
				case err == nil && inWindow >= 3:
					t.Fatalf("message %d is the fourth in a window", i)
				case err != nil && len(sent) < 3:
					t.Fatalf("message %d: %v", i, err)
				case err != nil && now.Sub(sent[len(sent)-3]) >= c.window+c.window/12:
					t.Fatalf("message %d: room came back too late", i)
				}
				if err == nil {
					sent = append(sent, now)
				}
			}
			if len(sent) < 20 {
				t.Errorf("only %d were sent", len(sent))
			}
		})
	}
}

// TestLedgerLoweredLimit has more counted than the limit allows.
func TestLedgerLoweredLimit(t *testing.T) {
	l, clock := newLedger(&storetest.Memory{}, spend.Limits{UserPerDay: 5})
	for i := range 5 {
		reserve(t, l, "alice", number(i))
		clock.advance(2 * time.Hour)
	}
	l.Limits.UserPerDay = 2
	until := refused(t, l, "alice", number(9), spend.LimitUser)
	clock.set(until.Add(-time.Nanosecond))
	refused(t, l, "alice", number(9), spend.LimitUser)
	clock.set(until)
	reserve(t, l, "alice", number(9))
}

func TestLedgerAlerts(t *testing.T) {
	var log bytes.Buffer
	var alerts []string
	s := &storetest.Memory{}
	l, clock := newLedger(s, spend.Limits{TotalPerHour: 10})
	l.Log = slog.New(slog.NewTextHandler(&log, nil))
	l.Alert = func(limit string, used, most int) {
		alerts = append(alerts, fmt.Sprintf("%s %d/%d", limit, used, most))
	}
	expect := func(when string, want ...string) {
		t.Helper()
		if !slices.Equal(alerts, want) {
			t.Errorf("%s: alerts are %q, want %q", when, alerts, want)
		}
		if lines := strings.Count(log.String(), "limit=sms.per_hour"); lines != len(want) {
			t.Errorf("%s: %d lines in the log, want %d", when, lines, len(want))
		}
		alerts = nil
		log.Reset()
	}
	send := func(from, to int) {
		t.Helper()
		for i := from; i < to; i++ {
			reserve(t, l, user(i), number(i))
		}
	}
	send(0, 7)
	expect("70 %")
	clock.advance(10 * time.Minute)
	send(7, 8)
	if !strings.Contains(log.String(), "level=WARN") {
		t.Errorf("log is %q", log.String())
	}
	expect("80 %", "sms.per_hour 8/10")
	send(8, 9)
	expect("90 %")
	send(9, 10)
	if !strings.Contains(log.String(), "level=ERROR") {
		t.Errorf("log is %q", log.String())
	}
	expect("the cap", "sms.per_hour 10/10")

	until := refused(t, l, "x", number(99), spend.LimitTotal)
	expect("a refusal")
	clock.set(until) // the first seven are gone
	send(20, 27)
	expect("the cap again within the window")

	l.Limits.TotalPerHour = 12
	send(27, 29)
	expect("a raised limit", "sms.per_hour 11/12", "sms.per_hour 12/12")

	clock.advance(2 * time.Hour)
	send(30, 42)
	expect("the next window", "sms.per_hour 10/12", "sms.per_hour 12/12")

	again, _ := newLedger(s, l.Limits)
	again.Now, again.Alert, again.Log = l.Now, l.Alert, l.Log
	refused(t, again, "x", number(99), spend.LimitTotal)
	expect("another daemon")
}

// TestLedgerAlertOfOne reaches both levels at once and says the higher.
func TestLedgerAlertOfOne(t *testing.T) {
	var log bytes.Buffer
	l, _ := newLedger(&storetest.Memory{}, spend.Limits{TotalPerHour: 1})
	l.Log = slog.New(slog.NewTextHandler(&log, nil))
	reserve(t, l, "alice", "+12025550100")
	if s := log.String(); strings.Count(s, "\n") != 1 || !strings.Contains(s, "level=ERROR") {
		t.Errorf("log is %q", s)
	}
}

func TestLedgerUsage(t *testing.T) {
	l, clock := newLedger(&storetest.Memory{}, spend.Limits{
		UserPerDay: 5, NumberPerDay: 6, PrefixPerHour: 7, TotalPerHour: 8,
	})
	reserve(t, l, "bob", "+12025550101")
	reserve(t, l, "alice", "+12025550100")
	reserve(t, l, "alice", "+442079460000")
	u := usage(t, l)
	if want := (spend.LimitUse{Used: 3, Max: 8}); u.Total != want {
		t.Errorf("total is %+v", u.Total)
	}
	if want := []spend.LimitUse{{"+12025", 2, 7}, {"+44207", 1, 7}}; !slices.Equal(u.Prefixes, want) {
		t.Errorf("prefixes are %+v", u.Prefixes)
	}
	if want := []spend.LimitUse{{"alice", 2, 5}, {"bob", 1, 5}}; !slices.Equal(u.Users, want) {
		t.Errorf("users are %+v", u.Users)
	}
	if len(u.Numbers) != 3 || u.Numbers[0].Max != 6 {
		t.Errorf("numbers are %+v", u.Numbers)
	}
	clock.advance(2 * time.Hour)
	if u := usage(t, l); u.Total.Used != 0 || len(u.Prefixes) != 0 || len(u.Users) != 2 {
		t.Errorf("two hours later: %+v", u)
	}
	clock.advance(24 * time.Hour)
	if u := usage(t, l); len(u.Users)+len(u.Numbers) != 0 {
		t.Errorf("a day later: %+v", u)
	}
}

// A stranger leaves the last quarter to the user, of the user's limit and of the
// number's, and none of those that are shared by everybody.
func TestStrangersLeaveSome(t *testing.T) {
	for most, strangers := range map[int]int{1: 1, 2: 1, 3: 2, 4: 3, 10: 7} {
		for limit, limits := range map[string]spend.Limits{
			spend.LimitUser:   {UserPerDay: most},
			spend.LimitNumber: {NumberPerDay: most},
		} {
			l, _ := newLedger(&storetest.Memory{}, limits)
			for n := range most {
				err := l.Reserve(t.Context(), "alice", "+12025550100", true)
				if n < strangers && err != nil || n >= strangers && !errors.Is(err, spend.ErrLimit) {
					t.Errorf("%s of %d: a stranger's message %d: %v", limit, most, n+1, err)
				}
			}
			for range most - strangers {
				reserve(t, l, "alice", "+12025550100")
			}
			refused(t, l, "alice", "+12025550100", limit)
		}
	}
}

// The ledger of a configuration counts in the store, keeps no number, and has no limit for
// metrics while nobody carries messages.
func TestNew(t *testing.T) {
	s := openStore(t, t.TempDir())
	key, err := seal.Parse(strings.Repeat("5a", 32))
	if err != nil {
		t.Fatal(err)
	}
	cfg := deliver.SMSConfig{Provider: deliver.ProviderCommand, PerHour: 7, PerUserPerDay: 1}
	l := spend.New(cfg, s, key)
	reserve(t, l, "alice", "+12025550123")
	if err := l.Reserve(t.Context(), "alice", "+12025550124", false); !errors.Is(err, spend.ErrLimit) {
		t.Errorf("one too many: %v", err)
	}
	if sent, limit, err := l.Reading(); sent != 1 || limit != 7 || err != nil {
		t.Errorf("%d of %d, %v", sent, limit, err)
	}
	cfg.Provider = ""
	if sent, limit, err := spend.New(cfg, s, key).Reading(); sent != 1 || limit != 0 || err != nil {
		t.Errorf("with no carrier: %d of %d, %v", sent, limit, err)
	}
	names, err := s.Keys(t.Context(), "meta/")
	if err != nil || len(names) == 0 {
		t.Fatalf("%q, %v", names, err)
	}
	for _, name := range names {
		if it, err := s.Get(t.Context(), name); err != nil || bytes.Contains(it.Value, []byte("2025550123")) {
			t.Errorf("%s: %q, %v", name, it.Value, err)
		}
	}
}
