package fleet

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"mfa/internal/mfa"
	"mfa/internal/store/etcd/etcdtest"
)

// patience is how long a test waits for what must come.
const patience = 2 * time.Minute

// A host is a machine of the fleet: one mfad with a host name of its own.
type host struct {
	name   string
	dir    string
	mfad   string            // the program
	relays []*etcdtest.Relay // before each member
	typed  chan struct{}     // full when somebody has typed a code

	cmd  *exec.Cmd
	done chan struct{} // closed when the process is gone
}

// configure writes mfa.toml, with settings in lines.
func (h *host) configure(t testing.TB, settings ...string) {
	t.Helper()
	if err := os.MkdirAll(h.path("run"), 0o700); err != nil {
		t.Fatal(err)
	}
	lines := append([]string{
		"server.pam_socket = '" + h.pam() + "'", "server.control_socket = '" + h.control() + "'",
		"store.path = '" + h.path("store") + "'", "audit.file = '" + h.path("audit.jsonl") + "'", "log.level = 'warn'",
		"email.transport = 'outbox'", "email.outbox.path = '" + h.path("outbox") + "'", "email.from = 'mfa@example.com'",
	}, settings...)
	if err := os.WriteFile(h.path("mfa.toml"), []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (h *host) path(name string) string { return filepath.Join(h.dir, name) }
func (h *host) pam() string             { return h.path("run/pam.sock") }
func (h *host) control() string         { return h.path("run/control.sock") }

// start starts mfad and returns when it is ready. Its host name is its own, in a UTS
// namespace (uts_namespaces(7)): hosts of a fleet are told apart by it.
func (h *host) start() error {
	notify, err := net.ListenPacket("unixgram", h.path("notify"))
	if err != nil {
		return err
	}
	defer os.Remove(h.path("notify"))
	defer notify.Close()
	out, err := os.OpenFile(h.path("log"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	cmd := exec.Command("sh", "-c", `echo "$0" >/proc/sys/kernel/hostname && exec "$@"`, h.name, h.mfad, "--config", h.path("mfa.toml"))
	cmd.Env, cmd.Stdout, cmd.Stderr = append(os.Environ(), "NOTIFY_SOCKET="+h.path("notify")), out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUTS, Pdeathsig: syscall.SIGKILL}
	started, done := make(chan error), make(chan struct{})
	go func() { // the signal comes when the thread that started the process ends
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
		}
		close(done)
		_ = notify.SetReadDeadline(time.Now())
	}()
	if err := <-started; err != nil {
		return err
	}
	h.cmd, h.done = cmd, done
	_ = notify.SetReadDeadline(time.Now().Add(patience))
	for buf := make([]byte, 4096); ; {
		n, _, err := notify.ReadFrom(buf)
		if err != nil {
			return fmt.Errorf("%s was not ready: %w\n%s", h.name, err, h.log())
		}
		if strings.Contains(string(buf[:n]), "READY=1") {
			return nil
		}
	}
}

// kill ends mfad at once. It does nothing where none runs.
func (h *host) kill() {
	if h.cmd == nil {
		return
	}
	_ = h.cmd.Process.Kill()
	<-h.done
	h.cmd = nil
}

// log returns what mfad said.
func (h *host) log() string {
	text, _ := os.ReadFile(h.path("log"))
	return string(text)
}

// tellTyped says that somebody has typed a code.
func (h *host) tellTyped() {
	select {
	case h.typed <- struct{}{}:
	default:
	}
}

// audited returns the events of that name in the audit file.
func (h *host) audited(name string) (all []mfa.Event, err error) {
	f, err := os.Open(h.path("audit.jsonl"))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var ev mfa.Event
		if err := json.Unmarshal(lines.Bytes(), &ev); err != nil {
			return nil, err
		}
		if ev.Event == name {
			all = append(all, ev)
		}
	}
	return all, nil
}
