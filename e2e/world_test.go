package e2e

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"mfa/internal/host/namespace"
)

// base is the folder of everything the tests make; it is on a tmpfs.
const base = "/run/e2e"

// hostName is the machine's name within the namespaces, as mails show it.
const hostName = "testhost"

// password is every test user's. It occurs nowhere else, so finding it somewhere
// means that it leaked.
const password = "Zq7-first-factor-Zq7"

// enterPrivateWorld turns the new namespaces into a machine of the tests' own.
func enterPrivateWorld() error {
	for _, step := range []func() error{privateMounts, openTree, privateEtc, namespace.Dev, startSyslog, makeSecrets} {
		if err := step(); err != nil {
			return err
		}
	}
	return os.Setenv("TMPDIR", base+"/tmp")
}

// mount is namespace.Mount.
var mount = namespace.Mount

func privateMounts() error {
	return namespace.Private(
		[]string{"/run", "/var/log", "/var/mail", "/var/backups", "/var/lib/sudo"},
		[]string{"/run/sshd", "/run/lock", base, base + "/tmp", base + "/home"})
}

// openTree shows the tree where every user may go.
func openTree() error {
	const open = base + "/tree"
	if err := os.Mkdir(open, 0o755); err != nil {
		return err
	}
	tree = open
	return mount(moduleRoot(), open, "", unix.MS_BIND, "")
}

// privateEtc puts a copy in the place of /etc, and gives the machine a name.
func privateEtc() error {
	if err := namespace.Etc(); err != nil {
		return err
	}
	if err := unix.Sethostname([]byte(hostName)); err != nil {
		return err
	}
	return appendFile("/etc/hosts", "127.0.0.1 localhost "+hostName)
}

func appendFile(name, line string) error {
	f, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(f, line)
	return errors.Join(err, f.Close())
}

// syslog collects what PAM modules and sudo say on /dev/log.
var syslog record

// startSyslog listens on /dev/log until the process ends.
func startSyslog() error {
	conn, err := net.ListenPacket("unixgram", "/dev/log")
	if err != nil {
		return err
	}
	go func() {
		buf := make([]byte, 64<<10)
		for {
			n, _, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			_, _ = fmt.Fprintf(&syslog, "%s\n", buf[:n])
		}
	}()
	return os.Chmod("/dev/log", 0o666)
}

// passwordHash is password, hashed cheaply: pam_unix takes a millisecond.
var passwordHash string

// makeSecrets makes the hash of password and the keys of sshd and of the users.
func makeSecrets() error {
	out, err := exec.Command("perl", "-e", "print crypt($ARGV[0], '$5$rounds=1000$mfae2e$')", password).Output()
	if err != nil {
		return fmt.Errorf("hash the password: %w", err)
	}
	passwordHash = string(out)
	for _, name := range []string{hostKey, userKey} {
		cmd := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "e2e", "-f", name)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("make the key %q: %w: %s", name, err, out)
		}
	}
	return nil
}

// Keys of ssh.
const (
	hostKey = base + "/host_key"
	userKey = base + "/user_key"
)

// An account is a user of the private machine.
type account struct {
	name  string
	uid   int
	home  string
	email string
}

// accounts counts the users made so far; tests run one after another.
var accounts int

// newAccount makes a user whose name starts with name and whose address is
// name@example.com. Its password is password, its SSH key userKey.
func newAccount(t testing.TB, name string) account {
	t.Helper()
	return namedAccount(t, fmt.Sprintf("%s%d", name, accounts+1), name+"@example.com")
}

// namedAccount makes a user of that name, as newAccount does.
func namedAccount(t testing.TB, name, email string) account {
	t.Helper()
	accounts++
	a := account{name: name, uid: 20000 + accounts, email: email}
	a.home = filepath.Join(base, "home", a.name)
	key, err := os.ReadFile(userKey + ".pub")
	ok(t, err)
	ok(t, appendFile("/etc/group", fmt.Sprintf("%s:x:%d:", a.name, a.uid)))
	ok(t, appendFile("/etc/shadow", fmt.Sprintf("%s:%s:19000:0:99999:7:::", a.name, passwordHash)))
	ok(t, appendFile("/etc/passwd", fmt.Sprintf("%s:x:%d:%d::%s:/bin/sh", a.name, a.uid, a.uid, a.home)))
	ok(t, os.MkdirAll(a.home+"/.ssh", 0o700))
	ok(t, os.WriteFile(a.home+"/.ssh/authorized_keys", key, 0o600))
	for _, f := range []string{"", "/.ssh", "/.ssh/authorized_keys"} {
		ok(t, os.Chown(a.home+f, a.uid, a.uid))
	}
	return a
}

// ok ends the test when err is not nil.
func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A record keeps what a program writes and lets tests wait for a text in it. It
// may be used by many goroutines.
type record struct {
	mu      sync.Mutex
	text    []byte        // guarded by mu
	changed chan struct{} // guarded by mu; closed and replaced at each write
	ended   bool          // guarded by mu
}

// Write appends p.
func (r *record) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.text = append(r.text, p...)
	r.wake()
	return len(p), nil
}

// end says that no more text comes.
func (r *record) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
	r.wake()
}

// wake tells those who wait in next. The caller holds mu.
func (r *record) wake() {
	if r.changed != nil {
		close(r.changed)
		r.changed = nil
	}
}

// next returns the text so far, whether more may come, and what is closed then.
func (r *record) next() (text string, ended bool, changed <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.changed == nil {
		r.changed = make(chan struct{})
	}
	return string(r.text), r.ended, r.changed
}

// String returns the text so far, without carriage returns.
func (r *record) String() string {
	text, _, _ := r.next()
	return strings.ReplaceAll(text, "\r", "")
}

// len returns how many bytes came so far.
func (r *record) len() int {
	text, _, _ := r.next()
	return len(text)
}
