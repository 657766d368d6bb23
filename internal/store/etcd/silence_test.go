package etcd

import (
	"testing"
	"time"

	"mfa/internal/mfa"
	"mfa/internal/store"
	"mfa/internal/store/etcd/etcdtest"
)

// A member that hangs costs one write, and is asked no more; once it speaks again it is.
// The others are not left for a member that waits.
func TestMemberThatHangsIsLeft(t *testing.T) {
	c := etcdtest.Start(t, 3)
	cfg := config(c)
	cfg.Timeout = mfa.Duration(time.Second)
	s := open(t, cfg, with(newKey(t)))
	hanging := c.Others(c.Leader(t))[0]
	writes := func(n int) (failed int) {
		for range n {
			if store.Update(t.Context(), s, "state/alice", func(old []byte) ([]byte, error) { return append(old, 'x'), nil }) != nil {
				failed++
			}
		}
		return failed
	}
	eventually(t, "all members", func() bool { return writes(3) == 0 && hanging.Asked(t) > 0 })
	hanging.Pause()
	if failed := writes(30); failed > 1 {
		t.Errorf("%d of 30 writes failed, want at most one", failed)
	}
	hanging.Resume()
	before := hanging.Asked(t)
	eventually(t, "question to it", func() bool { return writes(1) == 0 && hanging.Asked(t) > before })
}
