// Package clock finds out whether this machine's clock is known to be right.
//
// What to know before trusting it: the clock counts as right only if the kernel or
// systemd-timedated says that a time service keeps it. If neither can be asked, or
// neither says so, it does not.
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

// Synchronised reports whether a time service keeps the clock, as the kernel says
// (adjtimex(2)). It returns an error if the kernel cannot be asked.
func Synchronised() (bool, error) { return askKernel(unix.Adjtimex) }

func askKernel(kernel func(*unix.Timex) (state int, err error)) (bool, error) {
	var t unix.Timex
	state, err := kernel(&t)
	return err == nil && state != unix.TIME_ERROR && t.Status&unix.STA_UNSYNC == 0, err
}

// A Watch finds out whether a time service keeps the clock (adjtimex(2)). ProtectClock= of
// the unit forbids to ask the kernel; then it asks systemd-timedated(8). It may be used
// from many goroutines.
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

// Trusted reports whether the clock is known to be right. It may take two seconds, for
// one caller in ten seconds; others wait for the same answer.
func (w *Watch) Trusted() bool {
	is, err := askKernel(w.kernel)
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
