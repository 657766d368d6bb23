package account

import (
	"context"
	"log/slog"
	"time"

	"mfa/internal/audit"
	"mfa/internal/deliver"
	"mfa/internal/mfa"
	"mfa/internal/seal"
)

// Config is what of mfa.toml counts for accounts, and the names for messages.
type Config struct {
	Lockout    LockoutConfig
	Lifetime   mfa.Duration // code.lifetime
	Period     mfa.Duration // totp.period, of apps that are set up now
	Skew       int          // totp.skew
	Host       string       // name of this machine, as people know it
	Generation int          // how often everybody had to enroll anew
}

// Lengths are how long what is stored lasts under this configuration.
func (c Config) Lengths() mfa.Lengths {
	return mfa.Lengths{Code: time.Duration(c.Lifetime), Lock: time.Duration(c.Lockout.Duration)}
}

// Deps is what Accounts work with.
type Deps struct {
	Records Records
	Key     *seal.Key
	Mail    *deliver.Queue // text messages too
	Audit   *audit.Log
	Log     *slog.Logger
	Now     func() time.Time // the clock
	Trusted func() bool      // whether Now is known to be right; nil: it is

	Spending Spending // asked before each text message
	Live     *Live    // nil: one of its own
}

// Spending counts the text messages that are about to be sent; the ledger of deliver
// does. One that a stranger asks for leaves some for the user. Its error wraps a
// spend.LimitError if there may not be one more.
type Spending interface {
	Reserve(ctx context.Context, user, to string, stranger bool) error
}

// Accounts are the users of one configuration: the only way to change what is known of
// them. They keep nothing but what is in the store. They may be used from many
// goroutines.
type Accounts struct {
	cfg  Config
	deps Deps
	live *Live
}

// New returns the Accounts of a configuration.
func New(cfg Config, deps Deps) *Accounts {
	live := deps.Live
	if live == nil {
		live = NewLive()
	}
	return &Accounts{cfg: cfg, deps: deps, live: live}
}

// Records returns what is stored of all users.
func (a *Accounts) Records() Records { return a.deps.Records }

// Config returns what the Accounts go by.
func (a *Accounts) Config() Config { return a.cfg }
