package e2e

import (
	"fmt"
	"net"
	"net/http"
	"net/textproto"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// ftp starts Debian's vsftpd and returns a way to log in to it.
func (s *site) ftp() (login func(user, password string) bool) {
	t := s.t
	t.Helper()
	port := freePort(t)
	empty := s.path("empty")
	ok(t, os.Mkdir(empty, 0o755))
	conf := s.path("vsftpd.conf")
	ok(t, os.WriteFile(conf, fmt.Appendf(nil, "listen=YES\nlisten_address=127.0.0.1\nlisten_port=%d\nlocal_enable=YES\nanonymous_enable=NO\n"+
		"pam_service_name=vsftpd\nbackground=NO\nsecure_chroot_dir=%s\ndelay_failed_login=0\nmax_login_fails=1\nseccomp_sandbox=NO\nisolate=NO\nisolate_network=NO\n", port, empty), 0o600))
	service(t, exec.Command("/usr/sbin/vsftpd", conf))
	address := fmt.Sprint("127.0.0.1:", port)
	s.listens(address)
	return func(user, password string) bool {
		t.Helper()
		c, err := textproto.Dial("tcp", address)
		ok(t, err)
		defer c.Close()
		_, _, err = c.ReadResponse(220)
		ok(t, err)
		ok(t, c.PrintfLine("USER %s", user))
		_, _, err = c.ReadResponse(331)
		ok(t, err)
		ok(t, c.PrintfLine("PASS %s", password))
		code, said, err := c.ReadResponse(0)
		if err == nil && code != 230 && code != 530 {
			t.Fatalf("vsftpd says %d %s", code, said)
		}
		return err == nil && code == 230
	}
}

// listens waits until somebody listens on a TCP address.
func (s *site) listens(address string) {
	s.t.Helper()
	eventually(s.t, address+" listens", func() bool {
		c, err := net.Dial("tcp", address)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
}

// web starts Debian's Apache, as www-data, with mod_authnz_pam, and returns a way to
// log in to it.
func (s *site) web() (login func(user, password string) bool) {
	t := s.t
	t.Helper()
	port := freePort(t)
	dir := s.path("www")
	ok(t, os.Mkdir(dir, 0o755))
	ok(t, os.WriteFile(dir+"/index.html", []byte(welcome), 0o644))
	var modules strings.Builder
	for _, m := range []string{"mpm_event", "authn_core", "authz_core", "authz_user", "auth_basic", "authnz_pam", "dir"} {
		fmt.Fprintf(&modules, "LoadModule %s_module /usr/lib/apache2/modules/mod_%[1]s.so\n", m)
	}
	conf := s.path("apache.conf")
	ok(t, os.WriteFile(conf, []byte(modules.String()+fmt.Sprintf("ServerName testhost\nListen 127.0.0.1:%d\nPidFile %[2]s.pid\nErrorLog /dev/stderr\nMutex file:%s default\n"+
		"User www-data\nGroup www-data\nDocumentRoot %[2]s\nDirectoryIndex index.html\n<Location />\nAuthType Basic\nAuthName e2e\nAuthBasicProvider PAM\nAuthPAMService web\nRequire valid-user\n</Location>\n", port, dir, "/run")), 0o644))
	service(t, exec.Command("/usr/sbin/apache2", "-DFOREGROUND", "-f", conf))
	address := fmt.Sprint("127.0.0.1:", port)
	s.listens(address)
	return func(user, password string) bool {
		t.Helper()
		req, err := http.NewRequest(http.MethodGet, "http://"+address+"/", nil)
		ok(t, err)
		req.SetBasicAuth(user, password)
		res, err := (&http.Client{Timeout: patience}).Do(req)
		ok(t, err)
		defer res.Body.Close()
		if res.StatusCode != http.StatusOK && res.StatusCode != http.StatusUnauthorized {
			t.Fatalf("Apache says %s", res.Status)
		}
		return res.StatusCode == http.StatusOK
	}
}

// Programs that carry one password and hold no conversation let nobody in where a
// code is asked for beside it, and count nothing. A code in the place of the password
// gets through where prompts are hidden.
func TestProgramsThatCarryOnePassword(t *testing.T) {
	for name, start := range map[string]func(s *site) func(user, password string) bool{"vsftpd": (*site).ftp, "web": (*site).web} {
		t.Run(name, func(t *testing.T) {
			s, clock := inProcess(t, "prompt.echo = false", `server.trusted_users = ["www-data"]`)
			alice := newAccount(t, "alice")
			app, _ := s.enrollByApp(alice, clock)
			s.published()
			s.stack(name, s.codeOnly()...)
			s.withoutPassword(name)
			login := start(s)
			for range 6 {
				if login(alice.name, password) {
					t.Fatal("let in with the password alone")
				}
			}
			s.expectFailures(alice, 0)
			if login(alice.name, wrong(app.code(t, clock.step(app.period)))) {
				t.Error("let in with a wrong code")
			}
			clock.pass(time.Minute)
			if !login(alice.name, app.code(t, clock.step(app.period))) {
				t.Errorf("not let in with the code: %s", s.log)
			}
		})
	}
}

// withoutPassword takes the account line of pam_unix out of a stack: a program that
// is not root cannot read shadow(5).
func (s *site) withoutPassword(service string) {
	s.t.Helper()
	name := "/etc/pam.d/" + service
	text, err := os.ReadFile(name)
	ok(s.t, err)
	ok(s.t, os.WriteFile(name, []byte(strings.Replace(string(text), "account required pam_unix.so", "account required pam_permit.so", 1)), 0o644))
}
