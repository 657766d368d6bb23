package app

import (
	"errors"
	"strings"

	"mfa/internal/audit"
	"mfa/internal/config"
	"mfa/internal/login"
	"mfa/internal/mfa"
	"mfa/internal/wire"
)

// reloadAndTell takes a new configuration. Its policy counts for logins under way, too;
// the rest of it for those that begin from now on. Keys that only a restart can change
// stay, and are named in the log. It returns the text of tellOfPolicy. If it returns an
// error the old configuration stays.
func (a *App) reloadAndTell(cfg config.Config) (policy string, err error) {
	a.reload.Lock()
	defer a.reload.Unlock()
	prev := a.cur.Load()
	waiting := config.NeedRestart(prev.cfg.Fixed(), cfg.Fixed())
	for _, key := range config.Tables(waiting) {
		a.opts.Log.Warn("a restart is needed for a changed setting; until then the old one stands", "key", key)
	}
	next, err := a.build(cfg.KeepFixed(prev.cfg), a.shared())
	if err != nil {
		a.Refused(err)
		return "", err
	}
	next.waiting = waiting
	a.take(next)
	a.setLevel(cfg)
	a.audit.Record(mfa.Event{Time: a.opts.Now(), Event: audit.ConfigLoad})
	return login.TellOfPolicy(prev.login, next.login, a.records, a.opts.Log), nil
}

// LoadAndReload loads the configuration with Options.Load and takes it. The result is
// also logged and told to systemd. With an error the old configuration stays. It may be
// called from many goroutines.
func (a *App) LoadAndReload() (out wire.Reloaded, err error) {
	if a.opts.Load == nil {
		return out, errors.New("this daemon has no configuration that it could read again")
	}
	cfg, err := a.opts.Load()
	if err != nil {
		a.Refused(err)
	} else {
		out.Policy, err = a.reloadAndTell(cfg)
	}
	if err != nil {
		a.opts.Log.Error("configuration refused; the old one stays in force", "error", err)
		a.opts.Notify("STATUS=The configuration was refused, and the one before counts: " + wire.ProblemOf(err))
		return out, err
	}
	out.Restart = a.cur.Load().waiting
	a.opts.Log.Info("configuration reloaded", "file", a.opts.File)
	var status []string
	if out.Policy != "" {
		status = append(status, out.Policy)
	}
	if len(out.Restart) > 0 {
		status = append(status, "Wait for a restart: "+strings.Join(out.Restart, ", "))
	}
	a.opts.Notify("STATUS=" + strings.Join(status, ". "))
	return out, nil
}

// Refused audits that a configuration was not taken.
func (a *App) Refused(why error) {
	a.audit.Record(mfa.Event{Time: a.opts.Now(), Event: audit.ConfigError, Reason: why.Error()})
}

// take makes s the current instance, and closes the carriers of the one before.
func (a *App) take(s *instance) {
	old := a.cur.Swap(s)
	a.current.Use(s.carriers)
	if old == nil {
		return
	}
	a.old.Go(func() {
		if err := old.close(); err != nil { // waits for attempts under way
			a.opts.Log.Warn("connections of messages not closed", "error", err)
		}
	})
}

func (a *App) setLevel(cfg config.Config) {
	if a.opts.Level == nil {
		return
	}
	if err := a.opts.Level.UnmarshalText([]byte(cfg.Log.Level)); err != nil {
		a.opts.Log.Error("log.level not set", "error", err) // config checked it
	}
}
