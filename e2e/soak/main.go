// Soak runs the real mfad for hours under logins of every kind, among carriers that fail,
// restarts, reloads, backups and changes of the key, and tells what grew and which login
// the audit file does not account for.
//
//	soak [-for 2h] [-rate 20] [-users 10000] [-seed N] [-out FOLDER]
//	soak -report FOLDER
//
// What to know before trusting it: it runs as root in namespaces of its own, with its own
// /etc and /run. Its clients speak the frames of the PAM socket; the module is not in it.
// Each login has a terminal of its own, by which its line in the audit file is found. What
// it saw stays in the folder, and -report judges it again.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout)) }

// options are the flags.
type options struct {
	lasts    time.Duration
	rate     float64
	users    int
	seed     uint64
	out      string
	programs string
	report   string
	docs     string
}

func run(args []string, out io.Writer) int {
	var o options
	flags := flag.NewFlagSet("soak", flag.ContinueOnError)
	flags.SetOutput(out)
	flags.DurationVar(&o.lasts, "for", 2*time.Hour, "how long people log in")
	flags.Float64Var(&o.rate, "rate", 20, "logins a second")
	flags.IntVar(&o.users, "users", 10_000, "enrolled users, 100 or more")
	flags.Uint64Var(&o.seed, "seed", uint64(time.Now().UnixNano()%1e6), "of what is left to chance")
	flags.StringVar(&o.out, "out", "build/soak", "the `FOLDER` for what was seen; what is there is replaced")
	flags.StringVar(&o.programs, "programs", "build", "the folder of mfad and mfactl")
	flags.StringVar(&o.report, "report", "", "only judge what is in `FOLDER`")
	flags.StringVar(&o.docs, "docs", "", "write soak.md and soak.svg into `FOLDER`, too")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil || flags.NArg() > 0:
		return 2
	}
	if err := o.start(args, out); err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			return exit.ExitCode() // it said why
		}
		fmt.Fprintf(out, "soak: %v\n", err)
		return 1
	}
	return 0
}

// inside marks, in the environment, the run within the namespaces.
const inside = "MFA_SOAK_INSIDE"

// start goes on in namespaces of its own.
func (o options) start(args []string, out io.Writer) error {
	switch {
	case o.report != "":
		return o.judge(o.report, out)
	case o.users < 100 || o.rate <= 0 || o.lasts < time.Second:
		return errors.New("-users is 100 or more, -rate more than 0, -for a second or more")
	case os.Geteuid() != 0:
		return errors.New("run as root: it needs namespaces of its own")
	}
	var err error
	if o.out, err = filepath.Abs(o.out); err != nil {
		return err
	}
	if o.programs, err = filepath.Abs(o.programs); err != nil {
		return err
	}
	if os.Getenv(inside) == "" {
		return enclose(args, out)
	}
	if err := o.soak(out); err != nil {
		return err
	}
	return o.judge(o.out, out)
}

// enclose runs this program in namespaces of its own.
func enclose(args []string, out io.Writer) error {
	runtime.LockOSThread() // the kernel sends Pdeathsig when the thread that forked ends
	defer runtime.UnlockOSThread()
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Stdout, cmd.Stderr = out, os.Stderr
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS,
		Pdeathsig:  syscall.SIGKILL,
	}
	return cmd.Run()
}
