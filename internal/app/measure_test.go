package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mfa/internal/deliver"
	"mfa/internal/host/nss"
	"mfa/internal/mfa"
	"mfa/internal/wire"
	"mfa/internal/wire/wiretest"
)

// freeAddress is one of 127.0.0.1 that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// scrape returns what Prometheus reads at listen.
func (r *running) scrape(listen string) string {
	r.t.Helper()
	network, address := "tcp", listen
	if path, ok := strings.CutPrefix(listen, "unix:"); ok {
		network, address = "unix", path
	}
	tr := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, address)
	}}
	defer tr.CloseIdleConnections()
	resp, err := (&http.Client{Transport: tr, Timeout: patience}).Get("http://mfad/metrics")
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		r.t.Fatalf("%s: %v, %s", resp.Status, err, text)
	}
	return string(text)
}

// Events are counted where Prometheus looks, and nobody is named.
func TestMetrics(t *testing.T) {
	dir := shortDir(t)
	for name, listen := range map[string]string{"tcp": freeAddress(t), "unix": "unix:" + filepath.Join(dir, "m", "s")} {
		t.Run(name, func(t *testing.T) {
			cfg := goodConfig(filepath.Join(dir, name))
			cfg.Metrics.Listen = listen
			r := run(t, cfg)
			m := r.dial()
			m.expect(wire.Prompt, "Code: ")
			if text := r.scrape(listen); !strings.Contains(text, "\nmfa_conversations 1\n") {
				t.Error("a login under way is not counted")
			}
			m.answer("990099")
			m.expect(wire.Prompt, "not right")
			m.answer(code(t, cfg.Email.Outbox.Path, 1))
			m.expect(wire.Done, "s")
			other := r.knock(wiretest.Hello(mfa.Request{
				Service: "not-a-known-service", User: "no-such-user-here", RHost: "203.0.113.7", SSHConnection: "203.0.113.7 1 203.0.113.8 22",
			}))
			other.expect(wire.Prompt, "Code: ")
			other.send(wire.Frame{Type: wire.NoAnswer, Payload: []byte{wire.ConvFailed}})
			other.expect(wire.Done, "")

			// The counter follows the mail, which is there as soon as it is sent.
			text := r.scrape(listen)
			for late := time.Now().Add(patience); !strings.Contains(text, "result=\"sent\"} 1\n") && time.Now().Before(late); {
				text = r.scrape(listen)
			}
			for _, want := range []string{
				`mfa_logins_total{method="email",outcome="accepted",service="sudo"} 1`,
				`mfa_wrong_codes_total{method="email",service="sudo"} 1`,
				`mfa_login_duration_seconds_count{outcome="accepted"} 1`,
				`mfa_sends_total{carrier="email",result="sent"} 1`,
				`mfa_send_attempts_total{carrier="email",result="taken"} 1`,
				`mfa_store_errors_total{op="put"} 0`,
				`mfa_build_info{version="` + mfa.Version + `"} 1`,
				`mfa_config_last_reload_successful 1`,
				`mfa_conversations_max 1024`,
				`service="other"} 1`,
			} {
				if !strings.Contains(text, want+"\n") {
					t.Errorf("no %s", want)
				}
			}
			for _, secret := range []string{"no-such-user-here", "203.0.113.7", "example.com", "not-a-known-service", `"` + r.user + `"`} {
				if strings.Contains(text, secret) {
					t.Errorf("the metrics tell %s", secret)
				}
			}
			r.Refused(errors.New("bad"))
			if text := r.scrape(listen); !strings.Contains(text, "mfa_config_last_reload_successful 0\n") {
				t.Error("a refused configuration does not show")
			}
		})
	}
}

// An address that another program has, as any user can, keeps nobody from logging in: it is said.
func TestMetricsAddressInUse(t *testing.T) {
	cfg := goodConfig(shortDir(t))
	cfg.Metrics.Listen = freeAddress(t)
	other, err := net.Listen("tcp", cfg.Metrics.Listen)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	r := run(t, cfg)
	if st := r.status(t.Context()); !strings.Contains(st.MetricsProblem, "address already in use") || !st.StoreOK {
		t.Errorf("%+v", st)
	}
}

// A text that is sent moves the gauge, and so do the alerts at 80 % of the limit
// and at the limit.
func TestSpendingIsMeasured(t *testing.T) {
	cfg := goodConfig(shortDir(t))
	cfg.Metrics.Listen = freeAddress(t)
	cfg.SMS.Provider, cfg.SMS.Command.Path = deliver.ProviderCommand, "/bin/true"
	cfg.SMS.PerHour, cfg.SMS.PerUserPerDay = 5, 1
	r := run(t, cfg)
	expect := func(sent int, alerts ...string) {
		t.Helper()
		text := r.scrape(cfg.Metrics.Listen)
		for _, want := range append(alerts, fmt.Sprintf("mfa_text_messages_last_hour %d", sent), "mfa_text_messages_hourly_limit 5") {
			if !strings.Contains(text, want+"\n") {
				t.Errorf("no %s", want)
			}
		}
	}
	const near, reached = `mfa_text_message_alerts_total{level="near"} `, `mfa_text_message_alerts_total{level="reached"} `
	expect(0, near+"0", reached+"0")

	id, err := nss.Lookup(t.Context(), r.user)
	if err == nil {
		err = r.cur.Load().enroll.SetContact(t.Context(), id, mfa.SMS, "+12025550123", "test")
	}
	if err != nil {
		t.Fatal(err)
	}
	m := r.dial()
	m.expect(wire.Prompt, "Choice [1]: ")
	m.answer("2")
	m.expect(wire.Prompt, "A code was sent to +1")
	expect(1, near+"0", reached+"0")
	for i, want := range [][]string{{near + "0"}, {near + "0"}, {near + "1", reached + "0"}, {near + "1", reached + "1"}} {
		if err := r.cur.Load().ledger.Reserve(t.Context(), fmt.Sprint("user", i), fmt.Sprintf("+1202555013%d", i), false); err != nil {
			t.Fatal(err)
		}
		expect(2+i, want...)
	}
}

// Without a carrier there is no limit that could come near.
func TestNoSpendingWithoutCarrier(t *testing.T) {
	cfg := goodConfig(shortDir(t))
	cfg.Metrics.Listen = freeAddress(t)
	text := run(t, cfg).scrape(cfg.Metrics.Listen)
	if !strings.Contains(text, "\nmfa_text_messages_hourly_limit 0\n") || !strings.Contains(text, "\nmfa_calls_hourly_limit 0\n") {
		t.Error("a limit of messages or calls that nobody carries")
	}
}

// A call that is counted moves a gauge and alerts of its own.
func TestSpendingOnCallsIsMeasured(t *testing.T) {
	cfg := goodConfig(shortDir(t))
	cfg.Metrics.Listen = freeAddress(t)
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg.SMS.Provider, cfg.SMS.Call.PerHour = deliver.ProviderTwilio, 5
	cfg.SMS.Twilio.AccountSID, cfg.SMS.Twilio.AuthTokenFile, cfg.SMS.Twilio.From = "AC00000000000000000000000000000000", token, "+12025550100"
	r := run(t, cfg)
	for i, want := range []string{`{level="near"} 0`, `{level="near"} 0`, `{level="near"} 0`, `{level="near"} 1`, `{level="reached"} 1`} {
		if err := r.cur.Load().calls.Reserve(t.Context(), fmt.Sprint("user", i), fmt.Sprintf("+1202555013%d", i), false); err != nil {
			t.Fatal(err)
		}
		text := r.scrape(cfg.Metrics.Listen)
		for _, line := range []string{"mfa_call_alerts_total" + want, fmt.Sprint("mfa_calls_last_hour ", i+1), "mfa_calls_hourly_limit 5", "mfa_text_messages_last_hour 0"} {
			if !strings.Contains(text, "\n"+line+"\n") {
				t.Errorf("after %d calls: no %s", i+1, line)
			}
		}
	}
}
