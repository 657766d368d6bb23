package server

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"mfa/internal/host/nss"
	"mfa/internal/mfa"
)

// bounds say how many may be in at once: of root's, of all others together, and of one
// uid among those. The room for root cannot be filled by others.
type bounds struct{ root, others, perUID int }

// loginBounds are those of the PAM socket, where max is server.max_logins.
func loginBounds(max int) bounds { return bounds{root: max, others: quarter(max), perUID: 8} }

func quarter(n int) int { return (n + 3) / 4 }

// perAsker says for how many logins at once one local user may ask through programs that are root
// (su, sudo), where max is server.max_logins: nobody fills root's room alone.
func perAsker(max int) int { return max/16 + 8 }

// asker returns who asks for a login: the user whom the application names (PAM_RUSER, as su and sudo
// do). Where it names none and is set-uid, as chsh(1), the module says "#UID" of who started it.
func asker(ctx context.Context, ruser string) string {
	if number, ok := strings.CutPrefix(ruser, "#"); ok {
		if uid, err := strconv.ParseUint(number, 10, 32); err == nil {
			if id, err := nss.LookupUID(ctx, uint32(uid)); err == nil {
				return id.Name
			}
		}
	}
	return ruser
}

// askers count the logins under way by the user who asks for them (asker) through a program that is
// root. They may be used from many goroutines.
type askers struct {
	mu sync.Mutex
	by map[[2]string]int // by name, and by the host that it is a name on
}

// enter counts a login in. The error says that this user has no room for another one. Leave ends it.
// Root is not bounded, and neither is who is not named.
func (a *askers) enter(req mfa.Request, most int) (leave func(), err error) {
	if req.UID != 0 || req.RUser == "" || req.RUser == "root" {
		return func() {}, nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	who := [2]string{req.RUser, req.RHost}
	if a.by[who] >= most {
		return nil, fmt.Errorf("%s asks for more than %d logins at once, which are one user's share of server.max_logins", short(req.RUser), most)
	}
	if a.by == nil {
		a.by = map[[2]string]int{}
	}
	a.by[who]++
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.by[who]--; a.by[who] == 0 {
			delete(a.by, who)
		}
	}, nil
}

// slots count what is under way, by uid. They may be used from many goroutines.
type slots struct {
	mu      sync.Mutex     // guards the counts below
	root    int            // of root
	others  int            // of all others
	byUID   map[uint32]int // of each of them
	refused int            // so far
}

// enter counts uid in, if there is room for it.
func (r *slots) enter(uid uint32, b bounds) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if uid == 0 && r.root >= b.root || uid != 0 && (r.others >= b.others || r.byUID[uid] >= b.perUID) {
		r.refused++
		return false
	}
	if uid == 0 {
		r.root++
		return true
	}
	if r.byUID == nil {
		r.byUID = map[uint32]int{}
	}
	r.others++
	r.byUID[uid]++
	return true
}

func (r *slots) leave(uid uint32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if uid == 0 {
		r.root--
		return
	}
	r.others--
	if r.byUID[uid]--; r.byUID[uid] == 0 {
		delete(r.byUID, uid)
	}
}

// turnedAway returns how often enter was false so far.
func (r *slots) turnedAway() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.refused
}

func (r *slots) taken() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.root + r.others
}

// A rate is how often one uid may come: burst times at once, then once every so
// often.
type rate struct {
	burst int
	every time.Duration
}

// maxLimited is how many uids a rateLimiter remembers. Further ones share one rate, as one
// user may have many uids (subuid(5)).
const maxLimited = 1024

// noUID is the uid that stands for unknown or further ones: no process has it.
const noUID = 1<<32 - 1

// A rateLimiter holds each uid to a rate. It may be used from many goroutines.
type rateLimiter struct {
	mu    sync.Mutex           // guards the fields below
	due   map[uint32]time.Time // when all that a uid used up will be back
	swept time.Time
}

// pass reports whether uid may come at the time now, and counts it if so.
func (s *rateLimiter) allow(uid uint32, p rate, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	due, known := s.due[uid]
	if !known && len(s.due) >= maxLimited && !s.forgetIdle(now) {
		uid = noUID
		due = s.due[uid]
	}
	if due.Before(now) {
		due = now
	}
	if due = due.Add(p.every); due.Sub(now) > time.Duration(p.burst)*p.every {
		return false
	}
	if s.due == nil {
		s.due = map[uint32]time.Time{}
	}
	s.due[uid] = due
	return true
}

// forgetIdle drops the uids that used up nothing, at most once a second, and reports
// whether there is room. The caller holds mu.
func (s *rateLimiter) forgetIdle(now time.Time) bool {
	if now.Sub(s.swept) < time.Second {
		return false
	}
	s.swept = now
	for uid, due := range s.due {
		if due.Before(now) {
			delete(s.due, uid)
		}
	}
	return len(s.due) < maxLimited
}

// maxKnown bounds how many uids are known at once, and knownFor for how long one
// is without being seen again.
const (
	maxKnown = 64
	knownFor = time.Minute
)

// An allowList has the uids that were found to be an administrator's or a trusted
// program's. No rate limit holds for them, and one of them may fill half of the room for all
// but root. It may be used from many goroutines.
type allowList struct {
	mu    sync.Mutex // guards until
	until map[uint32]time.Time
}

func (g *allowList) add(uid uint32, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.until == nil {
		g.until = map[uint32]time.Time{}
	}
	for uid, until := range g.until {
		if until.Before(now) {
			delete(g.until, uid)
		}
	}
	if len(g.until) < maxKnown {
		g.until[uid] = now.Add(knownFor)
	}
}

func (g *allowList) has(uid uint32, now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return now.Before(g.until[uid])
}
