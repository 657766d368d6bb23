package etcd

import (
	"container/list"
	"sync"
)

// A sighting is what etcd said of one key.
type sighting struct {
	key    string
	rev    uint64 // 0: there was nothing
	sealed []byte
	asOf   int64 // the revision of etcd at which it was so
}

// cost is what a sighting takes in memory, with what holds it; roughly.
func (s sighting) cost() int { return len(s.sealed) + 2*len(s.key) + 256 }

// maxMemory bounds a cache, in bytes.
const maxMemory = 48 << 20

// lastEvents is how many events are remembered whatever their key: an answer of etcd is
// often a few events older than what the watch has told meanwhile.
const lastEvents = 1024

// An event is one that the watch told.
type event struct {
	key string
	rev int64
}

// A cache holds what was seen of keys, sealed, as long as a watch keeps it up to date. It
// is empty while no watch does. The least recently used goes first. It may be used from
// many goroutines.
type cache struct {
	most int // bytes

	mu    sync.Mutex // guards what follows
	live  bool       // a watch keeps it up to date
	upTo  int64      // the revision that the watch has reached
	lost  int64      // events up to that revision are not in last any more
	last  [lastEvents]event
	next  int // place in last
	used  int
	items map[string]*list.Element
	order list.List // of *sighting, the most recently used first
}

func newCache(most int) *cache { return &cache{most: most, items: map[string]*list.Element{}} }

// get returns what is known of key.
func (c *cache) get(key string) (sighting, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.items[key]
	if e == nil {
		return sighting{}, false
	}
	c.order.MoveToFront(e)
	return *e.Value.(*sighting), true
}

// put takes in what etcd answered. It is dropped if the watch told since that it changed,
// or may have told so.
func (c *cache) put(seen sighting) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.items[seen.key]
	switch {
	case !c.live, e == nil && c.mayBeOld(seen):
		return
	case e == nil:
		e = c.order.PushFront(&sighting{})
		c.items[seen.key] = e
	case seen.asOf < e.Value.(*sighting).asOf:
		return
	default:
		c.order.MoveToFront(e)
		c.used -= e.Value.(*sighting).cost()
	}
	*e.Value.(*sighting) = seen
	for c.used += seen.cost(); c.used > c.most; {
		c.remove(c.order.Back())
	}
}

// mayBeOld says whether the watch may have told of a later change of what was seen, which
// is not in the cache. c.mu is held.
func (c *cache) mayBeOld(seen sighting) bool {
	if seen.asOf >= c.upTo {
		return false
	}
	if seen.asOf < c.lost {
		return true
	}
	for _, ev := range c.last {
		if ev.rev > seen.asOf && ev.key == seen.key {
			return true
		}
	}
	return false
}

// changed takes in an event of the watch; its content, if the key is kept.
func (c *cache) changed(seen sighting) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lost = max(c.lost, c.last[c.next].rev)
	c.last[c.next] = event{seen.key, seen.asOf}
	c.next = (c.next + 1) % lastEvents
	c.upTo = max(c.upTo, seen.asOf)
	e := c.items[seen.key]
	if e == nil || seen.asOf < e.Value.(*sighting).asOf {
		return
	}
	c.used += seen.cost() - e.Value.(*sighting).cost()
	*e.Value.(*sighting) = seen
	for c.used > c.most {
		c.remove(c.order.Back())
	}
}

// drop forgets key.
func (c *cache) drop(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.items[key]; e != nil {
		c.remove(e)
	}
}

// remove removes e. c.mu is held.
func (c *cache) remove(e *list.Element) {
	seen := c.order.Remove(e).(*sighting)
	c.used -= seen.cost()
	delete(c.items, seen.key)
}

// begin says that a watch tells of everything after the revision at.
func (c *cache) begin(at int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.live, c.upTo, c.lost = true, at, at
}

// reached says that the watch has told everything up to the revision at.
func (c *cache) reached(at int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.upTo = max(c.upTo, at)
}

// progress returns the revision that the watch has reached, 0 if there is none.
func (c *cache) progress() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.live {
		return 0
	}
	return c.upTo
}

// end says that there is no watch any more, and forgets everything.
func (c *cache) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.live, c.used, c.upTo, c.lost = false, 0, 0, 0
	c.last, c.next = [lastEvents]event{}, 0
	c.items = map[string]*list.Element{}
	c.order.Init()
}
