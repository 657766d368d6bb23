package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"mfa/internal/host/doctor"
	"mfa/internal/host/setup"
)

// guardGrace is how much longer the guard waits than we do, so that we are the one
// who says what happened.
const guardGrace = 10 * time.Second

// startGuard starts the process that takes the change back if we cannot, and
// returns when it watches.
func (s *switcher) startGuard(ctx context.Context, b *setup.Backup) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("start the guard: %w", err)
	}
	argv := []string{
		self, "setup", s.service, "--guard", strconv.Itoa(os.Getpid()),
		"--until", time.Now().Add(s.within + guardGrace).Format(time.RFC3339),
	}
	// Under systemd it is a service: it outlives the session whatever logind does.
	if !isSystemd() || runDetached(append([]string{"systemd-run", "--quiet", "--collect", "--"}, argv...), true) != nil {
		if err := runDetached(argv, false); err != nil {
			return fmt.Errorf("start the guard: %w", err)
		}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, guardGrace, errors.New("it does not come up"))
	defer cancel()
	return b.Guarded(ctx)
}

// runDetached starts a program in a session of its own, with no terminal, and may
// wait for its end.
func runDetached(argv []string, wait bool) error {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if wait {
		return cmd.Run()
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	return cmd.Process.Release()
}

// guard is the process that startGuard starts.
func (s *switcher) guard(ctx context.Context, pid int, until string) error {
	deadline, err := time.Parse(time.RFC3339, until)
	if err != nil {
		return exitError{code: exitUsage, err: err}
	}
	return setup.Guard(ctx, s.service, pid, deadline, func(b *setup.Backup, _ []string) error {
		if b.Service == "sshd" {
			s.reload(context.WithoutCancel(ctx))
		}
		return nil
	})
}

// isSystemd says whether systemd runs this machine, as sd_booted(3) does.
func isSystemd() bool {
	info, err := os.Lstat("/run/systemd/system")
	return err == nil && info.IsDir()
}

// isOldSSHD says whether sshd is from before 8.7.
func (s *switcher) isOldSSHD(ctx context.Context, host doctor.Host) bool {
	if s.service != "sshd" || host.SSHD == nil {
		return false
	}
	text, err := runProgram(ctx, "/usr/sbin/sshd", "-T")
	return err == nil && !strings.Contains(text, "\nkbdinteractiveauthentication ") &&
		strings.Contains(text, "\nchallengeresponseauthentication ")
}

// reload has sshd read its configuration again, and says so if it cannot. Logins
// that run are not touched.
func (s *switcher) reload(ctx context.Context) {
	if err := reloadSSHD(ctx); err != nil {
		s.Printf("sshd was not told (%v); it reads its configuration at its next start.\n", err)
	}
}

func reloadSSHD(ctx context.Context) error {
	if isSystemd() {
		for _, unit := range []string{"ssh.service", "sshd.service"} {
			if _, err := runProgram(ctx, "systemctl", "is-active", "--quiet", unit); err == nil {
				_, err := runProgram(ctx, "systemctl", "reload", unit)
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

// written is when a file was written, in nanoseconds; 0 if it is not there.
func written(file string) int64 {
	info, err := os.Stat(file)
	if err != nil {
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
	if text, err := runProgram(ctx, "/usr/sbin/sshd", "-T"); err == nil {
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
