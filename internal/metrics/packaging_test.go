package metrics

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"mfa/internal/audit"
	"mfa/internal/mfa"
)

const packaging = "../../packaging/metrics"

// exported returns the names of all series, as they are once everything happened.
func exported(t *testing.T) []string {
	t.Helper()
	m := New("1")
	m.Event(mfa.Event{Event: audit.Login})
	m.Event(mfa.Event{Event: audit.Failed})
	m.LoginTook(mfa.Accepted, 0)
	m.sendTime.WithLabelValues("email", sent)
	m.sendAttempts.WithLabelValues("email", sent)
	countedStore{m: m}.done(opGet, time.Now(), nil)
	var names []string
	for _, line := range scrape(t, m) {
		names = append(names, line[:strings.IndexAny(line, "{ ")])
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// metricName finds the metrics in an expression of PromQL.
var metricName = regexp.MustCompile(`\b(?:mfa|process|go)_[a-z_]+\b`)

// The series that the dashboard draws and the alerts watch are exported, and each series
// of our own is drawn.
func TestDashboardAndAlertsNameWhatIsExported(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(packaging, "grafana.json"))
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(data, &board); err != nil {
		t.Fatal(err)
	}
	var drawn []string
	for _, p := range board.Panels {
		if len(p.Targets) == 0 {
			t.Errorf("panel %q draws nothing", p.Title)
		}
		for _, target := range p.Targets {
			drawn = append(drawn, metricName.FindAllString(target.Expr, -1)...)
		}
	}
	alerts, err := os.ReadFile(filepath.Join(packaging, "alerts.yml"))
	if err != nil {
		t.Fatal(err)
	}
	names := exported(t)
	for _, name := range slices.Concat(drawn, metricName.FindAllString(string(alerts), -1)) {
		if !slices.Contains(names, name) {
			t.Errorf("%s is not exported", name)
		}
	}
	for _, name := range names {
		if base, ok := strings.CutSuffix(name, "_bucket"); ok {
			name = base + "_bucket"
		} else if strings.HasSuffix(name, "_sum") || strings.HasSuffix(name, "_count") {
			continue
		}
		if strings.HasPrefix(name, "mfa_") && !slices.Contains(drawn, name) {
			t.Errorf("%s is on no panel", name)
		}
	}
}

// Prometheus takes the alerts; each fires on a bad day and none on a good one.
func TestAlerts(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip("no promtool; apt-get install prometheus")
	}
	for _, args := range [][]string{{"check", "rules", "alerts.yml"}, {"test", "rules", "alerts_test.yml"}} {
		cmd := exec.CommandContext(t.Context(), promtool, args...)
		cmd.Dir = packaging
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %q: %v\n%s", args, err, out)
		}
	}
}
