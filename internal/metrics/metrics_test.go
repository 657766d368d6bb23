package metrics

import (
	"context"
	"errors"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"mfa/internal/audit"
	"mfa/internal/deliver"
	"mfa/internal/mfa"
	"mfa/internal/store"
	"mfa/internal/store/storetest"
)

// scrape returns the lines that Prometheus reads, without comments.
func scrape(t *testing.T, m *Metrics) []string {
	t.Helper()
	rec := httptest.NewRecorder()
	m.Handler().ServeHTTP(rec, httptest.NewRequest("GET", "/metrics", nil))
	if rec.Code != 200 {
		t.Fatalf("status %d: %s", rec.Code, rec.Body)
	}
	var lines []string
	for line := range strings.Lines(rec.Body.String()) {
		if !strings.HasPrefix(line, "#") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

func expect(t *testing.T, m *Metrics, want ...string) {
	t.Helper()
	lines := scrape(t, m)
	for _, w := range want {
		if !slices.Contains(lines, w) {
			name, _, _ := strings.Cut(w, "{")
			var near []string
			for _, l := range lines {
				if strings.HasPrefix(l, name) {
					near = append(near, l)
				}
			}
			t.Errorf("no %s; there is\n%s", w, strings.Join(near, "\n"))
		}
	}
}

func TestEvents(t *testing.T) {
	m := New("1.2.3")
	m.Event(mfa.Event{Event: audit.Login, Service: "sshd", Outcome: "accepted", Method: "totp", User: "alice"})
	m.Event(mfa.Event{Event: audit.Login, Service: "evil-service-7", Outcome: "exhausted"})
	m.Event(mfa.Event{Event: audit.Login, Outcome: "broken"})
	m.Event(mfa.Event{Event: audit.Failed, Service: "sudo", Method: "email"})
	m.Event(mfa.Event{Event: audit.Locked})
	m.Event(mfa.Event{Event: audit.Unlocked, User: "alice", Actor: "root"})
	m.Event(mfa.Event{Event: audit.Unlocked, User: "alice"})
	m.Event(mfa.Event{Event: audit.ConfigLoad, Time: time.UnixMilli(1700000000500)})
	expect(t, m,
		`mfa_logins_total{method="totp",outcome="accepted",service="sshd"} 1`,
		`mfa_logins_total{method="none",outcome="exhausted",service="other"} 1`,
		`mfa_logins_total{method="none",outcome="broken",service="none"} 1`,
		`mfa_wrong_codes_total{method="email",service="sudo"} 1`,
		`mfa_lockouts_total 1`,
		`mfa_unlocks_total{by="administrator"} 1`,
		`mfa_unlocks_total{by="user"} 1`,
		`mfa_audit_events_total{event="login"} 3`,
		`mfa_config_last_reload_success_timestamp_seconds 1.7000000005e+09`,
		`mfa_config_last_reload_successful 1`,
		`mfa_build_info{version="1.2.3"} 1`,
	)
	m.Event(mfa.Event{Event: audit.ConfigError})
	expect(t, m, `mfa_config_last_reload_successful 0`)
}

func TestReadings(t *testing.T) {
	m := New("")
	expect(t, m, "mfa_conversations 0", "mfa_text_messages_hourly_limit 0")
	m.Running(func() (int, int, int) { return 3, 9, 2 })
	m.Spending(func() (int, int, error) { return 400, 500, nil })
	m.LoginTook(mfa.Accepted, 700*time.Millisecond)
	expect(t, m,
		"mfa_conversations 3", "mfa_conversations_max 9", "mfa_logins_refused_for_room_total 2",
		"mfa_text_messages_last_hour 400", "mfa_text_messages_hourly_limit 500",
		`mfa_login_duration_seconds_bucket{outcome="accepted",le="0.5"} 0`,
		`mfa_login_duration_seconds_bucket{outcome="accepted",le="1"} 1`,
	)
	m.Spending(func() (int, int, error) { return 0, 500, errors.New("disk on fire") })
	m.SpendingOnCalls(func() (int, int, error) { return 4, 50, nil })
	expect(t, m, "mfa_text_messages_last_hour NaN", "mfa_text_messages_hourly_limit NaN", "mfa_calls_last_hour 4", "mfa_calls_hourly_limit 50")
	m.SpendingOnCalls(func() (int, int, error) { return 0, 50, errors.New("disk on fire") })
	expect(t, m, "mfa_calls_last_hour NaN", "mfa_calls_hourly_limit NaN")
}

func TestTextAlert(t *testing.T) {
	m := New("")
	expect(t, m, `mfa_text_message_alerts_total{level="near"} 0`, `mfa_text_message_alerts_total{level="reached"} 0`)
	m.TextAlert(400, 500)
	expect(t, m, `mfa_text_message_alerts_total{level="near"} 1`, `mfa_text_message_alerts_total{level="reached"} 0`)
	m.TextAlert(500, 500)
	expect(t, m, `mfa_text_message_alerts_total{level="near"} 1`, `mfa_text_message_alerts_total{level="reached"} 1`)
}

func TestCallAlert(t *testing.T) {
	m := New("")
	expect(t, m, `mfa_call_alerts_total{level="near"} 0`, `mfa_call_alerts_total{level="reached"} 0`)
	m.CallAlert(40, 50)
	m.CallAlert(50, 50)
	expect(t, m, `mfa_call_alerts_total{level="near"} 1`, `mfa_call_alerts_total{level="reached"} 1`, `mfa_text_message_alerts_total{level="near"} 0`)
}

// senderFunc is a Sender in a test.
type senderFunc func(context.Context, mfa.Message) error

func (f senderFunc) Send(ctx context.Context, m mfa.Message) error { return f(ctx, m) }

func TestSends(t *testing.T) {
	m := New("")
	left := []error{errors.New("busy"), errors.New("busy"), nil, deliver.ErrPermanent}
	s := m.Sends(deliver.Retry(m.Attempts(senderFunc(func(context.Context, mfa.Message) error {
		expect(t, m, `mfa_sends_pending{carrier="email"} 1`)
		err := left[0]
		left = left[1:]
		return err
	})), time.Microsecond, time.Microsecond))
	if err := s.Send(t.Context(), mfa.Message{Carrier: mfa.Email, To: "alice@example.com"}); err != nil {
		t.Fatal(err)
	}
	if err := s.Send(t.Context(), mfa.Message{Carrier: mfa.Email}); !errors.Is(err, deliver.ErrPermanent) {
		t.Fatal(err)
	}
	expect(t, m,
		`mfa_sends_total{carrier="email",result="sent"} 1`,
		`mfa_sends_total{carrier="email",result="failed"} 1`,
		`mfa_send_attempts_total{carrier="email",result="taken"} 1`,
		`mfa_send_attempts_total{carrier="email",result="deferred"} 2`,
		`mfa_send_attempts_total{carrier="email",result="refused"} 1`,
		`mfa_send_retries_total{carrier="email"} 2`,
		`mfa_send_retries_total{carrier="sms"} 0`,
		`mfa_sends_pending{carrier="email"} 0`,
		`mfa_send_duration_seconds_count{carrier="email",result="sent"} 1`,
	)
}

// located is a store that says where it keeps things.
type located struct{ *storetest.Memory }

func (located) Location(key string) string { return "/somewhere/" + key }

// A store that is counted is a store: it meets the suite that every store runs.
func TestStoreIsAStore(t *testing.T) {
	storetest.Run(t, func(*testing.T) store.Store { return New("").Store(&storetest.Memory{}) },
		func(_ *testing.T, s store.Store) store.Store { return s })
}

func TestStore(t *testing.T) {
	m, memory := New(""), &storetest.Memory{}
	s := m.Store(memory)
	if _, err := s.Get(t.Context(), "users/x"); !errors.Is(err, store.ErrNotFound) {
		t.Fatal(err)
	}
	it, err := s.Put(t.Context(), store.Item{Key: "users/x", Value: []byte("1")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(t.Context(), store.Item{Key: "users/x"}); !errors.Is(err, store.ErrConflict) {
		t.Fatal(err)
	}
	memory.Fail(errors.New("disk on fire"))
	_, getErr := s.Get(t.Context(), "users/x")
	_, keysErr := s.Keys(t.Context(), "")
	if delErr := s.Delete(t.Context(), it); getErr == nil || keysErr == nil || delErr == nil {
		t.Fatal("a broken store says nothing")
	}
	expect(t, m,
		`mfa_store_errors_total{op="get"} 1`, `mfa_store_errors_total{op="put"} 0`,
		`mfa_store_errors_total{op="delete"} 1`, `mfa_store_errors_total{op="keys"} 1`,
		`mfa_store_duration_seconds_count{op="get"} 2`, `mfa_store_duration_seconds_count{op="put"} 2`,
	)
	for want, s := range map[string]store.Store{"users/x": s, "/somewhere/users/x": m.Store(located{memory})} {
		if got := s.(store.Locator).Location("users/x"); got != want {
			t.Errorf("location %q, want %q", got, want)
		}
	}
}
