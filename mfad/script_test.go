package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) {
	if os.Getenv("GORACE") == "" {
		_ = os.Setenv("GORACE", "atexit_sleep_ms=0") // of a child; see the Makefile
	}
	testscript.Main(m, map[string]func(){"mfad": main})
}

// TestScripts runs the scripts of testdata. $RUN is a folder with a short name,
// for sockets. Beside what testscript has, a script can say
//
//	config FILE [LINE...]        write a good mfa.toml with further lines of TOML
//	exits CODE PROGRAM [ARG...]
//	start [ARG...]               run mfad in the background
//	log REGEXP                   it says so on standard error; used up to there
//	notified STATE               it tells systemd so
//	signal HUP|TERM|INT|KILL
//	ended CODE                   it ends by itself; the output is the log not used up
//	activate PATH                open a socket in its place, as systemd does
//	ask SOCKET REQUEST           the output is what it answers on the control socket
//	send SOCKET REQUEST          the same in two steps, of which this waits for nobody,
//	receive                      and this for the answer
//	owner FILE USER              chown, for root
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                "testdata",
		RequireUniqueNames: true,
		Deadline:           time.Now().Add(3 * patience), // of a daemon that should have refused to start
		Setup:              setup,
		Condition: func(cond string) (bool, error) {
			if cond == "root" {
				return os.Geteuid() == 0, nil
			}
			return false, fmt.Errorf("unknown condition %q", cond)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"config":   configCommand,
			"exits":    exits,
			"start":    start,
			"log":      expectLog,
			"notified": notified,
			"signal":   sendSignal,
			"ended":    ended,
			"activate": activate,
			"ask":      askCommand,
			"send":     sendCommand,
			"receive":  receiveCommand,
			"owner":    owner,
		},
	})
}

type processKey struct{}

func setup(env *testscript.Env) error {
	run, err := os.MkdirTemp("", "mfad")
	if err != nil {
		return err
	}
	env.Defer(func() { _ = os.RemoveAll(run) })
	d, err := newProcess(env.T().(testing.TB), run)
	if err != nil {
		return err
	}
	env.Defer(d.close)
	env.Values[processKey{}] = d
	env.Setenv("RUN", run)
	env.Setenv("GORACE", "atexit_sleep_ms=0") // or every child takes a second to end
	return nil
}

// the returns the script's daemon, after a look at the arguments of a command.
func the(ts *testscript.TestScript, neg, wellFormed bool, usage string) *process {
	if neg || !wellFormed {
		ts.Fatalf("usage: %s", usage)
	}
	return ts.Value(processKey{}).(*process)
}

// goodConfig is an mfa.toml that reaches nothing of the machine.
const goodConfig = `server.pam_socket = %q
server.control_socket = %q
store.path = %q
secrets.key_file = %q
audit.file = %q
email.transport = "outbox"
email.outbox.path = %q
`

func configCommand(ts *testscript.TestScript, neg bool, args []string) {
	the(ts, neg, len(args) > 0, "config FILE [LINE...]")
	run := ts.Getenv("RUN")
	text := fmt.Sprintf(goodConfig, run+"/pam.sock", run+"/control.sock",
		ts.MkAbs("store"), ts.MkAbs("key"), ts.MkAbs("audit.jsonl"), ts.MkAbs("outbox"))
	for _, line := range args[1:] {
		text += line + "\n"
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o644))
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	the(ts, neg, len(args) > 1, "exits CODE PROGRAM [ARG...]")
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	code := 0
	err = ts.Exec(args[1], args[2:]...)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		code = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if code != want {
		ts.Fatalf("%q: exit code %d, want %d", args[1:], code, want)
	}
}

func start(ts *testscript.TestScript, neg bool, args []string) {
	d := the(ts, neg, true, "start [ARG...]")
	mfad, err := exec.LookPath("mfad")
	ts.Check(err)
	env := []string{"GORACE=" + ts.Getenv("GORACE")}
	for _, name := range []string{"WATCHDOG_USEC", "JOURNAL_STREAM", "CREDENTIALS_DIRECTORY"} {
		if v := ts.Getenv(name); v != "" {
			env = append(env, name+"="+v)
		}
	}
	ts.Check(d.start(ts.MkAbs("."), mfad, args, env))
}

func expectLog(ts *testscript.TestScript, neg bool, args []string) {
	ts.Check(the(ts, neg, len(args) == 1, "log REGEXP").expectLog(args[0]))
}

func notified(ts *testscript.TestScript, neg bool, args []string) {
	ts.Check(the(ts, neg, len(args) == 1, "notified STATE").expectNotify(args[0]))
}

func sendSignal(ts *testscript.TestScript, neg bool, args []string) {
	d := the(ts, neg, len(args) == 1, "signal NAME")
	number := unix.SignalNum("SIG" + args[0])
	if number == 0 {
		ts.Fatalf("no signal %q", args[0])
	}
	ts.Check(d.signal(number))
}

func ended(ts *testscript.TestScript, neg bool, args []string) {
	d := the(ts, neg, len(args) == 1, "ended CODE")
	if d.cmd == nil {
		ts.Fatalf("the daemon does not run")
	}
	ts.Check(d.drain())
	code, rest := d.end()
	fmt.Fprint(ts.Stdout(), rest)
	if got := strconv.Itoa(code); got != args[0] {
		ts.Fatalf("the daemon ended with %s, want %s", got, args[0])
	}
}

func activate(ts *testscript.TestScript, neg bool, args []string) {
	ts.Check(the(ts, neg, len(args) == 1, "activate PATH").activate(args[0]))
}

func askCommand(ts *testscript.TestScript, neg bool, args []string) {
	the(ts, false, len(args) == 2, "[!] ask SOCKET REQUEST")
	c, err := send(args[0], args[1])
	if neg {
		if err == nil {
			ts.Fatalf("somebody answers at %s", args[0])
		}
		return
	}
	ts.Check(err)
	answer, err := receive(c)
	ts.Check(err)
	fmt.Fprint(ts.Stdout(), answer)
}

func sendCommand(ts *testscript.TestScript, neg bool, args []string) {
	d := the(ts, neg, len(args) == 2, "send SOCKET REQUEST")
	c, err := send(args[0], args[1])
	ts.Check(err)
	d.waiting = c
}

func receiveCommand(ts *testscript.TestScript, neg bool, args []string) {
	d := the(ts, neg, len(args) == 0, "receive")
	if d.waiting == nil {
		ts.Fatalf("nothing was sent")
	}
	answer, err := receive(d.waiting)
	d.waiting = nil
	ts.Check(err)
	fmt.Fprint(ts.Stdout(), answer)
}

func owner(ts *testscript.TestScript, neg bool, args []string) {
	the(ts, neg, len(args) == 2, "owner FILE USER")
	u, err := user.Lookup(args[1])
	ts.Check(err)
	uid, err := strconv.Atoi(u.Uid)
	ts.Check(err)
	ts.Check(syscall.Chown(ts.MkAbs(args[0]), uid, -1))
}
