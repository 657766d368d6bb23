package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/godbus/dbus/v5"
	"github.com/rogpeppe/go-internal/testscript"
)

// A fakeLogind answers as systemd-logind does, on a bus of its own.
type fakeLogind struct {
	mu  sync.Mutex // guards all
	all []fakeLogin
}

// A fakeLogin is one of its logins. Denied ones nobody may end.
type fakeLogin struct {
	running
	class       string
	own, denied bool
}

func busError(name string) *dbus.Error { return dbus.NewError(name, []any{"no"}) }

// goneLogin is the object of a login that ended since it was listed.
const goneLogin = "/org/freedesktop/login1/session/gone"

// ListSessions implements org.freedesktop.login1.Manager, as the next ones.
func (l *fakeLogind) ListSessions() ([]running, *dbus.Error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []running
	for _, f := range l.all {
		all = append(all, f.running)
	}
	return append(all, running{ID: "gone", Path: goneLogin}), nil
}

func (l *fakeLogind) GetSessionByPID(pid uint32) (dbus.ObjectPath, *dbus.Error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range l.all {
		if f.own && pid > 1 {
			return f.Path, nil
		}
	}
	return "/", busError(noSessionHere)
}

func (l *fakeLogind) TerminateSession(id string) *dbus.Error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, f := range l.all {
		switch {
		case f.ID == id && f.denied:
			return busError(busDenied)
		case f.ID == id:
			l.all = append(l.all[:i:i], l.all[i+1:]...)
			return nil
		}
	}
	return busError(noSuchSession)
}

// classOf is the object of one login.
type classOf string

// Get implements org.freedesktop.DBus.Properties.
func (c classOf) Get(iface, name string) (dbus.Variant, *dbus.Error) {
	if c == "" {
		return dbus.Variant{}, busError(unknownObject)
	}
	if iface != logindSession || name != "Class" {
		return dbus.Variant{}, busError("org.freedesktop.DBus.Error.UnknownProperty")
	}
	return dbus.MakeVariant(string(c)), nil
}

// startBus starts a message bus that is nobody else's, and returns its address.
func startBus(env *testscript.Env) (string, error) {
	conf := filepath.Join(env.WorkDir, "bus.conf")
	text := `<busconfig><type>system</type><listen>unix:path=` + filepath.Join(env.WorkDir, "bus") + `</listen>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/></policy></busconfig>`
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		return "", err
	}
	cmd := exec.Command("dbus-daemon", "--config-file="+conf, "--nofork", "--nopidfile", "--print-address=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := cmd.Start(); err != nil {
		return "", fmt.Errorf("%w (package dbus, see e2e/install.sh)", err)
	}
	env.Defer(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	address, err := bufio.NewReader(out).ReadString('\n')
	return strings.TrimSpace(address), err
}

// startLogind puts a logind without logins on the bus at address.
func startLogind(env *testscript.Env, address string) (*fakeLogind, *dbus.Conn, error) {
	conn, err := dbus.Connect(address)
	if err != nil {
		return nil, nil, err
	}
	env.Defer(func() { _ = conn.Close() })
	l := &fakeLogind{}
	reply, nameErr := conn.RequestName(logindName, dbus.NameFlagDoNotQueue)
	if nameErr == nil && reply != dbus.RequestNameReplyPrimaryOwner {
		nameErr = errors.New("the bus has a logind")
	}
	return l, conn, errors.Join(conn.Export(classOf(""), goneLogin, "org.freedesktop.DBus.Properties"), conn.Export(l, "/org/freedesktop/login1", logindManager), nameErr)
}

type logindKey struct{}

// A bench is what scripts hold of a fake logind.
type bench struct {
	env  *testscript.Env
	l    *fakeLogind
	conn *dbus.Conn
}

// setupLogind keeps mfactl away from the machine's own bus.
func setupLogind(env *testscript.Env) {
	env.Setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path="+filepath.Join(env.WorkDir, "bus"))
	env.Values[logindKey{}] = &bench{env: env}
}

// logindCommand runs a fake logind, gives it logins, or prints those that run.
func logindCommand(ts *testscript.TestScript, neg bool, args []string) {
	b := ts.Value(logindKey{}).(*bench)
	switch {
	case neg || len(args) == 0:
		ts.Fatalf("usage: logind start|running|ID:USER:CLASS[:own|:denied]...")
	case args[0] == "start":
		address, err := startBus(b.env)
		ts.Check(err)
		b.l, b.conn, err = startLogind(b.env, address)
		ts.Check(err)
	case args[0] == "running":
		b.l.mu.Lock()
		defer b.l.mu.Unlock()
		for _, f := range b.l.all {
			fmt.Fprintln(ts.Stdout(), f.ID)
		}
	default:
		for _, arg := range args {
			ts.Check(b.add(strings.Split(arg+":", ":")))
		}
	}
}

// add begins a login: its ID, user, class and what is special about it.
func (b *bench) add(words []string) error {
	u, err := user.Lookup(words[1])
	if err != nil {
		return err
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return err
	}
	path := dbus.ObjectPath("/org/freedesktop/login1/session/" + words[0])
	b.l.mu.Lock()
	defer b.l.mu.Unlock()
	b.l.all = append(b.l.all, fakeLogin{
		running: running{ID: words[0], UID: uint32(uid), User: words[1], Path: path},
		class:   words[2], own: words[3] == "own", denied: words[3] == "denied",
	})
	return b.conn.Export(classOf(words[2]), path, "org.freedesktop.DBus.Properties")
}

// rememberCommand sets session.remember; the next start of the daemon takes it.
func rememberCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: remember never|ask|always")
	}
	ts.Value(daemonKey{}).(*daemon).cfg.Session.Remember = args[0]
}

// The answer of a bus that is not there is an error, never "no logins".
func TestNoLogind(t *testing.T) {
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path="+filepath.Join(t.TempDir(), "none"))
	if l, err := dialLogind(t.Context()); err == nil {
		l.Close()
		t.Error("reached a bus that is not there")
	}
}
