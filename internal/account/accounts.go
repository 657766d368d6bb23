package account

import (
	"context"
	"log/slog"
	"time"

	"mfa/internal/audit"
	"mfa/internal/deliver"
	"mfa/internal/deliver/mail"
	"mfa/internal/mfa"
	"mfa/internal/seal"
)

// Config is the part of mfa.toml that accounts need, and the name for messages.
type Config struct {
	Lockout    LockoutConfig
	Lifetime   mfa.Duration // code.lifetime
	Period     mfa.Duration // totp.period, of apps that are set up now
	Skew       int          // totp.skew
	Host       string       // name of this machine, as people know it
	Mails      *mail.Writer // nil: writes ours
	Generation int          // how often everybody had to enroll anew
	Language   string       // prompt.language
	FleetHost  string       // names this machine among those with the same store; empty: there is no other

	Contacts     ContactsConfig
	TextMessages bool // whether there are any
}

// Lengths returns how long stored codes and locks last under this configuration.
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

	Directory Directory // says where codes go of who has set up nothing; nil: none does

	Spending      Spending       // asked before each text message
	Conversations *Conversations // shared by all Accounts of a daemon; nil: one of its own
}

// Spending counts text messages or calls before they are made; spend.Ledger implements it.
// NewPlace says that the message is asked for from where the user was never seen: then some
// of the limit is left for the user. The error wraps a spend.LimitError if there may not be
// one more. It may be called from many goroutines.
type Spending interface {
	Reserve(ctx context.Context, user, to string, newPlace bool) error

	// Room returns what Reserve would, but counts nothing.
	Room(ctx context.Context, user, to string, newPlace bool) error
}

// Accounts are the users under one configuration. They keep nothing but what is in the
// store, and the Conversations under way. They may be used from many goroutines.
type Accounts struct {
	cfg           Config
	deps          Deps
	conversations *Conversations
}

// New returns the Accounts of a configuration.
func New(cfg Config, deps Deps) *Accounts {
	live := deps.Conversations
	if live == nil {
		live = NewConversations()
	}
	return &Accounts{cfg: cfg, deps: deps, conversations: live}
}

// Records returns the Records that the Accounts were made with.
func (a *Accounts) Records() Records { return a.deps.Records }

// Config returns the Config that the Accounts were made with.
func (a *Accounts) Config() Config { return a.cfg }
