package fleet

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"mfa/internal/store/etcd/etcdtest"
)

// failover is how long after a fault the last login may begin that is refused, while most
// members live and reach each other and the hosts.
const failover = 5 * time.Second

// mostBusy is how long this machine may take to start a program that does nothing: where it
// takes longer, logins are refused because the machine has other things to do.
const mostBusy = 250 * time.Millisecond

// A scenario is something that is done to a fleet while people log in.
type scenario struct {
	name string
	part bool // it is of the part that "make test" runs
	down bool // nobody can log in meanwhile
	// breaks begins the fault, and returns what ends it. Where it has several it calls
	// r.mark at each.
	breaks func(t *testing.T, r *run) (mends func())
}

func scenarios() []scenario {
	return []scenario{
		{name: "nothing", breaks: func(*testing.T, *run) func() { return func() {} }},
		{name: "leader killed", part: true, breaks: func(t *testing.T, r *run) func() { return kill(t, r.f.cluster.Leader(t)) }},
		{name: "follower killed", breaks: func(t *testing.T, r *run) func() { return kill(t, r.f.follower(t)) }},
		{name: "leader hangs", breaks: func(t *testing.T, r *run) func() { return pause(r.f.cluster.Leader(t)) }},
		{name: "follower hangs", part: true, breaks: func(t *testing.T, r *run) func() { return pause(r.f.follower(t)) }},
		{name: "leader cut off from members", breaks: func(t *testing.T, r *run) func() { return r.f.part(t, false, r.f.cluster.Leader(t)) }},
		{name: "follower cut off from members", breaks: func(t *testing.T, r *run) func() { return r.f.part(t, false, r.f.follower(t)) }},
		{name: "leader cut off from all", breaks: func(t *testing.T, r *run) func() { return r.f.part(t, true, r.f.cluster.Leader(t)) }},
		{name: "most members cut off from all", down: true, breaks: func(t *testing.T, r *run) func() { return r.f.part(t, true, r.f.cluster.Members[:2]...) }},
		{name: "200 ms on all ways", breaks: func(_ *testing.T, r *run) func() { return r.f.slow(100 * time.Millisecond) }},
		{name: "disk of a member full", breaks: fullDisk},
		{name: "quota of a member reached", down: true, breaks: fullQuota},
		{name: "compactions under watches", breaks: compactions},
		{name: "members replaced one by one", breaks: replacements},
	}
}

// Whatever happens to members, nobody is let in by a code that was used, no wrong code is
// forgotten, and while most members live nobody is refused for long.
func TestFaults(t *testing.T) {
	before, during, after := time.Second, 8*time.Second, 5*time.Second
	if *whole {
		before, during, after = 3*time.Second, 15*time.Second, 10*time.Second
	}
	for _, sc := range scenarios() {
		if !sc.part && !*whole {
			continue
		}
		t.Run(sc.name, func(t *testing.T) {
			r := newFleet(t, 3, timeout).start(t, pace)
			defer r.end()
			r.mark("before")
			time.Sleep(before)
			r.mark(map[bool]string{false: "during", true: "falls"}[sc.down])
			mends := sc.breaks(t, r)
			r.mark(map[bool]string{true: "during"}[sc.down])
			time.Sleep(during)
			r.mark("after")
			mends()
			r.mark("")
			time.Sleep(after)
			r.end()
			busy := r.slowest > mostBusy
			t.Logf("this machine took up to %v to start a program; too busy to judge times: %v", r.slowest.Round(time.Millisecond), busy)
			for _, p := range r.phases() {
				t.Logf("%v", p)
				if !busy && p.refusedUntil > failover && (!sc.down || p.name == "after") {
					t.Errorf("seed %d: %s: logins are refused that begin %v after the fault", r.seed, p.name, p.refusedUntil)
				}
				if sc.down && p.name == "during" && (p.within > 0 || p.refused == 0) {
					t.Errorf("seed %d: %d are let in where nothing can be written", r.seed, p.within)
				}
			}
			r.check(t)
		})
	}
}

// follower returns a member that does not lead.
func (f *fleet) follower(t *testing.T) *etcdtest.Member {
	return f.cluster.Others(f.cluster.Leader(t))[0]
}

func kill(t *testing.T, m *etcdtest.Member) (mends func()) {
	m.Kill()
	return func() { m.Start(t) }
}

func pause(m *etcdtest.Member) (mends func()) {
	m.Pause()
	return m.Resume
}

// part cuts some members off from the others, and from all hosts, if wanted.
func (f *fleet) part(t *testing.T, hosts bool, some ...*etcdtest.Member) (mends func()) {
	f.cluster.Part(t, some...)
	for _, m := range some {
		if hosts {
			f.toward(m, (*etcdtest.Relay).Hang)
		}
	}
	return f.mend
}

// slow has all that is said between members and hosts arrive later, in each direction.
func (f *fleet) slow(by time.Duration) (mends func()) {
	f.cluster.Delay(by)
	for _, m := range f.cluster.Members {
		f.toward(m, func(r *etcdtest.Relay) { r.Delay(by) })
	}
	return f.mend
}

// mend ends what part and slow did.
func (f *fleet) mend() {
	f.cluster.Rejoin()
	for _, m := range f.cluster.Members {
		f.toward(m, (*etcdtest.Relay).Mend)
	}
}

// toward does something to the way from every host to a member.
func (f *fleet) toward(m *etcdtest.Member, do func(*etcdtest.Relay)) {
	for i, one := range f.cluster.Members {
		if one != m {
			continue
		}
		for _, h := range f.hosts {
			do(h.relays[i])
		}
	}
}

// fullDisk fills the disk of a member, and writes until it notices.
func fullDisk(t *testing.T, r *run) (mends func()) {
	m := r.f.follower(t)
	m.Kill()
	m.StartOnDisk(t, 200<<20)
	r.mark("")
	m.Fill(t)
	junk := r.f.junk(t)
	for n := 0; !m.Ended(); n++ {
		if n == 200 {
			t.Fatal("the member does not notice that its disk is full")
		}
		junk(512 << 10)
	}
	return func() {
		m.Kill()
		m.Start(t)
	}
}

// junk returns what writes a value of so many bytes beside what is ours.
func (f *fleet) junk(t *testing.T) func(bytes int) {
	client := f.cluster.Dial(t)
	return func(bytes int) {
		ctx, cancel := context.WithTimeout(t.Context(), timeout)
		defer cancel()
		_, _ = client.Put(ctx, "/junk", strings.Repeat("x", bytes)) // it may be that member that was asked
	}
}

// fullQuota has a member reach its quota. Etcd then takes no writes, at no member.
func fullQuota(t *testing.T, r *run) (mends func()) {
	m := r.f.follower(t)
	m.Kill()
	m.StartWith(t, "--quota-backend-bytes", "8388608")
	client := r.f.cluster.Dial(t, m)
	for {
		_, err := client.Put(t.Context(), "/junk", strings.Repeat("x", 512<<10))
		if errors.Is(err, rpctypes.ErrNoSpace) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return func() { r.f.makeRoom(t) }
}

// makeRoom does what the manual says of a quota that was reached.
func (f *fleet) makeRoom(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	client := f.cluster.Dial(t)
	now, err := client.Get(ctx, "/junk", clientv3.WithCountOnly())
	if err == nil {
		_, err = client.Compact(ctx, now.Header.Revision, clientv3.WithCompactPhysical())
	}
	for _, m := range f.cluster.Members {
		if err == nil {
			_, err = client.Defragment(ctx, m.Client)
		}
	}
	if err == nil {
		_, err = client.AlarmDisarm(ctx, &clientv3.AlarmMember{})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// compactions compacts all the time, and cuts the watch of a host meanwhile.
func compactions(t *testing.T, r *run) (mends func()) {
	client := r.f.cluster.Dial(t)
	ctx, stop := context.WithCancel(t.Context())
	var working sync.WaitGroup
	working.Go(func() {
		for ctx.Err() == nil {
			if now, err := client.Get(ctx, "/junk", clientv3.WithCountOnly()); err == nil {
				_, _ = client.Compact(ctx, now.Header.Revision)
			}
			time.Sleep(100 * time.Millisecond)
		}
	})
	for range 3 {
		for _, relay := range r.f.hosts[0].relays {
			relay.Cut()
		}
		time.Sleep(time.Second)
		for _, relay := range r.f.hosts[0].relays {
			relay.Mend()
		}
		r.mark("")
		time.Sleep(time.Second)
	}
	return func() { stop(); working.Wait() }
}

// replacements replaces each member by a new one.
func replacements(t *testing.T, r *run) (mends func()) {
	for _, m := range r.f.cluster.Members {
		r.mark("")
		r.f.cluster.Replace(t, m)
		r.mark("")
		time.Sleep(time.Second)
	}
	return func() {}
}
