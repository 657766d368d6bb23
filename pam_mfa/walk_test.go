package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// torture asks for every pair of failing calls, and for all of the walk under each tool.
var torture = flag.Bool("torture", false, "walk through every pair of failing calls, and all under each tool; hours")

// failing are the calls that testdata/walk/faults.c stands in for: with NOT to fail alone.
var failing = []string{
	"malloc", "calloc", "strdup", "free", "clock_gettime", "stat", "socket", "fcntl", "setsockopt", "connect", "poll", "recv", "send",
	"close", "pam_get_user", "pam_get_item", "pam_getenv", "pam_prompt", "pam_get_authtok", "pam_set_item", "pam_set_data", "pam_get_data",
	"pam_syslog",
}

// A tool is how the module and the walk's program are built and run.
type tool struct {
	cc    string
	flags string
	wrap  []string
	env   []string
}

var (
	unaided   = tool{cc: "cc", flags: "-g -O2"}
	sanitized = tool{
		cc: "clang", flags: "-g -O1 -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer",
		env: []string{"ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1"},
	}
	raced      = tool{cc: "clang", flags: "-g -O1 -fsanitize=thread"}
	inValgrind = tool{cc: "cc", flags: "-g -O1", wrap: []string{
		"valgrind", "-q", "--error-exitcode=99", "--leak-check=full", "--errors-for-leak-kinds=definite,indirect",
		"--show-leak-kinds=definite,indirect", "--track-fds=no", "--keep-debuginfo=yes",
	}}
)

// A walk is a folder with the program, the module and the stacks that its logins use.
type walk struct {
	tool
	dir string
}

// buildWalk builds the module, its calls led to faults.c, and the program around it.
func buildWalk(t *testing.T, with tool) *walk {
	t.Helper()
	needTool(t, with.cc)
	dir, err := os.MkdirTemp(built.dir, "walk")
	if err != nil {
		t.Fatal(err)
	}
	sources, err := filepath.Glob("testdata/walk/*.[ch]")
	if err != nil || len(sources) == 0 {
		t.Fatalf("%v, %v", sources, err)
	}
	for _, name := range sources { // so that no cached result outlives a change
		if _, err := os.Stat(name); err != nil {
			t.Fatal(err)
		}
	}
	sources = slices.DeleteFunc(sources, func(name string) bool { return strings.HasSuffix(name, ".h") })
	extra := with.flags + " -fno-builtin-strdup"
	for _, name := range failing {
		extra += " -Wl,--wrap=" + name
	}
	module := moduleBuild(filepath.Join(dir, "pam_mfa.so"), "CC="+with.cc, "MODULE_FORTIFY=", "MODULE_DEFS=", "MODULE_EXTRA="+extra)
	program := slices.Concat([]string{with.cc, "-std=gnu11", "-Wall", "-Wextra"}, strings.Fields(with.flags),
		[]string{"-rdynamic", "-o", filepath.Join(dir, "walk")}, sources, []string{"-lpam", "-lpthread"})
	for _, argv := range [][]string{module, program} {
		if out, err := exec.CommandContext(t.Context(), argv[0], argv[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", strings.Join(argv, " "), err, out)
		}
	}
	w := &walk{tool: with, dir: dir}
	w.configure(t)
	return w
}

// configure writes the stacks that logins.c names.
func (w *walk) configure(t *testing.T) {
	t.Helper()
	conf := filepath.Join(w.dir, "pam.d")
	if err := os.Mkdir(conf, 0o755); err != nil {
		t.Fatal(err)
	}
	const password = "correct-horse-battery-staple"
	for service, c := range map[string]struct{ above, args string }{
		"plain":       {},
		"quick":       {args: "timeout=1"},
		"debug":       {args: "debug"},
		"bad":         {args: "nonsense"},
		"ignore":      {args: "unavailable=ignore"},
		"away":        {args: "socket=" + filepath.Join(w.dir, "nobody")},
		"away-ignore": {args: "unavailable=ignore socket=" + filepath.Join(w.dir, "nobody")},
		"sshd":        {args: "proven=publickey"},
		"first":       {above: "auth required NEIGHBOUR authtok=" + password + "\n"},
		"split":       {above: "auth required MODULE split SOCKET timeout=10\nauth requisite NEIGHBOUR wants=" + password + "\n"},
		"other":       {},
	} {
		text := c.above
		for _, kind := range []string{"auth", "account"} {
			text += fmt.Sprintf("%s [success=done new_authtok_reqd=done ignore=ignore default=die] MODULE SOCKET timeout=10 %s\n", kind, c.args)
			text += fmt.Sprintf("%s required NEIGHBOUR code=%d\n", kind, ignored)
		}
		text = strings.NewReplacer("MODULE", filepath.Join(w.dir, "pam_mfa.so"), "NEIGHBOUR", built.neighbour,
			"SOCKET", "socket="+filepath.Join(w.dir, "s")).Replace(text)
		if err := os.WriteFile(filepath.Join(conf, service), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

var walked = regexp.MustCompile(`(?m)^walked ([0-9]+) logins, ([0-9]+) calls$`)

// run walks, fails the test with what was found, and returns how many logins it went through.
func (w *walk) run(t *testing.T, args ...string) int {
	t.Helper()
	socket := filepath.Join(w.dir, "s")
	if err := os.RemoveAll(socket); err != nil {
		t.Fatal(err)
	}
	limit := 10 * time.Minute
	if *torture {
		limit = 12 * time.Hour
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	argv := slices.Concat(w.wrap, []string{filepath.Join(w.dir, "walk")}, args, []string{filepath.Join(w.dir, "pam.d"), socket})
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	// Bound at the start: what binds a call later lays the registers on the stack, and bytes
	// of a code may be in them.
	cmd.Env = append(os.Environ(), append(w.env, "LD_BIND_NOW=1")...)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		said := string(out)
		t.Fatalf("%s: %v\n%s%s", strings.Join(args, " "), err, said[:min(len(said), 8<<10)], complaints.Bytes()[:min(complaints.Len(), 16<<10)])
	}
	m := walked.FindSubmatch(out)
	if m == nil {
		t.Fatalf("%s: %s", strings.Join(args, " "), out)
	}
	t.Logf("%s: %s", strings.Join(args, " "), m[0])
	n, err := strconv.Atoi(string(m[1]))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Whatever call fails, once, in turns or for ever, a login ends as the daemon said or is
// refused; it ends by the deadline, and keeps nothing.
func TestEachCallFails(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{"": nil, "no standard descriptors": part("-C", "-e", "3")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := buildWalk(t, unaided)
			if n := w.run(t, slices.Concat(args, []string{"faults"})...); n < 3000 {
				t.Errorf("went through %d logins only", n)
			}
			if *torture {
				w.run(t, slices.Concat(args, []string{"pairs"})...)
			}
		})
	}
}

// The same with AddressSanitizer and UndefinedBehaviorSanitizer.
func TestEachCallFailsSanitized(t *testing.T) {
	t.Parallel()
	w := buildWalk(t, sanitized)
	w.run(t, part("-e", "4", "faults")...)
	w.run(t, "signals")
	w.run(t, "forks")
	if *torture {
		w.run(t, "-C", "faults")
		w.run(t, "-e", "2", "pairs")
	}
}

// A part of it under valgrind, another one each day.
func TestEachCallFailsInValgrind(t *testing.T) {
	t.Parallel()
	needTool(t, "valgrind")
	w := buildWalk(t, inValgrind)
	w.run(t, part("-M", "-e", "200", "-o", strconv.Itoa(time.Now().YearDay()%41), "faults")...)
}

// part is the arguments of a walk, without "-e N" and "-o N" where all of it is asked for.
func part(args ...string) []string {
	if !*torture {
		return args
	}
	for _, option := range []string{"-e", "-o"} {
		if i := slices.Index(args, option); i >= 0 {
			args = slices.Delete(args, i, i+2)
		}
	}
	return args
}

// Signals whose handlers do not restart calls change nothing, and no wait gets longer by them.
func TestSignals(t *testing.T) {
	t.Parallel()
	buildWalk(t, unaided).run(t, "signals")
}

// As sshd does, an application forks between the calls: each process ends for itself.
func TestForks(t *testing.T) {
	t.Parallel()
	buildWalk(t, unaided).run(t, "forks")
}

// Threads that log in at once share nothing, while calls of theirs fail.
func TestThreads(t *testing.T) {
	t.Parallel()
	w := buildWalk(t, raced)
	// libpam tells libaudit, which has one buffer for all threads. It is none of ours.
	ignored := filepath.Join(w.dir, "ignored")
	if err := os.WriteFile(ignored, []byte("called_from_lib:libaudit.so\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.env = []string{"TSAN_OPTIONS=halt_on_error=1:suppressions=" + ignored}
	w.run(t, "threads")
}
