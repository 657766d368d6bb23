package doctor

import (
	"context"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"mfa/internal/wire"
)

func TestProxyOfAnEnvironment(t *testing.T) {
	for environ, want := range map[string]string{
		"": "",
		"HTTPS_PROXY=http://mfa:word@proxy.example.com:3128":  "http://proxy.example.com:3128",
		"https_proxy=proxy.example.com:3128":                  "http://proxy.example.com:3128",
		"HTTP_PROXY=http://proxy.example.com:3128":            "",
		"HTTPS_PROXY=http://p:1|NO_PROXY=twilio.com":          "",
		"HTTPS_PROXY=http://p:1|NO_PROXY=a.b, .twilio.com":    "",
		"HTTPS_PROXY=http://p:1|NO_PROXY=*":                   "",
		"HTTPS_PROXY=http://p:1|no_proxy=lio.com,example.com": "http://p:1",
	} {
		if got := proxyOf(strings.Split(environ, "|"), "https://api.twilio.com"); got != want {
			t.Errorf("%q: %q, want %q", environ, got, want)
		}
	}
	if got := proxyOf([]string{"HTTP_PROXY=http://p:1", "HTTPS_PROXY=http://p:2"}, "http://localhost:80/{{.To}}"); got != "" {
		t.Errorf("to this very machine by %q", got)
	}
}

// Where a proxy is gone by, it is the proxy that is reached for, by mfad's environment
// and not by ours.
func TestDoctorReachesForTheProxy(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	up, down := "http://"+l.Addr().String(), "http://127.0.0.1:1"
	daemon := exec.Command("sleep", "60")
	daemon.Env = []string{"HTTPS_PROXY=" + up}
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = daemon.Process.Kill(); _ = daemon.Wait() }()
	t.Setenv("HTTPS_PROXY", down)
	gateway := "https://gateway.invalid"
	for name, tc := range map[string]struct {
		proxy string
		pid   int
		want  string
	}{
		"of the file":        {up, os.Getpid(), "the proxy"},
		"of the environment": {"", daemon.Process.Pid, "the proxy"},
		"not there":          {down, daemon.Process.Pid, "reach \"127.0.0.1:1\""},
		"none":               {"none", daemon.Process.Pid, "reach \"gateway.invalid:443\""},
	} {
		e := &exam{status: &wire.Status{PID: tc.pid}}
		e.extra.SMS = smsPlace{Provider: "http", Proxy: tc.proxy}
		e.extra.SMS.HTTP.URL = gateway
		e.sms(context.Background())
		if len(e.Findings) != 1 || !strings.Contains(e.Findings[0].What, tc.want) {
			t.Errorf("%s: %+v, want %q", name, e.Findings, tc.want)
		}
	}
}
