// Package namespace makes the mount namespace of a process look like a machine of its
// own, so that logins can be tried and measured without touching this one.
//
// What to know before trusting it: it is for a process that has a mount and a PID
// namespace of its own already (unshare(2)). Private comes first: before it a mount would
// be everybody's.
package namespace

import (
	"errors"
	"fmt"
	"os"
	"os/exec"

	"golang.org/x/sys/unix"
)

// Private cuts the mounts off from the host's, shows the new processes in /proc, empties
// the folders that are named, as far as they exist, and then makes folders.
func Private(empty, folders []string) error {
	if err := Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	if err := Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return err
	}
	for _, dir := range empty {
		if err := Mount("tmpfs", dir, "tmpfs", 0, "mode=0755"); err != nil && !errors.Is(err, unix.ENOENT) {
			return err
		}
	}
	for _, dir := range folders {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	return nil
}

// Etc puts a copy in the place of /etc, in /run. A copy, not an overlay: that works inside a
// container too.
func Etc() error {
	if out, err := exec.Command("cp", "-a", "/etc", "/run/etc").CombinedOutput(); err != nil {
		return fmt.Errorf("copy /etc: %w: %s", err, out)
	}
	return Mount("/run/etc", "/etc", "", unix.MS_BIND, "")
}

// Dev makes a /dev with the usual nodes, terminals of its own and room for a /dev/log. The
// host's stays at /run/dev.
func Dev() error {
	const host = "/run/dev"
	if err := os.Mkdir(host, 0o755); err != nil {
		return err
	}
	if err := Mount("/dev", host, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return err
	}
	if err := Mount("tmpfs", "/dev", "tmpfs", 0, "mode=0755"); err != nil {
		return err
	}
	for _, node := range []string{"null", "zero", "full", "random", "urandom", "tty"} {
		if err := os.WriteFile("/dev/"+node, nil, 0o666); err != nil {
			return err
		}
		if err := Mount(host+"/"+node, "/dev/"+node, "", unix.MS_BIND, ""); err != nil {
			return err
		}
	}
	for _, dir := range []string{"/dev/pts", "/dev/shm"} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
	}
	links := map[string]string{
		"/dev/ptmx": "pts/ptmx", "/dev/fd": "/proc/self/fd", "/dev/stdin": "/proc/self/fd/0",
		"/dev/stdout": "/proc/self/fd/1", "/dev/stderr": "/proc/self/fd/2",
	}
	for name, target := range links {
		if err := os.Symlink(target, name); err != nil {
			return err
		}
	}
	return errors.Join(
		Mount("devpts", "/dev/pts", "devpts", 0, "newinstance,ptmxmode=0666,mode=0620"),
		Mount("tmpfs", "/dev/shm", "tmpfs", 0, "mode=1777"))
}

// Mount is mount(2), with an error that names both ends.
func Mount(source, target, kind string, flags uintptr, data string) error {
	if err := unix.Mount(source, target, kind, flags, data); err != nil {
		return fmt.Errorf("mount %q on %q: %w", source, target, err)
	}
	return nil
}
