package main

import (
	"fmt"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"mfa/internal/host/logind/logindtest"
)

type logindKey struct{}

// A bench is what scripts hold of a fake logind.
type bench struct {
	env *testscript.Env
	l   *logindtest.Logind
}

// setupLogind keeps mfactl away from the machine's own bus.
func setupLogind(env *testscript.Env) {
	env.Setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path="+filepath.Join(env.WorkDir, "bus"))
	env.Values[logindKey{}] = &bench{env: env}
}

// logindCommand runs a fake logind, gives it logins, or prints those that run.
func logindCommand(ts *testscript.TestScript, neg bool, args []string) {
	b := ts.Value(logindKey{}).(*bench)
	switch {
	case neg || len(args) == 0:
		ts.Fatalf("usage: logind start|running|ID:USER:CLASS[:own|:denied]...")
	case args[0] == "start":
		l, err := logindtest.Start(b.env.WorkDir)
		ts.Check(err)
		b.l = l
		b.env.Defer(l.Close)
	case args[0] == "running":
		for _, id := range b.l.IDs() {
			fmt.Fprintln(ts.Stdout(), id)
		}
	default:
		for _, arg := range args {
			ts.Check(b.add(strings.Split(arg+":", ":")))
		}
	}
}

// add begins a login: its ID, user, class and what is special about it.
func (b *bench) add(words []string) error {
	u, err := user.Lookup(words[1])
	if err != nil {
		return err
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return err
	}
	return b.l.Add(logindtest.Login{
		ID: words[0], UID: uint32(uid), User: words[1],
		Class: words[2], Own: words[3] == "own", Denied: words[3] == "denied",
	})
}

// rememberCommand sets session.remember; the next start of the daemon takes it.
func rememberCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: remember never|ask|always")
	}
	ts.Value(daemonKey{}).(*daemon).cfg.Session.Remember = args[0]
}
