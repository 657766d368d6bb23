// Package metrics counts what the daemon does, for Prometheus.
//
// What to know before trusting it: no label holds a name, an address or anything
// else that people choose, so the number of series is bounded and a scrape tells
// nothing about anybody. Logins, wrong codes and locks are counted from the
// events of the audit file, so the two agree. Everything starts at zero with the
// daemon.
package metrics

import (
	"math"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"mfa/internal/audit"
	"mfa/internal/mfa"
)

// services are the PAM services with a label of their own; all others share "other".
// Programs choose the name, so there could be any number.
var services = []string{
	"sshd", "sudo", "sudo-i", "su", "su-l", "login", "mfactl", "polkit-1", "cockpit", "gdm-password", "lightdm",
	"sddm", "xrdp-sesman", "vsftpd", "dovecot", "openvpn", "postgresql", "cron", "passwd", "screen", "runuser",
}

// Metrics are the daemon's numbers. All methods may be called from many
// goroutines.
type Metrics struct {
	registry *prometheus.Registry

	logins       *prometheus.CounterVec
	offlineTotal *prometheus.CounterVec
	loginTime    *prometheus.HistogramVec
	wrongCodes   *prometheus.CounterVec
	lockouts     prometheus.Counter
	unlocks      *prometheus.CounterVec
	events       *prometheus.CounterVec
	sends        *prometheus.CounterVec
	sendTime     *prometheus.HistogramVec
	sendAttempts *prometheus.CounterVec
	sendRetries  *prometheus.CounterVec
	sendsPending *prometheus.GaugeVec
	storeTime    *prometheus.HistogramVec
	storeErrors  *prometheus.CounterVec
	textAlerts   *prometheus.CounterVec
	callAlerts   *prometheus.CounterVec
	reloaded     prometheus.Gauge
	reloadOK     prometheus.Gauge

	running  atomic.Pointer[func() (now, most, refused int)]
	spending reading // on text messages
	calling  reading // on calls
	store    atomic.Pointer[func() error]
	offline  atomic.Pointer[func() bool]
}

// A reading is a function that each scrape calls for what counts against a limit.
type reading = atomic.Pointer[func() (sent, limit int, err error)]

// New returns the metrics of a daemon, all at zero. Version is a label of mfa_build_info.
func New(version string) *Metrics {
	m := &Metrics{
		registry:     prometheus.NewRegistry(),
		logins:       counters("mfa_logins_total", "Logins that ended, by PAM service, outcome and method (none: it did not come to one).", "service", "outcome", "method"),
		offlineTotal: counters("mfa_offline_logins_total", "Logins that were decided by what this host had kept, while etcd could not be reached, by outcome.", "outcome"),
		loginTime:    times("mfa_login_duration_seconds", "From a login's first frame to its verdict; people included.", []float64{.005, .025, .1, .5, 1, 2.5, 5, 10, 20, 30, 60, 90, 120}, "outcome"),
		wrongCodes:   counters("mfa_wrong_codes_total", "Wrong codes that were counted.", "service", "method"),
		lockouts:     counter("mfa_lockouts_total", "Locks of a second factor, after wrong codes or by an administrator."),
		unlocks:      counters("mfa_unlocks_total", "Locks that were ended before their time, by an administrator or the user.", "by"),
		events:       counters("mfa_audit_events_total", "Lines of the audit file, by event.", "event"),
		sends:        counters("mfa_sends_total", "Messages that ended, by carrier and result: sent or failed.", "carrier", "result"),
		sendTime:     times("mfa_send_duration_seconds", "From handing a message over to its end, retries included.", []float64{.01, .05, .1, .25, .5, 1, 2.5, 5, 10, 20, 40, 80}, "carrier", "result"),
		sendAttempts: counters("mfa_send_attempts_total", "Attempts to hand a message to the next hop, by result: taken, deferred or refused.", "carrier", "result"),
		sendRetries:  counters("mfa_send_retries_total", "Attempts that were not a message's first.", "carrier"),
		sendsPending: gauges("mfa_sends_pending", "Messages that are on their way just now.", "carrier"),
		storeTime:    times("mfa_store_duration_seconds", "Time that the store took, by operation.", []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .5, 1, 5}, "op"),
		storeErrors:  counters("mfa_store_errors_total", "Operations in which the store could not say.", "op"),
		textAlerts:   counters("mfa_text_message_alerts_total", "How often the text messages of an hour came to 80 % of their limit (near), or to the limit (reached).", "level"),
		callAlerts:   counters("mfa_call_alerts_total", "How often the calls of an hour came to 80 % of their limit (near), or to the limit (reached).", "level"),
		reloaded:     gauge("mfa_config_last_reload_success_timestamp_seconds", "When a configuration was last taken, at the start or later."),
		reloadOK:     gauge("mfa_config_last_reload_successful", "1 if the last configuration was taken, 0 if it was refused and the one before counts."),
	}
	info := gauges("mfa_build_info", "Always 1; the label says the version.", "version")
	info.WithLabelValues(version).Set(1)
	m.registry.MustRegister(
		m.logins, m.offlineTotal, m.loginTime, m.wrongCodes, m.lockouts, m.unlocks, m.events, m.sends, m.sendTime, m.sendAttempts,
		m.sendRetries, m.sendsPending, m.storeTime, m.storeErrors, m.textAlerts, m.callAlerts, m.reloaded, m.reloadOK, info,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	m.registerReadings()
	m.fill()
	return m
}

// registerReadings makes the metrics that are read at each scrape.
func (m *Metrics) registerReadings() {
	conversations := func(pick func(now, most, refused int) int) func() float64 {
		return func() float64 {
			if f := m.running.Load(); f != nil {
				return float64(pick((*f)()))
			}
			return 0
		}
	}
	messages := func(of *reading, pick func(sent, limit int) int) func() float64 {
		return func() float64 {
			f := of.Load()
			if f == nil {
				return 0
			}
			sent, limit, err := (*f)()
			if err != nil {
				return math.NaN() // 0 would say that all is well
			}
			return float64(pick(sent, limit))
		}
	}
	m.registry.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "mfa_store_ok", Help: "1 if the store can be read and its last write went well, 0 if not."}, func() float64 {
			if f := m.store.Load(); f != nil && (*f)() != nil {
				return 0
			}
			return 1
		}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "mfa_store_offline", Help: "1 while etcd cannot be reached and logins are decided by what this host has kept, else 0."}, func() float64 {
			if f := m.offline.Load(); f != nil && (*f)() {
				return 1
			}
			return 0
		}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "mfa_conversations", Help: "Logins under way."},
			conversations(func(now, _, _ int) int { return now })),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "mfa_conversations_max", Help: "server.max_logins."},
			conversations(func(_, most, _ int) int { return most })),
		prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "mfa_logins_refused_for_room_total", Help: "Logins refused because too many were under way."},
			conversations(func(_, _, refused int) int { return refused })),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "mfa_text_messages_last_hour", Help: "Text messages within the last hour that count against the limit."},
			messages(&m.spending, func(sent, _ int) int { return sent })),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "mfa_text_messages_hourly_limit", Help: "sms.per_hour; 0 while no text messages are sent, or without limit."},
			messages(&m.spending, func(_, limit int) int { return limit })),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "mfa_calls_last_hour", Help: "Phone calls within the last hour that count against the limit."},
			messages(&m.calling, func(sent, _ int) int { return sent })),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "mfa_calls_hourly_limit", Help: "sms.call.per_hour; 0 while nobody can be called, or without limit."},
			messages(&m.calling, func(_, limit int) int { return limit })),
	)
}

// fill makes the series that alerts look at, so that a first increase shows.
func (m *Metrics) fill() {
	for _, by := range []string{"administrator", "user"} {
		m.unlocks.WithLabelValues(by)
	}
	for _, carrier := range []mfa.Method{mfa.Email, mfa.SMS, mfa.Call} {
		for _, result := range []string{sent, failed} {
			m.sends.WithLabelValues(string(carrier), result)
		}
		m.sendRetries.WithLabelValues(string(carrier))
		m.sendsPending.WithLabelValues(string(carrier))
	}
	for _, how := range []string{near, reached} {
		m.textAlerts.WithLabelValues(how)
		m.callAlerts.WithLabelValues(how)
	}
	for _, op := range []string{opGet, opPut, opDelete, opKeys} {
		m.storeErrors.WithLabelValues(op)
	}
	for o := mfa.Broken; o == mfa.Broken || o.String() != mfa.Broken.String(); o++ {
		m.logins.WithLabelValues("sshd", o.String(), none)
		m.offlineTotal.WithLabelValues(o.String())
	}
}

// none stands for a label that has nothing to say.
const none = "none"

// Event counts an event of the audit file. It is meant for audit.Log.Observe.
func (m *Metrics) Event(ev mfa.Event) {
	m.events.WithLabelValues(ev.Event).Inc()
	switch ev.Event {
	case audit.Login:
		m.logins.WithLabelValues(service(ev.Service), ev.Outcome, orNone(ev.Method)).Add(float64(max(1, ev.Count)))
		if ev.Offline {
			m.offlineTotal.WithLabelValues(ev.Outcome).Inc()
		}
	case audit.Failed:
		m.wrongCodes.WithLabelValues(service(ev.Service), orNone(ev.Method)).Inc()
	case audit.Locked:
		m.lockouts.Inc()
	case audit.Unlocked:
		by := "user"
		if ev.Actor != "" && ev.Actor != ev.User {
			by = "administrator"
		}
		m.unlocks.WithLabelValues(by).Inc()
	case audit.ConfigLoad:
		m.reloaded.Set(float64(ev.Time.UnixMilli()) / 1000)
		m.reloadOK.Set(1)
	case audit.ConfigError:
		m.reloadOK.Set(0)
	}
}

// LoginTook counts the duration of a login that ended with the outcome o.
func (m *Metrics) LoginTook(o mfa.Outcome, took time.Duration) {
	m.loginTime.WithLabelValues(o.String()).Observe(took.Seconds())
}

// Running sets the function that each scrape calls for the logins under way, how many may
// be at once, and how many were refused for that since the start.
func (m *Metrics) Running(read func() (now, most, refused int)) { m.running.Store(&read) }

// Spending sets the function that each scrape calls for the text messages that count
// against the limit of an hour, and that limit. With an error both read NaN.
func (m *Metrics) Spending(read func() (sent, limit int, err error)) { m.spending.Store(&read) }

// SpendingOnCalls is Spending for phone calls.
func (m *Metrics) SpendingOnCalls(read func() (sent, limit int, err error)) { m.calling.Store(&read) }

// Offline sets the function that each scrape calls. It says whether logins are decided by
// what this host has kept.
func (m *Metrics) Offline(is func() bool) { m.offline.Store(&is) }

// StoreHealth sets the function that each scrape calls. It returns why the store cannot
// be used, or nil.
func (m *Metrics) StoreHealth(check func() error) { m.store.Store(&check) }

// Levels of an alert about text messages or calls.
const near, reached = "near", "reached"

// TextAlert counts an alert of spend.Ledger: used messages of max went out
// within an hour.
func (m *Metrics) TextAlert(used, max int) { m.textAlerts.WithLabelValues(level(used, max)).Inc() }

// CallAlert is TextAlert for phone calls.
func (m *Metrics) CallAlert(used, max int) { m.callAlerts.WithLabelValues(level(used, max)).Inc() }

func level(used, max int) string {
	if used >= max {
		return reached
	}
	return near
}

// Handler serves the metrics in the formats that Prometheus reads.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4, EnableOpenMetrics: true})
}

func service(name string) string {
	switch {
	case name == "":
		return none
	case slices.Contains(services, name):
		return name
	}
	return "other"
}

func orNone(s string) string {
	if s == "" {
		return none
	}
	return s
}

func counter(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
}

func counters(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
}

func gauge(name, help string) prometheus.Gauge {
	return prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
}

func gauges(name, help string, labels ...string) *prometheus.GaugeVec {
	return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
}

func times(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
}
