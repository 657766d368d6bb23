package e2e

import (
	"strings"
	"testing"
)

// The steps of docs/fleet.md about a host that has users already.

// ownConfig is the mfa.toml of a host that is in no fleet.
const ownConfig = `cat >/etc/mfa/mfa.toml <<END
[totp]
issuer = "Example"

[policy]
methods = ["totp", "backup"]
END
systemctl enable --now mfad
`

// ownUsers makes web3 a host with a second factor of its own: for somebody whom the fleet does
// not know, and for alice, who has another app there.
func ownUsers(t *testing.T, g *guide) {
	g.must(t, "web3", ownConfig)
	first := g.newcomer(t, "web3")
	g.setUp(t, "web3", "mfactl setup sshd --user "+first.name, first)
	g.own = g.enrollsAtLogin(t, "web3")
	g.backup(t, "web3", g.own, g.own.codes[0]).expectIn(t)
	g.must(t, "web3", "mfactl enroll alice --totp")
}

// copied: alice keeps the app of the fleet, and logins on web3 go on.
func copied(t *testing.T, g *guide) {
	expectSaid(t, g.said["web3"], "The records of 3 users were copied and checked.", "alice: the fleet has another enrollment, which counts")
	expectSaid(t, g.must(t, "web3", "mfactl status"), `set store.backend = "etcd" and restart mfad`)
	g.backup(t, "web3", g.own, g.own.codes[1]).expectIn(t)
}

// moved: who enrolled on web3 is enrolled everywhere, and what was used there is used everywhere,
// also what was used after the records were copied.
func moved(t *testing.T, g *guide) {
	expectSaid(t, g.said["web3"], "3 of 3 members answer", "hosts seen within a day: 3")
	for _, code := range g.own.codes[:2] {
		c := g.backup(t, "web1", g.own, code)
		c.expect(t, "used already")
		c.close()
	}
	g.backup(t, "web1", g.own, g.own.codes[2]).expectIn(t)
	g.login(t, "web3", g.newcomer(t, "web1"))
	g.login(t, "web3", g.people["alice"])
	out, err := g.machines["web3"].sh(`sed 's/^backend = "etcd"/backend = "local"/' /etc/mfa/mfa.toml >/etc/mfa/back.toml
timeout 20 setpriv --reuid=mfa --regid=mfa --clear-groups mfad --config /etc/mfa/back.toml`)
	if err == nil || !strings.Contains(out, "moved to etcd /mfa/") {
		t.Errorf("mfad with the store that moved: %v\n%s", err, out)
	}
}

// movedBack: web3 has what the fleet had, and goes on by itself.
func movedBack(t *testing.T, g *guide) {
	expectSaid(t, g.must(t, "web3", "mfactl status"), "store:             /var/lib/mfa")
	c := g.backup(t, "web3", g.own, g.own.codes[2])
	c.expect(t, "used already")
	c.close()
	g.backup(t, "web3", g.own, g.own.codes[3]).expectIn(t)
}
