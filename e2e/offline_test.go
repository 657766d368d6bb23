package e2e

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"mfa/internal/store/etcd/etcdtest"
)

// offline returns the settings of a host of a fleet that goes on without etcd.
func offline(c *etcdtest.Cluster) []string {
	return []string{
		`store.backend = "etcd"`, fmt.Sprintf("store.etcd.endpoints = [%q]", c.Endpoints()[0]),
		`store.etcd.timeout = "1s"`, `store.etcd.offline = "totp"`,
	}
}

// awaitStatus waits until mfactl status says a text.
func (s *site) awaitStatus(text string) {
	s.t.Helper()
	for late := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		said, _ := s.control("status")
		if strings.Contains(said, text) {
			return
		}
		if time.Now().After(late) {
			s.t.Fatalf("status does not come to say %q:\n%s", text, said)
		}
	}
}

// Logins by ssh go on without etcd, for whom the host knows; each code is good once, and is
// spent when etcd is back.
func TestSSHWithoutEtcd(t *testing.T) {
	cluster := etcdtest.Start(t, 1)
	s, clock := inProcess(t, offline(cluster)...)
	alice, bob := newAccount(t, "alice"), newAccount(t, "bob")
	p, codes := s.enrollByApp(alice, clock)
	s.awaitStatus("1 users kept here could")
	cluster.Members[0].Kill()
	s.awaitStatus(", until ")
	clock.pass(2 * time.Minute)
	step := clock.step(p.period)
	s.loginWith(alice, p.code(t, step))
	s.appSpent(alice, p.code(t, step))
	s.good(alice, codes[0])
	if s.tryBackup(alice, codes[0]) {
		t.Error("a backup code let in twice without etcd")
	}
	c := s.begin(bob) // who would be led to enroll
	c.expect(t, "cannot be checked")
	c.close()
	said, _ := s.control("explain", alice.name)
	expectSaid(t, said, "what this host has kept")
	said, status := s.control("lock", alice.name)
	if status == 0 || !strings.Contains(said, "etcd cannot be reached") {
		t.Errorf("lock without etcd: status %d\n%s", status, said)
	}
	expectSaid(t, s.mustControl("audit", "--json"), `"offline":true`)
	cluster.Members[0].Start(t)
	s.awaitStatus("1 users kept here could")
	s.appSpent(alice, p.code(t, step))
	if s.tryBackup(alice, codes[0]) {
		t.Error("a backup code that was used without etcd let in with it")
	}
	s.good(alice, codes[1])
}

// A decision without etcd outlives a kill of the daemon, and comes to the fleet at the
// next start that finds it.
func TestKilledWithoutEtcd(t *testing.T) {
	cluster := etcdtest.Start(t, 1)
	s := newSite(t)
	s.set(offline(cluster)...)
	s.startDaemon()
	s.stack("sshd", s.passwordThenCode()...)
	s.sshd()
	alice := newAccount(t, "alice")
	_, codes := s.enrollByApp(alice, &clock{})
	s.awaitStatus("1 users kept here could")
	ok(t, s.stopDaemon()) // what is noted is noted
	s.startDaemon()
	cluster.Members[0].Kill()
	s.awaitStatus(", until ")
	for i := range 3 {
		s.good(alice, codes[i])
		_ = s.stop(syscall.SIGKILL)
		s.startDaemon()
		if s.tryBackup(alice, codes[i]) {
			t.Errorf("backup code %d let in again after a kill", i)
		}
	}
	_ = s.stop(syscall.SIGKILL)
	cluster.Members[0].Start(t)
	cluster.AwaitHealthy(t)
	s.startDaemon()
	for i := range 3 {
		if s.tryBackup(alice, codes[i]) {
			t.Errorf("backup code %d let in again with etcd", i)
		}
	}
	s.good(alice, codes[3])
}
