package etcd

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"mfa/internal/wire"
)

// hostsName begins the keys, behind the prefix, of what each host notes of itself. Each
// writes none but its own, outside of what the others watch.
const hostsName = "hosts/"

// The pace of the notes.
const (
	noteEvery = 10 * time.Minute
	noteLasts = 24 * time.Hour // then a host that is gone is gone from the list
)

// A Host is what a host notes of itself.
type Host struct {
	ID      string // see HostID; empty: it notes nothing
	Name    string
	Version string // of mfad
}

// A note is what a host notes of itself. It is sealed, as every record is.
type note struct {
	Name    string           `json:"name"`
	Version string           `json:"version"`
	Clock   time.Time        `json:"clock"` // when the lease was granted, by the clock of the host
	Lease   clientv3.LeaseID `json:"lease"` // what keeps the note; etcd counts its age
	// Term is that of etcd's leader at the writing. A later leader counts the age of the
	// lease from its own beginning.
	Term uint64 `json:"term"`
}

// attend notes this host again and again, until ctx ends.
func (s *Store) attend(ctx context.Context) {
	tick := time.NewTicker(noteEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			s.noteHost(ctx)
		}
	}
}

// noteHost notes this host. That it could not is logged, and no reason to refuse anybody.
func (s *Store) noteHost(ctx context.Context) {
	if s.host.ID == "" {
		return
	}
	if err := s.writeNote(ctx); err != nil && ctx.Err() == nil {
		s.log.Warn("this host could not tell the fleet that it is there; it tries again", "after", noteEvery, "error", err)
	}
}

// writeNote writes the note with a lease of its own, and ends that of the former one: so
// the note and the age of its lease can never be of two writings.
func (s *Store) writeNote(ctx context.Context) error {
	at := s.prefix + hostsName + s.host.ID
	former, err := s.readNote(ctx, at)
	if err != nil {
		return err
	}
	var put *clientv3.PutResponse
	err = s.call(ctx, writing, func(ctx context.Context) error {
		before := s.now()
		lease, err := s.client.Grant(ctx, int64(noteLasts/time.Second))
		if err != nil {
			return err
		}
		clock := before.Add(s.now().Sub(before) / 2)
		text, err := json.Marshal(note{s.host.Name, s.host.Version, clock, lease.ID, lease.RaftTerm})
		if err != nil {
			return err
		}
		put, err = s.client.Put(ctx, at, string(s.key.SealRecord(text, at)), clientv3.WithLease(lease.ID))
		return err
	}, func() int64 { return put.Header.Revision })
	if err != nil || former == clientv3.NoLease {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	_, _ = s.client.Revoke(ctx, former) // it may have ended already, and in a day it has
	return nil
}

// readNote returns the lease of the note at a whole key, clientv3.NoLease if there is none.
func (s *Store) readNote(ctx context.Context, at string) (clientv3.LeaseID, error) {
	var resp *clientv3.GetResponse
	err := s.call(ctx, reading, func(ctx context.Context) (err error) {
		resp, err = s.client.Get(ctx, at)
		return err
	}, func() int64 { return resp.Header.Revision })
	if err != nil || len(resp.Kvs) == 0 {
		return clientv3.NoLease, err
	}
	return clientv3.LeaseID(resp.Kvs[0].Lease), nil
}

// asking is how many leases are asked for at the same time, and askFor for how long in all:
// of a fleet that is too large for that some clocks are not known.
const (
	asking = 32
	askFor = 3 * time.Second
)

// hosts returns the hosts that noted themselves within noteLasts, by ID.
func (s *Store) hosts(ctx context.Context) (all []wire.FleetHost, err error) {
	var notes []note
	err = s.pages(ctx, s.prefix+hostsName, clientv3.WithLimit(pageOfItems), func(whole string, value []byte, _ int64) error {
		id := strings.TrimPrefix(whole, s.prefix+hostsName)
		var n note
		text, _, err := s.key.OpenRecord(value, whole)
		if err == nil {
			err = json.Unmarshal(text, &n)
		}
		if err != nil {
			n = note{} // of another key, or a later version
		}
		notes = append(notes, n)
		all = append(all, wire.FleetHost{ID: id, Name: n.Name, Version: n.Version, Here: id == s.host.ID})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list the hosts: %w", err)
	}
	ctx, cancel := context.WithTimeout(clientv3.WithRequireLeader(ctx), askFor)
	defer cancel()
	places := make(chan struct{}, asking)
	var looking sync.WaitGroup
	for i := range all {
		places <- struct{}{}
		looking.Go(func() {
			defer func() { <-places }()
			s.age(ctx, &all[i], notes[i])
		})
	}
	looking.Wait()
	return all, nil
}

// age finds out when a host wrote its note, and from that how its clock stands now: the age
// of a lease is counted by etcd's leader, whatever its own clock says.
func (s *Store) age(ctx context.Context, h *wire.FleetHost, n note) {
	if n.Lease == clientv3.NoLease || ctx.Err() != nil {
		return
	}
	before := s.now()
	lease, err := s.client.TimeToLive(ctx, n.Lease)
	now := s.now()
	if err != nil || lease.TTL < 0 || lease.RaftTerm != n.Term || now.Sub(before) > time.Second {
		return
	}
	// Whole seconds are left, so up to one more has passed.
	age := time.Duration(lease.GrantedTTL-lease.TTL)*time.Second - time.Second/2
	h.Seen = now.Add(-age)
	if !h.Here {
		h.Ahead = new(int(math.Round(n.Clock.Add(age).Sub(now).Seconds())))
	}
}
