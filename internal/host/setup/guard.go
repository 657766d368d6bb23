package setup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"mfa/internal/host"
)

// look is how often a guard checks whether the change was confirmed.
const look = 200 * time.Millisecond

// guardGrace is how much longer the guard waits than the process it watches, so that
// this process is the one that says what happened.
const guardGrace = 10 * time.Second

// StartGuard starts the process that undoes the change if this one cannot, and returns
// when it watches. It runs this program again with the arguments that argv returns, for
// the process to watch and the time until which the proof must be there; the program must
// call Guard then.
func (b *Backup) StartGuard(ctx context.Context, within time.Duration, argv func(pid int, until time.Time) []string) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("start the guard: %w", err)
	}
	args := argv(os.Getpid(), time.Now().Add(within+guardGrace))
	if err := host.RunOn(append([]string{self}, args...)); err != nil {
		return fmt.Errorf("start the guard: %w", err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, guardGrace, errors.New("it does not come up"))
	defer cancel()
	return b.Guarded(ctx)
}

// Guard waits until the change of a service is confirmed or undone. If the process pid,
// which waits for the proof, ends before that, or if the time until passes, Guard undoes
// the change and calls undone with the paths that Undo returned. Guarded of the Backup
// returns once it watches.
func Guard(ctx context.Context, service string, pid int, until time.Time, undone func(*Backup, []string) error) error {
	b, err := Find(service)
	if err != nil {
		return err
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return fmt.Errorf("watch process %d: %w", pid, err)
	}
	defer func() { _ = unix.Close(fd) }()
	if err := replace(b.path(guardName), nil, 0o600, 0, 0); err != nil {
		return err
	}
	for b.Pending() {
		ended, err := hasEnded(fd)
		if err != nil {
			return err
		}
		if !ended && time.Now().Before(until) && ctx.Err() == nil {
			continue
		}
		if !b.Pending() {
			break // it was confirmed, or taken back, and then the process ended
		}
		kept, err := b.Undo(true)
		return errors.Join(err, undone(b, kept))
	}
	return nil
}

// hasEnded waits a moment for the end of a process.
func hasEnded(fd int) (bool, error) {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	n, err := unix.Poll(fds, int(look/time.Millisecond))
	if errors.Is(err, unix.EINTR) {
		return false, nil
	}
	return n > 0, err
}

// Guarded waits until a guard watches, or ctx ends.
func (b *Backup) Guarded(ctx context.Context) error {
	tick := time.NewTicker(look / 10)
	defer tick.Stop()
	for {
		if _, err := os.Lstat(b.path(guardName)); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the guard: %w", context.Cause(ctx))
		case <-tick.C:
		}
	}
}

// Paths returns the files that the change is about.
func (b *Backup) Paths() []string {
	var paths []string
	for _, k := range b.files {
		paths = append(paths, k.Path)
	}
	return paths
}
