package app

import (
	"context"
	"time"

	"mfa/internal/deliver"
	"mfa/internal/deliver/spend"
	"mfa/internal/store"
)

// ledger counts what is spent on text messages, in the store.
func (a *App) ledger(cfg deliver.SMSConfig) *spend.Ledger {
	return &spend.Ledger{
		Limits: spend.Limits{
			UserPerDay: cfg.PerUserPerDay, NumberPerDay: cfg.PerNumberPerDay,
			PrefixPerHour: cfg.PerPrefixPerHour, TotalPerHour: cfg.PerHour,
		},
		Update: func(ctx context.Context, key string, fn func(old []byte) ([]byte, error)) error {
			return store.Update(ctx, a.records.S, key, fn)
		},
		Hash:  func(number string) string { return string(a.key.MAC("ledger number", []byte(number))) },
		Alert: func(_ string, used, max int) { a.metrics.TextAlert(used, max) },
		Log:   a.opts.Log, Now: a.opts.Now,
	}
}

// spendingTimeout bounds what a scrape waits for the store.
const spendingTimeout = 2 * time.Second

// spending is how many text messages went out within the last hour, and how many
// may; the limit is 0 while nobody carries them.
func (a *App) spending() (sent, limit int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), spendingTimeout)
	defer cancel()
	cur := a.cur.Load()
	texts, err := cur.ledger.Total(ctx)
	if cur.sms == nil {
		texts.Max = 0
	}
	return texts.Used, texts.Max, err
}
