// Package app builds the daemon out of its rooms and runs it. Tests embed it
// in-process.
//
// What to know before trusting it: the configuration, the key and the store are
// checked before a socket opens. A reload takes the whole new configuration, except keys
// that need a restart, or keeps the whole old one. A stop first closes the PAM socket,
// then lets the logins under way end, then ends them.
package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"mfa/internal/account"
	"mfa/internal/account/contacts"
	"mfa/internal/audit"
	"mfa/internal/challenge"
	"mfa/internal/config"
	"mfa/internal/deliver"
	"mfa/internal/deliver/mail"
	"mfa/internal/deliver/sms"
	"mfa/internal/deliver/smtp"
	"mfa/internal/deliver/spend"
	"mfa/internal/enroll"
	"mfa/internal/host/clock"
	"mfa/internal/host/nss"
	"mfa/internal/login"
	"mfa/internal/metrics"
	"mfa/internal/mfa"
	"mfa/internal/seal"
	"mfa/internal/server"
	"mfa/internal/store"
	"mfa/internal/store/etcd"
	"mfa/internal/store/offline"
)

const (
	// stopGrace is how long a stop lets logins that run end by themselves, and
	// then messages that are on their way.
	stopGrace = 15 * time.Second
	// controlGrace is how long requests of mfactl have.
	controlGrace = 2 * time.Second
	// retryBase and retryLimit are the waits between attempts to send.
	retryBase, retryLimit = 500 * time.Millisecond, 10 * time.Second
)

// Options are what an App gets beside its configuration.
type Options struct {
	Log       *slog.Logger
	Level     *slog.LevelVar      // of Log; set from log.level at start and reload; may be nil
	Now       func() time.Time    // nil: time.Now
	Trusted   func() bool         // whether Now is known to be right; nil: what the kernel says
	Listeners []*net.UnixListener // opened by systemd; those missing are made
	Notify    func(state string)  // sd_notify(3); nil: not called
	Watchdog  time.Duration       // how often systemd expects WATCHDOG=1; 0: never
	Ready     func()              // called once the sockets are open; may be nil
	// Load reads the configuration anew, for a reload; nil: a reload is refused.
	Load func() (config.Config, error)
	File string // that Load reads
	// ChangesPassword is login.Deps.ChangesPassword.
	ChangesPassword func(service string) bool

	hostID     string               // in place of that of the machine
	sweepFirst time.Duration        // see account.Sweeper
	keyNeeded  func() time.Duration // see account.KeyLife; nil: as long as it is
}

// An App is the daemon.
type App struct {
	opts    Options
	store   backend
	host    string                    // this machine in a fleet; empty: there is no other
	late    *etcd.Late                // the fleet's store; nil: it is local
	offline *offline.Store            // around late; nil: nothing is decided without etcd
	follow  follower                  // of etcd
	since   atomic.Pointer[time.Time] // when the store was begun anew; nil: never
	alone   func(ctx context.Context, what string, rest time.Duration, do func(context.Context) error) (bool, error)
	records account.Records
	aliases *account.Aliases
	key     *seal.Key
	audit   *audit.Log
	metrics *metrics.Metrics
	export  *server.Exporter
	started time.Time

	strangers *account.UnknownUsers

	pam *server.PAM

	keyLife *account.KeyLife
	sweeper account.Sweeper

	live     *account.Conversations
	underway *challenge.Underway

	current *deliver.Current // of carriers
	queue   *deliver.Queue

	reload sync.Mutex // held while a configuration is taken
	moving sync.Mutex // held while records are copied to another store
	cur    atomic.Pointer[instance]
	old    sync.WaitGroup // carriers of former configurations, ending
}

// An instance is all that is built from one configuration.
type instance struct {
	cfg      config.Config
	accounts *account.Accounts
	enroll   *enroll.Service
	engine   *login.Engine
	login    login.Config // of engine
	mails    *mail.Writer
	carriers deliver.Carriers
	contacts *contacts.Directory // nil: [contacts] chose none
	ledger   *spend.Ledger
	calls    *spend.Ledger // apart from text messages

	lengths mfa.Lengths // how long what is stored lasts
	waiting []string    // keys that a restart would change
}

// close gives back the carriers and the directory, once nobody is on them any more.
func (s *instance) close() error {
	if s.contacts != nil {
		s.contacts.Close()
	}
	return s.carriers.Close()
}

// New opens everything that the configuration names but the sockets. The caller must
// Close the App.
func New(cfg config.Config, opts Options) (_ *App, err error) {
	if keys := cfg.Credentials(); len(keys) > 0 {
		return nil, fmt.Errorf("%s: the value is a credential, but systemd passes none; "+
			"add LoadCredential=NAME:FILE to mfad.service (systemctl edit mfad)", strings.Join(keys, ", "))
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Trusted == nil {
		opts.Trusted = clock.NewWatch().Trusted
	}
	if opts.Notify == nil {
		opts.Notify = func(string) {}
	}
	a := &App{
		opts: opts, started: opts.Now(), metrics: metrics.New(mfa.Version), current: &deliver.Current{Log: opts.Log},
		strangers: account.NewUnknownUsers(), live: account.NewConversations(), underway: &challenge.Underway{},
	}
	// A message is given up while there is time left to tell so in its login.
	sender := a.metrics.Sends(deliver.Retry(a.metrics.Attempts(a.current), retryBase, retryLimit))
	a.queue = deliver.NewQueue(sender, time.Duration(cfg.Server.LoginTimeout)*4/5)
	defer func() {
		if err != nil {
			err = errors.Join(err, a.Close())
		}
	}()
	if a.audit, err = audit.Open(cfg.Audit, opts.Log); err != nil {
		return nil, err
	}
	a.audit.Observe(a.metrics.Event)
	a.export = &server.Exporter{Listen: cfg.Metrics.Listen, Handler: a.metrics.Handler(), Audit: a.audit, Log: opts.Log}
	if err = a.openStore(cfg); err != nil {
		return nil, err
	}
	a.aliases = &account.Aliases{Records: a.records, Now: a.opts.Now}
	a.records.Locked = a.aliases.NoteLock
	next, err := a.build(cfg, a.shared())
	if err != nil {
		return nil, err
	}
	a.take(next)
	a.comeBack(context.Background())
	a.keyLife = account.NewKeyLife(a.key, cfg.Secrets.KeyFile, a.store, a.accounts, opts.Log)
	a.keyLife.Needed, a.keyLife.Shared = opts.keyNeeded, a.host != ""
	a.sweeper = account.Sweeper{Accounts: a.accounts, Aliases: a.aliases, First: opts.sweepFirst, Alone: a.alone}
	a.pam = &server.PAM{
		Logins: func() server.Loginer { return a.engine() }, Meter: a.metrics,
		MaxLogins: server.MostLogins(cfg.Server.MaxLogins, opts.Log), Timeout: time.Duration(cfg.Server.LoginTimeout),
		Trusted: cfg.Server.TrustedUsers, Audit: a.audit, Log: opts.Log,
	}
	a.metrics.Running(func() (now, most, refused int) { return a.pam.Running(), a.pam.MaxLogins, a.pam.Refused() })
	a.metrics.Spending(func() (sent, limit int, err error) { return a.cur.Load().ledger.Reading() })
	a.metrics.SpendingOnCalls(func() (sent, limit int, err error) { return a.cur.Load().calls.Reading() })
	a.metrics.StoreHealth(func() error { return a.store.Check(context.Background()) })
	a.setLevel(cfg)
	a.audit.Record(mfa.Event{Time: opts.Now(), Event: audit.ConfigLoad, Reason: "start"})
	return a, nil
}

// build makes the instance of cfg, whose policy is noted in notes.
func (a *App) build(cfg config.Config, notes store.Store) (*instance, error) {
	host, full := deliver.HostName(), deliver.FullName()
	if problem := deliver.SenderProblem(cfg.Email, full); problem != "" {
		a.opts.Log.Warn(problem)
	}
	asking := challenge.Deps{Key: a.key, Mail: a.queue, Audit: a.audit, Log: a.opts.Log, Now: a.opts.Now, Underway: a.underway}
	mails, err := mail.New(cfg.Email)
	if err != nil {
		return nil, err
	}
	carriers, err := a.carriers(cfg, full, asking.Undelivered)
	if err != nil {
		return nil, err
	}
	generation, err := a.generation(cfg, notes)
	if err != nil {
		return nil, errors.Join(err, carriers.Close())
	}
	s := &instance{cfg: cfg, mails: mails, carriers: carriers, ledger: spend.New(cfg.SMS, a.records.S, a.key)}
	if s.contacts, err = contacts.New(cfg.Contacts, contacts.Options{Regions: cfg.SMS.Regions, Log: a.opts.Log, Now: a.opts.Now}); err != nil {
		return nil, errors.Join(err, s.close())
	}
	s.ledger.Alert = func(_ string, used, max int) { a.metrics.TextAlert(used, max) }
	s.ledger.Log, s.ledger.Now, s.ledger.Host = a.opts.Log, a.opts.Now, a.host
	s.calls = spend.NewCalls(cfg.SMS, a.records.S, a.key)
	s.calls.Log, s.calls.Now, s.calls.Host = a.opts.Log, a.opts.Now, a.host
	s.calls.Alert = func(_ string, used, max int) { a.metrics.CallAlert(used, max) }
	keeping := account.Config{
		Lockout: cfg.Lockout, Lifetime: cfg.Code.Lifetime, Period: cfg.TOTP.Period, Skew: cfg.TOTP.Skew, Host: host, Mails: mails, Generation: generation, FleetHost: a.host,
		Language: cfg.Prompt.Language, Contacts: cfg.Contacts, TextMessages: cfg.SMS.Provider != "",
	}
	s.lengths = keeping.Lengths()
	s.accounts = account.New(keeping, account.Deps{
		Records: a.recordsNow(), Key: a.key, Mail: a.queue, Audit: a.audit, Log: a.opts.Log, Now: a.opts.Now, Trusted: a.opts.Trusted,
		Spending: s.ledger, Conversations: a.live, Directory: s.directory(),
	})
	asking.Accounts, asking.Spending, asking.Calls = s.accounts, s.ledger, s.calls
	asker := challenge.New(challenge.Config{
		Code: cfg.Code, TOTP: cfg.TOTP, HOTP: cfg.HOTP, Prompt: cfg.Prompt, Host: host, Mails: mails,
		SMSTemplate: cfg.SMS.Template, AutofillDomain: cfg.SMS.AutofillDomain,
	}, asking)
	s.enroll = &enroll.Service{
		Accounts: s.accounts, Audit: a.audit, Log: a.opts.Log, Now: a.opts.Now,
		TOTP: cfg.TOTP, QR: cfg.Prompt.QR, Host: host, BackupCodes: cfg.Backup.Codes, Regions: cfg.SMS.Regions,
	}
	s.login = login.Config{
		Policy: cfg.Policy, Session: cfg.Session, Generation: generation, MailDomain: deliver.SenderDomain(cfg.Email, full),
		FallbackToEmail: cfg.SMS.FallbackToEmail, TextMessages: cfg.SMS.Provider != "", Directory: cfg.Contacts.Source != "",
	}
	s.engine = login.New(s.login, login.Deps{
		Accounts: s.accounts, Asker: asker, Enroll: s.enroll, Key: a.key, Audit: a.audit, Log: a.opts.Log,
		Lookup: nss.Lookup, Groups: nss.Groups{}, Now: a.opts.Now, Aliases: a.aliases,
		ChangesPassword: a.opts.ChangesPassword,
		UnknownUsers:    a.strangers,
		Current:         a.engine,
	})
	return s, nil
}

// generation notes the policy, and returns how often everybody had to enroll anew. A
// fleet's store that cannot be reached keeps no new rule from counting.
func (a *App) generation(cfg config.Config, notes store.Store) (int, error) {
	generation, err := account.Generation(context.Background(), notes, a.host, cfg.Policy.Noted(), a.opts.Log)
	if !errors.Is(err, store.ErrUnreachable) {
		if err == nil && a.offline != nil {
			err = a.offline.NoteGeneration(context.Background(), generation)
		}
		return generation, err
	}
	a.opts.Log.Error("policy not noted: until it is, nobody has to enroll anew because it was off", "error", err)
	if cur := a.cur.Load(); cur != nil {
		return cur.login.Generation, nil
	}
	if a.offline != nil {
		return a.offline.Generation(), nil
	}
	return 0, nil // and nobody is let in by a record before join
}

// carriers opens the carriers of cfg. Undelivered is told of text messages that were lost.
func (a *App) carriers(cfg config.Config, host string, undelivered func(mfa.Message, string, error)) (c deliver.Carriers, err error) {
	if c.Email, err = smtp.New(cfg.Email, smtp.Options{Host: host, Log: a.opts.Log, Now: a.opts.Now}); err != nil {
		return deliver.Carriers{}, err
	}
	if cfg.SMS.Provider == "" {
		return c, nil
	}
	texts, err := sms.New(cfg.SMS, sms.Options{Log: a.opts.Log, Now: a.opts.Now, Undelivered: undelivered, Language: cfg.Prompt.Language})
	if err != nil {
		return c, errors.Join(err, c.Close())
	}
	c.SMS = texts
	return c, nil
}

// directory returns the directory that the Accounts ask, nil if there is none.
func (s *instance) directory() account.Directory {
	if s.contacts == nil {
		return nil
	}
	return s.contacts
}

// engine returns the Engine of the configuration that counts now; nil before the first.
func (a *App) engine() *login.Engine {
	if s := a.cur.Load(); s != nil {
		return s.engine
	}
	return nil
}

// accounts returns the Accounts of the configuration that counts now.
func (a *App) accounts() *account.Accounts { return a.cur.Load().accounts }

// Close gives everything back. Run must have returned.
func (a *App) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopGrace)
	defer cancel()
	a.queue.Close(ctx)
	a.old.Wait()
	var errs []error
	if s := a.cur.Load(); s != nil {
		errs = append(errs, s.close())
	}
	if a.store != nil {
		a.payLast()
		errs = append(errs, a.store.Close())
	}
	if a.audit != nil {
		errs = append(errs, a.audit.Close())
	}
	return errors.Join(errs...)
}
