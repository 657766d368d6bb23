// Bench measures logins side by side with what people use now, on a real disk, and writes
// tables and a plot into docs/bench. "make bench" runs it, as root.
//
// It runs in namespaces of its own, with its own /etc, /run and /dev: the machine it runs
// on is not touched, but for packages that are installed and a folder under /var/tmp, which
// is removed at the end.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// options are the flags.
type options struct {
	run    *regexp.Regexp
	rounds int
	logins int
	users  int
	mails  int
	window time.Duration
	guess  int
	again  int
	out    string
	list   bool
	memory bool
}

// A measurement makes one Group of the report.
type measurement struct {
	name, title string
	measure     func(*bench) error
}

// groups in the order in which they run.
var groups = []measurement{
	{"serial", "One login after another", serial},
	{"crowd", "Many at once", crowds},
	{"cpu", "Processor", processor},
	{"guess", "Failed guesses", guesses},
	{"ssh", "Whole SSH logins", wholeSSH},
	{"size", "The module in its host", sizes},
	{"users", "Many enrolled users", manyUsers},
	{"fleet", "A fleet over an etcd of one member", fleetOfOne},
	{"fleet3", "A fleet over an etcd of three members", fleetOfThree},
	{"away", "A fleet over an etcd of three members in other zones", fleetAway},
	{"mail", "Logins that send mail", mails},
	{"where", "Where the time of one login goes", where},
}

func main() {
	if file := os.Getenv(profiled); file != "" && len(os.Args) == 2 {
		if err := serveProfiled(os.Args[1], file); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		return
	}
	if file := os.Getenv(floored); file != "" && len(os.Args) == 2 {
		if err := serveFloor(os.Args[1], file); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		return
	}
	if endpoints := os.Getenv(following); endpoints != "" && len(os.Args) == 2 {
		if err := follow(endpoints, os.Args[1]); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		return
	}
	opts, err := parse()
	if err == nil {
		err = start(opts)
	}
	var exit *exec.ExitError
	switch {
	case os.Getenv(inside) == "" && errors.As(err, &exit):
		os.Exit(exit.ExitCode()) // it said why
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func parse() (options, error) {
	var o options
	run := flag.String("run", "", "measure only the groups whose name matches `REGEXP`")
	flag.IntVar(&o.rounds, "rounds", 5, "rounds, each with fresh records")
	flag.IntVar(&o.logins, "logins", 100, "users who log in one after another, three times each a round")
	flag.IntVar(&o.users, "users", 2000, "enrolled users, of whom up to 2,000 log in at once")
	flag.IntVar(&o.mails, "mails", 1000, "logins that send mail")
	flag.DurationVar(&o.window, "window", time.Minute, "the time those come within")
	flag.IntVar(&o.guess, "guesses", 10000, "wrong guesses")
	flag.IntVar(&o.again, "again", 0, "remembered logins before the daemon's memory is read; 0: ten for each of -users")
	flag.StringVar(&o.out, "out", "docs/bench", "write into `FOLDER`, beside the results of other groups that are there")
	flag.BoolVar(&o.memory, "memory", false, "go on where /var/tmp is in memory: to try the bench, for the figures are worth nothing")
	flag.BoolVar(&o.list, "list", false, "list the groups")
	flag.Parse()
	if flag.NArg() > 0 {
		return o, fmt.Errorf("unknown argument %q", flag.Arg(0))
	}
	if o.rounds < 1 || o.logins < 1 || o.users < o.logins || o.mails < 1 || o.guess < 1 || o.window <= 0 {
		return o, errors.New("-rounds, -logins, -mails and -guesses are 1 or more, -users no fewer than -logins")
	}
	var err error
	o.run, err = regexp.Compile("^(?:" + *run + ")")
	return o, err
}

// inside marks, in the environment, the run within the namespaces.
const inside = "MFA_BENCH_INSIDE"

// start prepares the machine, and goes on in namespaces of its own.
func start(o options) error {
	if o.list {
		for _, g := range groups {
			fmt.Printf("%-8s %s\n", g.name, g.title)
		}
		return nil
	}
	if os.Getenv(inside) != "" {
		return runInside(o)
	}
	if os.Geteuid() != 0 {
		return errors.New("run as root: namespaces of their own and sshd need it")
	}
	install := exec.Command("e2e/install.sh", "gcc", "libc6-dev", "libpam0g-dev", "openssh-server", "openssh-client",
		"libpam-google-authenticator", "libpam-oath", "iproute2", "binutils", "etcd-server")
	install.Stdout, install.Stderr = os.Stderr, os.Stderr
	if err := install.Run(); err != nil {
		return fmt.Errorf("install the peers (run this in the top folder of the source): %w", err)
	}
	if err := fetchPostfix(); err != nil {
		fmt.Fprintln(os.Stderr, "bench: go on without postfix:", err)
	}
	for _, name := range []string{"mfad", "mfactl", "pam_mfa.so"} {
		if _, err := os.Stat(filepath.Join("build", name)); err != nil {
			return fmt.Errorf("%w: run \"make build\" first", err)
		}
	}
	runtime.LockOSThread() // the kernel sends Pdeathsig when the thread that forked ends
	defer runtime.UnlockOSThread()
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS | syscall.CLONE_NEWNET,
		Pdeathsig:  syscall.SIGKILL,
	}
	return cmd.Run()
}

// A bench is one run.
type bench struct {
	options
	w       *world
	client  *client
	results *Results
	group   *Group // being measured
	atOnce  sample // rate of 64 at once, for that of 256
}

// runInside measures, and writes each group once it is measured.
func runInside(o options) (err error) {
	w, err := newWorld(o.memory)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.remove()) }()
	b := &bench{options: o, w: w}
	if b.client, err = startClient(w); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.client.close()) }()
	if b.results, err = readResults(o.out); err != nil {
		return err
	}
	b.results.Machine = describe(w)
	for _, g := range groups {
		if !o.run.MatchString(g.name) {
			continue
		}
		began := time.Now()
		fmt.Fprintf(os.Stderr, "%s ...\n", g.title)
		b.group = &Group{Name: g.name, Title: g.title, Commit: commit(), Date: began.UTC().Format(time.DateOnly)}
		if err = g.measure(b); err != nil {
			err = fmt.Errorf("measure %s: %w\n%s", g.name, err, strings.Join(w.syslog.last(), "\n"))
			break
		}
		b.group.Took = time.Since(began).Round(time.Second).String()
		b.results.put(*b.group)
		b.group.print(os.Stderr)
		if err = b.results.write(o.out); err != nil { // now: the next group may be cut short
			break
		}
	}
	return err
}
