package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// SSHD is the path of sshd.
const SSHD = "/usr/sbin/sshd"

// IsOldSSHD reports whether the sshd of this machine is from before OpenSSH 8.7. It is
// false for one that refuses its configuration.
func IsOldSSHD(ctx context.Context) bool {
	text, err := Run(ctx, SSHD, "-T")
	return err == nil && !strings.Contains(text, "\nkbdinteractiveauthentication ") &&
		strings.Contains(text, "\nchallengeresponseauthentication ")
}

// ReloadSSHD makes sshd read its configuration again, and returns when it has. Running
// logins go on.
func ReloadSSHD(ctx context.Context) error {
	if IsSystemd() {
		for _, unit := range []string{"ssh.service", "sshd.service"} {
			if _, err := Run(ctx, "systemctl", "is-active", "--quiet", unit); err == nil {
				_, err := Run(ctx, "systemctl", "reload", unit)
				return err
			}
		}
	}
	return hangUp(ctx, pidFile(ctx))
}

// reloadWait is how long sshd may take to read its configuration again.
const reloadWait = 3 * time.Second

// hangUp sends sshd SIGHUP, upon which it reads its configuration again (sshd(8)),
// and waits until it has written its pid anew. While it does so it hears no other
// SIGHUP, so an earlier one may swallow ours: then it gets another.
func hangUp(ctx context.Context, file string) error {
	for range 3 {
		before := written(file)
		if before == 0 && !rewritten(ctx, file, before) {
			return errors.New("it does not run")
		}
		before = written(file)
		pid, err := sshdPID(file)
		if err != nil && written(file) != before {
			continue // it is being written anew
		}
		if err != nil {
			return err
		}
		if err := syscall.Kill(pid, syscall.SIGHUP); err != nil {
			return err
		}
		if rewritten(ctx, file, before) {
			return nil
		}
	}
	return errors.New("it did not take the signal")
}

// written is when a file was written, in nanoseconds; 0 if it is not there, or empty, as
// sshd makes it before it writes its pid into it.
func written(file string) int64 {
	info, err := os.Stat(file)
	if err != nil || info.Size() == 0 {
		return 0
	}
	return info.ModTime().UnixNano()
}

// rewritten waits until a file is there and was written at another time.
func rewritten(ctx context.Context, file string, before int64) bool {
	ctx, cancel := context.WithTimeout(ctx, reloadWait)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if now := written(file); now != 0 && now != before {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
}

// pidFile returns where sshd writes its process.
func pidFile(ctx context.Context) string {
	if text, err := Run(ctx, SSHD, "-T"); err == nil {
		for line := range strings.Lines(text) {
			if path, ok := strings.CutPrefix(strings.TrimSpace(line), "pidfile "); ok {
				return path
			}
		}
	}
	return "/run/sshd.pid"
}

// sshdPID returns the process that a pid file names, if that is an sshd.
func sshdPID(file string) (int, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return 0, errors.New("it does not run")
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil || pid < 2 {
		return 0, fmt.Errorf("%s names no process", file)
	}
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil || !strings.HasPrefix(string(name), "sshd") {
		return 0, fmt.Errorf("%s names a process that is not sshd", file)
	}
	return pid, nil
}
