package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A block is one code block of docs/fleet.md, with the comment that stands before it:
//
//	<!-- run on HOST HOST: STEP -->     each of the hosts runs it; STEP is a key of steps
//	<!-- run elsewhere: TestNAME -->    that test runs it
type block struct {
	hosts  []string
	step   string // empty: nothing more is looked at
	script string
	line   int
}

// blocksOf returns all that docs/fleet.md has to be run here.
func blocksOf(t *testing.T) (blocks []block) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(moduleRoot(), "docs", "fleet.md"))
	ok(t, err)
	mark := regexp.MustCompile(`^<!-- run (?:on ([a-z0-9 ]+)(?:: ([a-z-]+))?|elsewhere: (Test\w+)) -->$`)
	lines := strings.Split(string(text), "\n")
	for i := 0; i < len(lines); i++ {
		if !strings.HasPrefix(lines[i], "```") {
			continue
		}
		b := block{line: i + 1}
		found := mark.FindStringSubmatch(lines[i-1])
		if found == nil {
			t.Errorf("docs/fleet.md:%d: no comment says who runs this", i+1)
		} else {
			b.hosts, b.step = strings.Fields(found[1]), found[2]
		}
		for i++; lines[i] != "```"; i++ {
			b.script += lines[i] + "\n"
		}
		if len(b.hosts) > 0 {
			blocks = append(blocks, b)
		} else if found != nil && !hasTest(t, found[3]) {
			t.Errorf("docs/fleet.md:%d: there is no %s", b.line, found[3])
		}
	}
	return blocks
}

// hasTest says whether these tests have one of that name.
func hasTest(t *testing.T, name string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(moduleRoot(), "e2e", "*_test.go"))
	ok(t, err)
	return slices.ContainsFunc(files, func(file string) bool {
		text, err := os.ReadFile(file)
		ok(t, err)
		return strings.Contains(string(text), "\nfunc "+name+"(")
	})
}

// A guide is a walk through docs/fleet.md: six machines, people with apps.
type guide struct {
	*network
	people    map[string]*person
	strangers []*person         // of those, who have no app yet
	own       *person           // who enrolled on web3 before it came to the fleet
	former    *person           // whose secret was sealed with the former key
	kept      *person           // on web1, for the time without etcd
	since     *person           // who enrolled after the snapshot
	said      map[string]string // by host, what the last block wrote there
}

// A person has an account on every host, and an app.
type person struct {
	account
	phone phone
	codes []string // for backup, of who enrolled at a login
	last  int64    // step of the code that was typed last
}

// a step is what the test does with a block, in the place of running it, or after that.
type step struct {
	instead func(t *testing.T, g *guide, b block)
	after   func(t *testing.T, g *guide)
}

// The page is walked through from its first command to its last, as it stands there.
func TestFleetGuide(t *testing.T) {
	blocks := blocksOf(t)
	theSteps(t, blocks)
	g := newGuide(t)
	for _, b := range blocks {
		how := steps[b.step]
		began := time.Now()
		if how.instead != nil {
			how.instead(t, g, b)
		} else {
			g.runBlock(t, b)
		}
		if how.after != nil {
			how.after(t, g)
		}
		t.Logf("docs/fleet.md:%d %s %s took %v", b.line, b.hosts, b.step, time.Since(began).Round(100*time.Millisecond))
	}
}

// theSteps wants the blocks to have each of steps, and none other.
func theSteps(t *testing.T, blocks []block) {
	t.Helper()
	has := map[string]bool{}
	for _, b := range blocks {
		if _, known := steps[b.step]; b.step != "" && !known {
			t.Errorf("docs/fleet.md:%d: no step %q", b.line, b.step)
		}
		has[b.step] = true
	}
	for name := range steps {
		if !has[name] {
			t.Errorf("docs/fleet.md has no step %q any more", name)
		}
	}
	if t.Failed() {
		t.FailNow()
	}
}

// newGuide starts the machines of the page, with accounts of the same names and uids on all
// of them, and Debian's sshd on the hosts.
func newGuide(t *testing.T) *guide {
	t.Helper()
	installModule(t)
	g := &guide{people: map[string]*person{}, said: map[string]string{}}
	someone := func(name string) *person {
		p := &person{account: namedAccount(t, name, name+"@example.com")}
		g.people[name] = p
		return p
	}
	someone("alice")
	someone("rescue")
	for i := range 20 {
		g.strangers = append(g.strangers, someone(fmt.Sprintf("user%02d", i)))
	}
	ok(t, os.WriteFile(sshdPAM, []byte(debianPAM), 0o644))
	ok(t, os.RemoveAll("/etc/ssh/sshd_config.d"))
	ok(t, os.Mkdir("/etc/ssh/sshd_config.d", 0o755))
	conf := debianSSHD + fmt.Sprintf("HostKey %s\nUseDNS no\nLogLevel VERBOSE\nMaxStartups 300\n%s\n", hostKey, strings.Join(noPenalties(), "\n"))
	ok(t, os.WriteFile("/etc/ssh/sshd_config", []byte(conf), 0o644))
	g.network = newNetwork(t, "admin", "etcd1", "etcd2", "etcd3", "web1", "web2", "web3")
	for _, host := range []string{"web1", "web2", "web3"} {
		ok(t, g.run(g.machines[host], "ssh"))
	}
	return g
}

// runBlock has every host of a block run it, all at the same time.
func (g *guide) runBlock(t *testing.T, b block) {
	t.Helper()
	var mu sync.Mutex
	var running sync.WaitGroup
	for _, host := range b.hosts {
		running.Go(func() {
			out, err := g.machines[host].sh(b.script)
			mu.Lock()
			defer mu.Unlock()
			if g.said[host] = out; err != nil {
				t.Errorf("docs/fleet.md:%d on %s: %v\n%s", b.line, host, err, out)
			}
		})
	}
	running.Wait()
	if t.Failed() {
		t.FailNow()
	}
}

// must runs a script on a host, which has to work.
func (g *guide) must(t *testing.T, host, script string) string {
	t.Helper()
	out, err := g.machines[host].sh(script)
	if err != nil {
		t.Fatalf("on %s: %s: %v\n%s", host, script, err, out)
	}
	return out
}

// stranger returns somebody who is not enrolled, once.
func (g *guide) stranger() *person {
	p := g.strangers[0]
	g.strangers = g.strangers[1:]
	return p
}

// newcomer sets up an app on a host for somebody who has none.
func (g *guide) newcomer(t *testing.T, host string) *person {
	t.Helper()
	p := g.stranger()
	p.phone = scan(t, g.must(t, host, "mfactl enroll "+p.name+" --totp --qr"))
	return p
}

// code returns a code of the app that was not typed yet, and counts for half a minute.
func (p *person) code(t *testing.T) string {
	t.Helper()
	period := int64(p.phone.period / time.Second)
	p.last = max(p.last+1, time.Now().Unix()/period)
	for time.Now().Unix()/period+1 < p.last {
		time.Sleep(100 * time.Millisecond) // until that code counts
	}
	return p.phone.code(t, time.Unix(p.last*period, 0))
}

// ssh opens a terminal with a real ssh from the administrators' machine to a host.
func (g *guide) ssh(t *testing.T, host string, p *person) *terminal {
	t.Helper()
	key, err := os.ReadFile(hostKey + ".pub")
	ok(t, err)
	known := filepath.Join(g.dir, "known_hosts")
	ok(t, os.WriteFile(known, fmt.Appendf(nil, "%s%s %s", host, domain, key), 0o644))
	args := []string{"/usr/bin/ssh", "-F", "none"}
	for _, option := range []string{
		"UserKnownHostsFile=" + known, "StrictHostKeyChecking=yes", "PreferredAuthentications=keyboard-interactive,password",
		"NumberOfPasswordPrompts=1", "IdentityAgent=none", "IdentitiesOnly=yes",
	} {
		args = append(args, "-o", option)
	}
	return open(t, g.machines["admin"].command(append(args, p.name+"@"+host+domain, "echo let-in-e$((1+1))e")...))
}

// appPrompt is what asks for a code of an app.
const appPrompt = `Code[^\n]*: $`

// prompted types the password, and is asked for a code.
func (g *guide) prompted(t *testing.T, host string, p *person) *terminal {
	t.Helper()
	c := g.ssh(t, host, p)
	c.expect(t, `assword: $`)
	c.send(password)
	c.expect(t, appPrompt)
	return c
}

// login wants a login with a code that was not typed yet to be let in. It returns the code.
func (g *guide) login(t *testing.T, host string, p *person) string {
	t.Helper()
	c := g.prompted(t, host, p)
	code := p.code(t)
	c.send(code)
	c.expectIn(t)
	return code
}

// cannotBeChecked is said where nothing can decide a login.
const cannotBeChecked = "cannot be checked"

// unchecked wants a login to be refused since nothing can decide it: at once, or, where the
// host still has the user in memory, behind a good code.
func (g *guide) unchecked(t *testing.T, host string, p *person) {
	t.Helper()
	c := g.ssh(t, host, p)
	c.expect(t, `assword: $`)
	c.send(password)
	if said := c.expect(t, cannotBeChecked+"|"+appPrompt); !strings.Contains(said, cannotBeChecked) {
		c.send(p.code(t))
		c.expect(t, cannotBeChecked)
	}
	c.close()
}

// refused wants a login to be refused right after the password, in these words.
func (g *guide) refused(t *testing.T, host string, p *person, words string) {
	t.Helper()
	c := g.ssh(t, host, p)
	c.expect(t, `assword: $`)
	c.send(password)
	c.expect(t, words)
	c.close()
}
