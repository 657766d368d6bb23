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
	"io/fs"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"mfa/internal/account"
	"mfa/internal/audit"
	"mfa/internal/challenge"
	"mfa/internal/config"
	"mfa/internal/deliver"
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
	"mfa/internal/store/local"
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

	sweepFirst time.Duration        // how long after the start; 0: sweepFirst
	keyNeeded  func() time.Duration // see account.KeyLife; nil: as long as it is
}

// An App is the daemon.
type App struct {
	opts    Options
	store   *local.Store
	records account.Records
	aliases *account.Aliases
	key     *seal.Key
	audit   *audit.Log
	metrics *metrics.Metrics
	started time.Time

	strangers *account.Strangers

	pam *server.PAM

	keyLife *account.KeyLife

	live *account.Live

	carriers *carriers
	queue    *deliver.Queue

	reload sync.Mutex // held while a configuration is taken
	cur    atomic.Pointer[instance]
	old    sync.WaitGroup // ways to send of former configurations, ending
}

// An instance is all that is built from one configuration.
type instance struct {
	cfg      config.Config
	accounts *account.Accounts
	enroll   *enroll.Service
	engine   *login.Engine
	login    login.Config // of engine
	email    *smtp.Email
	sms      *sms.SMS // nil: there are no text messages
	ledger   *spend.Ledger

	lengths mfa.Lengths // how long what is stored lasts
	waiting []string    // keys that a restart would change
}

// close gives back the ways to send, once nobody is on them any more.
func (s *instance) close() error {
	err := s.email.Close()
	if s.sms != nil {
		err = errors.Join(err, s.sms.Close())
	}
	return err
}

// Check says what is wrong with a configuration beyond its text: files it names
// that cannot be read. Nothing is made or opened for writing. Secrets that only
// the service can see (config.Config.Credentials) are not looked at.
func Check(cfg config.Config) error {
	unseen := cfg.Credentials()
	if err := checkStore(cfg, slices.Contains(unseen, "secrets.key_file")); err != nil {
		return err
	}
	hidden := func(table string) bool {
		return slices.ContainsFunc(unseen, func(key string) bool { return strings.HasPrefix(key, table) })
	}
	var errs []error
	if !hidden("email.") {
		email, err := smtp.New(cfg.Email, smtp.Options{Host: deliver.FullName()})
		if errs = append(errs, err); err == nil {
			errs = append(errs, email.Close())
		}
	}
	if !hidden("sms.") {
		sms, err := newSMS(cfg.SMS, sms.Options{})
		if errs = append(errs, err); err == nil && sms != nil {
			errs = append(errs, sms.Close())
		}
	}
	return errors.Join(errs...)
}

// checkStore says what keeps a daemon from opening its store; with keyHidden as far as
// that can be told without the key.
func checkStore(cfg config.Config, keyHidden bool) error {
	if keyHidden {
		return local.CheckState(cfg.Store.Path)
	}
	uid := daemonOf(cfg.Store)
	err := seal.Check(cfg.Secrets.KeyFile, uid)
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	case err != nil && local.Enrolled(cfg.Store.Path):
		return errors.Join(noKey(err), local.CheckState(cfg.Store.Path))
	case err != nil:
		return nil // a first start makes it
	}
	return local.Verify(cfg.Store.Path, func(known string) (*seal.Key, error) { return seal.LoadFor(cfg.Secrets.KeyFile, uid, known) })
}

// newSMS returns what carries text messages, nil if [sms] chose nobody.
func newSMS(cfg deliver.SMSConfig, opts sms.Options) (*sms.SMS, error) {
	if cfg.Provider == "" {
		return nil, nil
	}
	return sms.New(cfg, opts)
}

// daemonOf returns the uid of the daemon whose store that is: who checks its
// configuration is mostly root, and the daemon is not.
func daemonOf(cfg store.Config) int {
	if info, err := os.Stat(cfg.Path); err == nil && os.Geteuid() == 0 {
		return int(info.Sys().(*syscall.Stat_t).Uid)
	}
	return os.Geteuid()
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
	if opts.sweepFirst == 0 {
		opts.sweepFirst = sweepFirst
	}
	a := &App{strangers: account.NewStrangers(), live: account.NewLive(), opts: opts, started: opts.Now(), carriers: &carriers{log: opts.Log}, metrics: metrics.New(mfa.Version)}
	// A message is given up while there is time left to tell so in its login.
	sender := a.metrics.Sends(hurried{deliver.Retry(a.metrics.Attempts(a.carriers), retryBase, retryLimit)})
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
	if err = a.openStore(cfg); err != nil {
		return nil, err
	}
	a.aliases = &account.Aliases{Records: a.records, Now: a.opts.Now}
	a.records.Locked = a.aliases.NoteLock
	next, err := a.build(cfg)
	if err != nil {
		return nil, err
	}
	a.take(next)
	a.keyLife = account.NewKeyLife(a.key, cfg.Secrets.KeyFile, a.store, a.accounts, opts.Log)
	a.keyLife.Needed = opts.keyNeeded
	a.pam = &server.PAM{
		Logins: func() server.Loginer { return a.engine() }, Meter: a.metrics,
		MaxLogins: a.maxLogins(cfg.Server.MaxLogins), Timeout: time.Duration(cfg.Server.LoginTimeout),
		Trusted: cfg.Server.TrustedUsers, Audit: a.audit, Log: opts.Log,
	}
	a.metrics.Running(func() (now, most, refused int) { return a.pam.Running(), a.pam.MaxLogins, a.pam.Refused() })
	a.metrics.Spending(a.spending)
	a.metrics.StoreHealth(func() error { return a.store.Check(context.Background()) })
	a.setLevel(cfg)
	a.audit.Record(mfa.Event{Time: opts.Now(), Event: audit.ConfigLoad, Reason: "start"})
	return a, nil
}

// spareFiles are the descriptors that are not the sockets': the store, the audit
// file, connections to carriers, and look-ups of users.
const spareFiles = 256

// maxLogins returns how many logins there can be at once, given that want are
// wished for: the descriptors of this process must last for them.
func (a *App) maxLogins(want int) int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return want
	}
	most := want
	for most > 1 && uint64(server.Descriptors(most)+spareFiles) > limit.Cur {
		most = most * 7 / 8
	}
	if most < want {
		a.opts.Log.Warn("server.max_logins is more than the open files of this process allow; raise LimitNOFILE= of mfad.service",
			"max_logins", want, "logins", most, "files", limit.Cur)
	}
	return most
}

// build makes the instance of cfg.
func (a *App) build(cfg config.Config) (*instance, error) {
	host, full := deliver.HostName(), deliver.FullName()
	if problem := deliver.SenderProblem(cfg.Email, full); problem != "" {
		a.opts.Log.Warn(problem)
	}
	email, err := smtp.New(cfg.Email, smtp.Options{Host: full, Log: a.opts.Log, Now: a.opts.Now})
	if err != nil {
		return nil, err
	}
	sms, err := newSMS(cfg.SMS, sms.Options{Log: a.opts.Log, Now: a.opts.Now, Undelivered: a.undelivered})
	s := &instance{cfg: cfg, email: email, sms: sms, ledger: a.ledger(cfg.SMS)}
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	generation, err := a.generation(cfg.Policy)
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	keeping := account.Config{
		Lockout: cfg.Lockout, Lifetime: cfg.Code.Lifetime, Period: cfg.TOTP.Period, Skew: cfg.TOTP.Skew, Host: host, Generation: generation,
	}
	s.lengths = keeping.Lengths()
	s.accounts = account.New(keeping, account.Deps{
		Records: a.records, Key: a.key, Mail: a.queue, Audit: a.audit, Log: a.opts.Log, Now: a.opts.Now, Trusted: a.opts.Trusted,
		Spending: s.ledger, Live: a.live,
	})
	asker := challenge.New(challenge.Config{
		Code: cfg.Code, TOTP: cfg.TOTP, Prompt: cfg.Prompt, Host: host, MailSubject: cfg.Email.Subject,
		SMSTemplate: cfg.SMS.Template, AutofillDomain: cfg.SMS.AutofillDomain,
	}, challenge.Deps{
		Accounts: s.accounts, Key: a.key, Mail: a.queue, Audit: a.audit, Log: a.opts.Log, Now: a.opts.Now, Spending: s.ledger,
	})
	s.enroll = &enroll.Service{
		Accounts: s.accounts, Audit: a.audit, Log: a.opts.Log, Now: a.opts.Now,
		TOTP: cfg.TOTP, QR: cfg.Prompt.QR, Host: host, BackupCodes: cfg.Backup.Codes, Regions: cfg.SMS.Regions,
	}
	s.login = login.Config{
		Policy: cfg.Policy, Session: cfg.Session, Generation: generation, MailDomain: mailDomain(cfg.Email.From, full),
		FallbackToEmail: cfg.SMS.FallbackToEmail, TextMessages: cfg.SMS.Provider != "",
	}
	s.engine = login.New(s.login, login.Deps{
		Accounts: s.accounts, Asker: asker, Enroll: s.enroll, Key: a.key, Audit: a.audit, Log: a.opts.Log,
		Lookup: nss.Lookup, Groups: nss.Groups{}, Now: a.opts.Now, Aliases: a.aliases,
		ChangesPassword: a.opts.ChangesPassword,
		Strangers:       a.strangers,
		Current:         a.engine,
	})
	return s, nil
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

// generation notes the policy and returns how often everybody had to enroll anew.
func (a *App) generation(p login.PolicyConfig) (int, error) {
	generation, err := account.NotePolicy(context.Background(), a.store, account.Policy{Mode: p.Mode, Off: p.Off(), Reenroll: p.ReenrollAfterOff})
	if errors.Is(err, syscall.EROFS) {
		// Logins that need no write go on, so the policy counts without the note.
		a.opts.Log.Error("policy not noted: until it is, nobody has to enroll anew because it was off", "error", err)
		err = nil
	}
	return generation, err
}

// mailDomain returns the domain that mail comes from.
func mailDomain(from, host string) string {
	a, err := mfa.ParseSender(from)
	if err != nil {
		return host
	}
	return mfa.DomainOf(a.Address)
}

// undelivered tells the administrator of a text message that was taken and did not
// arrive.
func (a *App) undelivered(m mfa.Message, receipt string, err error) {
	to := deliver.Mask(m.To)
	a.opts.Log.Error("text message did not arrive", "user", m.User, "to", to, "receipt", receipt, "error", err)
	a.audit.Record(mfa.Event{
		Time: a.opts.Now(), Event: audit.Undelivered, User: m.User, Method: string(m.Carrier),
		To: to, Message: m.ID, Receipt: receipt, Reason: err.Error(),
	})
	a.queue.Lost(m.ID, err)
}

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
		errs = append(errs, a.store.Close())
	}
	if a.audit != nil {
		errs = append(errs, a.audit.Close())
	}
	return errors.Join(errs...)
}
