package fleet

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"mfa/internal/mfa"
	"mfa/internal/store"
	"mfa/internal/store/etcd/etcdtest"
)

// Values of store.etcd.timeout for the hosts: the default, and one for tests that are not
// about time, on machines that have much else to do.
const (
	timeout = 2 * time.Second
	patient = 20 * time.Second
)

// mfad returns the path of the program, built once.
var mfad = sync.OnceValues(func() (string, error) {
	path := filepath.Join(folder, "mfad")
	out, err := exec.Command("go", "build", "-trimpath", "-o", path, "mfa/mfad").CombinedOutput()
	if err != nil {
		err = fmt.Errorf("build mfad: %w\n%s", err, out)
	}
	return path, err
})

// folder is where the tests build; main_test.go makes it.
var folder string

// A fleet is some hosts over a cluster of etcd, with relays between all of them, and people
// who are enrolled.
type fleet struct {
	cluster *etcdtest.Cluster
	hosts   []*host
	people  []*person

	dir  string
	mfad string
	wait time.Duration // store.etcd.timeout
}

// newFleet starts n hosts over three members, with timers as etcd has them. The hosts wait so
// long for an answer of a member.
func newFleet(t testing.TB, n int, wait time.Duration) *fleet {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("mfad believes only root who logs in")
	}
	f := &fleet{wait: wait}
	var err error
	if f.mfad, err = mfad(); err != nil {
		t.Fatal(err)
	}
	if f.dir, err = os.MkdirTemp(folder, ""); err != nil { // a short name: sockets are in it
		t.Fatal(err)
	}
	f.cluster = etcdtest.StartApart(t, 3, "--heartbeat-interval", "100", "--election-timeout", "1000")
	cfg := store.EtcdConfig{Endpoints: f.cluster.Endpoints(), Prefix: "/mfa/", Timeout: mfa.Duration(10 * time.Second)}
	f.people = settle(t, cfg, f.path("key"))
	for i := range n {
		f.add(t, fmt.Sprint("host", i))
	}
	return f
}

func (f *fleet) path(name string) string { return filepath.Join(f.dir, name) }

// add starts another host.
func (f *fleet) add(t testing.TB, name string) *host {
	t.Helper()
	h := &host{name: name, dir: f.path(name), mfad: f.mfad, typed: make(chan struct{}, 1)}
	for _, m := range f.cluster.Members {
		h.relays = append(h.relays, etcdtest.NewRelay(t, m.Host()))
	}
	var endpoints []string
	for _, r := range h.relays {
		endpoints = append(endpoints, "'http://"+r.Addr+"'")
	}
	h.configure(t,
		"store.backend = 'etcd'", "store.etcd.endpoints = ["+strings.Join(endpoints, ", ")+"]", "store.etcd.prefix = '/mfa/'",
		fmt.Sprintf("store.etcd.timeout = '%s'", f.wait),
		"secrets.key_file = '"+f.path("key")+"'", "totp.skew = 10", "policy.methods = ['totp', 'backup']")
	if err := h.start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.kill)
	f.hosts = append(f.hosts, h)
	return h
}
