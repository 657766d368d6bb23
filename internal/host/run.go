// Package host runs programs of this machine: sshd, systemctl and others. Beneath it are
// the rooms that read PAM's configuration (pamstack), examine the whole machine (doctor),
// switch the second factor on (setup), try a login (trylogin), end logins (logind), read
// records of other programs (foreign), look up accounts (nss), ask whether the clock is
// right (clock), read and replace files (file), and make a mount namespace look like a
// machine of its own (namespace).
package host

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// runTimeout bounds one run of a program.
const runTimeout = 20 * time.Second

// environment is that of the programs that are run: nothing of the caller's.
var environment = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}

// Run runs a program of this machine and returns its standard output, with a fixed
// environment and a bound of 20 seconds. If it fails, the error is its standard error on
// one line, if there is any.
func Run(ctx context.Context, name string, args ...string) (string, error) {
	return RunWithin(ctx, "/", name, args...)
}

// RunWithin is Run with another root folder (chroot(2)), which only root can do.
func RunWithin(ctx context.Context, root, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, runTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = environment
	cmd.WaitDelay = time.Second
	if root != "/" {
		cmd.SysProcAttr, cmd.Dir = &syscall.SysProcAttr{Chroot: root}, "/"
	}
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	err := cmd.Run()
	if said := strings.TrimSpace(complaint.String()); err != nil && said != "" {
		err = errors.New(strings.ReplaceAll(said, "\n", "; "))
	}
	return out.String(), err
}

// RunOn starts a program, argv, that outlives this one and its session, without a
// terminal. It does not wait for it.
func RunOn(argv []string) error {
	// Under systemd it is a service: it outlives the session whatever logind does.
	if IsSystemd() && detached(append([]string{"systemd-run", "--quiet", "--collect", "--"}, argv...)).Run() == nil {
		return nil
	}
	cmd := detached(argv)
	if err := cmd.Start(); err != nil {
		return err
	}
	return cmd.Process.Release()
}

// detached is a program in a session of its own.
func detached(argv []string) *exec.Cmd {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = environment
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return cmd
}

// IsSystemd reports whether systemd runs this machine, as sd_booted(3) does.
func IsSystemd() bool {
	info, err := os.Lstat("/run/systemd/system")
	return err == nil && info.IsDir()
}
