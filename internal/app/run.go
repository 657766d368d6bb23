package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"mfa/internal/config"
	"mfa/internal/deliver"
	"mfa/internal/deliver/carrier"
	"mfa/internal/host/nss"
	"mfa/internal/mfa"
	"mfa/internal/server"
	"mfa/internal/store"
	"mfa/internal/text"
	"mfa/internal/wire"
)

// Run opens the sockets and serves until ctx ends or a listener fails. Then it takes no
// new logins, gives those under way stopGrace to end, and ends them. Call it once.
func (a *App) Run(ctx context.Context) error {
	cfg := a.cur.Load().cfg
	if err := a.checkListeners(cfg); err != nil {
		return err
	}
	pam, err := a.listener(cfg.Server.PAMSocket)
	if err != nil {
		return err
	}
	defer pam.Close()
	control, err := a.listener(cfg.Server.ControlSocket)
	if err != nil {
		return err
	}
	defer control.Close()
	defer a.export.Start()()

	logins, endLogins := context.WithCancelCause(context.Background())
	defer endLogins(nil)
	manage := a.control()
	ctl := manage.Server(logins)
	failed := make(chan error, 2)
	var serving sync.WaitGroup
	serving.Go(func() { failed <- a.pam.Serve(logins, pam) })
	serving.Go(func() {
		if err := ctl.Serve(manage.Gate(control)); !errors.Is(err, http.ErrServerClosed) {
			failed <- fmt.Errorf("serve the control socket: %w", err)
		}
	})
	var watching sync.WaitGroup
	watchCtx, endWatch := context.WithCancel(context.Background())
	watching.Go(func() { a.watchdog(watchCtx) })
	watching.Go(func() { a.keyLife.Run(watchCtx) })
	watching.Go(func() { a.sweeper.Run(watchCtx) })
	watching.Go(func() { a.join(watchCtx) })
	watching.Go(func() { a.payOwed(watchCtx) })

	a.ready(cfg)
	select {
	case <-ctx.Done():
		err = nil
	case err = <-failed:
	}
	a.opts.Notify("STOPPING=1")
	a.opts.Log.Info("stopping", "logins", a.pam.Running())
	err = errors.Join(err, pam.Close())
	grace := time.AfterFunc(stopGrace, func() { endLogins(mfa.ErrStopping) })
	shut, cancel := context.WithTimeout(context.Background(), controlGrace)
	defer cancel()
	if ctl.Shutdown(shut) != nil {
		_ = ctl.Close() // somebody connected and says nothing
	}
	serving.Wait()
	grace.Stop()
	endLogins(mfa.ErrStopping)
	manage.Wait()
	endWatch()
	watching.Wait()
	return err
}

// checkListeners returns an error if systemd opened a socket that mfa.toml does not
// name: modules would connect there and wait in vain.
func (a *App) checkListeners(cfg config.Config) error {
	for _, l := range a.opts.Listeners {
		if path := l.Addr().String(); path != cfg.Server.PAMSocket && path != cfg.Server.ControlSocket {
			return fmt.Errorf("systemd opened the socket %q, but mfa.toml says %q and %q: make them the same",
				path, cfg.Server.PAMSocket, cfg.Server.ControlSocket)
		}
	}
	return nil
}

// ready tells the log, systemd and the caller that both sockets are served.
func (a *App) ready(cfg config.Config) {
	a.opts.Log.Info("ready", "version", mfa.Version, "pam_socket", cfg.Server.PAMSocket,
		"control_socket", cfg.Server.ControlSocket, "store", where(cfg), "mode", cfg.Policy.Mode)
	a.opts.Notify("READY=1")
	if a.opts.Ready != nil {
		a.opts.Ready()
	}
}

// listener returns the socket systemd opened at path, or opens it.
func (a *App) listener(path string) (*net.UnixListener, error) {
	for _, l := range a.opts.Listeners {
		if l.Addr().String() == path {
			return l, nil
		}
	}
	return server.Listen(path)
}

// watchdog tells systemd that the daemon lives. A store that cannot be used is logged
// only: a restart mends no disk.
func (a *App) watchdog(ctx context.Context) {
	if a.opts.Watchdog <= 0 {
		return
	}
	tick := time.NewTicker(a.opts.Watchdog / 2)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := a.store.Check(ctx); err != nil {
				a.opts.Log.Error("store cannot be used", "error", err)
			}
			a.opts.Notify("WATCHDOG=1")
		}
	}
}

// payEvery is how often wrong codes are written down that could not be before, and payGrace how
// long that may take at the end.
const payEvery, payGrace = 10 * time.Second, 2 * time.Second

// payOwed writes such wrong codes down where nobody logs in meanwhile, until ctx ends. The
// logins have told why it failed.
func (a *App) payOwed(ctx context.Context) {
	tick := time.NewTicker(payEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			_ = a.recordsNow().PayOwed(ctx)
		}
	}
}

// payLast is payOwed for once, before the store is closed.
func (a *App) payLast() {
	ctx, cancel := context.WithTimeout(context.Background(), payGrace)
	defer cancel()
	if err := a.recordsNow().PayOwed(ctx); err != nil {
		a.opts.Log.Error("wrong codes that could not be written down are forgotten with this stop", "error", err)
	}
}

func (a *App) control() *server.Control {
	c := &server.Control{
		Now: func() server.Snapshot {
			cur := a.cur.Load()
			return server.Snapshot{Engine: cur.engine, Enroll: cur.enroll, Accounts: cur.accounts, AdminGroup: cur.cfg.Server.AdminGroup}
		},
		Lookup:    nss.Lookup,
		Status:    a.status,
		RotateKey: a.rotateKey,
		Migrate:   a.migrate,
		Reload:    a.LoadAndReload,
		SendTest: func(ctx context.Context, method mfa.Method, to string) ([]wire.Step, error) {
			cur := a.cur.Load()
			letter := func(id string, n deliver.CodeNotice) mfa.Message {
				n.Sent, n.Lifetime, n.Words = a.opts.Now(), time.Duration(cur.cfg.Code.Lifetime), text.In(cur.cfg.Prompt.Language)
				return cur.mails.Code(id, n)
			}
			return carrier.SendTest(ctx, cur.carriers, carrier.Ledgers{Texts: cur.ledger, Calls: cur.calls}, method, to, letter)
		},
		Directory: a.directory,
		Audit:     a.audit,
		Log:       a.opts.Log,
	}
	if a.late != nil {
		c.Fleet = a.late.Fleet
	}
	return c
}

// directory tries the directory that counts now.
func (a *App) directory(ctx context.Context) wire.Directory {
	cur := a.cur.Load()
	d := wire.Directory{Source: cur.cfg.Contacts.Source, Confirmed: cur.cfg.Contacts.Confirmed}
	if cur.contacts == nil {
		return d
	}
	if err := cur.contacts.Try(ctx); err != nil {
		d.Problem = wire.ProblemOf(err)
	}
	return d
}

func (a *App) status(ctx context.Context) wire.Status {
	cur := a.cur.Load()
	cfg := cur.cfg
	st := wire.Status{
		Version: mfa.Version, PID: os.Getpid(), Started: a.started, Mode: cfg.Policy.Mode, Methods: cfg.Policy.Counting(),
		Email: cfg.Email.Transport, Store: where(cfg), StoreOK: true,
		SMS: cfg.SMS.Provider, MaxTexts: cfg.SMS.PerHour,
		Logins: a.pam.Running(), MaxLogins: a.pam.MaxLogins,
		Generation: cur.login.Generation,
		Offline:    a.offlineReport(),
		Audit:      cfg.Audit.File, Fixed: cfg.Fixed(), Restart: cur.waiting,
	}
	st.Moving = a.movingTo()
	if err := a.audit.Problem(); err != nil {
		st.AuditProblem = wire.ProblemOf(err)
	}
	if err := a.export.Problem(); err != nil {
		st.MetricsProblem = wire.ProblemOf(err)
	}
	err := a.store.Check(ctx)
	st.StoreFull = store.IsFull(err)
	if !errors.Is(err, store.ErrUnreachable) { // else each question would wait for its answer
		users, uerr := a.records.Users(ctx)
		st.Users = len(users)
		texts, terr := cur.ledger.Total(ctx)
		st.Texts = texts.Used
		st.StoreFull = st.StoreFull && uerr == nil && terr == nil
		err = errors.Join(uerr, terr, err)
	}
	if err != nil {
		st.StoreOK, st.Problem = false, wire.ProblemOf(err)
	}
	return st
}
