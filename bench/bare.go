package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"mfa/internal/account/record"
	"mfa/internal/store"
)

// A bare transaction is what a login asks of etcd, by etcd's client alone: on keys of their own that
// are named and sized as a user's.
type bare struct {
	client *clientv3.Client
	value  string

	mu   sync.Mutex       // guards revs
	revs map[string]int64 // by key
}

// barePrefix is as long as fleetPrefix.
const barePrefix = "/xyz/"

// newBare writes the records of the users 0 to users-1.
func (f *fleet) newBare(users int) (*bare, error) {
	text, err := record.EncodeState(userName(0), f.state, nil)
	if err != nil {
		return nil, err
	}
	b := &bare{client: f.c.client, value: string(f.key.SealRecord(text, barePrefix)), revs: map[string]int64{}}
	for n := range users {
		for _, space := range []string{store.States, store.Users} {
			key := barePrefix + space + userName(n)
			resp, err := b.client.Put(context.Background(), key, b.value)
			if err != nil {
				return nil, err
			}
			b.revs[key] = resp.Header.Revision
		}
	}
	return b, nil
}

// transact replaces the state of user n if it and the enrollment are as they were read,
// and would read them otherwise: one round trip. It returns how long that took.
func (b *bare) transact(n int) (took time.Duration, err error) {
	state, user := barePrefix+store.States+userName(n), barePrefix+store.Users+userName(n)
	b.mu.Lock()
	stateRev, userRev := b.revs[state], b.revs[user]
	b.mu.Unlock()
	began := time.Now()
	resp, err := b.client.Txn(context.Background()).
		If(clientv3.Compare(clientv3.ModRevision(state), "=", stateRev), clientv3.Compare(clientv3.ModRevision(user), "=", userRev)).
		Then(clientv3.OpPut(state, b.value)).
		Else(clientv3.OpGet(state), clientv3.OpGet(user)).Commit()
	took = time.Since(began)
	switch {
	case err != nil:
		return took, err
	case !resp.Succeeded:
		return took, fmt.Errorf("the record of %s is not as it was", userName(n))
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.revs[state] = resp.Header.Revision
	return took, nil
}
