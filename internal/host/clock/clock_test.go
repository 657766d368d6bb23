package clock

import (
	"bufio"
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"golang.org/x/sys/unix"
)

// patience is how long a broken clock holds up its test; a good one does not.
const patience = 30 * time.Second

// shortDir is a t.TempDir whose name leaves room for that of a socket.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "clock")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// The word of the kernel counts, where it may be asked.
func TestKernelVouchesForTheClock(t *testing.T) {
	for name, tc := range map[string]struct {
		state  int
		status int32
		err    error
		want   bool
	}{
		"synchronised":     {unix.TIME_OK, unix.STA_PLL, nil, true},
		"leap second":      {unix.TIME_INS, unix.STA_PLL | unix.STA_INS, nil, true},
		"not synchronised": {unix.TIME_ERROR, unix.STA_UNSYNC, nil, false},
		"error bit alone":  {unix.TIME_ERROR, 0, nil, false},
		"unsync bit alone": {unix.TIME_OK, unix.STA_UNSYNC, nil, false},
		"no such call":     {0, 0, unix.ENOSYS, false},
	} {
		w := &Watch{
			kernel: func(x *unix.Timex) (int, error) { x.Status = tc.status; return tc.state, tc.err },
			connect: func(context.Context) (*dbus.Conn, error) {
				t.Errorf("%s: the bus is asked", name)
				return nil, errors.New("no bus")
			},
		}
		if got := w.Trusted(); got != tc.want {
			t.Errorf("%s: trusted %v", name, got)
		}
	}
}

// forbidden is the kernel under ProtectClock=.
func forbidden(*unix.Timex) (int, error) { return 0, unix.EPERM }

// A timedated answers as systemd-timedated does.
type timedated struct{ answer func() (any, *dbus.Error) }

// Get implements org.freedesktop.DBus.Properties.
func (d timedated) Get(iface, name string) (dbus.Variant, *dbus.Error) {
	if iface != "org.freedesktop.timedate1" || name != "NTPSynchronized" {
		return dbus.Variant{}, dbus.NewError("org.freedesktop.DBus.Error.UnknownProperty", nil)
	}
	v, err := d.answer()
	if err != nil {
		return dbus.Variant{}, err
	}
	return dbus.MakeVariant(v), nil
}

// startBus starts a message bus of the test's own, on which a timedated answers, if
// there is one. It returns the address.
func startBus(t *testing.T, d *timedated) string {
	t.Helper()
	dir := shortDir(t)
	conf := filepath.Join(dir, "bus.conf")
	text := `<busconfig><type>system</type><listen>unix:path=` + filepath.Join(dir, "bus") + `</listen>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/></policy></busconfig>`
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("dbus-daemon", "--config-file="+conf, "--nofork", "--nopidfile", "--print-address=1")
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatalf("%v (package dbus, see e2e/install.sh)", err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	address = strings.TrimSpace(address)
	if d == nil {
		return address
	}
	conn, err := dbus.Connect(address)
	if err == nil {
		t.Cleanup(func() { _ = conn.Close() })
		err = conn.Export(d, "/org/freedesktop/timedate1", "org.freedesktop.DBus.Properties")
	}
	if err == nil {
		_, err = conn.RequestName("org.freedesktop.timedate1", 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	return address
}

// on is how a Watch connects to the bus at address.
func on(address string) func(context.Context) (*dbus.Conn, error) {
	return func(ctx context.Context) (*dbus.Conn, error) { return dbus.Connect(address, dbus.WithContext(ctx)) }
}

// Where the kernel may not be asked, systemd-timedated's word counts, and nothing
// else does.
func TestTimedatedVouchesForTheClock(t *testing.T) {
	hung := make(chan struct{})
	t.Cleanup(func() { close(hung) })
	silent := filepath.Join(shortDir(t), "silent")
	l, err := net.Listen("unix", silent) // accepts, and never says a word
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	says := func(v any) *timedated { return &timedated{func() (any, *dbus.Error) { return v, nil }} }
	for name, tc := range map[string]struct {
		address string
		want    bool
	}{
		"synchronised":     {startBus(t, says(true)), true},
		"not synchronised": {startBus(t, says(false)), false},
		"no boolean":       {startBus(t, says("true")), false},
		"an error": {startBus(t, &timedated{func() (any, *dbus.Error) {
			return nil, dbus.NewError("org.freedesktop.DBus.Error.AccessDenied", nil)
		}}), false},
		"no answer":    {startBus(t, &timedated{func() (any, *dbus.Error) { <-hung; return true, nil }}), false},
		"no timedated": {startBus(t, nil), false},
		"no bus":       {"unix:path=" + filepath.Join(shortDir(t), "none"), false},
		"silent bus":   {"unix:path=" + silent, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := &Watch{kernel: forbidden, connect: on(tc.address), patience: 500 * time.Millisecond, anew: time.Hour}
			if tc.want {
				w.patience = patience
			}
			answered := make(chan bool, 1)
			go func() { answered <- w.Trusted() }()
			select {
			case got := <-answered:
				if got != tc.want {
					t.Errorf("trusted %v", got)
				}
			case <-time.After(patience):
				t.Fatal("the login waits for ever")
			}
		})
	}
}

// However many logins ask, systemd-timedated is asked once, and anew after a time.
func TestTimedatedIsAskedOnce(t *testing.T) {
	var asked atomic.Int32
	address := startBus(t, &timedated{func() (any, *dbus.Error) { return asked.Add(1) > 1, nil }})
	w := &Watch{kernel: forbidden, connect: on(address), patience: patience, anew: time.Hour}
	var logins sync.WaitGroup
	for range 50 {
		logins.Go(func() {
			if w.Trusted() {
				t.Error("trusted before the clock was right")
			}
		})
	}
	logins.Wait()
	if n := asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
	w.anew = 0
	if !w.Trusted() {
		t.Error("not trusted when the clock is right")
	}
}
