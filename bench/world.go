package main

import (
	_ "embed"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"mfa/internal/host/namespace"
)

var (
	//go:embed c/client.c
	clientSource string
	//go:embed c/nss.c
	nssSource string
)

// own is the folder of what need not be on a disk.
const own = "/run/bench"

// A world is the private machine that everything runs on.
type world struct {
	disk   string // folder on a real disk
	build  string // folder of the programs
	homes  string // of the accounts, on the disk
	block  string // file for the synced overwrite, on the disk
	client string // program
	module string // pam_mfa.so
	syslog *syslog
}

// newWorld turns the new namespaces into a machine of its own; anyDisk lets it keep in
// memory what is synced.
func newWorld(anyDisk bool) (*world, error) {
	tree, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	w := &world{build: filepath.Join(tree, "build")}
	w.module = filepath.Join(w.build, "pam_mfa.so")
	if w.disk, err = diskFolder("/var/tmp", anyDisk); err != nil {
		return nil, err
	}
	w.homes, w.block = filepath.Join(w.disk, "home"), filepath.Join(w.disk, "block")
	for _, step := range []func() error{privateMounts, namespace.Etc, namespace.Dev, privateNet, w.listen, w.compile, w.accounts, w.writeBlock} {
		if err := step(); err != nil {
			return nil, errors.Join(err, w.remove())
		}
	}
	return w, nil
}

func (w *world) remove() error { return os.RemoveAll(w.disk) }

func privateMounts() error {
	return namespace.Private([]string{"/run", "/var/log", "/var/mail"}, []string{"/run/sshd", "/run/lock", own})
}

// privateNet brings up loopback with the addresses of a client and a server. Logins from
// 127.0.0.1, or from the server's own address, cannot be remembered.
func privateNet() error {
	return errors.Join(
		run("ip", "link", "set", "lo", "up"), run("ip", "address", "add", rhost+"/32", "dev", "lo"),
		run("ip", "address", "add", serverHost+"/32", "dev", "lo"))
}

// run runs a program that says nothing unless it fails.
func run(name string, args ...string) error {
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, out)
	}
	return nil
}

// compile builds the client and the source of accounts.
func (w *world) compile() error {
	w.client = own + "/client"
	for name, source := range map[string]string{"client": clientSource, "nss": nssSource} {
		if err := os.WriteFile(own+"/"+name+".c", []byte(source), 0o600); err != nil {
			return err
		}
	}
	if err := run("gcc", "-O2", "-o", w.client, own+"/client.c", "-lpam"); err != nil {
		return err
	}
	return run("gcc", "-O2", "-fPIC", "-shared", fmt.Sprintf("-DHOMES=%q", w.homes), "-o", own+"/libnss_bench.so.2", own+"/nss.c")
}

// accounts lets NSS find the accounts of the bench, behind those of the files. Every
// candidate looks them up there.
func (w *world) accounts() error {
	if err := os.WriteFile("/etc/ld.so.conf.d/bench.conf", []byte(own+"\n"), 0o644); err != nil {
		return err
	}
	if err := run("ldconfig"); err != nil {
		return err
	}
	if err := os.Mkdir(w.homes, 0o755); err != nil {
		return err
	}
	const sources = "passwd: files bench\ngroup: files\nshadow: files\nhosts: files dns\n"
	if err := os.WriteFile("/etc/nsswitch.conf", []byte(sources), 0o644); err != nil {
		return err
	}
	// libpam loads these modules at each start, beside those of the service.
	return os.WriteFile("/etc/pam.d/other", []byte("auth required pam_deny.so\n"), 0o644)
}

// writeBlock makes the file that "synced" overwrites, with all its blocks on the disk.
func (w *world) writeBlock() error {
	if err := os.WriteFile(w.block, make([]byte, 1<<20), 0o600); err != nil {
		return err
	}
	unix.Sync()
	return nil
}

// service writes /etc/pam.d/NAME with these auth lines.
func service(name string, auth ...string) error {
	text := ""
	for _, line := range auth {
		text += "auth required " + line + "\n"
	}
	text += "account required pam_permit.so\nsession required pam_permit.so\n"
	return os.WriteFile("/etc/pam.d/"+name, []byte(text), 0o644)
}

// A syslog takes what modules say, and keeps the last of it.
type syslog struct {
	mu    sync.Mutex
	lines []string     // guarded by mu
	see   func(string) // guarded by mu; is told of each line; nil: nobody
}

// watch has see told of each line from now on.
func (s *syslog) watch(see func(line string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.see = see
}

// listen takes the place of the system's log. Without a listener each line would go to
// the slow console.
func (w *world) listen() error {
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: "/dev/log", Net: "unixgram"})
	if err != nil {
		return err
	}
	w.syslog = &syslog{}
	go func() {
		buf := make([]byte, 8<<10)
		for {
			n, err := conn.Read(buf)
			if err != nil {
				return
			}
			w.syslog.add(string(buf[:n]))
		}
	}()
	return os.Chmod("/dev/log", 0o666)
}

func (s *syslog) add(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines[max(0, len(s.lines)-9):], line)
	if s.see != nil {
		s.see(line)
	}
}

// last returns the last lines, for errors.
func (s *syslog) last() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string{}, s.lines...)
}
