package main

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/msteinert/pam/v2"
)

// patience bounds what should take milliseconds, on the slowest machine.
const patience = 30 * time.Second

// ignored is the code of a stack in which our module said PAM_IGNORE; nothing
// in it returns PAM_ACCT_EXPIRED for another reason.
const ignored = pam.ErrAcctExpired

const success = pam.Error(0)

// Files that TestMain built, by absolute path.
var built struct {
	dir       string
	module    string // as shipped
	neighbour string // testdata/neighbour.c
	driver    string // testdata/driver.c
}

// sources is what TestMain builds from beside the package's own files. A test
// looks at them, so that go test does not take a cached result when one changed.
var sources = []string{"module.mk", "pam_mfa.map", "testdata/driver.c", "testdata/neighbour.c"}

// asShipped names a variable of the environment: the module that stands in for the one that
// is shipped, which TestCoverage has built to count.
const asShipped = "PAM_MFA_TEST_MODULE"

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "pam_mfa")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	built.dir = dir
	built.module = filepath.Join(dir, "pam_mfa.so")
	built.neighbour = filepath.Join(dir, "neighbour.so")
	built.driver = filepath.Join(dir, "driver")
	// Other users than root run the driver too.
	if err := os.Chmod(dir, 0o755); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	for _, argv := range [][]string{
		moduleBuild(built.module, "MODULE_VERSION=dev"),
		{"cc", "-shared", "-fPIC", "-Wall", "-o", built.neighbour, "testdata/neighbour.c", "-lpam"},
		{"cc", "-Wall", "-o", built.driver, "testdata/driver.c", "-lpam"},
	} {
		if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n%s", strings.Join(argv, " "), err, out)
			return 1
		}
	}
	if other := os.Getenv(asShipped); other != "" {
		built.module = other
	}
	return m.Run()
}

// moduleBuild is the command that builds the module as it is shipped, whatever
// the make that runs this test was told.
func moduleBuild(out string, settings ...string) []string {
	return append([]string{"env", "-u", "MAKEFLAGS", "make", "-s", "-f", "module.mk", "MODULE_OUT=" + out}, settings...)
}

// needRoot skips a test that changes owners or users.
func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("needs root")
	}
	t.Skip("needs root: gives files to other users")
}

// A stack is a PAM configuration with the module in it, and the folder of the
// socket the module is told.
type stack struct {
	dir    string
	socket string
	module string   // default: as shipped
	args   []string // of the module, after socket=
	first  string   // password of a first factor before the module
	line   string   // password of a login in one line
	over   bool     // in all attempts but the first the stack jumps over both lines of that
	wrap   []string // runs the driver: valgrind and its options
	driver string   // default: as built by TestMain
	env    []string
	uid    uint32 // runs the driver
}

func newStack(t *testing.T, args ...string) *stack {
	t.Helper()
	for _, name := range sources {
		if _, err := os.Stat(name); err != nil {
			t.Fatal(err)
		}
	}
	// Not t.TempDir: a socket's path is short, and others must get through.
	dir, err := os.MkdirTemp("", "pam")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	run := filepath.Join(dir, "run")
	if err := os.Mkdir(run, 0o755); err != nil {
		t.Fatal(err)
	}
	return &stack{
		dir: dir, socket: filepath.Join(run, "pam.sock"), args: args,
		module: built.module, driver: built.driver,
	}
}

// configure writes the stack for the service "test" and returns its folder.
func (s *stack) configure(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	if s.first != "" {
		fmt.Fprintf(&b, "auth required %s authtok=%s\n", built.neighbour, s.first)
	}
	args := strings.Join(append([]string{"socket=" + s.socket}, s.args...), " ")
	if s.over {
		fmt.Fprintf(&b, "auth [success=2 default=ignore] %s later\n", built.neighbour)
	}
	if s.line != "" {
		fmt.Fprintf(&b, "auth required %s split %s\nauth requisite %s wants=%s\n", s.module, args, built.neighbour, s.line)
	}
	for _, kind := range []string{"auth", "account", "session", "password"} {
		fmt.Fprintf(&b, "%s [success=done new_authtok_reqd=done ignore=ignore default=die] %s %s\n",
			kind, s.module, args)
		fmt.Fprintf(&b, "%s required %s code=%d\n", kind, built.neighbour, ignored)
	}
	conf := filepath.Join(s.dir, "pam.d")
	if err := os.MkdirAll(conf, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(conf, "test"), []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	// Without it libpam complains in the log.
	if err := os.WriteFile(filepath.Join(conf, "other"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	return conf
}

// login runs the driver: options of its own, then the answers.
func (s *stack) login(t *testing.T, options []string, answers ...string) events {
	t.Helper()
	argv := slices.Concat(s.wrap, []string{s.driver}, options, []string{s.configure(t), "test", "alice"}, answers)
	cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), s.env...)
	if s.uid != 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: s.uid, Gid: s.uid}}
	}
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("driver: %v\n%s%s", err, out, complaints.Bytes())
	}
	return parse(t, out)
}

// An event is one line of the driver.
type event struct {
	name   string
	number int
	text   string
}

func (e event) String() string { return fmt.Sprintf("%s %d %q", e.name, e.number, e.text) }

type events []event

func parse(t *testing.T, out []byte) events {
	t.Helper()
	var all events
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		fields := strings.SplitN(lines.Text(), " ", 3)
		if len(fields) != 3 {
			t.Fatalf("driver wrote %q", lines.Text())
		}
		n, err := strconv.Atoi(fields[1])
		if err != nil {
			t.Fatalf("driver wrote %q", lines.Text())
		}
		text, err := strconv.Unquote(fields[2])
		if err != nil {
			t.Fatalf("driver wrote %q", lines.Text())
		}
		all = append(all, event{fields[0], n, text})
	}
	return all
}

// named returns the events of one name, in order.
func (all events) named(name string) events {
	var some events
	for _, e := range all {
		if e.name == name {
			some = append(some, e)
		}
	}
	return some
}

// code returns the number of the only event of a name.
func (all events) code(t *testing.T, name string) pam.Error {
	t.Helper()
	some := all.named(name)
	if len(some) != 1 {
		t.Fatalf("%d events %q in %v", len(some), name, all)
	}
	return pam.Error(some[0].number)
}

// wantAuth fails unless pam_authenticate returned want.
func (all events) wantAuth(t *testing.T, want pam.Error) {
	t.Helper()
	if got := all.code(t, "auth"); got != want {
		t.Errorf("pam_authenticate returned %d, want %d; all: %v", got, want, all)
	}
	if n := all.code(t, "leaked"); n != 0 {
		t.Errorf("%d descriptors leaked", n)
	}
}

// wantLog fails unless a line of that priority (syslog(3)) has the text.
func (all events) wantLog(t *testing.T, priority int, text string) {
	t.Helper()
	for _, e := range all.named("log") {
		if e.number == priority && strings.Contains(e.text, text) {
			return
		}
	}
	t.Errorf("no log line of priority %d with %q in %v", priority, text, all.named("log"))
}

// Priorities of syslog(3).
const (
	logAlert  = 1
	logErr    = 3
	logNotice = 5
	logInfo   = 6
	logDebug  = 7
)

// listen opens the stack's socket for everybody.
func (s *stack) listen(t *testing.T) *net.UnixListener {
	t.Helper()
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: s.socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(s.socket, 0o666); err != nil {
		t.Fatal(err)
	}
	return ln
}

// serve plays one script on each connection, in order. The test's end waits for
// it and fails if a script was not used.
func (s *stack) serve(t *testing.T, scripts ...script) {
	t.Helper()
	ln := s.listen(t)
	served := make(chan struct{})
	go func() {
		defer close(served)
		for i, play := range scripts {
			conn, err := ln.AcceptUnix()
			if err != nil {
				t.Errorf("script %d of %d was not used: %v", i+1, len(scripts), err)
				return
			}
			playOn(t, conn, play)
		}
	}()
	t.Cleanup(func() {
		if err := ln.SetDeadline(time.Now().Add(patience)); err != nil {
			t.Error(err)
		}
		<-served
		ln.Close()
	})
}
