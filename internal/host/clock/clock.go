// Package clock says whether this machine's clock is known to be right.
//
// What to know before trusting it: the clock is right where the kernel or
// systemd-timedated says that a time service keeps it. Where neither can be asked, or
// neither says so, it is not.
package clock

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/godbus/dbus/v5"
	"golang.org/x/sys/unix"
)

const (
	// timedatedPatience is how long systemd-timedated, which may have to be started,
	// has to answer.
	timedatedPatience = 2 * time.Second
	// timedatedAnew is how long its answer counts, so that logins in a row do not wait
	// for it, and cannot make it busy.
	timedatedAnew = 10 * time.Second
)

// Synchronised says whether a time service keeps the clock, by the word of the kernel;
// an error if the kernel does not say.
func Synchronised() (bool, error) { return synchronised(unix.Adjtimex) }

func synchronised(kernel func(*unix.Timex) (state int, err error)) (bool, error) {
	var t unix.Timex
	state, err := kernel(&t)
	return err == nil && state != unix.TIME_ERROR && t.Status&unix.STA_UNSYNC == 0, err
}

// A Watch knows whether the clock is known to be right: a time service keeps it
// (adjtimex(2)). ProtectClock= of the unit forbids to ask the kernel;
// systemd-timedated(8) may. Where nobody says so, it is not: on a machine without a
// time service, and without systemd where the kernel may not be asked. It is asked
// only where a stored time has not come. It may be used from many goroutines.
type Watch struct {
	kernel   func(*unix.Timex) (state int, err error)
	connect  func(context.Context) (*dbus.Conn, error) // to the system bus
	patience time.Duration
	anew     time.Duration

	mu    sync.Mutex // held while systemd-timedated is asked: the others wait for its answer
	asked time.Time  // zero: never
	is    bool       // what it said
}

// NewWatch returns a Watch of this machine's clock.
func NewWatch() *Watch {
	return &Watch{
		kernel: unix.Adjtimex,
		connect: func(ctx context.Context) (*dbus.Conn, error) {
			return dbus.ConnectSystemBus(dbus.WithContext(ctx))
		},
		patience: timedatedPatience, anew: timedatedAnew,
	}
}

// Trusted says whether the clock is known to be right. It takes timedatedPatience at
// most, and once in a while only.
func (w *Watch) Trusted() bool {
	is, err := synchronised(w.kernel)
	if !errors.Is(err, unix.EPERM) {
		return is
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.asked.IsZero() || time.Since(w.asked) >= w.anew {
		w.is, w.asked = w.timedatedTrusts(), time.Now()
	}
	return w.is
}

// timedatedTrusts asks systemd-timedated whether the clock is synchronised
// (org.freedesktop.timedate1(5)).
func (w *Watch) timedatedTrusts() bool {
	const name = "org.freedesktop.timedate1"
	ctx, cancel := context.WithTimeout(context.Background(), w.patience)
	defer cancel()
	bus, err := w.connect(ctx)
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
