package main

import (
	"bufio"
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"mfa/internal/mfa"
)

const promise = "../docs/module.md"

// promised returns the names in backquotes that a part of docs/module.md has: in the first
// column of its table, or in all of it.
func promised(t *testing.T, title string, columns bool) []string {
	t.Helper()
	doc, err := os.ReadFile(promise)
	if err != nil {
		t.Fatal(err)
	}
	_, part, ok := strings.Cut(string(doc), "\n## "+title+"\n")
	if !ok {
		t.Fatalf("no part %q", title)
	}
	part, _, _ = strings.Cut(part, "\n## ")
	var names []string
	for line := range strings.Lines(part) {
		cells := strings.Split(line, "|")
		if columns && len(cells) < 3 {
			continue
		}
		if columns {
			line = cells[1]
		}
		for _, m := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(line, -1) {
			names = append(names, m[1])
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// plain are the calls of the kernel under the names that the C has for them.
var plain = strings.NewReplacer("newfstatat", "stat", "sendto", "send", "recvfrom", "recv", "ppoll", "poll")

// memory are the calls by which malloc gets and gives back memory.
var memory = []string{"brk", "mmap", "munmap"}

// A trace is what strace wrote of a login: each call, and below it the stack.
var (
	callLine  = regexp.MustCompile(`^(?:[0-9]+ +)?([a-z0-9_]+)\(`)
	stackLine = regexp.MustCompile(`^ > ([^(\[]+)`)
)

// callsIn returns the system calls that the module made, in a trace with stacks: those where
// the innermost file that is not libc is the module.
func callsIn(t *testing.T, trace, module string) []string {
	t.Helper()
	file, err := os.Open(trace)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var made []string
	call, open := "", false
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if m := callLine.FindStringSubmatch(lines.Text()); m != nil {
			call, open = plain.Replace(m[1]), true
			continue
		}
		m := stackLine.FindStringSubmatch(lines.Text())
		if m == nil || !open {
			continue
		}
		if name := filepath.Base(m[1]); strings.HasPrefix(name, "libc.so") || strings.HasPrefix(name, "ld-linux") {
			continue
		} else if name == filepath.Base(module) {
			made = append(made, call)
		}
		open = false
	}
	slices.Sort(made)
	return slices.Compact(made)
}

// TestPromise holds docs/module.md to what the module really calls: of libpam and libc by
// what the shipped file imports, of the kernel by tracing logins of every kind. What is
// promised and not seen is no promise either.
func TestPromise(t *testing.T) {
	t.Parallel()
	expectImports(t)
	_, err := exec.LookPath("strace")
	if err == nil {
		err = exec.Command("strace", "-k", "-o", "/dev/null", "true").Run()
	}
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("needs strace that shows stacks: %v", err)
		}
		t.Skipf("needs strace that shows stacks: %v", err)
	}

	logins := map[string]func(t *testing.T, s *stack){
		"prompts": func(t *testing.T, s *stack) {
			s.serve(t, whole("123456"))
			s.login(t, nil, "123456", "654321").wantAuth(t, success)
		},
		"standard descriptors closed": func(t *testing.T, s *stack) {
			s.serve(t, whole("123456"))
			s.login(t, []string{"-C"}, "123456", "654321").wantAuth(t, success)
		},
		"a long frame": func(t *testing.T, s *stack) {
			s.serve(t, func(p *peer) {
				p.hello()
				p.say(mfa.Info, strings.Repeat("x", 60<<10))
				p.done(mfa.Accepted)
				p.left()
			})
			s.login(t, nil).wantAuth(t, success)
		},
		"called again": func(t *testing.T, s *stack) {
			s.serve(t, func(p *peer) { p.hello() }, whole("123456"))
			s.login(t, nil, "123456", "654321").wantAuth(t, success)
		},
		"nobody there": func(t *testing.T, s *stack) {
			s.login(t, []string{"-s"}, "")
		},
		"one line": func(t *testing.T, s *stack) {
			s.line = "hunter2"
			s.serve(t, cuts(t, enrolled...), once(t, "654321", mfa.Accepted))
			s.login(t, nil, "hunter2654321").wantAuth(t, success)
		},
	}
	var made []string
	for name, login := range logins {
		t.Run(name, func(t *testing.T) {
			s := newStack(t)
			trace := filepath.Join(t.TempDir(), "trace")
			s.wrap = []string{"strace", "-f", "-k", "-o", trace}
			login(t, s)
			made = append(made, callsIn(t, trace, s.module)...)
		})
	}
	slices.Sort(made)
	made = slices.DeleteFunc(slices.Compact(made), func(c string) bool { return slices.Contains(memory, c) || c == "clock_gettime" })
	if want := promised(t, "System calls", true); !slices.Equal(made, want) {
		t.Errorf("it makes %v, and %s has %v", made, promise, want)
	}
}

// expectImports holds what the shipped file imports to the two parts about it.
func expectImports(t *testing.T) {
	t.Helper()
	f, err := elf.Open(built.module)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	symbols, err := f.ImportedSymbols()
	if err != nil {
		t.Fatal(err)
	}
	var pam, libc []string
	for _, s := range symbols {
		// What the compiler put there: checks of bounds, the ends of a program, errno.
		name := strings.TrimSuffix(strings.TrimPrefix(s.Name, "__"), "_chk")
		switch {
		case strings.HasPrefix(name, "pam_"):
			pam = append(pam, name)
		case slices.Contains([]string{"_ITM_deregisterTMCloneTable", "_ITM_registerTMCloneTable", "cxa_finalize", "errno_location", "gmon_start__", "stack_chk_fail"}, name):
		default:
			libc = append(libc, name)
		}
	}
	slices.Sort(pam)
	slices.Sort(libc)
	libc = slices.Compact(libc) // memcpy, and memcpy that is checked
	if want := promised(t, "Calls of libpam", true); !slices.Equal(pam, want) {
		t.Errorf("of libpam it calls %v, and %s has %v", pam, promise, want)
	}
	want := append(promised(t, "Calls of libc", false), promised(t, "System calls", true)...)
	slices.Sort(want)
	if !slices.Equal(libc, want) {
		t.Errorf("of libc it calls %v, and %s has %v", libc, promise, want)
	}
}
