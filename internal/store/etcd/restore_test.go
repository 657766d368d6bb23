package etcd

import (
	"errors"
	"strings"
	"testing"

	"mfa/internal/store"
	"mfa/internal/store/etcd/etcdtest"
)

// An etcd that was restored from a copy is not believed any more, even if others have
// written past the revision that was.
func TestRestoredAndWrittenPast(t *testing.T) {
	for _, how := range []struct {
		name string
		more []string // arguments of the restore
		says string
	}{
		{"as another cluster", []string{"--initial-cluster-token", "restored"}, "cluster ID"},
		{"under the same name", nil, "raft term"},
	} {
		t.Run(how.name, func(t *testing.T) {
			c := etcdtest.Start(t, 1)
			m := c.Members[0]
			cfg, opts := config(c), with(newKey(t))
			m.Kill()
			m.Start(t) // which elects anew, as every etcd does now and then
			c.AwaitHealthy(t)
			a := open(t, cfg, opts)
			update(t, a, "state/alice", set("a code"))
			snapshot := m.Snapshot(t)
			update(t, a, "state/alice", set("used"))
			was := a.past.newest()
			m.Kill()
			m.Restore(t, snapshot, how.more...)
			m.Start(t)
			c.AwaitHealthy(t)

			b := open(t, cfg, opts) // knows nothing of what was
			for b.past.newest() <= was {
				update(t, b, "state/bob", func(old []byte) ([]byte, error) { return append(old, 'x'), nil })
			}
			eventually(t, "answer", func() bool {
				_, err := a.Get(t.Context(), "state/alice")
				if err == nil {
					t.Fatal("a code that was used is good again")
				}
				return strings.Contains(err.Error(), how.says) && !errors.Is(err, store.ErrUnreachable)
			})
			err := store.Update(t.Context(), a, "state/alice", set("used once more"))
			if err == nil || !strings.Contains(err.Error(), how.says) || errors.Is(err, store.ErrUnreachable) {
				t.Errorf("a write: %v", err)
			}
			if err := a.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "restart mfad") {
				t.Errorf("check: %v", err)
			}
		})
	}
}

// Elections and members that come and go are no restore.
func TestElectionsAreNoRestore(t *testing.T) {
	c := etcdtest.Start(t, 3)
	s := open(t, config(c), with(newKey(t)))
	for range 3 {
		leads := c.Leader(t)
		leads.Kill()
		eventually(t, "write", func() bool { return count(t.Context(), s, "state/alice") == nil })
		leads.Start(t)
		c.AwaitHealthy(t)
		eventually(t, "write", func() bool { return count(t.Context(), s, "state/alice") == nil })
	}
	if err := s.past.doubted(); err != nil {
		t.Error(err)
	}
}
