package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"

	"mfa/internal/deliver/delivertest"
	"mfa/internal/wire"
)

// TestScripts runs the scripts of testdata, each with a daemon and a store of
// its own. Beside what testscript has, a script can say
//
//	daemon start|stop            run mfad on $SOCKET, with its store in $STORE
//	relay takes|STEP|gone        have mail go, from the next start, to a server that takes one, or refuses at STEP
//	exits CODE [-as USER] PROGRAM [ARG...]
//	login USER [ANSWER...]       log in as a PAM module would; "the-code" is the one mailed last, "wrong" a guess
//	mails N                      wait for N mails, and put them all into $WORK/mails
//	remember never|ask|always    set session.remember; the next start of the daemon takes it
//	policy off|optional|required set policy.mode; the next reload takes it
//	logind start|running|LOGIN...  run a systemd-logind of its own; show its logins; begin some
//	json KEY=VALUE...            the output is one JSON object in which KEY is VALUE
//	disk small|fill|free         the store has a disk of its own, which is full
func TestScripts(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("needs root")
		}
		t.Skip("needs root, who alone administers mfad and can act as another user")
	}
	testscript.Run(t, testscript.Params{
		Dir:                "testdata",
		RequireUniqueNames: true,
		Setup:              prepare,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"daemon":   daemonCommand,
			"relay":    relayCommand,
			"exits":    exits,
			"login":    loginCommand,
			"json":     jsonCommand,
			"disk":     diskCommand,
			"mails":    mailsCommand,
			"remember": rememberCommand,
			"logind":   logindCommand,
			"policy":   policyCommand,
		},
	})
}

type daemonKey struct{}

func prepare(env *testscript.Env) error {
	// $WORK is closed to other users, who must reach the socket.
	run, err := os.MkdirTemp("", "mfactl")
	if err != nil {
		return err
	}
	env.Defer(func() { _ = os.RemoveAll(run) })
	if err := os.Chmod(run, 0o755); err != nil {
		return err
	}
	t := env.T().(testing.TB)
	d := newDaemon(t, run, env.WorkDir)
	env.Defer(func() {
		if err := d.stop(); err != nil {
			t.Errorf("stop the daemon: %v", err)
		}
	})
	env.Values[daemonKey{}] = d
	setupLogind(env)
	env.Setenv("SOCKET", d.cfg.Server.ControlSocket)
	env.Setenv("STORE", d.cfg.Store.Path)
	env.Setenv("GORACE", "atexit_sleep_ms=0") // or every child takes a second to end
	return nil
}

func daemonCommand(ts *testscript.TestScript, neg bool, args []string) {
	d := ts.Value(daemonKey{}).(*daemon)
	switch {
	case neg && len(args) == 1 && args[0] == "start":
		if err := d.start(); err == nil {
			ts.Fatalf("the daemon started")
		}
	case neg || len(args) != 1:
		ts.Fatalf("usage: [!] daemon start, daemon stop")
	case args[0] == "start":
		ts.Check(d.start())
	case args[0] == "stop":
		ts.Check(d.stop())
	default:
		ts.Fatalf("usage: daemon start|stop")
	}
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE [-as USER] PROGRAM [ARG...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	args = args[1:]
	if args[0] == "-as" && len(args) > 2 {
		err = execAs(ts, args[1], args[2:])
	} else {
		err = ts.Exec(args[0], args[1:]...)
	}
	code := 0
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		code = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if code != want {
		ts.Fatalf("%q: exit code %d, want %d", args, code, want)
	}
}

// execAs runs mfactl as another user, by the descriptor of this binary: its path
// is in a folder closed to others.
func execAs(ts *testscript.TestScript, name string, args []string) error {
	u, err := user.Lookup(name)
	ts.Check(err)
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	ts.Check(err)
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	ts.Check(err)
	cmd := &exec.Cmd{
		Path: "/proc/self/exe", Args: args,
		Env:    []string{"GORACE=" + ts.Getenv("GORACE")},
		Dir:    "/",
		Stdout: ts.Stdout(), Stderr: ts.Stderr(),
		SysProcAttr: &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}},
	}
	return cmd.Run()
}

func loginCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: login USER [ANSWER...]")
	}
	d := ts.Value(daemonKey{}).(*daemon)
	ts.Check(d.login(ts.Stdout(), args[0], args[1:]))
}

// policyCommand changes what a reload reads.
func policyCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: policy off|optional|required")
	}
	d := ts.Value(daemonKey{}).(*daemon)
	next := d.cfg
	next.Policy.Mode = args[0]
	d.next.Store(&next)
}

// mailsCommand collects the mails in the outbox.
func mailsCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: mails N")
	}
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	d := ts.Value(daemonKey{}).(*daemon)
	var all strings.Builder
	mails := delivertest.WaitMaildir(d.t, d.cfg.Email.Outbox.Path, n)
	if len(mails) != n {
		ts.Fatalf("%d mails, want %d", len(mails), n)
	}
	for _, m := range mails {
		fmt.Fprintf(&all, "To: %s\nSubject: %s\n\n%s\n", m.Header.Get("To"), m.Header.Get("Subject"), m.Text)
	}
	ts.Check(os.WriteFile(ts.MkAbs("mails"), []byte(all.String()), 0o600))
}

// jsonCommand holds the last output to be one JSON object with certain values.
func jsonCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("usage: json KEY=VALUE...")
	}
	var got map[string]any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &got))
	for _, arg := range args {
		key, want, _ := strings.Cut(arg, "=")
		value, there := got[key]
		if text := fmt.Sprint(value); !there || text != want {
			ts.Fatalf("%s is %q, want %q", key, text, want)
		}
	}
}

// The order matters to whom scripts rely on: it may grow, never change.
func TestExitCodes(t *testing.T) {
	got := []int{exitOK, exitFailed, exitUsage, exitNotFound, exitNotAllowed, exitUnreachable}
	for want, code := range got {
		if code != want {
			t.Errorf("exit code %d has become %d", want, code)
		}
	}
}

// A daemon that accepts and says nothing does not hold mfactl: Ctrl-C ends it.
func TestInterruptEndsTheWait(t *testing.T) {
	c := &client{daemon: wire.Client{Socket: filepath.Join(t.TempDir(), "s")}}
	silentDaemon(t, c.daemon.Socket)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := c.call(ctx, wire.GetStatus.For(), nil, nil)
	exit, ok := errors.AsType[exitError](err)
	if !ok || exit.code != exitFailed || exit.Error() != "interrupted" {
		t.Errorf("error %v", err)
	}
}

// A daemon that accepts and says nothing, as one that was stopped (SIGSTOP), does not hold
// questions for as long as work that takes its time: half a minute passed, and the hint was
// about a daemon that is down.
func TestQuestionsGiveUpSoon(t *testing.T) {
	c := &client{daemon: wire.Client{Socket: filepath.Join(t.TempDir(), "s"), Timeout: time.Hour}, short: 20 * time.Millisecond}
	silentDaemon(t, c.daemon.Socket)
	for name, args := range map[string][]string{
		"status": {"status"}, "show": {"show", "alice"}, "explain": {"explain", "alice"}, "sessions": {"sessions", "list", "alice"}, "audit": {"audit"},
	} {
		t.Run(name, func(t *testing.T) {
			root := &cobra.Command{Use: "mfactl", SilenceUsage: true, SilenceErrors: true}
			root.AddCommand(statusCommand(c), showCommand(c), explainCommand(c), sessionsCommand(c), auditCommand(c))
			root.SetArgs(args)
			err := root.ExecuteContext(t.Context())
			exit, ok := errors.AsType[exitError](err)
			if !ok || exit.code != exitUnreachable || exit.Error() != "mfad does not answer: mfad says nothing more" {
				t.Fatalf("error %v", err)
			}
			if name != "audit" && !strings.Contains(exit.hint, "systemctl restart mfad") {
				t.Errorf("hint %q", exit.hint)
			}
		})
	}
}
