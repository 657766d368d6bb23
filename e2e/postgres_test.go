package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// postgres starts a real PostgreSQL, as the user postgres in these groups too, that asks
// PAM; and returns a way to log in to it that says whether it was let in, and how not. The
// code goes where psql has the password.
func (s *site) postgres(a account, groups ...uint32) (login func(code string) (string, bool)) {
	s.t.Helper()
	me, err := user.Lookup("postgres")
	ok(s.t, err)
	uid, err := strconv.ParseUint(me.Uid, 10, 32)
	ok(s.t, err)
	gid, err := strconv.ParseUint(me.Gid, 10, 32)
	ok(s.t, err)
	bin, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	ok(s.t, err)
	if len(bin) == 0 {
		s.t.Fatal("no PostgreSQL is installed; see install.sh")
	}
	data := s.path("pg")
	ok(s.t, os.Mkdir(data, 0o700))
	ok(s.t, os.Chown(data, int(uid), int(gid)))
	as := func(name string, args ...string) *exec.Cmd {
		cmd := exec.Command(filepath.Join(bin[len(bin)-1], name), args...)
		cmd.Dir, cmd.Env = "/", []string{"PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8"}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid), Groups: groups}}
		return cmd
	}
	must := func(cmd *exec.Cmd) {
		s.t.Helper()
		if out, err := cmd.CombinedOutput(); err != nil {
			s.t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
		}
	}
	must(as("initdb", "-D", data, "-A", "peer", "--no-sync"))
	hba := "local all postgres peer\nhost all all 127.0.0.1/32 pam pamservice=postgresql\n"
	ok(s.t, os.WriteFile(filepath.Join(data, "pg_hba.conf"), []byte(hba), 0o644))
	port := freePort(s.t)
	log, _ := service(s.t, as("postgres", "-D", data, "-p", strconv.Itoa(port), "-k", data, "-c", "listen_addresses=127.0.0.1"))
	awaitText(s.t, log, 0, "ready to accept connections")
	must(as("psql", "-h", data, "-p", strconv.Itoa(port), "-d", "postgres", "-c", `CREATE ROLE "`+a.name+`" LOGIN`))
	return func(code string) (string, bool) {
		psql := as("psql", "-h", "127.0.0.1", "-p", strconv.Itoa(port), "-U", a.name, "-d", "postgres", "-At", "-c", "SELECT concat('let-in-e', 1+1, 'e')")
		psql.Env = append(psql.Env, "PGPASSWORD="+code, "PGCONNECT_TIMEOUT=30")
		out, err := psql.CombinedOutput()
		return string(out), err == nil && strings.Contains(string(out), welcome)
	}
}

// PostgreSQL runs as its own user. It asks for others only where the administrator
// has said that it may; else it hears so, and the log says what to set.
func TestPostgreSQL(t *testing.T) {
	for _, trusted := range []bool{false, true} {
		t.Run(fmt.Sprint("trusted ", trusted), func(t *testing.T) {
			settings := []string{"prompt.echo = false", `lockout.failures = 100`}
			if trusted {
				settings = append(settings, `server.trusted_users = ["postgres"]`)
			}
			s, clock := inProcess(t, settings...)
			alice := newAccount(t, "alice")
			app, _ := s.enrollByApp(alice, clock)
			module, err := os.ReadFile(s.modulePath)
			ok(t, err)
			s.modulePath = s.path("pam_mfa.so") // where postgres may read it
			ok(t, os.WriteFile(s.modulePath, module, 0o644))
			t.Cleanup(func() { _ = os.Remove("/etc/pam.d/postgresql") })
			ok(t, os.WriteFile("/etc/pam.d/postgresql", []byte(strings.Join([]string{
				"auth required " + s.module(), "account required pam_permit.so", "",
			}, "\n")), 0o644))
			login := s.postgres(alice)

			from := syslog.len()
			said, in := login(app.code(t, clock.step(app.period)))
			if in != trusted {
				t.Fatalf("let in: %v\n%s\n%s", in, said, s.log)
			}
			if !trusted {
				awaitText(t, &syslog, from, `\(PAM_PERM_DENIED\)`)
				awaitSaid(t, s.log, 0, "server.trusted_users", `postgres`, "not_allowed")
				return
			}
			if _, in := login(wrong(app.code(t, clock.step(app.period)))); in {
				t.Error("let in with a wrong code")
			}
			awaitText(t, &syslog, from, `wrong|used up`)
			for _, ev := range s.events(alice, "login") {
				if ev["service"] == "postgresql" && ev["address"] != "127.0.0.1" {
					t.Errorf("the audit file says %v", ev)
				}
			}
		})
	}
}
