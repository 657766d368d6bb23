package server

import "sync"

// perUser bounds what one uid that is not root can have open at once, so that no
// user can use up what root's sshd needs.
const perUser = 8

// A room counts who is in. It may be used from many goroutines.
type room struct {
	mu      sync.Mutex // guards the counts below
	total   int
	foreign int            // of total, those that are not root's
	byUID   map[uint32]int // likewise, each
	refused int            // so far
}

// enter counts uid in, if there is room for it among limit. A quarter of the
// room is all that others than root can fill.
func (r *room) enter(uid uint32, limit int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.total >= limit || uid != 0 && (r.foreign >= max(1, limit/4) || r.byUID[uid] >= perUser) {
		r.refused++
		return false
	}
	if uid != 0 {
		if r.byUID == nil {
			r.byUID = map[uint32]int{}
		}
		r.foreign++
		r.byUID[uid]++
	}
	r.total++
	return true
}

func (r *room) leave(uid uint32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.total--
	if uid != 0 {
		r.foreign--
		if r.byUID[uid]--; r.byUID[uid] == 0 {
			delete(r.byUID, uid)
		}
	}
}

// turnedAway returns how many found no room so far.
func (r *room) turnedAway() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.refused
}

func (r *room) taken() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.total
}
