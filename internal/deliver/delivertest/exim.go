package delivertest

import (
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"text/template"
	"time"
)

// EximOptions say how an Exim is set up.
type EximOptions struct {
	// Username and Password, when set, are offered with CRAM-MD5, PLAIN and
	// LOGIN, and nobody sends without. They hold no spaces, quotes or $.
	Username, Password string
	NoTLS              bool // else STARTTLS is offered, and TLSPort is open
}

// An Exim is a real mail system of one test, with its own configuration, spool
// and ports. It runs as nobody when the test runs as root, and takes mail for
// any address. It refuses the local part "unknown" for good and "busy" for a while.
type Exim struct {
	Host     string // 127.0.0.1
	Port     int    // SMTP
	TLSPort  int    // SMTP over implicit TLS
	CAFile   string // authority that signed the certificate for 127.0.0.1 and localhost
	Maildir  string // where every message ends
	Log      string // main log
	Sendmail string // program with the command line of sendmail(8) that feeds this Exim
}

// Mails waits until n messages have been delivered and returns all.
func (e *Exim) Mails(t testing.TB, n int) []Mail {
	t.Helper()
	return WaitMaildir(t, e.Maildir, n)
}

// StartExim runs Exim 4 until the test ends. Without Exim the test is skipped,
// but fails when CI=true.
func StartExim(t testing.TB, opts EximOptions) *Exim {
	t.Helper()
	program := eximProgram(t)
	account := eximAccount(t)
	dir := eximDir(t, account)
	e := &Exim{
		Host:     "127.0.0.1",
		Maildir:  filepath.Join(dir, "mail"),
		Log:      filepath.Join(dir, "mainlog"),
		Sendmail: filepath.Join(dir, "sendmail"),
	}
	if !opts.NoTLS {
		e.certify(t, dir, account)
	}
	e.writeSendmail(t, program, dir, account)
	for range 5 { // a free port can be taken by another process before Exim has it
		e.Port, e.TLSPort = freePort(t), freePort(t)
		e.configure(t, dir, account, opts)
		if e.run(t, program, dir, account) {
			t.Cleanup(e.settle)
			return e
		}
	}
	log, _ := os.ReadFile(filepath.Join(dir, "output"))
	t.Fatalf("exim does not start: %s", log)
	return nil
}

func eximProgram(t testing.TB) string {
	t.Helper()
	for _, name := range []string{"/usr/sbin/exim4", "/usr/sbin/exim"} {
		if _, err := os.Stat(name); err == nil {
			return name
		}
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("Exim is not installed (Debian: exim4-daemon-light)")
	}
	t.Skip("Exim is not installed (Debian: exim4-daemon-light)")
	return ""
}

// An account is who Exim runs as: given a configuration of ours it keeps no
// privilege, so it needs none.
type account struct {
	uid, gid int
	switched bool // it is not who the test runs as
}

func eximAccount(t testing.TB) account {
	t.Helper()
	find, switched := user.Current, false
	if os.Geteuid() == 0 {
		find, switched = func() (*user.User, error) { return user.Lookup("nobody") }, true
	}
	u, err := find()
	if err != nil {
		t.Fatal(err)
	}
	uid, err1 := strconv.Atoi(u.Uid)
	gid, err2 := strconv.Atoi(u.Gid)
	if err1 != nil || err2 != nil {
		t.Fatalf("account %q has uid %q, gid %q", u.Username, u.Uid, u.Gid)
	}
	return account{uid, gid, switched}
}

// eximDir makes the folder of an Exim. t.TempDir would not do: its parent is
// closed to nobody.
func eximDir(t testing.TB, a account) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "exim-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if a.switched {
		if err := os.Chown(dir, a.uid, a.gid); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// certify writes certificate and key where the account can read them.
func (e *Exim) certify(t testing.TB, dir string, a account) {
	t.Helper()
	ca := NewCA(t)
	e.CAFile = ca.File
	cert := ca.Issue(t, "127.0.0.1", "localhost")
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "cert.pem"), pemBlock("CERTIFICATE", cert.Certificate[0]))
	keyFile := filepath.Join(dir, "key.pem")
	if err := os.WriteFile(keyFile, pemBlock("PRIVATE KEY", key), 0o600); err != nil {
		t.Fatal(err)
	}
	if a.switched {
		if err := os.Chown(keyFile, a.uid, a.gid); err != nil {
			t.Fatal(err)
		}
	}
}

func (e *Exim) writeSendmail(t testing.TB, program, dir string, a account) {
	t.Helper()
	become := ""
	if a.switched {
		become = fmt.Sprintf("setpriv --reuid=%d --regid=%d --clear-groups ", a.uid, a.gid)
	}
	script := fmt.Sprintf("#!/bin/sh\nexec %s%s -C %s/conf \"$@\"\n", become, program, dir)
	if err := os.WriteFile(e.Sendmail, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func (e *Exim) configure(t testing.TB, dir string, a account, opts EximOptions) {
	t.Helper()
	var b strings.Builder
	err := eximConf.Execute(&b, map[string]any{
		"Dir": dir, "UID": a.uid, "GID": a.gid, "TLSPort": e.TLSPort, "Maildir": e.Maildir,
		"Username": opts.Username, "Password": opts.Password, "TLS": !opts.NoTLS,
	})
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "conf"), []byte(b.String()))
}

// run starts the daemon and reports whether it listens.
func (e *Exim) run(t testing.TB, program, dir string, a account) bool {
	t.Helper()
	out, err := os.OpenFile(filepath.Join(dir, "output"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd := exec.Command(program, "-C", filepath.Join(dir, "conf"), "-bdf",
		"-oX", fmt.Sprintf("127.0.0.1.%d : 127.0.0.1.%d", e.Port, e.TLSPort))
	cmd.Dir, cmd.Stdout, cmd.Stderr = "/", out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // deliveries end with it
	if a.switched {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid)}
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // gone already: nothing to do
		<-ended
	})
	return e.listens(ended)
}

// listens waits until the daemon answers or ends.
func (e *Exim) listens(ended <-chan struct{}) bool {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	addr := net.JoinHostPort(e.Host, strconv.Itoa(e.Port))
	for {
		select {
		case <-ended:
			return false
		case <-tick.C:
		}
		c, err := net.Dial("tcp", addr)
		if err != nil {
			continue
		}
		_, err = c.Read(make([]byte, 3)) // its greeting, not another program's silence
		_ = c.Close()
		if err == nil {
			return true
		}
	}
}

// settle waits until Exim is done with every message it took, as processes of
// their own deliver and would write into a folder that is being removed. It
// gives up after a while: a message may be stuck.
func (e *Exim) settle() {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for range 500 {
		log, _ := os.ReadFile(e.Log) // none: nothing taken
		if strings.Count(string(log), " <= ") <= strings.Count(string(log), " Completed\n") {
			return
		}
		<-tick.C
	}
}

var eximConf = template.Must(template.New("exim.conf").Parse(`# private to one test
primary_hostname = exim.test
exim_user = {{.UID}}
exim_group = {{.GID}}
deliver_drop_privilege = true
spool_directory = {{.Dir}}/spool
log_file_path = {{.Dir}}/%slog
keep_environment =
timezone = UTC
host_lookup =
rfc1413_query_timeout = 0s
daemon_startup_retries = 0
smtp_accept_max = 0
smtp_accept_queue_per_connection = 0
{{- if .TLS}}
tls_advertise_hosts = *
tls_certificate = {{.Dir}}/cert.pem
tls_privatekey = {{.Dir}}/key.pem
tls_on_connect_ports = {{.TLSPort}}
{{- else}}
tls_advertise_hosts =
{{- end}}
acl_smtp_rcpt = check_rcpt

begin acl
check_rcpt:
  deny local_parts = unknown
       message = no such person: $local_part@$domain
  defer local_parts = busy
       message = try again later
{{- if .Username}}
  accept authenticated = *
  deny message = authentication required
{{- else}}
  accept
{{- end}}

begin routers
everybody:
  driver = accept
  transport = box

begin transports
box:
  driver = appendfile
  directory = {{.Maildir}}
  maildir_format
  return_path_add
  envelope_to_add
  headers_add = X-Exim: protocol=$received_protocol auth=$sender_host_authenticated
{{if .Username}}
begin authenticators
cram:
  driver = cram_md5
  public_name = CRAM-MD5
  server_secret = ${if eq{$auth1}{ {{- .Username -}} }{ {{- .Password -}} }fail}
plain:
  driver = plaintext
  public_name = PLAIN
  server_condition = ${if and{ {eq{$auth2}{ {{- .Username -}} }} {eq{$auth3}{ {{- .Password -}} }} }}
login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = Username:: : Password::
  server_condition = ${if and{ {eq{$auth1}{ {{- .Username -}} }} {eq{$auth2}{ {{- .Password -}} }} }}
{{end}}`))
