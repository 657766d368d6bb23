package doctor

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"mfa/internal/wire"
)

// fleetOf returns a fleet in good health: three members on three machines, and three hosts.
func fleetOf() wire.Fleet {
	f := wire.Fleet{Led: true, Watched: true}
	for i := range 3 {
		f.Members = append(f.Members, wire.Member{
			Name: fmt.Sprint("m", i), Endpoint: fmt.Sprintf("https://m%d:2379", i), Answers: true, Leader: i == 0, Version: "3.4.23", Size: 1 << 20, InUse: 1 << 20,
		})
	}
	f.Hosts = []wire.FleetHost{{ID: "a", Name: "web1", Here: true}, {ID: "b", Name: "web2", Ahead: new(1)}, {ID: "c", Name: "web3", Ahead: new(-1)}}
	return f
}

// TestFleetFindings spoils one thing of a fleet at a time.
func TestFleetFindings(t *testing.T) {
	now := time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)
	down := func(m *wire.Member) {
		*m = wire.Member{Name: m.Name, Endpoint: m.Endpoint, Problem: "connection refused"}
	}
	for name, tc := range map[string]struct {
		spoil func(f *wire.Fleet)
		want  []string // severity, ID and text of each that is not OK
	}{
		"nothing": {func(*wire.Fleet) {}, nil},
		"one away": {func(f *wire.Fleet) { down(&f.Members[1]) }, []string{
			"warning fleet-members 2 of 3 members answer; not: m1 (connection refused) One more failure, and nobody who is asked for a second factor can log in",
		}},
		"two away, no leader": {func(f *wire.Fleet) { down(&f.Members[0]); down(&f.Members[1]); f.Led = false }, []string{
			"error fleet-members 1 of 3 members answer, and there is no leader; not: m0 (connection refused), m1 (connection refused) Every login that needs a second factor is refused, but those that store.etcd.offline = \"totp\" is for. Etcd works while 2",
		}},
		"two out of reach": {func(f *wire.Fleet) { down(&f.Members[0]); down(&f.Members[1]) }, []string{
			"warning fleet-members 1 of 3 members answer this host; not: m0 (connection refused), m1 (connection refused) They have a leader",
		}},
		"none known": {func(f *wire.Fleet) { *f = wire.Fleet{Partly: "etcd cannot be reached"} }, []string{
			"error fleet-members no member is known: etcd cannot be reached Every login",
		}},
		"one member": {func(f *wire.Fleet) { f.Members = f.Members[:1] }, []string{"warning fleet-members 1 of 1 member answers One more failure"}},
		"a learner does not count": {func(f *wire.Fleet) {
			f.Members = append(f.Members, wire.Member{Name: "m3", Endpoint: "https://m3:2379", Learner: true, Problem: "x"})
		}, nil},
		"five, two away": {func(f *wire.Fleet) {
			f.Members = append(f.Members, f.Members[1], f.Members[2])
			down(&f.Members[3])
			down(&f.Members[4])
		}, []string{"warning fleet-members 3 of 5 members answer; not: m1 (connection refused), m2 (connection refused) One more failure"}},
		"one machine": {func(f *wire.Fleet) {
			for i := range f.Members {
				f.Members[i].Endpoint = fmt.Sprintf("https://m:%d", i)
			}
		}, []string{"warning fleet-members 3 of 3 members answer, all on one machine"}},
		"quota":        {func(f *wire.Fleet) { f.Members[1].Alarms = []string{wire.AlarmNoSpace} }, []string{"error fleet-space has reached the quota of its database"}},
		"corrupt":      {func(f *wire.Fleet) { f.Members[1].Alarms = []string{wire.AlarmCorrupt} }, []string{"error fleet-corrupt found its data corrupt"}},
		"nearly full":  {func(f *wire.Fleet) { f.Members[1].Size = 1700 << 20 }, []string{"warning fleet-space has a database of 1700 MiB, of 2048 MiB, which is etcd's default"}},
		"half full":    {func(f *wire.Fleet) { f.Members[1].Size, f.Members[1].Quota = 1700<<20, 4<<30 }, nil},
		"far behind":   {func(f *wire.Fleet) { f.Members[2].Behind = 6000 }, []string{"warning fleet-behind is 6000 changes behind the others"}},
		"another etcd": {func(f *wire.Fleet) { f.Members[2].Answers, f.Members[2].Foreign = false, true }, []string{"warning fleet-members 2 of 2 members answer", "error fleet-foreign"}},
		"expires":      {func(f *wire.Fleet) { f.Members[2].Expires = now.Add(48 * time.Hour) }, []string{"warning fleet-certificate its certificate expires on 2026-12-02, in 2 days"}},
		"no watch":     {func(f *wire.Fleet) { f.Watched = false }, []string{"warning fleet-watch what other hosts change does not arrive here by itself"}},
		"late watch":   {func(f *wire.Fleet) { f.Behind = 9000 }, []string{"warning fleet-watch what other hosts change arrives here late: 9000 changes"}},
		"clock there":  {func(f *wire.Fleet) { f.Hosts[1].Ahead = new(3600) }, []string{"warning fleet-clock web2 is 3600 s ahead of the others"}},
		"clock here": {func(f *wire.Fleet) { f.Hosts[1].Ahead, f.Hosts[2].Ahead = new(-61), new(-60) }, []string{
			"error fleet-clock is 60 s ahead of those of most hosts of the fleet",
		}},
		"clock of one of two": {func(f *wire.Fleet) { f.Hosts = f.Hosts[:2]; f.Hosts[1].Ahead = new(-12) }, []string{
			"warning fleet-clock the clock of web2 is 12 s behind that of this host",
		}},
		"hosts not known": {func(f *wire.Fleet) { f.HostsProblem = "x" }, []string{"warning fleet-hosts the other hosts are not known: x"}},
	} {
		f := fleetOf()
		tc.spoil(&f)
		var got []string
		for _, found := range FleetFindings(f, now) {
			if found.Severity != OK {
				got = append(got, fmt.Sprintf("%s %s %s %s", found.Severity, found.ID, found.What, found.Why))
			}
			if found.Severity != OK && found.Mend == "" {
				t.Errorf("%s: nothing mends %q", name, found.What)
			}
		}
		if !slices.EqualFunc(got, tc.want, strings.HasPrefix) {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}

// certificate returns one that is good until then, as PEM.
func certificate(t *testing.T, until time.Time) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: until}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// TestFleetMachine spoils one thing of what a host of a fleet has of its own.
func TestFleetMachine(t *testing.T) {
	const day = 24 * time.Hour
	good := certificate(t, time.Now().Add(90*day))
	for name, tc := range map[string]struct {
		spoil func(m folder)
		want  []string
	}{
		"nothing":                      {func(folder) {}, nil},
		"no folder of the local store": {func(m folder) { m.remove("var/lib/mfa/users"); m.remove("var/lib/mfa/state.db") }, nil},
		"expires soon":                 {func(m folder) { m.write("etc/mfa/cert", 0o600, certificate(t, time.Now().Add(20*day))) }, []string{"fleet-certificate"}},
		"expired":                      {func(m folder) { m.write("etc/mfa/cert", 0o600, certificate(t, time.Now().Add(-day))) }, []string{"fleet-certificate"}},
		"one authority of two expires": {func(m folder) { m.write("etc/mfa/ca", 0o600, good+certificate(t, time.Now().Add(day))) }, []string{"fleet-certificate"}},
		"no certificate":               {func(m folder) { m.write("etc/mfa/ca", 0o600, "x") }, []string{"fleet-certificate"}},
		"not there":                    {func(m folder) { m.remove("etc/mfa/cert") }, []string{"fleet-certificate"}},
		"key for all":                  {func(m folder) { m.mode("etc/mfa/certkey", 0o644) }, []string{"fleet-secret"}},
		"somebody's key":               {func(m folder) { m.chown("etc/mfa/certkey") }, []string{"fleet-secret"}},
		"no key of the certificate":    {func(m folder) { m.remove("etc/mfa/certkey") }, []string{"fleet-secret"}},
		"two keys of the fleet": {func(m folder) {
			m.write("var/lib/mfa/key", 0o600, strings.Repeat("0a", 32)+"\n"+strings.Repeat("0b", 32)+"\n")
		}, nil},
		"no key of the fleet": {func(m folder) { m.remove("var/lib/mfa/key") }, []string{"key-file"}},
	} {
		m := newMachine(t)
		m.write("etc/mfa/mfa.toml", 0o644, "[store]\nbackend = \"etcd\"\n[store.etcd]\nendpoints = [\"https://m1:2379\", \"https://m2:2379\"]\n"+
			"ca_file = \"/etc/mfa/ca\"\ncert_file = \"/etc/mfa/cert\"\nkey_file = \"/etc/mfa/certkey\"\n")
		m.write("etc/mfa/ca", 0o644, good)
		m.write("etc/mfa/cert", 0o644, good)
		m.write("etc/mfa/certkey", 0o600, "x")
		tc.spoil(m)
		expectIDs(t, name, m.examine().Findings, tc.want)
	}
}

// A host that knows fewer members than there are, and a daemon that does not tell.
func TestFleetByTheDaemon(t *testing.T) {
	e := &exam{Host: Host{Config: "/etc/mfa/mfa.toml"}, known: true, status: &wire.Status{}}
	e.cfg.Store.Backend, e.cfg.Store.Etcd.Endpoints = "etcd", []string{"https://m0:2379"}
	e.Fleet = func(context.Context) (wire.Fleet, error) { return fleetOf(), nil }
	e.fleet(t.Context())
	expectIDs(t, "one of three", e.Findings, []string{"fleet-endpoints"})
	e.Findings = nil
	e.Fleet = func(context.Context) (wire.Fleet, error) { return wire.Fleet{}, errors.New("x") }
	e.fleet(t.Context())
	expectIDs(t, "no answer", e.Findings, []string{"fleet"})
}
