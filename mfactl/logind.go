package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/godbus/dbus/v5"
	"github.com/spf13/cobra"
)

// A logind is systemd-logind, over the system bus (org.freedesktop.login1(5)).
type logind struct {
	conn    *dbus.Conn
	manager dbus.BusObject
}

const (
	logindName    = "org.freedesktop.login1"
	logindManager = logindName + ".Manager"
	logindSession = logindName + ".Session"

	noSuchSession = logindName + ".NoSuchSession"
	noSessionHere = logindName + ".NoSessionForPID"
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

func dialLogind(ctx context.Context) (*logind, error) {
	conn, err := dbus.ConnectSystemBus(dbus.WithContext(ctx))
	if err != nil {
		return nil, err
	}
	return &logind{conn: conn, manager: conn.Object(logindName, "/org/freedesktop/login1")}, nil
}

func (l *logind) Close() { _ = l.conn.Close() }

// logins returns the logins of a user, or of everybody if uid is nil. What is no
// login of a person (cron, the user's own systemd, a greeter) is left out.
func (l *logind) logins(ctx context.Context, uid *uint32) ([]running, error) {
	var all []running
	if err := l.manager.CallWithContext(ctx, logindManager+".ListSessions", 0).Store(&all); err != nil {
		return nil, fmt.Errorf("list logins: %w", err)
	}
	var found []running
	for _, r := range all {
		if uid != nil && r.UID != *uid {
			continue
		}
		var class string
		err := l.conn.Object(logindName, r.Path).
			CallWithContext(ctx, "org.freedesktop.DBus.Properties.Get", 0, logindSession, "Class").Store(&class)
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
func (l *logind) own(ctx context.Context) (dbus.ObjectPath, error) {
	var path dbus.ObjectPath
	err := l.manager.CallWithContext(ctx, logindManager+".GetSessionByPID", 0, uint32(os.Getpid())).Store(&path)
	if isBusError(err, noSessionHere) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("look up your own login: %w", err)
	}
	return path, nil
}

// end ends a login and everything that runs in it.
func (l *logind) end(ctx context.Context, r running) error {
	err := l.manager.CallWithContext(ctx, logindManager+".TerminateSession", 0, r.ID).Err
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

// endRunning ends the logins of the user that args name, who is uid, or of
// everybody, but the caller's own.
func endRunning(cmd *cobra.Command, args []string, uid *uint32) error {
	if (uid == nil) != (len(args) == 0) {
		return exitError{code: exitFailed, err: errors.New("no login was ended: mfad did not say whose"), hint: "Are mfactl and mfad of the same version?"}
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), requestTimeout)
	defer cancel()
	l, err := dialLogind(ctx)
	if err != nil {
		return exitError{
			code: exitFailed, err: fmt.Errorf("no login was ended: reach systemd-logind: %w", err),
			hint: "Without logind, end them by hand: loginctl, or pkill -KILL -u USER.",
		}
	}
	defer l.Close()
	ended, spared, err := l.endAll(ctx, uid)
	of := ""
	if uid != nil {
		of = " of " + args[0]
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%s%s ended.\n", count(ended, "login"), of)
	if spared {
		fmt.Fprintln(cmd.OutOrStdout(), "The login you type this in goes on.")
	}
	if err != nil {
		e := exitError{code: exitFailed, err: err}
		if isBusError(err, busDenied) || isBusError(err, busNotAsked) {
			e.code, e.hint = exitNotAllowed, "Try it as root, for example with sudo."
		}
		return e
	}
	return nil
}

// endAll says how many logins it ended, and whether it left the caller's own
// alone. One that cannot be ended does not keep the others alive.
func (l *logind) endAll(ctx context.Context, uid *uint32) (ended int, spared bool, err error) {
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
		if err := l.end(ctx, r); err != nil {
			errs = append(errs, err)
			continue
		}
		ended++
	}
	return ended, spared, errors.Join(errs...)
}
