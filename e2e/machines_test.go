package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A network is some machines that see each other, and nothing else.
type network struct {
	t        testing.TB
	dir      string
	bridge   *exec.Cmd // holds the network namespace of the switch between them
	machines map[string]*machine
}

// A machine has files, a name and an address of its own. Its programs are those of the
// tests' world, where it is about an installed package with the three of ours.
type machine struct {
	name, dir, address string

	holder *exec.Cmd // holds its namespaces

	mu      sync.Mutex // guards running
	running map[string]func(syscall.Signal) error
}

// domain is that of all machines.
const domain = ".example.com"

// newNetwork starts machines with those names.
func newNetwork(t testing.TB, names ...string) *network {
	t.Helper()
	sites++
	n := &network{t: t, dir: fmt.Sprintf("%s/%d", base, sites), machines: map[string]*machine{}}
	ok(t, os.Mkdir(n.dir, 0o755))
	n.bridge = holdNamespaces(t, syscall.CLONE_NEWNET)
	n.in(n.bridge, "net", "ip", "link", "add", "br0", "type", "bridge")
	n.in(n.bridge, "net", "ip", "link", "set", "br0", "up")
	for i, name := range names {
		m := &machine{name: name, dir: filepath.Join(n.dir, name), address: fmt.Sprintf("192.0.2.%d", 10+i), running: map[string]func(syscall.Signal) error{}}
		ok(t, os.MkdirAll(m.dir+"/bin", 0o755))
		ok(t, appendFile("/etc/hosts", fmt.Sprintf("%s %s%s %s", m.address, name, domain, name)))
		n.machines[name] = m
	}
	for i, name := range names {
		n.start(n.machines[name], i)
	}
	return n
}

// holdNamespaces starts a process that has namespaces of its own until the test ends.
func holdNamespaces(t testing.TB, namespaces uintptr) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("sleep", "infinity")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: namespaces, Pdeathsig: syscall.SIGKILL}
	ok(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd
}

// enter returns a command in namespaces of a holder: "net", "mount", "uts".
func enter(holder *exec.Cmd, namespaces string, argv ...string) *exec.Cmd {
	var args []string
	for kind := range strings.SplitSeq(namespaces, " ") {
		file := map[string]string{"mount": "mnt"}[kind]
		if file == "" {
			file = kind
		}
		args = append(args, fmt.Sprintf("--%s=/proc/%d/ns/%s", kind, holder.Process.Pid, file))
	}
	return exec.Command("/usr/bin/nsenter", slices.Concat(args, []string{"--"}, argv)...)
}

// in runs a command in namespaces of a holder, which has to work.
func (n *network) in(holder *exec.Cmd, namespaces string, argv ...string) {
	n.t.Helper()
	if out, err := enter(holder, namespaces, argv...).CombinedOutput(); err != nil {
		n.t.Fatalf("%v: %v\n%s", argv, err, out)
	}
}

// beginMachine makes files of the machine's own: $1 is its folder, $2 its name.
const beginMachine = `set -eu
mount --make-rprivate /
for dir in /var/lib/mfa /var/lib/etcd /var/log /var/backups /root; do
	mkdir -p $dir
	mount -t tmpfs -o mode=0755 tmpfs $dir
done
cp -a /etc $1/etc
mount --bind $1/etc /etc
mkdir $1/run
mount -t tmpfs -o mode=0755 tmpfs $1/run
mkdir $1/run/e2e $1/run/sshd $1/run/mfa $1/run/lock
mount --bind /run/e2e $1/run/e2e
mount --bind /run/e2e/tree $1/run/e2e/tree
mount -n --move $1/run /run
hostname $2
echo $2 >/etc/hostname
head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n' >/etc/machine-id
grep -q ^mfa: /etc/passwd || { echo mfa:x:990:990::/:/usr/sbin/nologin >>/etc/passwd; echo mfa:x:990: >>/etc/group; }
mkdir -p /etc/mfa /var/log/mfa
chown mfa:mfa /var/lib/mfa /var/log/mfa
chmod 0700 /var/lib/mfa
chown etcd:etcd /var/lib/etcd
ip link set lo up
ip addr add $3/24 dev eth0
ip link set eth0 up
`

// start starts the ith machine.
func (n *network) start(m *machine, i int) {
	t := n.t
	t.Helper()
	m.holder = holdNamespaces(t, syscall.CLONE_NEWNS|syscall.CLONE_NEWUTS|syscall.CLONE_NEWNET)
	veth := fmt.Sprint("v", i)
	n.in(n.bridge, "net", "ip", "link", "add", veth, "type", "veth", "peer", "name", "eth0", "netns", fmt.Sprint(m.holder.Process.Pid))
	n.in(n.bridge, "net", "ip", "link", "set", veth, "master", "br0", "up")
	n.in(m.holder, "mount uts net", "/bin/sh", "-c", beginMachine, "begin", m.dir, m.name, m.address)
	for _, program := range []string{"mfad", "mfactl"} {
		ok(t, os.Symlink(artefact(program), m.dir+"/bin/"+program))
	}
	n.standIns(m)
}

// standIn asks the test for what the machine's system would do: one line a word, and a dot.
const standIn = `#!/bin/sh
{ basename "$0"; pwd; for word; do printf '%%s\n' "$word"; done; echo .; } >%[1]s/ask
read -r said <%[1]s/told
[ "$said" = ok ] || { echo "$said" >&2; exit 1; }
`

// standIns gives the machine programs in the place of systemd's, of apt and of scp.
func (n *network) standIns(m *machine) {
	t := n.t
	t.Helper()
	var fifos []*os.File
	for _, name := range []string{"ask", "told"} {
		ok(t, unix.Mkfifo(filepath.Join(m.dir, name), 0o600))
		f, err := os.OpenFile(filepath.Join(m.dir, name), os.O_RDWR, 0)
		ok(t, err)
		fifos = append(fifos, f)
	}
	for _, name := range []string{"systemctl", "apt", "scp"} {
		ok(t, os.WriteFile(m.dir+"/bin/"+name, fmt.Appendf(nil, standIn, m.dir), 0o755))
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		lines := bufio.NewScanner(fifos[0])
		var words []string
		for lines.Scan() {
			if lines.Text() != "." {
				words = append(words, lines.Text())
				continue
			}
			said := "ok"
			if err := n.stand(m, words); err != nil {
				said = strings.ReplaceAll(err.Error(), "\n", "; ")
			}
			_, _ = fmt.Fprintln(fifos[1], said)
			words = nil
		}
	}()
	t.Cleanup(func() {
		_ = fifos[0].Close()
		<-done
		_ = fifos[1].Close()
	})
}

// stand does what a stand-in asks for: its name, its working folder, and its arguments.
func (n *network) stand(m *machine, words []string) error {
	switch args := words[2:]; words[0] {
	case "apt":
		return n.apt(args)
	case "scp":
		return n.scp(m, words[1], args)
	default:
		return n.systemctl(m, args)
	}
}

// apt looks whether Debian's packages are installed.
func (n *network) apt(args []string) error {
	for _, name := range args[1:] {
		if out, err := exec.Command("dpkg-query", "-W", name).CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
	}
	return nil
}

// scp copies files between machines, root's on both sides. They keep their modes, as new files
// of scp do.
func (n *network) scp(m *machine, dir string, args []string) error {
	place := func(arg string) (string, error) {
		at, path, remote := strings.Cut(arg, ":")
		if !remote {
			at, path = "root@"+m.name+domain, arg
		}
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, path)
		}
		to := n.machines[strings.TrimSuffix(strings.TrimPrefix(at, "root@"), domain)]
		if to == nil {
			return "", fmt.Errorf("scp: no machine %q", at)
		}
		return fmt.Sprintf("/proc/%d/root%s", to.holder.Process.Pid, path), nil
	}
	var places []string
	for _, arg := range args {
		p, err := place(arg)
		if err != nil {
			return err
		}
		places = append(places, p)
	}
	last := len(places) - 1
	return copyFiles(places[:last], places[last])
}

func copyFiles(from []string, to string) error {
	if out, err := exec.Command("cp", append(slices.Clone(from), to)...).CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// systemctl starts and stops units as Debian's and ours say.
func (n *network) systemctl(m *machine, args []string) error {
	verb := args[0]
	args = slices.DeleteFunc(args[1:], func(arg string) bool { return arg == "--now" })
	var errs []error
	for _, unit := range args {
		if unit == "mfad.socket" {
			continue // the service brings it
		}
		unit = strings.TrimSuffix(unit, ".service")
		if verb == "stop" || verb == "restart" {
			errs = append(errs, m.stop(unit))
		}
		if verb == "start" || verb == "enable" || verb == "restart" {
			errs = append(errs, n.run(m, unit))
		}
	}
	return errors.Join(errs...)
}

// stop ends a unit, if it runs, as systemd does: who dies of its SIGTERM ended well.
func (m *machine) stop(unit string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	stop := m.running[unit]
	delete(m.running, unit)
	if stop == nil {
		return nil
	}
	err := stop(syscall.SIGTERM)
	if ended, is := errors.AsType[*exec.ExitError](err); is && ended.Sys().(syscall.WaitStatus).Signal() == syscall.SIGTERM {
		return nil
	}
	return err
}

// listenAndExec opens the sockets as mfad.socket does, and is mfad then, as user mfa.
const listenAndExec = `use Socket;
$^F = 9; $ENV{LISTEN_FDS} = 2; $ENV{LISTEN_PID} = $$;
my @kept;
for my $path ("/run/mfa/pam.sock", "/run/mfa/control.sock") {
	my $s;
	unlink $path;
	socket($s, PF_UNIX, SOCK_STREAM, 0) && bind($s, pack_sockaddr_un($path)) && listen($s, 128) && chmod(0666, $path) or die "$path: $!";
	push @kept, $s;
}
exec "setpriv", "--reuid=mfa", "--regid=mfa", "--clear-groups", @ARGV;`

// argv returns the program of a unit, and its environment.
func (m *machine) argv(unit string) (argv, env []string, err error) {
	env = []string{"PATH=" + m.path(), "LC_ALL=C.UTF-8"}
	switch unit {
	case "etcd":
		env = append(env, "ETCD_NAME="+m.name, "ETCD_DATA_DIR=/var/lib/etcd/default")
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/root/etc/default/etcd", m.holder.Process.Pid))
		if err != nil {
			return nil, nil, err
		}
		for line := range strings.Lines(string(text)) {
			if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
				env = append(env, line)
			}
		}
		return []string{"setpriv", "--reuid=etcd", "--regid=etcd", "--clear-groups", "etcd", "--logger", "zap", "--log-level", "error", "--heartbeat-interval", "200", "--election-timeout", "2000"}, env, nil
	case "mfad":
		return []string{"perl", "-e", listenAndExec, m.dir + "/bin/mfad"}, env, nil
	case "ssh":
		return []string{"/usr/sbin/sshd", "-D", "-e"}, env, nil
	}
	return nil, nil, fmt.Errorf("no unit %q", unit)
}

func (m *machine) path() string { return m.dir + "/bin:/usr/sbin:/usr/bin:/sbin:/bin" }

// run starts a unit and returns when it says that it is ready (sd_notify(3)).
func (n *network) run(m *machine, unit string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.running[unit] != nil {
		return nil
	}
	argv, env, err := m.argv(unit)
	if err != nil {
		return err
	}
	name := filepath.Join(m.dir, "notify-"+unit)
	_ = os.Remove(name)
	notify, err := net.ListenPacket("unixgram", name)
	if err != nil {
		return err
	}
	defer notify.Close()
	if err := os.Chmod(name, 0o666); err != nil {
		return err
	}
	cmd := enter(m.holder, "mount uts net", argv...)
	cmd.Env = append(env, "NOTIFY_SOCKET="+name)
	log, stop := service(n.t, cmd)
	m.running[unit] = stop
	if unit == "ssh" {
		_, _, err = await(log, 0, regexp.MustCompile("Server listening on"))
	} else {
		err = awaitReady(notify, log)
	}
	if err != nil {
		delete(m.running, unit)
		return errors.Join(fmt.Errorf("%s on %s: %w\n%s", unit, m.name, err, log), stop(syscall.SIGKILL))
	}
	return nil
}

// awaitReady waits for READY=1, as long as systemd waits by default, or until the program
// ends.
func awaitReady(notify net.PacketConn, log *record) error {
	buf := make([]byte, 4096)
	for late := time.Now().Add(90 * time.Second); ; {
		if err := notify.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
			return err
		}
		n, _, err := notify.ReadFrom(buf)
		if slices.Contains(strings.Split(string(buf[:n]), "\n"), "READY=1") {
			return nil
		}
		if _, ended, _ := log.next(); err != nil && (ended || time.Now().After(late)) {
			return fmt.Errorf("is not ready: %w", err)
		}
	}
}

// command returns a command on the machine, for root.
func (m *machine) command(argv ...string) *exec.Cmd {
	cmd := enter(m.holder, "mount uts net", argv...)
	cmd.Env = []string{"PATH=" + m.path(), "HOME=/root", "LC_ALL=C.UTF-8"}
	return cmd
}

// sh runs a script on the machine, which ends at the first command that fails.
func (m *machine) sh(script string) (string, error) {
	cmd := m.command("/bin/sh", "-eu", "-c", "cd /root\n"+script)
	cmd.Stdin = strings.NewReader("")
	out, err := cmd.CombinedOutput()
	return string(out), err
}
