package spend

import (
	"context"
	"fmt"
	"time"
)

// Usage is the counters of a Ledger, for administrators. Only counters
// that are not zero are listed, the most used first.
type Usage struct {
	Total    LimitUse   // of the last hour; Name is empty
	Prefixes []LimitUse // of the last hour, like +12025
	Users    []LimitUse // of the last day, by user name
	Numbers  []LimitUse // of the last day; Name is a keyed hash of the number
}

// LimitUse is the state of one counter: Used messages of Max; 0 or less is no limit.
type LimitUse struct {
	Name      string
	Used, Max int
}

// Total returns the messages of the last hour and their limit.
func (l *Ledger) Total(ctx context.Context) (LimitUse, error) {
	p, err := l.hour(ctx)
	if err != nil {
		return LimitUse{}, fmt.Errorf("read usage: %w", err)
	}
	use := LimitUse{Used: p.Counts[ofTotal].sum(), Max: l.Limits.TotalPerHour}
	if l.Idle {
		use.Max = 0
	}
	return use, nil
}

// readTimeout bounds how long Reading waits for the store.
const readTimeout = 2 * time.Second

// Reading is Total for metrics: how many messages count, and how many may.
func (l *Ledger) Reading() (sent, limit int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), readTimeout)
	defer cancel()
	use, err := l.Total(ctx)
	return use.Used, use.Max, err
}

// Usage returns all counters. It reads the records one after another, so messages
// reserved meanwhile may be in one list and not in another.
func (l *Ledger) Usage(ctx context.Context) (Usage, error) {
	now := l.clock()
	hour, err := l.hour(ctx)
	if err != nil {
		return Usage{}, fmt.Errorf("read usage: %w", err)
	}
	day := page{}
	for i := range days {
		p, err := l.read(ctx, fmt.Sprintf("%s/%02x", l.record(), i))
		if err != nil {
			return Usage{}, fmt.Errorf("read usage: %w", err)
		}
		p.forgetOld(lastDay, lastDay.at(now))
		day.merge(p)
	}
	return Usage{
		Total:    LimitUse{Used: hour.Counts[ofTotal].sum(), Max: l.Limits.TotalPerHour},
		Prefixes: hour.uses(ofPrefix, l.Limits.PrefixPerHour),
		Users:    day.uses(ofUser, l.Limits.UserPerDay),
		Numbers:  day.uses(ofNumber, l.Limits.NumberPerDay),
	}, nil
}
