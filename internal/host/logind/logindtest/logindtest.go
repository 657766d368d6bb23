// Package logindtest runs a systemd-logind of a test's own, on a message bus of its own.
package logindtest

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"github.com/godbus/dbus/v5"
)

// Names of org.freedesktop.login1(5) and of the bus, as logind itself has them.
const (
	busName = "org.freedesktop.login1"
	object  = "/org/freedesktop/login1"
	// goneLogin is the object of a login that ended since it was listed.
	goneLogin = object + "/session/gone"
)

// A Login is one login of the Logind.
type Login struct {
	ID   string
	UID  uint32
	User string

	Class  string // user, background, greeter
	Own    bool   // it is the caller's
	Denied bool   // to end it is refused
}

// A Logind answers as systemd-logind does.
type Logind struct {
	conn *dbus.Conn
	end  []func()

	mu  sync.Mutex // guards all
	all []Login
}

// Start starts a message bus with its socket in dir, named bus, and a logind without
// logins on it. Close it.
func Start(dir string) (*Logind, error) {
	l := &Logind{}
	address, err := l.startBus(dir)
	if err == nil {
		err = l.answer(address)
	}
	if err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// Close ends the logind and its bus.
func (l *Logind) Close() {
	for _, end := range l.end {
		end()
	}
}

// startBus starts a message bus that is nobody else's, and returns its address.
func (l *Logind) startBus(dir string) (string, error) {
	conf := filepath.Join(dir, "bus.conf")
	text := `<busconfig><type>system</type><listen>unix:path=` + filepath.Join(dir, "bus") + `</listen>
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
	l.end = append(l.end, func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	address, err := bufio.NewReader(out).ReadString('\n')
	return strings.TrimSpace(address), err
}

// answer puts the logind on the bus at address.
func (l *Logind) answer(address string) error {
	conn, err := dbus.Connect(address)
	if err != nil {
		return err
	}
	l.conn = conn
	l.end = append([]func(){func() { _ = conn.Close() }}, l.end...)
	reply, err := conn.RequestName(busName, dbus.NameFlagDoNotQueue)
	if err == nil && reply != dbus.RequestNameReplyPrimaryOwner {
		err = errors.New("the bus has a logind")
	}
	return errors.Join(conn.Export(classOf(""), goneLogin, "org.freedesktop.DBus.Properties"), conn.Export(manager{l}, object, busName+".Manager"), err)
}

// Add begins a login.
func (l *Logind) Add(login Login) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, login)
	return l.conn.Export(classOf(login.Class), login.path(), "org.freedesktop.DBus.Properties")
}

// IDs returns the logins that run.
func (l *Logind) IDs() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var ids []string
	for _, f := range l.all {
		ids = append(ids, f.ID)
	}
	return ids
}

func (f Login) path() dbus.ObjectPath { return dbus.ObjectPath(object + "/session/" + f.ID) }

func busError(name string) *dbus.Error { return dbus.NewError(name, []any{"no"}) }

// A listed is a login as ListSessions returns it.
type listed struct {
	ID   string
	UID  uint32
	User string
	Seat string
	Path dbus.ObjectPath
}

// A manager is the object org.freedesktop.login1.Manager.
type manager struct{ l *Logind }

// ListSessions implements org.freedesktop.login1.Manager, as the next ones.
func (m manager) ListSessions() ([]listed, *dbus.Error) {
	m.l.mu.Lock()
	defer m.l.mu.Unlock()
	var all []listed
	for _, f := range m.l.all {
		all = append(all, listed{ID: f.ID, UID: f.UID, User: f.User, Path: f.path()})
	}
	return append(all, listed{ID: "gone", Path: goneLogin}), nil
}

func (m manager) GetSessionByPID(pid uint32) (dbus.ObjectPath, *dbus.Error) {
	m.l.mu.Lock()
	defer m.l.mu.Unlock()
	for _, f := range m.l.all {
		if f.Own && pid > 1 {
			return f.path(), nil
		}
	}
	return "/", busError(busName + ".NoSessionForPID")
}

func (m manager) TerminateSession(id string) *dbus.Error {
	m.l.mu.Lock()
	defer m.l.mu.Unlock()
	for i, f := range m.l.all {
		switch {
		case f.ID == id && f.Denied:
			return busError("org.freedesktop.DBus.Error.AccessDenied")
		case f.ID == id:
			m.l.all = append(m.l.all[:i:i], m.l.all[i+1:]...)
			return nil
		}
	}
	return busError(busName + ".NoSuchSession")
}

// classOf is the object of one login.
type classOf string

// Get implements org.freedesktop.DBus.Properties.
func (c classOf) Get(iface, name string) (dbus.Variant, *dbus.Error) {
	if c == "" {
		return dbus.Variant{}, busError("org.freedesktop.DBus.Error.UnknownObject")
	}
	if iface != busName+".Session" || name != "Class" {
		return dbus.Variant{}, busError("org.freedesktop.DBus.Error.UnknownProperty")
	}
	return dbus.MakeVariant(string(c)), nil
}
