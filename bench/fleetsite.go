package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"mfa/internal/account/record"
	"mfa/internal/mfa"
	"mfa/internal/seal"
	"mfa/internal/store"
)

// A fleet is some hosts, each with an mfad of its own, with one store in etcd.
type fleet struct {
	b     *bench
	c     *cluster
	hosts []*site
	users int
	key   *seal.Key
	state mfa.State // of a user who logged in and is remembered
	codes *codes
}

// fleetPrefix is store.etcd.prefix as it comes.
const fleetPrefix = "/mfa/"

// newFleet makes n hosts, none of which runs, and enrolls that many users, who all logged in
// once.
func (b *bench) newFleet(c *cluster, n, users int) (*fleet, error) {
	f := &fleet{b: b, c: c, users: users}
	key := filepath.Join(b.w.disk, c.name+"-key")
	for i := range n {
		s, err := b.makeSite(&site{
			b: b, dir: filepath.Join(b.w.disk, fmt.Sprintf("%s-host%d", c.name, i)), users: users, key: key,
			store: `backend = "etcd"`, more: outbox() + "\n[store.etcd]\nendpoints = " + quoted(c.endpoints()),
		})
		if err != nil {
			return nil, err
		}
		f.hosts = append(f.hosts, s)
	}
	var err error
	if f.key, err = seal.LoadFor(key, 0, ""); err != nil {
		return nil, err
	}
	return f, errors.Join(f.enroll(), f.learn(), f.remember(0, users))
}

// quoted writes a list as TOML does.
func quoted(list []string) string {
	text := "["
	for _, s := range list {
		text += fmt.Sprintf("%q, ", s)
	}
	return text + "]"
}

// enroll writes the enrollments of all users.
func (f *fleet) enroll() error {
	return f.write(store.Users, 0, f.users+specials, func(n int) ([]byte, error) { return f.hosts[0].enrollment(f.key, n) })
}

// learn has one user log in and be remembered, and keeps the state that is stored then.
func (f *fleet) learn() (err error) {
	s := f.hosts[0]
	if err := s.start(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	sh, err := newCodes(0).shot("bench-remembered", 0)
	if err != nil {
		return err
	}
	if _, err := logIn(s.socket("pam.sock"), sh); err != nil {
		return err
	}
	key := fleetPrefix + store.States + sh.user
	resp, err := f.c.client.Get(context.Background(), key)
	if err != nil || len(resp.Kvs) != 1 {
		return errors.Join(fmt.Errorf("etcd has %d states of %s", len(resp.Kvs), sh.user), err)
	}
	text, _, err := f.key.OpenRecord(resp.Kvs[0].Value, key)
	if err == nil {
		f.state, err = record.DecodeState(key, text)
	}
	return err
}

// remember writes the states of the users first to last-1, as they are after a login two
// steps ago, and begins their codes anew.
func (f *fleet) remember(first, last int) error {
	used := step() - 2
	f.codes = newCodes(used + 1)
	return f.write(store.States, first, last, func(n int) ([]byte, error) {
		st := f.state.Clone()
		st.UID, st.TOTPStep = uint32(firstUID+n), used
		return record.EncodeState(userName(n), st, nil)
	})
}

// txnOps is how many operations etcd takes in one transaction (--max-txn-ops).
const txnOps = 128

// write writes a record of each user, sealed.
func (f *fleet) write(space string, first, last int, text func(n int) ([]byte, error)) error {
	for at := first; at < last; at += txnOps {
		var ops []clientv3.Op
		for n := at; n < min(at+txnOps, last); n++ {
			plain, err := text(n)
			if err != nil {
				return err
			}
			key := fleetPrefix + space + userName(n)
			ops = append(ops, clientv3.OpPut(key, string(f.key.SealRecord(plain, key))))
		}
		if _, err := f.c.client.Txn(context.Background()).Then(ops...).Commit(); err != nil {
			return err
		}
	}
	return nil
}

// fresh starts the first n hosts, which know nobody yet. Users 0 to users-1 have codes.
func (f *fleet) fresh(n, users int) error {
	if err := errors.Join(f.stop(), f.remember(0, users)); err != nil {
		return err
	}
	for _, s := range f.hosts[:n] {
		if err := s.start(); err != nil {
			return err
		}
	}
	return nil
}

func (f *fleet) stop() (err error) {
	for _, s := range f.hosts {
		err = errors.Join(err, s.stop())
	}
	return err
}

// login has user n log in at a host, and returns how long that took.
func (f *fleet) login(host, n int) (took span, err error) { return f.hosts[host].comeIn(f.codes, n) }

// comeIn has user n log in with the next code.
func (s *site) comeIn(codes *codes, n int) (took span, err error) {
	calm(300 * time.Millisecond)
	sh, err := codes.shot("bench-ours", n)
	if err != nil {
		return span{}, err
	}
	return logIn(s.socket("pam.sock"), sh)
}

// crowd has the users first to last-1 log in, many at once, each at the host that is theirs
// among so many, and returns logins a second.
func (f *fleet) crowd(hosts, first, last int) (rate float64, err error) {
	calm(min(10*time.Second, time.Second+time.Duration(last-first)*5*time.Millisecond))
	shots := make([]shot, last-first)
	for i := range shots {
		if shots[i], err = f.codes.shot("bench-ours", first+i); err != nil {
			return 0, err
		}
	}
	return crowdOf(len(shots), func(n int) error {
		_, err := logIn(f.hosts[n%hosts].socket("pam.sock"), shots[n])
		return err
	})
}

// databaseRows notes how large the database is, for each user and each login.
func (f *fleet) databaseRows(note func(what, unit string, v float64, note string)) error {
	ctx, m := context.Background(), f.c.members[0]
	head, err := f.c.client.Get(ctx, fleetPrefix, clientv3.WithPrefix(), clientv3.WithCountOnly())
	if err != nil {
		return err
	}
	inUse := func() (float64, error) { return m.metric(ctx, "etcd_mvcc_db_total_size_in_use_in_bytes ") }
	before, err := inUse()
	if err != nil {
		return err
	}
	if _, err := f.c.client.Compact(ctx, head.Header.Revision, clientv3.WithCompactPhysical()); err != nil {
		return err
	}
	after, err := inUse()
	note("the database before and after a compaction, with history", "MiB", before/(1<<20), "")
	note(fmt.Sprintf("the database, %d users, without history", f.users), "MiB", after/(1<<20), fmt.Sprintf("%.0f bytes a user, in %d keys", after/float64(f.users), head.Count))
	return err
}
