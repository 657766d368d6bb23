package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// withRules makes a site for password and code whose policy has the rules, each
// an inline table of TOML.
func withRules(t *testing.T, rules ...string) *site {
	t.Helper()
	s := newSite(t)
	s.settings["policy.rule"] = "[\n  {" + strings.Join(rules, "},\n  {") + "},\n]"
	s.stack("sshd", s.passwordThenCode()...)
	return s
}

// newGroup makes a group with these members.
func newGroup(t *testing.T, name string, members ...account) {
	t.Helper()
	accounts++
	var names []string
	for _, a := range members {
		names = append(names, a.name)
	}
	ok(t, appendFile("/etc/group", fmt.Sprintf("%s:x:%d:%s", name, 30000+accounts, strings.Join(names, ","))))
}

// explain returns what mfactl says of a login of a that did not happen yet.
func (s *site) explain(a account, args ...string) (said struct {
	Result, PAM, Rule, Text string
	Passed                  []struct{ Rule, Key, Why string }
},
) {
	s.t.Helper()
	out := s.mustControl(slices.Concat([]string{"explain", a.name, "--json"}, args)...)
	ok(s.t, json.Unmarshal([]byte(out), &said))
	return said
}

// expectExplained ends the test unless mfactl says that a rule decides, and what
// comes of it.
func (s *site) expectExplained(a account, rule, result, pam string, args ...string) {
	s.t.Helper()
	if x := s.explain(a, args...); x.Rule != rule || x.Result != result || x.PAM != pam {
		s.t.Fatalf("mfactl explains %q as %+v, want rule %q, %s, %s", args, x, rule, result, pam)
	}
}

// expectRule ends the test unless the last login of a was decided by a rule. A
// login that the client ends may be written down a moment later.
func (s *site) expectRule(a account, rule, outcome string) {
	s.t.Helper()
	eventually(s.t, fmt.Sprintf("a login of %s by rule %q with outcome %s in the audit file", a.name, rule, outcome), func() bool {
		found := s.events(a, "login")
		return len(found) > 0 && found[len(found)-1]["rule"] == rule && found[len(found)-1]["outcome"] == outcome
	})
}

// expectAsked goes through a login by password and code, the nth that is sent.
func (s *site) expectAsked(a account, n int, options ...string) {
	s.t.Helper()
	c := s.ssh(a, options...)
	c.toCode(s, a)
	c.send(s.code(a, n))
	c.expectIn(s.t)
}

// expectUnasked goes through a login by password alone.
func (s *site) expectUnasked(a account, options ...string) {
	s.t.Helper()
	c := s.ssh(a, options...)
	c.expect(s.t, `Password: $`)
	c.send(password)
	if said := c.expectIn(s.t); strings.Contains(said, "Code") {
		s.t.Fatalf("asked: %q", said)
	}
}

const (
	fromHere = "--rhost=127.0.0.1"
	fromDesk = "--rhost=127.0.0.2"
	askedFor = "ask"
	goesIn   = "let_in"
	success  = "PAM_SUCCESS"
	ignore   = "PAM_IGNORE"
)

func TestRuleByGroup(t *testing.T) {
	s := withRules(t,
		`name = "contractors", groups = ["contractors-e2e"], mode = "required"`,
		`name = "staff", groups = ["staff-e2e", "no-such-group-e2e"], mode = "off"`)
	s.startDaemon()
	s.sshd()
	carl, stan, both := s.newUser("carl"), s.newUser("stan"), s.newUser("both")
	newGroup(t, "contractors-e2e", carl, both)
	newGroup(t, "staff-e2e", stan, both)

	s.expectExplained(carl, "contractors", askedFor, success, fromHere)
	s.expectAsked(carl, 1)
	s.expectRule(carl, "contractors", "accepted")

	s.expectExplained(stan, "staff", goesIn, ignore, fromHere)
	s.expectUnasked(stan)
	s.expectRule(stan, "staff", "exempt")
	s.expectLetters(stan, 0)

	s.expectExplained(both, "contractors", askedFor, success, fromHere)
	s.expectAsked(both, 1)

	other := s.newUser("other")
	x := s.explain(other, fromHere)
	if x.Rule != "policy" || len(x.Passed) != 2 || !strings.Contains(x.Passed[0].Why, other.name+" is not in group contractors-e2e") ||
		!strings.Contains(x.Passed[1].Why, "no-such-group-e2e (which does not exist)") {
		t.Errorf("mfactl explains %+v", x)
	}
	s.expectAsked(other, 1)
	s.expectRule(other, "policy", "accepted")
}

func TestRuleByUser(t *testing.T) {
	s := withRules(t, `users = ["placeholder"], mode = "off"`)
	robot := newAccount(t, "robot")
	s.settings["policy.rule"] = strings.Replace(s.settings["policy.rule"], "placeholder", robot.name, 1)
	s.startDaemon()
	s.sshd()
	alice := s.newUser("alice")

	s.expectExplained(robot, "policy.rule[1]", goesIn, ignore, fromHere)
	for range 2 { // never enrolled, never asked to
		s.expectUnasked(robot)
	}
	s.expectRule(robot, "policy.rule[1]", "exempt")
	s.expectExplained(alice, "policy", askedFor, success, fromHere)
	s.expectAsked(alice, 1)
}

func TestRuleByService(t *testing.T) {
	s := withRules(t, `name = "sudo", services = ["sudo"], mode = "off"`)
	s.stack("sudo", s.passwordThenCode()...)
	s.startDaemon()
	s.sshd()
	alice := s.newUser("alice")
	maySudo(t, alice)

	s.expectExplained(alice, "policy", askedFor, success, "--service=sshd", fromHere)
	s.expectAsked(alice, 1)
	s.expectExplained(alice, "sudo", goesIn, ignore, "--service=sudo")
	c := s.as(alice, "sudo", "sh", "-c", greet)
	c.expect(t, `assword for [^\n]*: $`)
	c.send(password)
	if said := c.expectIn(t); !strings.Contains(said, "as root") || strings.Contains(said, "Code") {
		t.Errorf("sudo said %q", said)
	}
	s.expectRule(alice, "sudo", "exempt")
	s.expectLetters(alice, 1)
}

func TestRuleByNetwork(t *testing.T) {
	s := withRules(t, `name = "office", networks = ["127.0.0.2/32"], mode = "off"`)
	s.startDaemon()
	s.sshd()
	alice := s.newUser("alice")

	s.expectExplained(alice, "office", goesIn, ignore, fromDesk)
	s.expectExplained(alice, "office", goesIn, ignore, "--rhost=::ffff:127.0.0.2")
	s.expectUnasked(alice, "BindAddress=127.0.0.2")
	s.expectRule(alice, "office", "exempt")

	s.expectExplained(alice, "policy", askedFor, success, fromHere)
	s.expectAsked(alice, 1, "BindAddress=127.0.0.1")
	s.expectRule(alice, "policy", "accepted")
}

func TestRuleByFirstFactor(t *testing.T) {
	s := withRules(t, `name = "keys", first_factor = "publickey", services = ["sshd"], mode = "off"`)
	s.startDaemon()
	s.sshd("AuthenticationMethods publickey,keyboard-interactive:pam keyboard-interactive:pam")
	alice := s.newUser("alice")

	fingerprint := fingerprintOf(t, userKey)
	s.expectExplained(alice, "keys", goesIn, ignore, fromHere, "--key="+fingerprint)
	s.expectUnasked(alice, "PreferredAuthentications=publickey,keyboard-interactive")
	s.expectRule(alice, "keys", "exempt")
	if found := s.events(alice, "login"); found[len(found)-1]["key"] != fingerprint {
		t.Errorf("the audit file says %v", found)
	}

	s.expectExplained(alice, "policy", askedFor, success, fromHere)
	s.expectExplained(alice, "policy", askedFor, success, fromHere, "--first-factor=password")
	s.expectAsked(alice, 1)
	s.expectRule(alice, "policy", "accepted")
}

// fingerprintOf returns the fingerprint of a key as people read it.
func fingerprintOf(t *testing.T, key string) string {
	t.Helper()
	out, err := exec.Command("ssh-keygen", "-l", "-f", key+".pub").Output()
	ok(t, err)
	return strings.Fields(string(out))[1]
}

// The rule of the example configuration, over the stack for key and code.
func TestBreakGlass(t *testing.T) {
	s := withRules(t, `name = "break-glass", users = ["placeholder"], networks = ["127.0.0.2"], first_factor = "publickey", mode = "off"`)
	glass := newAccount(t, "breakglass")
	s.settings["policy.rule"] = strings.Replace(s.settings["policy.rule"], "placeholder", glass.name, 1)
	s.stack("sshd", s.codeOnly("exempt=success")...)
	s.startDaemon()
	s.sshd("AuthenticationMethods publickey,keyboard-interactive:pam")
	const byKey = "PreferredAuthentications=publickey,keyboard-interactive"

	s.expectExplained(glass, "break-glass", goesIn, ignore, fromDesk, "--key="+fingerprintOf(t, userKey))
	c := s.ssh(glass, byKey, "BindAddress=127.0.0.2")
	c.expectIn(t)
	s.expectRule(glass, "break-glass", "exempt")

	s.expectExplained(glass, "policy", "enroll", success, fromHere, "--key="+fingerprintOf(t, userKey))
	c = s.ssh(glass, byKey)
	c.expect(t, choicePrompt)
	c.close()
	s.expectRule(glass, "policy", "no_conversation")
}

// A directory that does not answer is no "not a member".
func TestGroupLookUpThatFailsDenies(t *testing.T) {
	s := withRules(t, `groups = ["of-the-directory"], mode = "required"`, `mode = "off"`)
	s.sshd()
	alice := newAccount(t, "alice")
	s.env = []string{"LD_LIBRARY_PATH=" + filepath.Dir(buildDeadDirectory(t, s))}
	s.startDaemon()
	s.expectUnasked(alice) // NSS does not ask it yet

	conf, err := os.ReadFile("/etc/nsswitch.conf")
	ok(t, err)
	t.Cleanup(func() { ok(t, os.WriteFile("/etc/nsswitch.conf", conf, 0o644)) })
	ok(t, os.WriteFile("/etc/nsswitch.conf", []byte("passwd: files\nshadow: files\ngroup: files dead\n"), 0o644))
	s.restartDaemon()
	x := s.explain(alice, fromHere)
	if x.Result != "unavailable" || x.PAM != "PAM_AUTHINFO_UNAVAIL" || !strings.Contains(x.Text, "policy look-up failed") {
		t.Errorf("mfactl explains %+v", x)
	}
	expectSaid(t, s.expectDenied(alice), "cannot be checked")
	found := s.events(alice, "login")
	expectSaid(t, fmt.Sprint(found[len(found)-1]), "unavailable", "policy look-up failed", "of-the-directory", "NSS cannot say")
}

// buildDeadDirectory makes a source for NSS that finds its daemon gone, and says
// so as nslcd's does, and returns its path.
func buildDeadDirectory(t *testing.T, s *site) string {
	t.Helper()
	const source = `
#include <errno.h>
#include <grp.h>
#include <nss.h>
enum nss_status _nss_dead_getgrnam_r(const char *name, struct group *g, char *buf, size_t len, int *err)
{
	*err = ENOENT;
	return NSS_STATUS_UNAVAIL;
}
`
	ok(t, os.WriteFile(s.path("dead.c"), []byte(source), 0o644))
	module := s.path("libnss_dead.so.2")
	out, err := exec.Command("gcc", "-shared", "-fPIC", "-o", module, s.path("dead.c")).CombinedOutput()
	if err != nil {
		t.Fatalf("gcc: %v\n%s", err, out)
	}
	return module
}

func TestBadRuleIsRefused(t *testing.T) {
	s := withRules(t, `users = ["x"], mode = "off"`)
	bad := "[[policy.rule]]\nusers = ['x']\nmode = 'off'\n\n[[policy.rule]]\nmode = 'off'\nnetworks = ['10.0.0.1/8']\n"
	ok(t, os.WriteFile(s.path("bad.toml"), []byte(bad), 0o600))
	out, err := exec.Command(artefact("mfad"), "--check", "--config", s.path("bad.toml")).CombinedOutput()
	if err == nil {
		t.Errorf("accepted: %s", out)
	}
	expectSaid(t, string(out), s.path("bad.toml")+":7: policy.rule[2].networks:", `the network is "10.0.0.0/8"`, "allowed: a list of networks")
}
