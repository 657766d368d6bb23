package spend

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
)

// In a fleet all hosts would write one record of the last hour, and queue there. So the
// prefixes are divided over some records, and the limit of all messages over others: each
// of those has a share of it, and a message counts in one of them, the host's own first
// and then whichever has room. The shares are the limit together, so no more messages than
// it go out, and none is refused while any share has room.

// prefixes and shares are how many such records there are.
const (
	prefixes = 64
	shares   = 16
)

// prefixKey returns the record that counts a prefix in a fleet.
func (l *Ledger) prefixKey(prefix string) string {
	return fmt.Sprintf("%s/prefix/%02x", l.record(), sha256.Sum256([]byte(prefix))[0]%prefixes)
}

// shareKey returns the record of a share.
func (l *Ledger) shareKey(i int) string { return fmt.Sprintf("%s/share/%02x", l.record(), i) }

// alertKey returns the record that notes in a fleet which alerts were raised.
func (l *Ledger) alertKey() string { return l.record() + "/alert" }

// split returns the claims on the shares, the own one first. One that has no part of the
// limit is left out.
func (l *Ledger) split(c claim) (parts []claim) {
	own := int(sha256.Sum256([]byte(l.Host))[0])
	for i := range shares {
		at := (own + i) % shares
		part, n := c, c.counts[0]
		if n.max > 0 {
			if n.max = n.max/shares + min(1, max(0, n.max%shares-at)); n.max == 0 {
				continue
			}
		}
		part.key, part.counts = l.shareKey(at), []counter{n}
		parts = append(parts, part)
	}
	return parts
}

// sooner returns the LimitError that ends first; one of them may be nil.
func sooner(a, b error) error {
	var x, y LimitError
	if !errors.As(a, &x) || errors.As(b, &y) && y.Until.Before(x.Until) {
		return b
	}
	return a
}

// mayCountSpread is mayCount for the shares.
func (l *Ledger) mayCountSpread(ctx context.Context, c claim) error {
	var full error
	for _, part := range l.split(c) {
		part.spread = false
		err := l.mayCount(ctx, part)
		if err == nil || !errors.Is(err, ErrLimit) {
			return err
		}
		full = sooner(full, err)
	}
	return full
}

// takeSpread is take for the shares.
func (l *Ledger) takeSpread(ctx context.Context, c *claim) error {
	var full error
	for _, part := range l.split(*c) {
		p, err := l.glance(ctx, part.key)
		if err == nil && part.check(p) != nil {
			full = sooner(full, part.check(p))
			continue // it was full a moment ago; mayCountSpread found one that was not
		}
		if err = l.count(ctx, part); err == nil {
			*c = part
			l.tell(ctx, part)
			return nil
		}
		if !errors.Is(err, ErrLimit) {
			return err
		}
		full = sooner(full, err)
	}
	return full
}

// tell raises an alert if one is due. It looks at all shares where the one that was
// counted in came near its end: while none does, the limit is not near.
func (l *Ledger) tell(ctx context.Context, c claim) {
	p, err := l.glance(ctx, c.key)
	if n := c.counts[0]; err != nil || n.max <= 0 || p.Counts[ofTotal].live(c.window, c.slot).sum()*100 < n.max*nearLimit {
		return
	}
	var level, used int
	all, err := l.shares(ctx, l.glance)
	if err == nil {
		err = l.change(ctx, l.alertKey(), func(p *page) error {
			p.forgetOld(c.window, c.slot)
			used = all.Counts[ofTotal].sum()
			level = p.raise(used, l.Limits.TotalPerHour, c.slot)
			return nil
		})
	}
	switch {
	case err != nil && l.Log != nil:
		l.Log.WarnContext(ctx, "whether text messages come near their limit is not known", "error", err)
	case err == nil && level > 0:
		l.warn(ctx, level, used)
	}
}

// shares returns the sum of all shares in the last hour.
func (l *Ledger) shares(ctx context.Context, read func(context.Context, string) (page, error)) (page, error) {
	sum := page{Counts: map[string]slotCounts{}}
	now := lastHour.at(l.clock())
	for i := range shares {
		p, err := read(ctx, l.shareKey(i))
		if err != nil {
			return page{}, err
		}
		p.forgetOld(lastHour, now)
		for slot, n := range p.Counts[ofTotal] {
			if sum.Counts[ofTotal] == nil {
				sum.Counts[ofTotal] = slotCounts{}
			}
			sum.Counts[ofTotal][slot] += n
		}
	}
	return sum, nil
}

// hour returns the counters of the last hour.
func (l *Ledger) hour(ctx context.Context) (page, error) {
	now := lastHour.at(l.clock())
	if l.Host == "" {
		p, err := l.read(ctx, l.record())
		p.forgetOld(lastHour, now)
		return p, err
	}
	all, err := l.shares(ctx, l.read)
	for i := 0; i < prefixes && err == nil; i++ {
		var p page
		if p, err = l.read(ctx, fmt.Sprintf("%s/prefix/%02x", l.record(), i)); err == nil {
			p.forgetOld(lastHour, now)
			all.merge(p)
		}
	}
	return all, err
}
