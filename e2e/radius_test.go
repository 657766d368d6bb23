package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// radius starts Debian's FreeRADIUS, whose users PAM checks, and returns a way to
// ask it whether a user with a password is let in. It runs as root, or else as its
// package has it.
func (s *site) radius(root bool) (login func(user, password string) (string, bool)) {
	s.t.Helper()
	port, secret := freePort(s.t), "radius-e2e"
	raddb := s.path("raddb")
	ok(s.t, os.Mkdir(raddb, 0o755))
	owner := "user = freerad\n  group = shadow\n"
	if root {
		owner = ""
	}
	conf := fmt.Sprintf(`
prefix = /usr
libdir = /usr/lib/freeradius
run_dir = %[1]s
logdir = %[1]s
max_request_time = 60
security {
  %[2]s
  reject_delay = 0
}
modules {
  pam {
    pam_auth = radiusd
  }
}
client localhost {
  ipaddr = 127.0.0.1
  secret = %[3]s
}
server default {
  listen {
    type = auth
    ipaddr = 127.0.0.1
    port = %[4]d
  }
  authorize {
    update control {
      &Auth-Type := PAM
    }
  }
  authenticate {
    Auth-Type PAM {
      pam
    }
  }
}
`, raddb, owner, secret, port)
	ok(s.t, os.WriteFile(filepath.Join(raddb, "radiusd.conf"), []byte(conf), 0o644))
	ok(s.t, os.Symlink("/usr/share/freeradius/dictionary", filepath.Join(raddb, "dictionary")))
	log, _ := service(s.t, exec.Command("/usr/sbin/freeradius", "-f", "-l", "stdout", "-d", raddb))
	awaitText(s.t, log, 0, "Ready to process requests")
	return func(user, password string) (string, bool) {
		s.t.Helper()
		cmd := exec.Command("radclient", "-x", "-r", "1", "-t", "30", "127.0.0.1:"+strconv.Itoa(port), "auth", secret)
		cmd.Stdin = strings.NewReader(fmt.Sprintf("User-Name = %q, User-Password = %q\n", user, password))
		out, _ := cmd.CombinedOutput() // its status is that of a refusal too
		said := string(out)
		in := strings.Contains(said, "Received Access-Accept")
		if !in && !strings.Contains(said, "Received Access-Reject") {
			s.t.Fatalf("radclient says %q", said)
		}
		return said, in
	}
}

// FreeRADIUS answers every visible prompt with the user's name, and every hidden one
// with the password.
func TestFreeRADIUSLocksNobody(t *testing.T) {
	for _, tc := range []struct {
		name     string
		root     bool
		settings []string
		log      []string
	}{
		{"as root", true, nil, []string{"a name was given in place of a code", "hold no conversation"}},
		{"as root with hidden prompts", true, []string{"prompt.echo = false"}, []string{"the password was given in place of a code"}},
		{"under its own user", false, []string{`server.trusted_users = ["freerad"]`}, []string{"a name was given in place of a code"}},
		{"under its own user, not trusted", false, nil, []string{"server.trusted_users", "freerad"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newSite(t)
			s.set(tc.settings...)
			s.published()
			s.stack("radiusd", s.passwordThenCode()...)
			s.stack("sshd", s.passwordThenCode()...)
			s.startDaemon()
			s.sshd()
			alice := s.newUser("alice")
			login := s.radius(tc.root)
			for range 10 {
				if said, in := login(alice.name, password); in {
					t.Fatalf("let in: %s", said)
				}
			}
			s.expectFailures(alice, 0)
			awaitSaid(t, s.log, 0, tc.log...)
			letters, err := s.letters(alice.email)
			ok(t, err)
			s.settings["prompt.echo"] = "true"
			s.reload()
			s.login(alice, len(letters)+1)
		})
	}
}

// The code in the place of the password is what FreeRADIUS can carry.
func TestFreeRADIUSTakesACode(t *testing.T) {
	s, clock := inProcess(t, "prompt.echo = false")
	alice := newAccount(t, "alice")
	app, _ := s.enrollByApp(alice, clock)
	s.stack("radiusd", s.codeOnly()...)
	login := s.radius(true)
	code := app.code(t, clock.step(app.period))
	if said, in := login(alice.name, wrong(code)); in {
		t.Errorf("let in with a wrong code: %s", said)
	}
	if said, in := login(alice.name, app.code(t, clock.step(app.period))); !in {
		t.Errorf("not let in: %s", said)
	}
}

// published puts the module where programs that are not root may read it.
func (s *site) published() {
	s.t.Helper()
	module, err := os.ReadFile(s.modulePath)
	ok(s.t, err)
	s.modulePath = s.path("pam_mfa.so")
	ok(s.t, os.WriteFile(s.modulePath, module, 0o644))
}
