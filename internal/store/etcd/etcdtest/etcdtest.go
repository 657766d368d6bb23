// Package etcdtest starts real etcd members on loopback for tests.
//
// What to know before trusting it: the program is etcd of the package etcd-server, which
// e2e/install.sh brings, or the one that ETCD_BIN names. Every member has a folder of its
// own and dies with the test.
package etcdtest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// debian is the package of Debian that has etcd.
const debian = "etcd-server"

// Program returns the path of etcd, and installs it where it is missing.
func Program(t testing.TB) string {
	t.Helper()
	if path := os.Getenv("ETCD_BIN"); path != "" {
		return path
	}
	return installed(t, debian, "etcd")
}

// installed returns the path of a program, and installs the package of Debian that has it
// where it is missing.
func installed(t testing.TB, pkg, program string) string {
	t.Helper()
	if path, err := exec.LookPath(program); err == nil {
		return path
	}
	_, here, _, _ := runtime.Caller(0)
	install := filepath.Join(filepath.Dir(here), "../../../../e2e/install.sh")
	if out, err := exec.CommandContext(t.Context(), install, pkg).CombinedOutput(); err != nil {
		t.Fatalf("install %s: %v\n%s", pkg, err, out)
	}
	path, err := exec.LookPath(program)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// A Cluster is some members of one etcd.
type Cluster struct {
	Members []*Member
}

// A Member is one etcd process.
type Member struct {
	Client string // URL for clients
	Name   string
	peers  *Relay // before it, for other members; nil: they reach it themselves
	peer   string // URL for other members
	args   []string
	dir    string
	cmd    *exec.Cmd
	log    *os.File
	done   chan struct{} // closed when the process is gone
}

// Start starts a cluster of n members with more arguments for each, and waits until it
// answers.
func Start(t testing.TB, n int, more ...string) *Cluster {
	t.Helper()
	return launch(t, n, more, func(*Member) {})
}

// StartApart is Start of members that reach each other through relays; see Cluster.Part.
func StartApart(t testing.TB, n int, more ...string) *Cluster {
	t.Helper()
	return launch(t, n, more, func(m *Member) {
		m.peers = NewRelay(t, strings.TrimPrefix(m.peer, "http://"))
	})
}

// launch is Start; prepare is called for each member before any runs.
func launch(t testing.TB, n int, more []string, prepare func(*Member)) *Cluster {
	t.Helper()
	program, dir := Program(t), t.TempDir()
	scheme := "http"
	if slices.ContainsFunc(more, func(arg string) bool { return strings.HasPrefix(arg, "--cert-file") }) {
		scheme = "https"
	}
	ports := freePorts(t, 2*n)
	c := &Cluster{}
	var all []string
	for i := range n {
		name := fmt.Sprint("m", i)
		m := &Member{
			Client: fmt.Sprintf("%s://127.0.0.1:%d", scheme, ports[2*i]), peer: fmt.Sprintf("http://127.0.0.1:%d", ports[2*i+1]),
			Name: name, dir: filepath.Join(dir, name),
		}
		prepare(m)
		c.Members = append(c.Members, m)
		all = append(all, name+"="+m.advertised())
	}
	for _, m := range c.Members {
		m.args = append([]string{
			program, "--name", m.Name, "--data-dir", m.dir, "--logger", "zap", "--log-level", "warn",
			"--listen-client-urls", m.Client, "--advertise-client-urls", m.Client,
			"--listen-peer-urls", m.peer, "--initial-advertise-peer-urls", m.advertised(),
			"--initial-cluster", strings.Join(all, ","), "--initial-cluster-state", "new",
			"--heartbeat-interval", "50", "--election-timeout", "500",
		}, more...)
		m.Start(t)
		t.Cleanup(func() { m.Kill() })
	}
	if scheme == "http" {
		c.AwaitHealthy(t)
	}
	return c
}

// advertised is where other members reach it.
func (m *Member) advertised() string {
	if m.peers != nil {
		return "http://" + m.peers.Addr
	}
	return m.peer
}

// Endpoints returns the URLs of all members for clients.
func (c *Cluster) Endpoints() (all []string) {
	for _, m := range c.Members {
		all = append(all, m.Client)
	}
	return all
}

// AwaitHealthy waits until every member that runs has a leader and answers.
func (c *Cluster) AwaitHealthy(t testing.TB) {
	t.Helper()
	for _, m := range c.Members {
		if m.cmd != nil {
			m.awaitHealthy(t)
		}
	}
}

// Start starts the member, which must not run, with the data that it had.
func (m *Member) Start(t testing.TB) {
	t.Helper()
	log, err := os.OpenFile(m.dir+".log", os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(m.args[0], m.args[1:]...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = append(os.Environ(), "ETCD_UNSUPPORTED_ARCH="+runtime.GOARCH)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	// The signal comes when the thread that started the process ends.
	started := make(chan error)
	done := make(chan struct{})
	go func() {
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
		}
		close(done)
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	m.cmd, m.log, m.done = cmd, log, done
}

// Kill kills the member at once. Killing one that does not run is harmless.
func (m *Member) Kill() {
	if m.cmd == nil {
		return
	}
	_ = m.cmd.Process.Kill()
	<-m.done
	_ = m.log.Close()
	m.cmd = nil
}

// Pause stops the member without ending it, until Resume: it answers nothing, and its
// connections stay. It returns when all threads of the member stand still: one that runs on
// another processor goes on for a moment after the signal.
func (m *Member) Pause() {
	_ = m.cmd.Process.Signal(syscall.SIGSTOP)
	for !m.stopped() {
		time.Sleep(time.Millisecond)
	}
}

// stopped reports whether no thread of the member runs: all are stopped, or it has ended. See
// proc_pid_stat(5).
func (m *Member) stopped() bool {
	stats, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", m.cmd.Process.Pid))
	for _, name := range stats {
		stat, err := os.ReadFile(name)
		if err != nil {
			continue // the thread has ended
		}
		if _, behind, _ := strings.Cut(string(stat), ") "); !strings.HasPrefix(behind, "T") {
			return false
		}
	}
	return true
}

// Resume ends Pause.
func (m *Member) Resume() { _ = m.cmd.Process.Signal(syscall.SIGCONT) }

// Log returns what the member has logged.
func (m *Member) Log() string {
	text, _ := os.ReadFile(m.dir + ".log")
	return string(text)
}

// awaitHealthy waits until the member says that it is well.
func (m *Member) awaitHealthy(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		err := m.healthy(ctx)
		if err == nil {
			return
		}
		select {
		case <-m.done:
			t.Fatalf("etcd ended:\n%s", m.Log())
		case <-ctx.Done():
			t.Fatalf("etcd does not become healthy: %v\n%s", err, m.Log())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (m *Member) healthy(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, m.Client+"/health", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	return nil
}

// freePorts returns ports that nobody listens on.
func freePorts(t testing.TB, n int) (ports []int) {
	t.Helper()
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports
}

// Asked returns how many questions about keys the member was asked since it started.
func (m *Member) Asked(t testing.TB) (n int) {
	t.Helper()
	resp, err := http.Get(m.Client + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), "} ")
		if !strings.HasPrefix(name, "grpc_server_started_total{") || !strings.Contains(name, `grpc_service="etcdserverpb.KV"`) {
			continue
		}
		one, err := strconv.ParseFloat(value, 64)
		if err != nil {
			t.Fatal(err)
		}
		n += int(one)
	}
	return n
}
