package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// rememberPrompt is how the question ends that "ask" asks.
const rememberPrompt = `Remember this login for 90 days\? \[y/N\]: $`

// Where logins come from that can be remembered: loopback is no place.
const home, next = "203.0.113.7", "203.0.113.8"

// comeFrom gives the site's sshd and ssh a network of their own, with addresses
// from which ssh comes: the first, if it is not told otherwise.
func (s *site) comeFrom(addresses ...string) {
	s.t.Helper()
	s.ownNetwork(addresses...)
	s.from = addresses[0]
}

// fromHome is inProcess, with ssh coming from home.
func fromHome(t *testing.T, settings ...string) *site {
	t.Helper()
	s, _ := daemonInProcess(t, settings...)
	s.comeFrom(home, next)
	s.stack("sshd", s.passwordThenCode()...)
	s.sshd()
	return s
}

// otherKey makes one more SSH key for a and returns its file.
func (s *site) otherKey(a account) string {
	s.t.Helper()
	name := s.path("other_key")
	out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "other", "-f", name).CombinedOutput()
	if err != nil {
		s.t.Fatalf("ssh-keygen: %v\n%s", err, out)
	}
	key, err := os.ReadFile(name + ".pub")
	ok(s.t, err)
	ok(s.t, appendFile(a.home+"/.ssh/authorized_keys", string(key)))
	return name
}

// byKey makes a site with key and code for sshd, the daemon in this process.
func byKey(t *testing.T, settings ...string) (*site, account, *clock) {
	t.Helper()
	s, clock := daemonInProcess(t, settings...)
	s.comeFrom(home, next)
	s.stack("sshd", s.codeOnly()...)
	s.sshd("AuthenticationMethods publickey,keyboard-interactive:pam")
	return s, s.newUser("alice"), clock
}

// withKey opens a login by key. Of two equal options ssh takes the first.
func (s *site) withKey(a account, options ...string) *terminal {
	s.t.Helper()
	return s.ssh(a, append(options, "PreferredAuthentications=publickey,keyboard-interactive")...)
}

// expectAsked ends the test unless the login is asked for a code, and leaves it.
func (c *terminal) expectAsked(t *testing.T, a account) {
	t.Helper()
	c.expect(t, codePrompt(a))
	c.close()
}

// sessionsOf returns what mfactl lists of a.
func (s *site) sessionsOf(a account) []map[string]any {
	s.t.Helper()
	var out struct {
		Sessions []map[string]any `json:"sessions"`
	}
	ok(s.t, json.Unmarshal([]byte(s.mustControl("sessions", "list", a.name, "--json")), &out))
	return out.Sessions
}

func TestRememberedByKeyAndAddress(t *testing.T) {
	s, alice, clock := byKey(t, `session.remember = "ask"`)
	other := s.otherKey(alice)
	bob := s.newUser("bob")
	// From this place the codes of these mails are: other places have others.
	rememberIt := func(n int) {
		t.Helper()
		c := s.withKey(alice)
		c.expect(t, codePrompt(alice))
		c.send(s.code(alice, n))
		expectSaid(t, c.expect(t, rememberPrompt), "from "+home+" with this key")
		c.send("y")
		c.expectIn(t)
	}
	s.withKey(alice).expectAsked(t, alice)
	rememberIt(1)
	for range 2 {
		s.withKey(alice).expectIn(t)
	}
	s.expectLetters(alice, 1)

	t.Run("another key", func(t *testing.T) {
		s.withKey(alice, "IdentityFile="+other).expectAsked(t, alice)
	})
	t.Run("another address", func(t *testing.T) {
		s.withKey(alice, "BindAddress="+next).expectAsked(t, alice)
	})
	t.Run("another user", func(t *testing.T) {
		s.withKey(bob).expectAsked(t, bob)
	})
	t.Run("the same still", func(t *testing.T) { s.withKey(alice).expectIn(t) })

	t.Run("listed and revoked", func(t *testing.T) {
		all := s.sessionsOf(alice)
		if len(all) != 1 || all[0]["service"] != "sshd" || all[0]["address"] != home+"/32" ||
			!strings.HasPrefix(fmt.Sprint(all[0]["key"]), "SHA256:") || all[0]["method"] != "email" || all[0]["ended"] != nil {
			t.Fatalf("listed: %v", all)
		}
		id := fmt.Sprint(all[0]["id"])
		logins := s.events(alice, "login")
		if last := logins[len(logins)-1]; last["reason"] != "remembered login "+id || last["outcome"] != "accepted" {
			t.Errorf("the audit file says %v", last)
		}
		s.mustControl("sessions", "revoke", alice.name, id)
		s.withKey(alice).expectAsked(t, alice)
		if found := s.events(alice, "session.revoked"); len(found) != 1 || found[0]["actor"] != "root" {
			t.Errorf("the audit file says %v", found)
		}
	})
	t.Run("expired", func(t *testing.T) {
		found, err := s.letters(alice.email)
		ok(t, err)
		rememberIt(len(found) + 1)
		clock.pass(90*24*time.Hour - time.Minute)
		s.withKey(alice).expectIn(t)
		clock.pass(time.Minute)
		s.withKey(alice).expectAsked(t, alice)
		if all := s.sessionsOf(alice); len(all) != 1 || all[0]["ended"] != "expired" {
			t.Errorf("listed: %v", all)
		}
	})
	t.Run("the enrollment changed", func(t *testing.T) {
		found, err := s.letters(alice.email)
		ok(t, err)
		rememberIt(len(found) + 1)
		s.withKey(alice).expectIn(t)
		s.mustControl("enroll", alice.name, "--email", "other-"+alice.email)
		c := s.withKey(alice)
		c.expect(t, `o\*\*\*e@example\.com[^\0]*`+codeWanted)
		c.close()
		if all := s.sessionsOf(alice); len(all) != 0 {
			t.Errorf("listed: %v", all)
		}
	})
}

func TestOnlyYesIsRemembered(t *testing.T) {
	s := fromHome(t, `session.remember = "ask"`, "code.max_sends = 20", "lockout.failures = 3")
	alice := s.newUser("alice")
	for n, answer := range []string{"n", "", "sure", password, "YES"} {
		c := s.begin(alice)
		c.expect(t, codePrompt(alice))
		c.send(wrong(s.code(alice, n+1)))
		if said := c.expect(t, `Code[^\n]*: $`); strings.Contains(said, "Remember") {
			t.Errorf("a wrong code is asked about: %q", said)
		}
		c.send(s.code(alice, n+1))
		c.expect(t, rememberPrompt)
		c.send(answer)
		c.expectIn(t)
		if all := s.sessionsOf(alice); (len(all) == 1) != (answer == "YES") {
			t.Fatalf("after %q: %v", answer, all)
		}
	}
	s.begin(alice).expectIn(t)
	s.expectLetters(alice, 5)
	t.Run("wrong password", func(t *testing.T) {
		c := s.ssh(alice)
		c.expect(t, `Password: $`)
		c.send("not-" + password)
		c.expectOut(t)
	})
	t.Run("a lock comes first", func(t *testing.T) {
		bad := s.ssh(alice, "BindAddress="+next)
		bad.expect(t, `Password: $`)
		bad.send(password)
		code := s.code(alice, 6)
		for range 3 {
			bad.expect(t, `Code[^\n]*: $`)
			bad.send(wrong(code))
		}
		bad.expectOut(t)
		c := s.begin(alice)
		expectSaid(t, c.expect(t, `Recovery code: $`), "locked")
		c.send("")
		c.expectOut(t)
		s.mustControl("unlock", alice.name)
		s.begin(alice).expectIn(t)
	})
}

func TestAlwaysAndNever(t *testing.T) {
	s := fromHome(t, `session.remember = "always"`)
	alice := s.newUser("alice")
	s.login(alice, 1)
	s.begin(alice).expectIn(t)
	s.mustControl("reset", alice.name, "--yes")
	s.mustControl("enroll", alice.name, "--email", alice.email)
	s.begin(alice).expectAsked(t, alice)

	never, _ := inProcess(t)
	bob := never.newUser("bob")
	never.login(bob, 1)
	never.begin(bob).expectAsked(t, bob)
}

func TestLocalLoginsAreNotRemembered(t *testing.T) {
	s, _ := daemonInProcess(t, `session.remember = "always"`)
	s.stack("sudo", s.passwordThenCode()...)
	alice := s.newUser("alice")
	maySudo(t, alice)
	for n := range 2 {
		c := s.as(alice, "sudo", "sh", "-c", greet)
		c.expect(t, `assword for [^\n]*: $`)
		c.send(password)
		c.expect(t, codePrompt(alice))
		c.send(s.code(alice, n+1))
		c.expectIn(t)
	}
	if all := s.sessionsOf(alice); len(all) != 0 {
		t.Errorf("listed: %v", all)
	}
}

func TestOwnSessions(t *testing.T) {
	s := fromHome(t, `session.remember = "always"`)
	alice, bob := s.newUser("alice"), s.newUser("bob")
	s.login(alice, 1)
	s.login(bob, 1)
	said := s.own(alice, "sessions", "list").expectStatus(t, 0)
	expectSaid(t, said, alice.name, "sshd", home+"/32")
	if strings.Contains(said, bob.name) {
		t.Errorf("a user sees what is somebody else's: %q", said)
	}
	s.own(alice, "sessions", "list", bob.name).expectStatus(t, statusNotAllowed)
	s.own(alice, "sessions", "revoke", bob.name).expectStatus(t, statusNotAllowed)
	s.own(alice, "sessions", "revoke", "--all", "--yes").expectStatus(t, statusNotAllowed)
	expectSaid(t, s.own(alice, "sessions", "revoke").expectStatus(t, 0), "1 session of "+alice.name)
	s.begin(alice).expectAsked(t, alice)
	s.begin(bob).expectIn(t)
	s.mustControl("sessions", "revoke", "--all", "--yes")
	s.begin(bob).expectAsked(t, bob)
}

// Everything that comes through a tunnel, a jump host or a local process comes
// from loopback: the code is right, and nothing is remembered of it.
func TestLoopbackIsNoPlace(t *testing.T) {
	for name, loopback := range map[string]string{"IPv4": "127.0.0.1", "another": "127.0.0.9", "IPv6": "::1"} {
		t.Run(name, func(t *testing.T) {
			s, _ := daemonInProcess(t, `session.remember = "always"`)
			s.ownNetwork()
			s.from = loopback
			s.stack("sshd", s.passwordThenCode()...)
			s.sshd("ListenAddress ::1")
			to := "127.0.0.1"
			if loopback == "::1" {
				to = loopback
			}
			alice := s.newUser("alice")
			for n := range 2 {
				c := s.ssh(alice, "HostName="+to, fmt.Sprintf("HostKeyAlias=[127.0.0.1]:%d", s.sshdPort))
				c.toCode(s, alice)
				c.send(s.code(alice, n+1))
				c.expectIn(t)
			}
			if all := s.sessionsOf(alice); len(all) != 0 {
				t.Errorf("listed: %v", all)
			}
			said := s.mustControl("explain", alice.name, "--service=sshd", "--rhost="+loopback)
			expectSaid(t, said, "not remembered", loopback, "no place")
			if said := s.mustControl("explain", alice.name, "--service=sshd", "--rhost="+home); strings.Contains(said, "not remembered") {
				t.Errorf("of a place: %q", said)
			}
		})
	}
}

// ownNetwork gives the site's sshd and ssh a network of their own, with loopback
// and some addresses.
func (s *site) ownNetwork(addresses ...string) {
	s.t.Helper()
	holder := exec.Command("sleep", "infinity")
	holder.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	ok(s.t, holder.Start())
	s.t.Cleanup(func() {
		_ = holder.Process.Kill()
		_ = holder.Wait()
	})
	s.network = fmt.Sprintf("/proc/%d/ns/net", holder.Process.Pid)
	commands := [][]string{{"link", "set", "lo", "up"}}
	for _, a := range addresses {
		add := []string{"addr", "add", a, "dev", "lo"}
		if strings.Contains(a, ":") {
			add = append(add, "nodad") // else it can be used a moment later
		}
		commands = append(commands, add)
	}
	for _, args := range commands {
		if out, err := s.within(exec.Command("ip", args...)).CombinedOutput(); err != nil {
			s.t.Fatalf("ip %v: %v\n%s", args, err, out)
		}
	}
}

func TestIPv6PrefixIsHonoured(t *testing.T) {
	const server, home, neighbour, elsewhere = "fd00:1::1", "fd00:2:0:7::a", "fd00:2:0:7:1::b", "fd00:2:0:8::a"
	s, _ := daemonInProcess(t, `session.remember = "always"`)
	s.ownNetwork(server, home, neighbour, elsewhere)
	s.stack("sshd", s.passwordThenCode()...)
	s.sshd("ListenAddress " + server)
	alice := s.newUser("alice")
	from := func(address string) *terminal {
		t.Helper()
		c := s.ssh(alice, "HostName="+server, "BindAddress="+address, fmt.Sprintf("HostKeyAlias=[127.0.0.1]:%d", s.sshdPort))
		c.expect(t, `Password: $`)
		c.send(password)
		return c
	}
	c := from(home)
	c.expect(t, codePrompt(alice))
	c.send(s.code(alice, 1))
	c.expectIn(t)
	from(home).expectIn(t)
	from(neighbour).expectIn(t)
	from(elsewhere).expectAsked(t, alice)
	if all := s.sessionsOf(alice); len(all) != 1 || all[0]["address"] != "fd00:2:0:7::/64" {
		t.Errorf("listed: %v", all)
	}
}
