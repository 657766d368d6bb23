package main

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
)

// playbooks is where Ansible runs, in a copy of packaging/ansible.
const playbooks = home + "ansible"

// byAnsible is the life of a machine that Ansible keeps: it comes in by ssh from the machine
// itself, as the user deploy with a key, and becomes root by sudo.
var byAnsible = []step{
	{"a machine that Ansible keeps", aroundAnsible},
	{"a dry run before the package is there", dryBefore},
	{"the first run does what the dry run said", firstRun},
	{"a second run changes nothing", secondRun},
	{"a broken mfa.toml is refused", brokenConfig},
	{"a broken file is refused by every run", brokenFile},
	{"a service whose proof fails is taken back", unproven},
	{"a slip in mfa_services switches nothing off", slip},
	{"what an interrupted run left is proven anew", interrupted},
	{"switched off, as the dry run said, and as before", switchedOff},
	{"a change that keeps Ansible out takes itself back", keptOut},
}

// What Ansible is asked to do beside the example of the page: mail goes where the test reads
// it, bob gets the key of an app, and there is a file with a secret. sudo is asked for
// nothing, so that its proof must fail.
const (
	appKey     = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
	secretWord = "a word for nobody"
	secretFile = "/etc/mfa/word"
	others     = "mfa_users: [{name: alice, email: alice@example.com}, {name: bob, totp: " + appKey + "}]\n" +
		"mfa_files: [{path: " + secretFile + ", content: " + secretWord + "}]\n"

	mailHere = "\n[email]\ntransport = \"outbox\"\n[email.outbox]\npath = \"" + outbox + "\"\n"
	sudoFree = "\n[[policy.rule]]\nname = \"sudo\"\nservices = [\"sudo\"]\nmode = \"off\"\n"
)

func aroundAnsible(m *memory) {
	for _, user := range []string{"alice", "bob", "deploy"} {
		addUser(user)
	}
	run("sh", "-c", `set -e
mkdir -p -m 700 /root/.ssh /home/deploy/.ssh
ssh-keygen -q -t ed25519 -N "" -f /root/.ssh/id_ed25519
cp /root/.ssh/id_ed25519.pub /home/deploy/.ssh/authorized_keys
chown -R deploy: /home/deploy/.ssh
echo "deploy ALL=(ALL) NOPASSWD: ALL" >/etc/sudoers.d/deploy
cd `+playbooks+`
cp /mfa-test/old.deb mfa.deb
printf "127.0.0.1 ansible_user=deploy ansible_python_interpreter=/usr/bin/python3\n" >hosts
printf "[defaults]\nhost_key_checking = False\n[ssh_connection]\npipelining = True\n" >ansible.cfg`)
	contains(read(playbooks+"/site.yml"), shown("yaml")[0])
	eventually("sshd listens", listens)
	m.Logins = hashes("/etc/pam.d", "/etc/ssh")
	m.Before = hashes("/etc", "/usr", "/var/lib/dpkg", "/var/cache")
}

// shown returns the blocks of a language on the page.
func shown(language string) (blocks []string) {
	page := read(playbooks + "/page.md")
	for _, m := range regexp.MustCompile("(?ms)^```"+language+"$\n(.*?)^```$").FindAllStringSubmatch(page, -1) {
		blocks = append(blocks, m[1])
	}
	if len(blocks) == 0 {
		failf("the page shows no %s", language)
	}
	return blocks
}

// A played is what one run of Ansible came to.
type played struct {
	said    string
	changed []string // names of tasks, sorted, each once
	err     error
}

// play types a command of the page, with more options.
func play(command string, more ...string) played {
	script := "cd " + playbooks + " && export LC_ALL=C.UTF-8 ANSIBLE_NOCOLOR=1 && " + strings.TrimSpace(command)
	for _, m := range more {
		script += " '" + m + "'"
	}
	said, err := attempt("bash", "-c", script)
	tasks := map[string]bool{}
	name := ""
	for line := range strings.Lines(said) {
		if m := regexp.MustCompile(`^TASK \[(.*)\] \*`).FindStringSubmatch(line); m != nil {
			name = m[1]
		}
		if strings.HasPrefix(line, "changed: [") {
			tasks[name] = true
		}
	}
	silent("the output", said)
	return played{said, slices.Sorted(maps.Keys(tasks)), err}
}

// silent wants neither secrets nor addresses in a text.
func silent(what, text string) {
	for _, word := range []string{appKey, secretWord, "alice@example.com"} {
		if strings.Contains(text, word) {
			failf("%q is in %s:\n%s", word, what, text)
		}
	}
}

// Commands of the page.
func dryRun() string  { return shown("sh")[0] }
func realRun() string { return shown("sh")[1] }

// settings returns the option with other variables than those of the page.
func settings(config string, services ...string) string {
	block := "    " + strings.ReplaceAll(strings.TrimSpace(config), "\n", "\n    ")
	write(playbooks+"/other.yml", "mfa_config: |\n"+block+"\n"+others+strings.Join(services, "\n")+"\n")
	return "--extra-vars=@other.yml"
}

// pageConfig returns the mfa.toml of the page, with mail that goes where the test reads it.
func pageConfig() string {
	m := regexp.MustCompile(`(?ms)mfa_config: \|\n(.*?)\n {8}mfa_`).FindStringSubmatch(shown("yaml")[0])
	if m == nil {
		failf("the page has no mfa_config")
	}
	text := regexp.MustCompile(`(?m)^ {10}`).ReplaceAllString(m[1], "")
	head, _, is := strings.Cut(text, "[email]")
	if !is {
		failf("the mfa.toml of the page has no [email]:\n%s", text)
	}
	return head + mailHere
}

const (
	sshdOn    = "mfa_services: [{name: sshd}]"
	installed = "mfa_package: ''" // later runs need not look at it again
)

func (p played) well() played {
	if p.err != nil {
		failf("%v\n%s", p.err, p.said)
	}
	return p
}

// alike wants two runs to have changed the same, and something.
func alike(dry, wet played) {
	if len(dry.changed) == 0 || !slices.Equal(dry.changed, wet.changed) {
		failf("the dry run said %q, and the run changed %q\n%s\n%s", dry.changed, wet.changed, dry.said, wet.said)
	}
	fmt.Printf("guest: dry and real: %q\n", wet.changed)
}

var first played

func dryBefore(m *memory) {
	first = play(dryRun(), settings(pageConfig(), sshdOn)).well()
	same(m.Before, hashes("/etc", "/usr", "/var/lib/dpkg", "/var/cache"), `^/var/lib/dpkg/(lock|triggers/Lock)|^/var/cache/apt/|__pycache__|\.pyc$`)
}

func firstRun(*memory) {
	alike(first, play(realRun(), settings(pageConfig(), sshdOn)).well())
	check(loginByEmail("alice"))
	if byPassword("alice") == nil {
		failf("the password alone lets in")
	}
	contains(run("mfactl", "show", "bob", "--json"), `"totp"`)
	if got := run("stat", "-c", "%U:%a", secretFile); got != "mfa:600\n" || read(secretFile) != secretWord {
		failf("%s is %s", secretFile, got)
	}
	silent("the journal", run("journalctl", "--no-pager", "-o", "cat"))
}

func secondRun(m *memory) {
	m.Before = hashes("/etc", "/var/lib/mfa")
	if p := play(realRun(), settings(pageConfig(), sshdOn)).well(); len(p.changed) > 0 {
		failf("it changed %q\n%s", p.changed, p.said)
	}
	same(m.Before, hashes("/etc", "/var/lib/mfa"), `^/var/lib/mfa/(state|outbox)`)
}

func brokenConfig(m *memory) {
	for _, how := range []string{dryRun(), realRun()} {
		p := play(how, settings(strings.Replace(pageConfig(), `"required"`, `"require"`, 1), sshdOn, installed))
		if p.err == nil || len(p.changed) > 0 {
			failf("%v, changed %q\n%s", p.err, p.changed, p.said)
		}
		contains(p.said, "policy.mode")
	}
	same(m.Before, hashes("/etc", "/var/lib/mfa"), `^/var/lib/mfa/(state|outbox)`)
	check(loginByEmail("alice"))
}

// brokenFile finds what a failed run has left: an mfa.toml that names a file that is not what
// it should be, both as the role writes them.
func brokenFile(*memory) {
	const toml = "/etc/mfa/mfa.toml"
	good := read(toml)
	config := strings.Replace(pageConfig(), mailHere, "\n[email]\nfrom = \"mfa@example.com\"\n[email.smtp]\nca_file = \""+secretFile+"\"\n", 1)
	write(toml, strings.TrimSpace(config)+"\n")
	p := play(realRun(), settings(config, sshdOn, installed))
	write(toml, good)
	if p.err == nil || len(p.changed) > 0 {
		failf("%v, changed %q\n%s", p.err, p.changed, p.said)
	}
	contains(p.said, "mfad refuses what is there")
	contains(p.said, secretFile)
}

// slip has another service in the place of sshd, and there is none of that name.
func slip(*memory) {
	was := hashes("/etc/pam.d", "/etc/ssh")
	p := play(realRun(), settings(pageConfig(), "mfa_services: [{name: shd}]", installed))
	if p.err == nil {
		failf("there is no shd:\n%s", p.said)
	}
	contains(p.said, "TASK [mfa : Switch on shd]")
	same(was, hashes("/etc/pam.d", "/etc/ssh"), `^$`)
	if byPassword("alice") == nil {
		failf("the password alone lets in")
	}
}

// interrupted finds sshd switched on and its way back still waiting, as a run leaves them that
// is killed before the proof.
func interrupted(*memory) {
	const timer = "mfa-way-back-sshd.timer"
	contains(run("journalctl", "--no-pager", "-o", "cat", "-u", timer), timer) // the name that the role has
	run("systemd-run", "--quiet", "--collect", "--unit="+timer, "--on-active=1h", "mfactl", "setup", "sshd", "--undo")
	run("systemctl", "is-active", timer)
	dry := play(dryRun(), settings(pageConfig(), sshdOn, installed)).well()
	run("systemctl", "is-active", timer)
	wet := play(realRun(), settings(pageConfig(), sshdOn, installed)).well()
	alike(dry, wet)
	contains(wet.said, "TASK [mfa : Come in anew, as Ansible]")
	if _, err := attempt("systemctl", "is-active", timer); err == nil {
		failf("the way back still waits:\n%s", wet.said)
	}
	check(loginByEmail("alice"))
	if byPassword("alice") == nil {
		failf("the password alone lets in")
	}
}

func unproven(*memory) {
	was := hashes("/etc/pam.d", "/etc/ssh")
	p := play(realRun(), settings(pageConfig()+sudoFree, "mfa_services: [{name: sshd}, {name: sudo}]", installed))
	if p.err == nil {
		failf("nobody is asked by sudo, and it stayed:\n%s", p.said)
	}
	contains(p.said, "sudo is as it was before")
	same(was, hashes("/etc/pam.d", "/etc/ssh"), `^$`)
	check(loginByEmail("alice"))
}

func switchedOff(m *memory) {
	off := settings(pageConfig(), "mfa_services: []", installed)
	dry := play(dryRun(), off).well()
	check(loginByEmail("alice"))
	alike(dry, play(realRun(), off).well())
	same(m.Logins, hashes("/etc/pam.d", "/etc/ssh"), `^$`)
	check(byPassword("alice"))
}

// keptOut has sshd ask deploy for a code, too, which Ansible cannot answer.
func keptOut(m *memory) {
	p := play(realRun(), settings(pageConfig(), "mfa_services: [{name: sshd, first_factor: key}]", "mfa_way_back: 20", installed))
	if p.err == nil {
		failf("Ansible is kept out, and it stayed:\n%s", p.said)
	}
	contains(p.said, "sshd is as it was before")
	same(m.Logins, hashes("/etc/pam.d", "/etc/ssh"), `^$`)
	// sshd of trixie turns away for a while whoever failed as often as Ansible did.
	eventually("the password lets in", func() bool { return byPassword("alice") == nil })
	if left, _ := os.ReadDir("/var/backups/mfa/sshd"); len(left) > 1 {
		failf("left behind: %v", left)
	}
}
