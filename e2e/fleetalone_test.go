package e2e

import (
	"strings"
	"testing"
)

// The steps of docs/fleet.md about store.etcd.offline = "totp".

// keepSomebody: who is let in from now on is kept for the time without etcd.
func keepSomebody(t *testing.T, g *guide) {
	expectSaid(t, g.said["web1"], "0 users kept here could log in")
	g.kept = g.enrollsAtLogin(t, "web1")
	g.awaitStatus(t, "web1", "1 users kept here could log in")
}

// aloneOnHost: who is kept is let in by a backup code, once, and by no code of an app that may
// have been used elsewhere. All others are refused, and so is every change.
func aloneOnHost(t *testing.T, g *guide) {
	g.awaitStatus(t, "web1", ", until ")
	examined := make(chan string, 1) // it takes long to hear nothing of etcd
	go func() {
		out, _ := g.machines["web1"].sh("mfactl doctor")
		examined <- out
	}()
	g.backup(t, "web1", g.kept, g.kept.codes[0]).expectIn(t)
	c := g.backup(t, "web1", g.kept, g.kept.codes[0])
	c.expect(t, "used already")
	c.close()
	c = g.prompted(t, "web1", g.kept)
	c.send(g.kept.code(t))
	c.expect(t, "used already")
	c.close()
	for host, p := range map[string]*person{"web1": g.people["alice"], "web2": g.kept} {
		g.refused(t, host, p, cannotBeChecked)
	}
	g.refused(t, "web1", g.stranger(), cannotBeChecked)
	out, err := g.machines["web1"].sh("mfactl lock alice")
	if err == nil || !strings.Contains(out, "etcd cannot be reached") {
		t.Errorf("mfactl lock without etcd: %v\n%s", err, out)
	}
	expectSaid(t, <-examined, "decides logins without etcd since")
	expectSaid(t, g.must(t, "web1", "mfactl audit --file /var/log/mfa/audit.jsonl --json --since 1h --event login"), `"offline":true`)
}

// merged: what was used on one host without etcd is used on all with it.
func merged(t *testing.T, g *guide) {
	g.awaitStatus(t, "web1", "1 users kept here could log in")
	g.eventuallyWell(t, "web2")
	g.awaitStatus(t, "web2", "kept here could log in") // it decides by etcd again
	c := g.backup(t, "web2", g.kept, g.kept.codes[0])
	c.expect(t, "used already")
	c.close()
	g.backup(t, "web2", g.kept, g.kept.codes[1]).expectIn(t)
	expectSaid(t, g.must(t, "web1", "mfactl audit --since 1h --event offline.merged"), g.kept.name)
}

// awaitStatus waits until mfactl status on a host says a text.
func (g *guide) awaitStatus(t *testing.T, host, text string) {
	t.Helper()
	eventually(t, "status on "+host+" says "+text, func() bool {
		out, _ := g.machines[host].sh("mfactl status")
		return strings.Contains(out, text)
	})
}
