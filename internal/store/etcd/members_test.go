package etcd

import (
	"slices"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"mfa/internal/mfa"
	"mfa/internal/store/etcd/etcdtest"
	"mfa/internal/wire"
)

// answering returns how many of the members answer, and how many lead.
func answering(f wire.Fleet) (n, lead int) {
	for _, m := range f.Members {
		if m.Answers {
			n++
		}
		if m.Leader {
			lead++
		}
	}
	return n, lead
}

// Every member is seen, also those that mfa.toml does not name, and one that is down is told
// with the reason.
func TestMembers(t *testing.T) {
	c := etcdtest.Start(t, 3)
	cfg := config(c)
	cfg.Timeout = mfa.Duration(2 * time.Second)
	cfg.Endpoints = cfg.Endpoints[:2]
	s := open(t, cfg, with(newKey(t)))
	awaitWatch(t, s)
	f := s.Fleet(t.Context())
	if n, lead := answering(f); n != 3 || len(f.Members) != 3 || lead != 1 || f.Partly != "" {
		t.Fatalf("%+v", f)
	}
	for _, m := range f.Members {
		if !strings.HasPrefix(m.Name, "m") || !slices.Contains(c.Endpoints(), m.Endpoint) || m.Version == "" || m.Size == 0 || m.InUse == 0 || len(m.Alarms) > 0 {
			t.Errorf("%+v", m)
		}
	}
	eventually(t, "watch that is not behind", func() bool { f := s.Fleet(t.Context()); return f.Watched && f.Behind == 0 })

	// One goes down; then another, so that there is no leader: they are told all the same.
	for i, dead := range []int{2, 1} {
		c.Members[dead].Kill()
		f = s.Fleet(t.Context())
		if n, _ := answering(f); n != 2-i || len(f.Members) != 3 {
			t.Fatalf("without %d: %+v", dead, f)
		}
		down := f.Members[slices.IndexFunc(f.Members, func(m wire.Member) bool { return m.Endpoint == c.Members[dead].Client })]
		if down.Answers || !strings.Contains(down.Problem, "connection refused") || down.Name == "" {
			t.Errorf("%+v", down)
		}
	}
}

// An endpoint that is of another etcd is no member: what was used there is not known here.
func TestMemberOfAnotherEtcd(t *testing.T) {
	c, other := etcdtest.Start(t, 1), etcdtest.Start(t, 1)
	s := open(t, config(c), with(newKey(t)))
	s.client.SetEndpoints(c.Endpoints()[0], other.Endpoints()[0])
	var strange []string
	for _, m := range s.Fleet(t.Context()).Members {
		if !m.Answers {
			strange = append(strange, m.Problem)
		}
	}
	if len(strange) != 1 || !strings.Contains(strange[0], "another etcd") {
		t.Errorf("%q", strange)
	}
}

// A database that has reached its quota is seen without a right of an administrator.
func TestMembersTellAlarms(t *testing.T) {
	c := etcdtest.Start(t, 1, "--quota-backend-bytes", "2097152")
	s := open(t, config(c), with(newKey(t)))
	var err error
	for i := 0; err == nil && i < 200; i++ {
		_, err = s.client.Put(t.Context(), s.prefix+"state/x", strings.Repeat("x", 200<<10+i))
	}
	if f := s.Fleet(t.Context()); len(f.Members) != 1 || !slices.Equal(f.Members[0].Alarms, []string{wire.AlarmNoSpace}) {
		t.Errorf("%+v", f.Members)
	}
}

// A host sees the others, and how their clocks stand against its own, whatever the clocks of
// etcd are: one is an hour ahead, one a minute behind.
func TestHostsTellTheirClocks(t *testing.T) {
	c := etcdtest.Start(t, 3)
	cfg, key := config(c), newKey(t)
	off := map[string]time.Duration{"a": 0, "b": time.Hour, "c": -time.Minute}
	all := map[string]*Store{}
	for _, id := range []string{"a", "b", "c"} {
		opts := with(key)
		opts.Host = Host{ID: id, Name: "host-" + id, Version: "1"}
		opts.Now = func() time.Time { return time.Now().Add(off[id]) }
		all[id] = open(t, cfg, opts)
	}
	for here, s := range all {
		f := s.Fleet(t.Context())
		if len(f.Hosts) != 3 || f.HostsProblem != "" {
			t.Fatalf("on %s: %+v", here, f)
		}
		for _, h := range f.Hosts {
			if h.Name != "host-"+h.ID || h.Version != "1" || h.Here != (h.ID == here) || h.Seen.IsZero() || (h.Ahead == nil) != h.Here {
				t.Fatalf("on %s: %+v", here, h)
			}
			if want := (off[h.ID] - off[here]).Seconds(); !h.Here && (float64(*h.Ahead) < want-2 || float64(*h.Ahead) > want+2) {
				t.Errorf("on %s the clock of %s is %d s ahead, want %v", here, h.ID, *h.Ahead, want)
			}
		}
	}
}

// A host that notes itself again leaves one note and one lease, and the age of what it wrote
// counts from then on.
func TestHostNotesAgain(t *testing.T) {
	c := etcdtest.Start(t, 1)
	opts := with(newKey(t))
	opts.Host = Host{ID: "a", Name: "a"}
	s := open(t, config(c), opts)
	for range 3 {
		if err := s.writeNote(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	leases, err := s.client.Leases(t.Context())
	if err != nil || len(leases.Leases) != 1 {
		t.Errorf("%v, %v", leases, err)
	}
	resp, err := s.client.Get(t.Context(), s.prefix+hostsName, clientv3.WithPrefix())
	if err != nil || len(resp.Kvs) != 1 || resp.Kvs[0].Lease != int64(leases.Leases[0].ID) || strings.Contains(string(resp.Kvs[0].Value), "clock") {
		t.Errorf("%v, %v", resp, err)
	}
}

// After another leader was chosen the age of a note is not known, and no clock is told to be
// off by it.
func TestClocksAfterAnotherLeader(t *testing.T) {
	c := etcdtest.Start(t, 3)
	cfg, key := config(c), newKey(t)
	cfg.Timeout = mfa.Duration(10 * time.Second)
	var all []*Store
	for _, id := range []string{"a", "b"} {
		opts := with(key)
		opts.Host = Host{ID: id, Name: id}
		all = append(all, open(t, cfg, opts))
	}
	c.Leader(t).Kill()
	var f wire.Fleet
	eventually(t, "list of hosts", func() bool { f = all[0].Fleet(t.Context()); return f.HostsProblem == "" })
	for _, h := range f.Hosts {
		if h.Ahead != nil || !h.Seen.IsZero() || h.Name != h.ID {
			t.Errorf("%+v", h)
		}
	}
	if err := all[1].writeNote(t.Context()); err != nil {
		t.Fatal(err)
	}
	f = all[0].Fleet(t.Context())
	if len(f.Hosts) != 2 || f.Hosts[1].Ahead == nil {
		t.Errorf("noted since: %+v", f.Hosts)
	}
}

// A note of a host goes to no other host, and is no record: it is not listed, sealed anew or
// taken for the beginning of another program.
func TestNotesAreNoRecords(t *testing.T) {
	c := etcdtest.Start(t, 1)
	cfg, key := config(c), newKey(t)
	opts := with(key)
	opts.Host = Host{ID: "a", Name: "a"}
	s := open(t, cfg, opts)
	awaitWatch(t, s)
	update(t, s, "state/alice", set("1"))
	update(t, s, "users/alice", set("1"))
	update(t, s, "meta/x", set("1"))
	if err := s.writeNote(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "watch that is not behind", func() bool { return s.Fleet(t.Context()).Behind == 0 })
	for _, ev := range s.cache.last {
		if strings.HasPrefix(ev.key, hostsName) {
			t.Errorf("the watch told of %q", ev.key)
		}
	}
	keys, err := s.Keys(t.Context(), "")
	if err != nil || !slices.Equal(keys, []string{"meta/x", "state/alice", "users/alice"}) {
		t.Errorf("%q, %v", keys, err)
	}
	if err := s.Retag(t.Context()); err != nil {
		t.Error(err)
	}
	open(t, cfg, opts) // begins nothing
}
