package fleet

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

// Daemons that are killed in the middle of decisions, and start anew, let nobody in by a code
// that was used, and forget no wrong code that they told of.
func TestKills(t *testing.T) {
	kills := 24
	if *whole {
		kills = 1000
	}
	f := newFleet(t, 4, patient)
	r := f.start(t, pace/10)
	defer r.end()
	var killing sync.WaitGroup
	for i, h := range f.hosts {
		killing.Go(func() {
			rng := rand.New(rand.NewPCG(r.seed, uint64(100+i)))
			for range kills / len(f.hosts) {
				if err := h.killInDecision(rng); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	r.mark("kills")
	killing.Wait()
	r.mark("after")
	time.Sleep(2 * time.Second)
	r.end()
	t.Logf("%d kills", kills)
	for _, p := range r.phases() {
		t.Logf("%v", p)
	}
	r.check(t)
}

// killInDecision kills mfad a moment after somebody typed a code, and starts it anew.
func (h *host) killInDecision(rng *rand.Rand) error {
	select {
	case <-h.typed: // of the daemon before
	default:
	}
	select {
	case <-h.typed:
	case <-time.After(patience):
		return fmt.Errorf("nobody types a code at %s", h.name)
	}
	time.Sleep(time.Duration(rng.Int64N(int64(30 * time.Millisecond))))
	h.kill()
	return h.start()
}
