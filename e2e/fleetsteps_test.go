package e2e

import (
	"regexp"
	"strings"
	"testing"
)

// steps are those of docs/fleet.md that need a person, or after which there is something to
// look at.
var steps = map[string]step{
	"first-host": {after: func(t *testing.T, g *guide) {
		expectSaid(t, g.said["web1"], "3 of 3 members answer", "store health:      ok", "hosts seen within a day: 1")
		leastRights(t, g)
	}},
	"enroll": {instead: func(t *testing.T, g *guide, b block) {
		g.runBlock(t, b)
		g.people["alice"].phone = scan(t, g.said["web1"])
	}},
	"second-host": {after: anotherKey},
	"setup":       {instead: setUp},
	"doctor":      {instead: examine, after: oneFleet},
	"host-with-users": {instead: func(t *testing.T, g *guide, b block) {
		ownUsers(t, g)
		g.runBlock(t, b)
	}},
	"copied":       {after: copied},
	"moved":        {after: moved},
	"own-key-goes": {after: func(t *testing.T, g *guide) { g.login(t, "web3", g.own) }},
	"copied-back":  {after: movedBack},
	"host-goes": {after: func(t *testing.T, g *guide) {
		p := g.newcomer(t, "web1")
		g.login(t, "web1", p)
		g.unchecked(t, "web2", p)
	}},
	"host-comes-back": {after: func(t *testing.T, g *guide) {
		g.eventuallyWell(t, "web2")
		g.former = g.newcomer(t, "web1")
		g.login(t, "web2", g.former)
	}},
	"key-known": {after: func(t *testing.T, g *guide) { g.login(t, "web2", g.newcomer(t, "web1")) }},
	"key-first": {after: func(t *testing.T, g *guide) { g.login(t, "web1", g.newcomer(t, "web2")) }},
	"key-changed": {after: func(t *testing.T, g *guide) {
		g.login(t, "web1", g.newcomer(t, "web2"))
		g.login(t, "web2", g.former)
	}},
	"member-down": {after: func(t *testing.T, g *guide) {
		out, _ := g.machines["web1"].sh("mfactl status")
		expectSaid(t, out, "2 of 3 members answer; not: etcd3", "One more failure, and nobody who is asked for a second factor can log in")
		g.login(t, "web2", g.newcomer(t, "web1"))
	}},
	"majority-down": {after: func(t *testing.T, g *guide) {
		g.unchecked(t, "web1", g.people["alice"])
		c := g.ssh(t, "web1", g.people["rescue"])
		c.expect(t, `assword: $`)
		c.send(password)
		c.expectIn(t)
		out, err := g.machines["web1"].sh("mfactl status")
		if err == nil {
			t.Errorf("mfactl status is content:\n%s", out)
		}
		expectSaid(t, out, "1 of 3 members answer, and there is no leader")
	}},
	"members-back": {after: func(t *testing.T, g *guide) {
		g.eventuallyWell(t, "web1")
		g.login(t, "web1", g.newcomer(t, "web2"))
	}},
	"offline-on":   {after: keepSomebody},
	"offline":      {after: aloneOnHost},
	"offline-over": {after: merged},
	"offline-off": {after: func(t *testing.T, g *guide) {
		for _, host := range []string{"web1", "web2"} {
			g.must(t, host, "test ! -e /var/lib/mfa/offline")
		}
		g.login(t, "web2", g.newcomer(t, "web1"))
	}},
	"member-broken": {after: func(t *testing.T, g *guide) { g.login(t, "web2", g.newcomer(t, "web1")) }},
	"member-added": {instead: func(t *testing.T, g *guide, b block) {
		eventually(t, "etcd takes a new member", func() bool {
			out, err := g.machines["admin"].sh(b.script)
			if err != nil && !strings.Contains(out, "unhealthy cluster") {
				t.Fatalf("%v\n%s", err, out)
			}
			return err == nil
		})
	}},
	"member-replaced": {after: func(t *testing.T, g *guide) {
		g.eventuallyWell(t, "web1")
		eventually(t, "three members", func() bool {
			out, _ := g.machines["web1"].sh("mfactl status")
			return strings.Contains(out, "3 of 3 members answer")
		})
	}},
	"compacted": {after: func(t *testing.T, g *guide) { g.login(t, "web1", g.newcomer(t, "web2")) }},
	"backup":    {after: func(t *testing.T, g *guide) { g.since = g.newcomer(t, "web2") }},
	"backup-mfa": {after: func(t *testing.T, g *guide) {
		g.must(t, "web1", "mfactl restore /root/mfa.age --passphrase-file /root/passphrase --yes")
		g.login(t, "web2", g.since)
	}},
	"since-the-snapshot": {after: func(t *testing.T, g *guide) {
		expectSaid(t, g.said["web2"], "by backup  accepted", "enrollment.changed    "+g.since.name)
	}},
	"restored": {after: func(t *testing.T, g *guide) {
		g.login(t, "web2", g.people["alice"])
		g.login(t, "web1", g.newcomer(t, "web1"))
		out := g.must(t, "web1", "mfactl users")
		if strings.Contains(out, g.since.name) {
			t.Errorf("who enrolled after the snapshot is enrolled:\n%s", out)
		}
	}},
}

// eventuallyWell waits until the daemon of a host can use its store.
func (g *guide) eventuallyWell(t *testing.T, host string) {
	t.Helper()
	eventually(t, host+" can use its store", func() bool {
		_, err := g.machines[host].sh("mfactl status")
		return err == nil
	})
}

// setUp answers mfactl setup, and proves it with a login of alice.
func setUp(t *testing.T, g *guide, b block) {
	for _, host := range b.hosts {
		g.setUp(t, host, b.script, g.people["alice"])
	}
}

// setUp is that for one host and person.
func (g *guide) setUp(t *testing.T, host, script string, p *person) {
	t.Helper()
	c := open(t, g.machines[host].command("/bin/sh", "-c", script))
	c.expect(t, `Make these changes\? \[y/N\] $`)
	c.send("y")
	c.expect(t, nowLogIn)
	g.login(t, host, p)
	expectSaid(t, c.expectStatus(t, 0), p.name+" logged in", "The change stays")
}

// anotherKey: a host with another key than its fleet does not start, and says so.
func anotherKey(t *testing.T, g *guide) {
	out, err := g.machines["web2"].sh("cp -p /var/lib/mfa/key key\nopenssl rand -hex 32 >/var/lib/mfa/key\nsystemctl restart mfad")
	if err == nil || !strings.Contains(out, "but the fleet has key") {
		t.Errorf("a start with another key: %v\n%s", err, out)
	}
	g.must(t, "web2", "cp -p key /var/lib/mfa/key\nrm key\nsystemctl start mfad")
}

// examine runs mfactl doctor, which has no mail server to find here.
func examine(t *testing.T, g *guide, b block) {
	for _, host := range b.hosts {
		out, _ := g.machines[host].sh(b.script)
		expectSaid(t, out, "sshd  password (pam_unix), then second factor", "3 of 3 members answer", "hosts seen within a day: 2; with a clock that is known: 2",
			"is good until", "ok       /var/lib/mfa/key")
		for line := range strings.Lines(out) {
			if bad, _, _ := strings.Cut(line, " "); (bad == "error" || bad == "warning") && strings.Contains(line, "etcd") {
				t.Errorf("doctor on %s: %s", host, line)
			}
		}
	}
}

// oneFleet: what one host took is spent on the other, who enrolls on one is enrolled on the
// other, and a lock holds on both.
func oneFleet(t *testing.T, g *guide) {
	p := g.newcomer(t, "web1")
	code := g.login(t, "web1", p)
	c := g.prompted(t, "web2", p)
	c.send(code)
	c.expect(t, appPrompt) // asks again
	c.close()

	g.must(t, "web1", "mfactl lock "+p.name)
	g.refused(t, "web2", p, "locked")
	g.must(t, "web2", "mfactl unlock "+p.name)
	g.login(t, "web1", p)

	carol := g.enrollsAtLogin(t, "web1")
	codes := carol.codes
	g.backup(t, "web2", carol, codes[0]).expectIn(t)
	again := g.backup(t, "web1", carol, codes[0])
	again.expect(t, backupPrompt)
	again.close()
}

// enrollsAtLogin has somebody set up an app in their first login, who keeps the backup codes.
func (g *guide) enrollsAtLogin(t *testing.T, host string) *person {
	t.Helper()
	p := g.stranger()
	c := g.ssh(t, host, p)
	c.expect(t, `assword: $`)
	c.send(password)
	shown := c.expect(t, codeWanted)
	p.phone = phoneOf(t, regexp.MustCompile(`otpauth://\S+`).FindString(shown))
	c.send(p.code(t))
	p.codes = c.keep(t)
	c.expectIn(t)
	return p
}

// backup types a backup code.
func (g *guide) backup(t *testing.T, host string, p *person, code string) *terminal {
	t.Helper()
	c := g.prompted(t, host, p)
	c.send("m")
	c.pick(t, byBackup, "")
	c.expect(t, backupPrompt)
	c.send(code)
	return c
}

// leastRights: with all that a host has, nobody can do more in etcd than what is under the
// prefix: not see or change other prefixes, not delete everything, and not change etcd.
func leastRights(t *testing.T, g *guide) {
	g.must(t, "admin", ". /root/mfa-ca/env\netcdctl put /others/users/alice secret\netcdctl put /mf x\netcdctl put /mfa0 x")
	const asHost = `export ETCDCTL_API=3 ETCDCTL_ENDPOINTS=https://etcd1.example.com:2379 ETCDCTL_CACERT=/etc/mfa/etcd/ca.pem
export ETCDCTL_CERT=/etc/mfa/etcd/web1.pem ETCDCTL_KEY=/etc/mfa/etcd/web1-key.pem
`
	if out := g.must(t, "web1", asHost+"etcdctl get --prefix --keys-only /mfa/"); !strings.Contains(out, "/mfa/check") {
		t.Errorf("its own prefix: %q", out)
	}
	for _, command := range []string{
		"get /others/users/alice", "get --prefix /others/", "get --prefix ''", "get /mf", "get /mfa0", "get --from-key ''",
		"put /others/users/alice mine", "put /mfa0 mine", "put /mf mine", "del /others/users/alice", "del --prefix /others/",
		"del --prefix ''", "del --from-key ''", "watch --prefix /others/",
		"user list", "user add mallory --no-password", "user get root", "user grant-role web1 root", "user delete web2",
		"role list", "role add more", "role grant-permission --prefix=true mfa readwrite /", "role get root", "auth disable",
		"member add etcd4 --peer-urls=https://web1.example.com:2380", "member remove 1", "snapshot save /root/stolen.db", "defrag",
	} {
		out, err := g.machines["web1"].sh(asHost + "timeout 10 etcdctl " + command)
		if err == nil || !strings.Contains(out, "permission denied") {
			t.Errorf("etcdctl %s, as a host: %v\n%s", command, err, out)
		}
	}
	// It is no member, either: those are of another authority.
	out, _ := g.machines["web1"].sh(`timeout 20 openssl s_client -ign_eof -connect etcd1.example.com:2380 -servername etcd1.example.com ` +
		`-CAfile /etc/mfa/etcd/ca.pem -cert /etc/mfa/etcd/web1.pem -key /etc/mfa/etcd/web1-key.pem 2>&1`)
	if !strings.Contains(out, "alert") {
		t.Errorf("a host at the port of members:\n%s", out)
	}
	if out := g.must(t, "admin", ". /root/mfa-ca/env\netcdctl get /others/users/alice"); !strings.Contains(out, "secret") {
		t.Errorf("%q", out)
	}
}
