package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// wholeSSH measures logins with a real sshd on loopback: a key first, then the code, which
// is typed at once.
func wholeSSH(b *bench) (err error) {
	ours, err := b.newSite("ssh", b.logins, outbox(), "[session]\nlifetime = \"1d\"")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ours.stop()) }()
	google, err := newGoogle(b.w, b.logins)
	if err := errors.Join(err, ours.enroll(), ours.fill()); err != nil {
		return err
	}
	d, err := b.startSSHD()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.stop()) }()
	kinds := sshKinds(ours, google)
	s := samples{}
	for round := range b.rounds {
		if err := errors.Join(google.fresh(b.logins), ours.fresh(), d.remember(ours), ours.control("lock", userName(ours.denied()))); err != nil {
			return err
		}
		for n := range min(b.logins, sshTurns) {
			for i := range kinds {
				k := kinds[(i+n)%len(kinds)]
				took, err := d.turn(k, n)
				if err != nil {
					return fmt.Errorf("%s: %w", k.name, err)
				}
				s.add(k.name, round, took.Seconds()*1000)
			}
		}
	}
	base := s[sshGoogle]
	for _, k := range kinds {
		r := s[k.name].row(k.name, "ms")
		r.Ratio = s[k.name].over(base)
		b.group.Rows = append(b.group.Rows, r)
	}
	b.group.mustNotExceed("whole SSH login against google-authenticator", "≤ 1.02 ×", s[sshOurs].over(base), 1.02)
	b.group.note("A key first, then the code, which is typed at once (SSH_ASKPASS); then echo. sshd and ssh are on the same machine.")
	return nil
}

const (
	sshTurns  = 20 // of each kind a round
	sshGoogle = "ssh, " + rowGoogle
	sshOurs   = "ssh, " + rowOurs
)

// An sshKind is one kind of login through sshd.
type sshKind struct {
	name, auth string // its stack
	shot       func(n int) (shot, error)
	denied     bool
}

func sshKinds(ours *site, google *google) []sshKind {
	return []sshKind{
		{name: "ssh, no second factor (pam_permit)", auth: "pam_permit.so", shot: fixed("", 0, "-")},
		{name: sshGoogle, auth: "pam_google_authenticator.so", shot: google.shot},
		{name: sshOurs, auth: ours.stack(""), shot: func(n int) (shot, error) { return ours.shot("", n) }},
		{name: "ssh, pam_mfa, remembered login", auth: ours.stack(""), shot: fixed("", ours.remembered(), "-")},
		{name: "ssh, pam_mfa, exempt by a rule", auth: ours.stack("exempt=success"), shot: fixed("", ours.exempt(), "-")},
		{name: "ssh, pam_mfa, denied (locked)", auth: ours.stack(""), shot: fixed("", ours.denied(), "-"), denied: true},
	}
}

// turn is one login of a kind.
func (d *sshd) turn(k sshKind, n int) (time.Duration, error) {
	calm(2 * time.Second)
	if err := service("sshd", k.auth); err != nil {
		return 0, err
	}
	sh, err := k.shot(n)
	if err != nil {
		return 0, err
	}
	took, err := d.login(sh.user, sh.answer)
	if k.denied && err != nil {
		return took, nil
	}
	if k.denied {
		return 0, errors.New("a locked user was let in")
	}
	return took, err
}

// remember has the login remembered of the user whose logins are.
func (d *sshd) remember(s *site) error {
	_, err := d.turn(sshKind{auth: s.stack(""), shot: func(int) (shot, error) { return s.shot("", s.remembered()) }}, 0)
	return err
}

// An sshd is Debian's, on a port of loopback.
type sshd struct {
	cmd  *exec.Cmd
	port int
}

func (b *bench) startSSHD() (*sshd, error) {
	l, err := net.Listen("tcp", serverHost+":0")
	if err != nil {
		return nil, err
	}
	d := &sshd{port: l.Addr().(*net.TCPAddr).Port}
	_ = l.Close()
	for _, key := range []string{"host_key", "user_key"} {
		if err := run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", own+"/"+key); err != nil {
			return nil, err
		}
	}
	host, err := os.ReadFile(own + "/host_key.pub")
	if err != nil {
		return nil, err
	}
	conf := fmt.Sprintf("ListenAddress "+serverHost+"\nPort %d\nHostKey %[2]s/host_key\nPidFile none\nUsePAM yes\n"+
		"PasswordAuthentication no\nKbdInteractiveAuthentication yes\nAuthenticationMethods publickey,keyboard-interactive\n"+
		"AuthorizedKeysFile %[2]s/user_key.pub\nStrictModes no\nUseDNS no\nPrintMotd no\nPrintLastLog no\n", d.port, own)
	askpass := "#!/bin/sh\necho \"$BENCH_CODE\"\n"
	if err := errors.Join(
		os.WriteFile(own+"/known_hosts", fmt.Appendf(nil, "[%s]:%d %s", serverHost, d.port, host), 0o644),
		os.WriteFile(own+"/sshd_config", []byte(conf), 0o600),
		os.WriteFile(own+"/askpass", []byte(askpass), 0o755)); err != nil {
		return nil, err
	}
	log, err := os.Create(own + "/sshd.log")
	if err != nil {
		return nil, err
	}
	defer log.Close()
	d.cmd = exec.Command("/usr/sbin/sshd", "-D", "-e", "-f", own+"/sshd_config")
	d.cmd.Stderr = log
	if err := d.cmd.Start(); err != nil {
		return nil, err
	}
	if err := awaitPort(fmt.Sprint(serverHost, ":", d.port)); err != nil {
		return nil, errors.Join(err, d.stop())
	}
	return d, nil
}

// awaitPort waits until somebody listens there.
func awaitPort(address string) (err error) {
	for range 100 {
		var c net.Conn
		if c, err = net.Dial("tcp", address); err == nil {
			return c.Close()
		}
		time.Sleep(50 * time.Millisecond)
	}
	return fmt.Errorf("nobody listens: %w", err)
}

func (d *sshd) stop() error {
	_ = d.cmd.Process.Kill()
	_ = d.cmd.Wait()
	return nil
}

// login goes through a whole login, in which the code is typed at once.
func (d *sshd) login(user, code string) (time.Duration, error) {
	cmd := exec.Command("/usr/bin/ssh", "-F", "none", "-b", rhost, "-p", strconv.Itoa(d.port),
		"-o", "UserKnownHostsFile="+own+"/known_hosts", "-o", "StrictHostKeyChecking=yes", "-o", "IdentityAgent=none",
		"-o", "IdentitiesOnly=yes", "-i", own+"/user_key", "-o", "NumberOfPasswordPrompts=1", user+"@"+serverHost, "echo in")
	cmd.Env = []string{"PATH=/usr/bin:/bin", "HOME=" + own, "SSH_ASKPASS=" + own + "/askpass", "SSH_ASKPASS_REQUIRE=force", "BENCH_CODE=" + code}
	began := time.Now()
	out, err := cmd.CombinedOutput()
	took := time.Since(began)
	if err == nil && strings.TrimSpace(string(out)) != "in" {
		err = errors.New("no echo")
	}
	if err != nil {
		said, _ := os.ReadFile(own + "/sshd.log")
		return took, fmt.Errorf("ssh as %s: %w: %s\n%s", user, err, out, said[max(0, len(said)-2000):])
	}
	return took, nil
}
