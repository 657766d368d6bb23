package app

import "golang.org/x/sys/unix"

// clockTrusted says whether the kernel knows that the clock is right: a time
// service keeps it (adjtimex(2)). Where the question is not allowed, it does not.
func clockTrusted() bool {
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	return err == nil && state != unix.TIME_ERROR && t.Status&unix.STA_UNSYNC == 0
}
