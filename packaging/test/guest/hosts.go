package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/creack/pty"
)

// hosts are the steps of the system whose programs ask the module: whatever loads
// it, it asks where it can, and where it cannot it refuses at once.
var hosts = []step{
	{"install, and switch it on for every program", everywhere},
	{"sshd, the newest", func(m *memory) {
		fmt.Print("guest: ", run("ssh", "-V"))
		check(loginByEmail("alice"))
		byApp(m)
	}},
	{"sudo", sudo},
	{"su", su},
	{"login", console},
	{"many threads", threads},
	{"vsftpd, which cannot ask", ftp},
	{"PostgreSQL, which is not root", postgres},
	{"all of it again without a second factor", exempt},
}

// services are the PAM services that the steps use.
var services = []string{"sshd", "sudo", "su", "login", "vsftpd", "postgresql", "threads"}

func everywhere(*memory) {
	for _, user := range people {
		addUser(user)
	}
	run("usermod", "-aG", "sudo", "alice")
	run("dpkg", "-i", home+"old.deb")
	for _, name := range services {
		path := "/etc/pam.d/" + name
		stack, err := os.ReadFile(path)
		if err != nil {
			stack = []byte("@include common-auth\n@include common-account\n")
		}
		// vsftpd wants a shell in /etc/shells, as its own stack says; our line goes
		// under the password's.
		text := strings.Replace(string(stack), "@include common-auth\n", "@include common-auth\nauth required pam_mfa.so\n", 1)
		text = strings.Replace(text, "auth\trequired\tpam_shells.so\n", "", 1)
		contains(text, "pam_mfa.so")
		write(path, text)
	}
	// PostgreSQL is not root, so it cannot read shadow: only the module is asked.
	write("/etc/pam.d/postgresql", "auth required pam_mfa.so\naccount required pam_permit.so\n")
	write("/etc/mfa/mfa.toml", config)
	run("systemctl", "restart", "mfad.service")
	write("/etc/ssh/sshd_config.d/mfa.conf", "UsePAM yes\nKbdInteractiveAuthentication yes\nPasswordAuthentication no\n")
	run("systemctl", "reload", "ssh.service")
	eventually("sshd listens", listens)
	for _, user := range []string{"alice", "carol", "dave", "erin"} {
		run("mfactl", "enroll", user, "--email", user+"@example.com")
	}
}

// A terminal is a program under a pty.
type terminal struct {
	file *os.File
	out  chan string
	said string
	cmd  *exec.Cmd
}

// open starts a program as a user.
func open(user string, args ...string) *terminal {
	cmd := exec.Command("setpriv", append([]string{"--reuid=" + user, "--regid=" + user, "--init-groups", "--"}, args...)...)
	if user == "root" {
		cmd = exec.Command(args[0], args[1:]...)
	}
	cmd.Dir = "/"
	file, err := pty.Start(cmd)
	check(err)
	t := &terminal{file: file, out: make(chan string, 1000), cmd: cmd}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait()
	}()
	go t.read(ended)
	return t
}

// read takes what the program says until it has ended. An error before is login,
// which hangs its terminal up and opens it anew (vhangup(2)).
func (t *terminal) read(ended <-chan struct{}) {
	defer close(t.out)
	for {
		piece := make([]byte, 4096)
		n, err := t.file.Read(piece)
		t.out <- strings.ReplaceAll(string(piece[:n]), "\r", "")
		if err == nil {
			continue
		}
		select {
		case <-ended:
			return // also when the terminal was closed
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// expect waits for a text and uses up what came until then.
func (t *terminal) expect(text string) string {
	late := time.After(patience)
	for {
		if before, after, ok := strings.Cut(t.said, text); ok {
			t.said = after
			return before + text
		}
		select {
		case piece, ok := <-t.out:
			if !ok {
				failf("ended and never said %q: %q", text, t.said)
			}
			t.said += piece
		case <-late:
			failf("never said %q: %q", text, t.said)
		}
	}
}

func (t *terminal) send(line string) {
	_, err := t.file.WriteString(line + "\n")
	check(err)
}

// close ends the program, and what it has started hears that the terminal is gone.
func (t *terminal) close() {
	_ = t.cmd.Process.Kill()
	_ = t.file.Close()
}

// passes proves to be user and waits for what shows that they are in.
func (t *terminal) passes(user, in string) {
	defer t.close()
	t.proves(user)
	t.expect(in)
}

// proves types the password and the code that is mailed to user, a wrong one first.
func (t *terminal) proves(user string) {
	t.expect("assword")
	t.send(password)
	address := user + "@example.com"
	already := len(mails(address))
	prompt := t.expect("Code")
	t.expect(": ")
	t.send("000000")
	t.expect("not right")
	t.expect("Code")
	t.expect(": ")
	t.send(mailed(address, prompt, already))
}

func sudo(*memory) { open("alice", "sudo", "-k", "id", "-un").passes("alice", "root") }
func su(*memory)   { open("alice", "su", "carol", "-c", "id -un").passes("carol", "carol") }

func console(*memory) {
	t := open("root", "login", "dave")
	defer t.close()
	t.proves("dave")
	t.expect("$ ")
	t.send("id -un")
	t.expect("dave\n")
}

// threads logs many users in at once from the threads of one program.
func threads(*memory) {
	var names []string
	for i := range 16 {
		names = append(names, fmt.Sprintf("thread%02d", i))
		addUser(names[i])
		run("mfactl", "enroll", names[i], "--email", names[i]+"@example.com")
	}
	fmt.Print("guest: ", run(home+"threads", append([]string{outbox + "/new", password}, names...)...))
}

// ftp logs in with USER and PASS, all that the protocol has.
func ftp(*memory) {
	said, took := ftpLogin("erin")
	contains(said, "530")
	if took > 20*time.Second {
		failf("refused only after %v", took)
	}
	contains(run("mfactl", "show", "erin"), "erin")
	check(loginByEmail("erin")) // nothing was counted against her
}

func ftpLogin(user string) (string, time.Duration) {
	began := time.Now()
	c, err := net.Dial("tcp", "127.0.0.1:21")
	check(err)
	defer c.Close()
	check(c.SetDeadline(began.Add(patience)))
	lines := bufio.NewScanner(c)
	answer := func() string {
		if !lines.Scan() {
			failf("vsftpd hung up: %v", lines.Err())
		}
		return lines.Text()
	}
	contains(answer(), "220")
	_, _ = fmt.Fprintf(c, "USER %s\r\n", user)
	contains(answer(), "331")
	_, _ = fmt.Fprintf(c, "PASS %s\r\n", password)
	return answer(), time.Since(began)
}

// postgres asks as the user postgres, who may hold no login for others.
func postgres(*memory) {
	hba := strings.TrimSpace(run("sh", "-c", "ls /etc/postgresql/*/main/pg_hba.conf"))
	write(hba, "local all postgres peer\nhost all all 127.0.0.1/32 pam pamservice=postgresql\n")
	run("systemctl", "restart", "postgresql.service")
	eventually("PostgreSQL answers", func() bool {
		_, err := attempt("su", "postgres", "-c", "psql -c 'select 1'")
		return err == nil
	})
	run("su", "postgres", "-c", "createuser erin")
	began := time.Now()
	said, err := psql()
	if err == nil {
		failf("let in: %s", said)
	}
	contains(said, "PAM authentication failed")
	if took := time.Since(began); took > 20*time.Second {
		failf("refused only after %v", took)
	}
	contains(run("su", "postgres", "-c", "psql -At -c 'select 40+2'"), "42")
}

func psql() (string, error) {
	return attempt("env", "PGPASSWORD="+password, "psql", "-h", "127.0.0.1", "-U", "erin", "-d", "postgres", "-At", "-c", "select 40+2")
}

// exempt turns the policy off: who cannot ask passes too.
func exempt(*memory) {
	write("/etc/mfa/mfa.toml", config+"[policy]\nmode = \"off\"\n")
	run("systemctl", "reload", "mfad.service")
	eventually("vsftpd lets in", func() bool {
		said, _ := ftpLogin("erin")
		return strings.HasPrefix(said, "230")
	})
	t := open("alice", "sudo", "-k", "id", "-un")
	defer t.close()
	t.expect("assword")
	t.send(password)
	t.expect("root")
}
