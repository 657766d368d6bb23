package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"
)

// postfixDir is where Debian's package is unpacked: to install it would remove the mail
// system that is there.
const postfixDir = "build/postfix"

// fetchPostfix unpacks the package, outside of the namespaces, which have no network.
func fetchPostfix() error {
	if _, err := os.Stat(postfixDir + "/usr/lib/postfix/sbin/master"); err == nil {
		return nil
	}
	if err := os.MkdirAll(postfixDir, 0o755); err != nil {
		return err
	}
	cmd := exec.Command("apt-get", "-q", "download", "postfix")
	cmd.Dir = postfixDir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("apt-get download postfix: %w: %s", err, out)
	}
	debs, err := filepath.Glob(postfixDir + "/*.deb")
	if err != nil || len(debs) == 0 {
		return errors.Join(err, errors.New("apt-get download postfix left no package"))
	}
	return run("dpkg", "-x", debs[0], postfixDir)
}

// A postfix is a local one, which throws away what it took.
type postfix struct {
	cmd *exec.Cmd

	mu          sync.Mutex
	connections int         // guarded by mu
	taken       []time.Time // guarded by mu; when each mail was
}

var (
	postfixConnect = regexp.MustCompile(`postfix/smtpd\[\d+\]: connect from`)
	postfixTook    = regexp.MustCompile(`postfix/cleanup\[\d+\]: \w+: message-id=`)
)

// see looks at a line of the system's log.
func (p *postfix) see(line string) {
	connect, took := postfixConnect.MatchString(line), postfixTook.MatchString(line)
	p.mu.Lock()
	defer p.mu.Unlock()
	if connect {
		p.connections++
	}
	if took {
		p.taken = append(p.taken, time.Now())
	}
}

// counted is what the sink's is.
func (p *postfix) counted() (connections int, arrivals []time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.connections, append([]time.Time{}, p.taken...)
}

// startPostfix starts it on port 25, with its queue on the disk.
func startPostfix(w *world) (*postfix, error) {
	tree, err := filepath.Abs(postfixDir)
	if err != nil {
		return nil, err
	}
	queue := filepath.Join(w.disk, "postfix")
	lib := tree + "/usr/lib/postfix"
	const script = `
set -eu
getent passwd postfix >/dev/null || echo 'postfix:x:64001:64001::/nonexistent:/usr/sbin/nologin' >>/etc/passwd
getent group postfix >/dev/null || echo 'postfix:x:64001:' >>/etc/group
getent group postdrop >/dev/null || echo 'postdrop:x:64002:' >>/etc/group
echo "$LIB" >/etc/ld.so.conf.d/postfix.conf
ldconfig
mkdir -p /etc/postfix "$QUEUE" "$QUEUE.data"
cp "$TREE"/usr/share/postfix/master.cf.dist /etc/postfix/master.cf
cat >/etc/postfix/main.cf <<EOF
compatibility_level = 3.6
queue_directory = $QUEUE
data_directory = $QUEUE.data
command_directory = $TREE/usr/sbin
daemon_directory = $LIB/sbin
shlib_directory = $LIB
meta_directory = $TREE/etc/postfix
mail_owner = postfix
setgid_group = postdrop
inet_interfaces = loopback-only
inet_protocols = ipv4
mydestination =
mynetworks = 127.0.0.0/8
default_transport = discard
relay_transport = discard
EOF
cd "$QUEUE"
mkdir -p active bounce corrupt defer deferred flush hold incoming private maildrop public pid saved trace
chown postfix active bounce corrupt defer deferred flush hold incoming private maildrop public saved trace "$QUEUE.data"
chgrp postdrop maildrop public
chmod 730 maildrop
chmod 710 public
`
	cmd := exec.Command("sh", "-c", script)
	cmd.Env = append(os.Environ(), "LIB="+lib, "TREE="+tree, "QUEUE="+queue)
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("set postfix up: %w: %s", err, out)
	}
	p := &postfix{cmd: exec.Command(lib+"/sbin/master", "-c", "/etc/postfix", "-d")}
	w.syslog.watch(p.see)
	var said strings.Builder
	p.cmd.Stderr = &said
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	if err := awaitPort("127.0.0.1:25"); err != nil {
		err = fmt.Errorf("postfix: %w: %s", err, strings.Join(w.syslog.last(), "\n"))
		return nil, errors.Join(err, p.stop(), errors.New(said.String()))
	}
	time.Sleep(settle)
	return p, nil
}

// stop ends postfix; what it started ends with it.
func (p *postfix) stop() error {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
	return nil
}
