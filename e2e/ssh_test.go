package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// sshd starts Debian's sshd on a free port of 127.0.0.1. The lines given come
// first in its configuration; of two equal keywords sshd takes the first.
func (s *site) sshd(lines ...string) {
	s.t.Helper()
	s.sshdPort = freePort(s.t)
	lines = append(slices.Clone(lines),
		"ListenAddress 127.0.0.1", fmt.Sprint("Port ", s.sshdPort), "HostKey "+hostKey, "PidFile none",
		"UsePAM yes", "PasswordAuthentication no", "KbdInteractiveAuthentication yes",
		"MaxStartups 300", "UseDNS no", "PrintMotd no", "PrintLastLog no", "LogLevel VERBOSE")
	lines = append(lines, noPenalties()...)
	conf := s.path("sshd_config")
	ok(s.t, os.WriteFile(conf, []byte(strings.Join(lines, "\n")+"\n"), 0o600))
	cmd := s.within(exec.Command("/usr/sbin/sshd", "-D", "-e", "-f", conf))
	s.sshdLog, _ = service(s.t, cmd)
	s.sshdPID = cmd.Process.Pid
	awaitText(s.t, s.sshdLog, 0, "Server listening on 127.0.0.1")
}

// within makes a program run in the site's network.
func (s *site) within(cmd *exec.Cmd) *exec.Cmd {
	if s.network != "" {
		cmd.Path, cmd.Args = "/usr/bin/nsenter", append([]string{"nsenter", "--net=" + s.network, "--", cmd.Path}, cmd.Args[1:]...)
	}
	return cmd
}

// noPenalties turns off the waiting that OpenSSH 9.8 and later impose on an
// address after failures; older ones do not know the keyword.
var noPenalties = sync.OnceValue(func() []string {
	const line = "PerSourcePenalties no"
	if exec.Command("/usr/sbin/sshd", "-t", "-f", "/dev/null", "-h", hostKey, "-o", line).Run() != nil {
		return nil
	}
	return []string{line}
})

// freePort returns a TCP port of 127.0.0.1 that nobody listens on.
func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ok(t, err)
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}

// quickExchange is an option of ssh: that of its key exchanges which takes a quarter of the
// processor time of Debian 12's first choice.
const quickExchange = "KexAlgorithms=curve25519-sha256"

// sshCommand returns a real ssh that logs in as a and prints welcome.
func (s *site) sshCommand(a account, options ...string) *exec.Cmd {
	args := []string{"-F", "none", "-p", strconv.Itoa(s.sshdPort)}
	options = append(slices.Clone(options),
		"UserKnownHostsFile="+s.knownHosts(), "StrictHostKeyChecking=yes",
		"PreferredAuthentications=keyboard-interactive", "NumberOfPasswordPrompts=1",
		"IdentityAgent=none", "IdentitiesOnly=yes", "IdentityFile="+userKey, quickExchange)
	if s.from != "" {
		options = append(options, "BindAddress="+s.from)
	}
	for _, o := range options {
		args = append(args, "-o", o)
	}
	// The shell's arithmetic: an echo of the command line is no welcome.
	args = append(args, a.name+"@127.0.0.1", "echo let-in-e$((1+1))e")
	cmd := s.within(exec.Command("/usr/bin/ssh", args...))
	cmd.Env = []string{"PATH=/usr/bin:/bin", "HOME=" + base, "LC_ALL=C.UTF-8"}
	return cmd
}

// knownHosts writes a file with sshd's key, and returns its path. It replaces the file as a
// whole: an ssh that was started before may be reading it.
func (s *site) knownHosts() string {
	s.t.Helper()
	key, err := os.ReadFile(hostKey + ".pub")
	ok(s.t, err)
	name := s.path("known_hosts")
	ok(s.t, os.WriteFile(name+".new", fmt.Appendf(nil, "[127.0.0.1]:%d %s", s.sshdPort, key), 0o644))
	ok(s.t, os.Rename(name+".new", name))
	return name
}

// ssh opens a terminal with a real ssh. Of two equal options ssh takes the first,
// so those given here win.
func (s *site) ssh(a account, options ...string) *terminal {
	s.t.Helper()
	return open(s.t, s.sshCommand(a, options...))
}

// codePrompt matches the prompt for a code sent to NAME@example.com.
func codePrompt(a account) string {
	name := strings.TrimSuffix(a.email, "@example.com")
	masked := fmt.Sprintf("%c***%c@example.com", name[0], name[len(name)-1])
	return quotedPattern(masked) + `[^\0]*Code[^\n]*: $`
}

// quotedPattern escapes what regular expressions give a meaning.
func quotedPattern(text string) string {
	return strings.NewReplacer("*", `\*`, ".", `\.`).Replace(text)
}

// toCode types the password and waits for the code prompt.
func (c *terminal) toCode(s *site, a account) {
	s.t.Helper()
	c.expect(s.t, `Password: $`)
	c.send(password)
	c.expect(s.t, codePrompt(a))
}

// login goes through a whole login with the code of the nth mail to a.
func (s *site) login(a account, n int) {
	s.t.Helper()
	c := s.ssh(a)
	c.toCode(s, a)
	c.send(s.code(a, n))
	c.expectIn(s.t)
}
