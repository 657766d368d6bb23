// Package server is the two sockets: the PAM socket, where modules hold logins,
// and the control socket, where mfactl administers.
//
// What to know before trusting it: who is at the other end is what the kernel
// says (SO_PEERCRED, unix(7)), asked before the first byte is read. Root may ask
// for anyone; any other uid only for itself, and what it says of where it comes
// from is ignored. Every connection has one deadline and one goroutine that
// owns it, and their number is bounded, for unprivileged callers far below what
// is kept for root.
package server

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// peer returns the credentials that the other end had when it connected.
func peer(c *net.UnixConn) (*unix.Ucred, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("read peer credentials: %w", err)
	}
	var cred *unix.Ucred
	var credErr error
	err = raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err := errors.Join(err, credErr); err != nil {
		return nil, fmt.Errorf("read peer credentials: %w", err)
	}
	return cred, nil
}

// Listen makes a socket that everybody may connect to, in a folder that nobody
// but root (or the caller) may write: who could rename it could stand in for
// the daemon. The folder is made when missing. A socket left over by a daemon
// that died is replaced; one that is answered is an error.
func Listen(path string) (*net.UnixListener, error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("listen on %q: %w", path, err)
	}
	if err := ownFolder(dir); err != nil {
		return nil, fmt.Errorf("listen on %q: %w", path, err)
	}
	if c, err := net.Dial("unix", path); err == nil {
		_ = c.Close()
		return nil, fmt.Errorf("listen on %q: another daemon answers there; stop it first", path)
	}
	if info, err := os.Lstat(path); err == nil && info.Mode().Type() != fs.ModeSocket {
		return nil, fmt.Errorf("listen on %q: something that is not a socket is there; remove it", path)
	} else if err == nil {
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("listen on %q: %w", path, err)
		}
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listen on %q: %w", path, err)
	}
	if err := os.Chmod(path, 0o666); err != nil {
		return nil, errors.Join(fmt.Errorf("listen on %q: %w", path, err), l.Close())
	}
	return l, nil
}

// ownFolder holds a folder to what the module will ask of it.
func ownFolder(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	st := info.Sys().(*syscall.Stat_t)
	if st.Uid != 0 && int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("folder %q belongs to uid %d; run chown root %s", dir, st.Uid, dir)
	}
	if info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("folder %q can be written by others; run chmod go-w %s", dir, dir)
	}
	return nil
}
