// Package server serves the PAM socket, where modules hold logins; the control socket, where
// mfactl administers and users manage their own enrollment; and metrics.listen.
//
// What to know before trusting it: the peer's uid comes from the kernel
// (SO_PEERCRED, unix(7)), before the first byte is read. On the PAM socket root may ask
// for anyone, and so may the users in server.trusted_users; any other uid only for
// itself, and the remote host that it names is ignored. Every connection has a deadline,
// and one goroutine that owns it and waits for any other that it starts. The number of
// connections is bounded; what other uids can use up is not root's.
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

// Listen makes a socket at path that everybody may connect to, mode 0666. Its folder must
// belong to root or the user of this process and be writable by nobody else, as who can
// rename the socket can stand in for the daemon. The folder is made when missing. A
// socket left over by a daemon that died is replaced; it is an error if one answers.
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

// ownFolder checks a folder as the module will check it (folder_is_safe in
// pam_mfa/connect.c).
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
