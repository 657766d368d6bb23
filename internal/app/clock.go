package app

import (
	"context"
	"errors"
	"time"

	"github.com/godbus/dbus/v5"
	"golang.org/x/sys/unix"
)

// clockTrusted says whether the kernel knows that the clock is right: a time
// service keeps it (adjtimex(2)). ProtectClock= of the unit forbids to ask the
// kernel; systemd-timedated(8) may. Where nobody says so, it does not.
func clockTrusted() bool {
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	if errors.Is(err, unix.EPERM) {
		return timedatedTrusts()
	}
	return err == nil && state != unix.TIME_ERROR && t.Status&unix.STA_UNSYNC == 0
}

// timedatedPatience is how long systemd-timedated, which may have to be started, has
// to answer. It is asked only where a stored time has not come.
const timedatedPatience = 2 * time.Second

// timedatedTrusts asks systemd-timedated whether the clock is synchronised
// (org.freedesktop.timedate1(5)).
func timedatedTrusts() bool {
	const name = "org.freedesktop.timedate1"
	ctx, cancel := context.WithTimeout(context.Background(), timedatedPatience)
	defer cancel()
	bus, err := dbus.ConnectSystemBus(dbus.WithContext(ctx))
	if err != nil {
		return false
	}
	defer bus.Close()
	var synchronised dbus.Variant
	err = bus.Object(name, "/org/freedesktop/timedate1").
		CallWithContext(ctx, "org.freedesktop.DBus.Properties.Get", 0, name, "NTPSynchronized").Store(&synchronised)
	is, ok := synchronised.Value().(bool)
	return err == nil && ok && is
}
