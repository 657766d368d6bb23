package app

import (
	"context"
	"time"
)

// When what is over is swept out of the store: not at a start, when everybody
// logs in again, and then once a day.
const (
	sweepFirst = 10 * time.Minute
	sweepEvery = 24 * time.Hour
)

// sweep runs until ctx ends.
func (a *App) sweep(ctx context.Context) {
	timer := time.NewTimer(a.opts.sweepFirst)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		swept, err := a.accounts().Sweep(ctx)
		if err != nil && ctx.Err() == nil {
			a.opts.Log.Error("store not swept; it is tried again tomorrow", "error", err)
		}
		a.aliases.Forget()
		a.opts.Log.Debug("swept", "records", swept)
		timer.Reset(sweepEvery)
	}
}
