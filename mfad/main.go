// Mfad is the daemon: it decides logins, sends codes, checks them, counts
// failures and keeps the enrollments. See mfad(8).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/coreos/go-systemd/v22/daemon"

	"mfa/internal/app"
	"mfa/internal/audit/journal"
	"mfa/internal/config"
	"mfa/internal/deliver/mail"
	"mfa/internal/host/doctor"
	"mfa/internal/mfa"
)

// Exit codes.
const (
	exitFailed = 1
	exitUsage  = 2 // also a configuration that is refused
)

func main() {
	// A crash ends by a signal, and systemd starts the daemon again. Else the runtime ends with 2,
	// which is that of a configuration that was refused (RestartPreventExitStatus= of the unit).
	debug.SetTraceback("crash")
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("mfad", flag.ContinueOnError)
	flags.SetOutput(stderr)
	path := flags.String("config", config.Path, "read the configuration from `FILE`")
	newState := flags.Bool("new-state", false, "have the next start begin anew what logins spent and counted, and exit")
	checks := flags.Bool("check", false, "say whether the configuration is good, and exit")
	version := flags.Bool("version", false, "print the version, and exit")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return exitUsage
	case flags.NArg() > 0:
		fmt.Fprintf(stderr, "mfad: unknown argument %q\n", flags.Arg(0))
		return exitUsage
	}
	if *version {
		fmt.Fprintln(stdout, "mfad", mfa.Version)
		return 0
	}
	cfg, err := config.Load(*path)
	if err != nil {
		fmt.Fprintf(stderr, "mfad: %v\n", err)
		return exitUsage
	}
	if *newState {
		return beginAnew(cfg, os.Stdin, stdout, stderr)
	}
	if *checks {
		return check(cfg, *path, stdout, stderr)
	}
	err = serve(cfg, *path, stderr)
	if err != nil {
		fmt.Fprintf(stderr, "mfad: %v\n", err)
	}
	switch {
	case err == nil:
		return 0
	case errors.As(err, new(*mail.TemplateError)): // they belong to the configuration
		return exitUsage
	}
	return exitFailed
}

// serve runs the daemon until SIGTERM or SIGINT; SIGHUP reloads.
func serve(cfg config.Config, path string, stderr io.Writer) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	level := new(slog.LevelVar)
	log := journal.NewLog(stderr, level)

	opts := app.Options{
		Log: log, Level: level, Notify: notify(log), ChangesPassword: new(doctor.Accounts).ChangesPassword,
		Load: func() (config.Config, error) { return config.Load(path) }, File: path,
	}
	var err error
	if opts.Listeners, err = inherited(); err != nil {
		return err
	}
	if opts.Watchdog, err = daemon.SdWatchdogEnabled(true); err != nil {
		return fmt.Errorf("read WATCHDOG_USEC: %w", err)
	}
	a, err := app.New(cfg, opts)
	if err != nil {
		return err
	}

	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	reloading := make(chan struct{})
	go func() {
		defer close(reloading)
		for range hangups {
			_, _ = a.LoadAndReload() // it says in the log what came of it
		}
	}()
	err = a.Run(ctx)
	signal.Ignore(syscall.SIGHUP) // a reload that comes too late is no reason to die
	signal.Stop(hangups)
	close(hangups)
	<-reloading
	return errors.Join(err, a.Close())
}

// notify returns a function that speaks to systemd, if it is there to listen.
func notify(log *slog.Logger) func(string) {
	return func(state string) {
		if _, err := daemon.SdNotify(false, state); err != nil {
			log.Warn("systemd not notified", "error", err)
		}
	}
}

// inherited returns the sockets that systemd opened for us (sd_listen_fds(3)).
func inherited() ([]*net.UnixListener, error) {
	all, err := activation.Listeners()
	if err != nil {
		return nil, fmt.Errorf("take sockets from systemd: %w", err)
	}
	var ls []*net.UnixListener
	for _, l := range all {
		u, ok := l.(*net.UnixListener)
		if !ok {
			return nil, errors.New("take sockets from systemd: one is not a Unix stream socket")
		}
		u.SetUnlinkOnClose(false) // it stays, for logins during a restart
		ls = append(ls, u)
	}
	return ls, nil
}
