// Package logind ends the logins that systemd-logind knows, over the system bus
// (org.freedesktop.login1(5)).
//
// What to know before trusting it: a bus or a logind that does not answer is an error,
// never "no logins". The login that this process belongs to is spared.
package logind

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/godbus/dbus/v5"
)

// A Logind is the systemd-logind of this machine. Close it.
type Logind struct {
	conn   *dbus.Conn
	object dbus.BusObject
}

const (
	busName = "org.freedesktop.login1"
	manager = busName + ".Manager"
	session = busName + ".Session"

	noSuchSession = busName + ".NoSuchSession"
	noSessionHere = busName + ".NoSessionForPID"
	unknownObject = "org.freedesktop.DBus.Error.UnknownObject"
	busDenied     = "org.freedesktop.DBus.Error.AccessDenied"
	busNotAsked   = "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired"
)

// A running is a login that logind knows. Its fields are those of ListSessions,
// in that order.
type running struct {
	ID   string
	UID  uint32
	User string
	Seat string
	Path dbus.ObjectPath
}

// Dial connects to logind on the system bus.
func Dial(ctx context.Context) (*Logind, error) {
	conn, err := dbus.ConnectSystemBus(dbus.WithContext(ctx))
	if err != nil {
		return nil, err
	}
	return &Logind{conn: conn, object: conn.Object(busName, "/org/freedesktop/login1")}, nil
}

// Close closes the connection to the bus.
func (l *Logind) Close() { _ = l.conn.Close() }

// logins returns the logins of a user, or of everybody if uid is nil. What is no
// login of a person (cron, the user's own systemd, a greeter) is left out.
func (l *Logind) logins(ctx context.Context, uid *uint32) ([]running, error) {
	var all []running
	if err := l.object.CallWithContext(ctx, manager+".ListSessions", 0).Store(&all); err != nil {
		return nil, fmt.Errorf("list logins: %w", err)
	}
	var found []running
	for _, r := range all {
		if uid != nil && r.UID != *uid {
			continue
		}
		var class string
		err := l.conn.Object(busName, r.Path).
			CallWithContext(ctx, "org.freedesktop.DBus.Properties.Get", 0, session, "Class").Store(&class)
		switch {
		case gone(err):
		case err != nil:
			return nil, fmt.Errorf("look at login %s: %w", r.ID, err)
		case class == "user" || strings.HasPrefix(class, "user-"): // user-early, user-light
			found = append(found, r)
		}
	}
	return found, nil
}

// own returns the object of the login that this process belongs to, "" if none.
func (l *Logind) own(ctx context.Context) (dbus.ObjectPath, error) {
	var path dbus.ObjectPath
	err := l.object.CallWithContext(ctx, manager+".GetSessionByPID", 0, uint32(os.Getpid())).Store(&path)
	if isBusError(err, noSessionHere) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("look up your own login: %w", err)
	}
	return path, nil
}

// endOne ends a login and everything that runs in it.
func (l *Logind) endOne(ctx context.Context, r running) error {
	err := l.object.CallWithContext(ctx, manager+".TerminateSession", 0, r.ID).Err
	if err != nil && !gone(err) {
		return fmt.Errorf("end login %s of %s: %w", r.ID, r.User, err)
	}
	return nil
}

// gone says whether a login ended while we looked.
func gone(err error) bool {
	return isBusError(err, noSuchSession) || isBusError(err, unknownObject)
}

func isBusError(err error, name string) bool {
	e, ok := errors.AsType[dbus.Error](err)
	return ok && e.Name == name
}

// End ends the logins of a user, or of everybody if uid is nil, but not the caller's
// own. It returns how many it ended and whether it spared the caller's. If one cannot be
// ended it goes on with the others; the error joins all.
func (l *Logind) End(ctx context.Context, uid *uint32) (ended int, spared bool, err error) {
	own, err := l.own(ctx)
	if err != nil {
		return 0, false, err
	}
	all, err := l.logins(ctx, uid)
	if err != nil {
		return 0, false, err
	}
	var errs []error
	for _, r := range all {
		if r.Path == own {
			spared = true
			continue
		}
		if err := l.endOne(ctx, r); err != nil {
			errs = append(errs, err)
			continue
		}
		ended++
	}
	return ended, spared, errors.Join(errs...)
}

// IsRefused reports whether err means that logind does not allow the caller to do that.
func IsRefused(err error) bool { return isBusError(err, busDenied) || isBusError(err, busNotAsked) }
