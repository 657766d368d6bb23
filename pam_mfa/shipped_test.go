package main

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mfa/internal/mfa"
)

// entryPoints is what Linux-PAM looks up in a module, sorted.
var entryPoints = []string{
	"pam_sm_acct_mgmt", "pam_sm_authenticate", "pam_sm_chauthtok",
	"pam_sm_close_session", "pam_sm_open_session", "pam_sm_setcred",
}

// banned is what the module may not call: threads, signals, the application's
// log settings, the caller's environment, processes, the terminal.
var banned = []string{
	"pthread_create", "clone", "fork", "vfork", "system", "popen", "execve", "execv", "posix_spawn",
	"signal", "sigaction", "sigprocmask", "alarm", "setitimer", "sleep",
	"openlog", "syslog", "__syslog_chk", "vsyslog", "closelog",
	"getenv", "secure_getenv", "setenv", "putenv", "environ",
	"printf", "__printf_chk", "puts", "exit", "abort", "dlopen", "strcpy", "sprintf", "gets",
}

// The shipped file keeps the contract: no Go, no threads, only pam_sm_*
// exported, under 64 KiB, hardened.
func TestShippedFile(t *testing.T) {
	t.Parallel()
	info, err := os.Stat(built.module)
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() >= 64<<10 {
		t.Errorf("%d bytes, want less than 64 KiB", info.Size())
	}
	f, err := elf.Open(built.module)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()

	dynamic, err := f.DynamicSymbols()
	if err != nil {
		t.Fatal(err)
	}
	var exported []string
	for _, s := range dynamic {
		if s.Section != elf.SHN_UNDEF {
			exported = append(exported, s.Name)
		} else if slices.Contains(banned, s.Name) {
			t.Errorf("calls %s", s.Name)
		}
	}
	slices.Sort(exported)
	if !slices.Equal(exported, entryPoints) {
		t.Errorf("exports %v, want %v", exported, entryPoints)
	}

	symbols, err := f.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range symbols {
		if strings.HasPrefix(s.Name, "runtime.") || strings.HasPrefix(s.Name, "go:") ||
			strings.HasPrefix(s.Name, "_cgo") || strings.HasPrefix(s.Name, "crosscall") {
			t.Errorf("has the Go symbol %s", s.Name)
		}
	}
	for _, s := range f.Sections {
		if strings.HasPrefix(s.Name, ".gopclntab") || strings.HasPrefix(s.Name, ".go.") || strings.HasPrefix(s.Name, ".note.go") {
			t.Errorf("has the Go section %s", s.Name)
		}
	}
	libraries, err := f.ImportedLibraries()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range libraries {
		if !strings.HasPrefix(l, "libpam.so") && !strings.HasPrefix(l, "libc.so") {
			t.Errorf("needs %s", l)
		}
	}
}

func TestShippedFileIsHardened(t *testing.T) {
	t.Parallel()
	f, err := elf.Open(built.module)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if flags, err := f.DynValue(elf.DT_FLAGS); err != nil || len(flags) != 1 || elf.DynFlag(flags[0])&elf.DF_BIND_NOW == 0 {
		t.Errorf("not bound at load: DT_FLAGS %v, %v", flags, err)
	}
	for _, tag := range []elf.DynTag{elf.DT_TEXTREL, elf.DT_RPATH, elf.DT_RUNPATH} {
		if v, _ := f.DynValue(tag); len(v) != 0 {
			t.Errorf("has %v", tag)
		}
	}
	var relro, stack bool
	for _, p := range f.Progs {
		switch p.Type {
		case elf.PT_GNU_RELRO:
			relro = true
		case elf.PT_GNU_STACK:
			stack = p.Flags&elf.PF_X == 0
		case elf.PT_LOAD:
			if p.Flags&elf.PF_W != 0 && p.Flags&elf.PF_X != 0 {
				t.Error("has memory that is writable and executable")
			}
		}
	}
	if !relro || !stack {
		t.Errorf("RELRO %v, stack not executable %v", relro, stack)
	}
	dynamic, err := f.ImportedSymbols()
	if err != nil {
		t.Fatal(err)
	}
	guarded := slices.ContainsFunc(dynamic, func(s elf.ImportedSymbol) bool { return s.Name == "__stack_chk_fail" })
	fortified := slices.ContainsFunc(dynamic, func(s elf.ImportedSymbol) bool { return s.Name == "__memcpy_chk" || s.Name == "__snprintf_chk" })
	if !guarded || !fortified {
		t.Errorf("stack protector %v, fortified %v", guarded, fortified)
	}
}

// The build's version reaches the daemon.
func TestVersion(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	s.module = filepath.Join(s.dir, "pam_mfa.so")
	argv := moduleBuild(s.module, "MODULE_VERSION=1.2.3~rc1")
	if out, err := exec.CommandContext(t.Context(), argv[0], argv[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	s.serve(t, func(p *peer) {
		if got := p.hello().Module; got != "1.2.3~rc1" {
			t.Errorf("module version %q", got)
		}
		p.done(mfa.Accepted)
	})
	s.login(t, nil).wantAuth(t, success)
}

// The package builds as a Go module too, and it holds a login.
func TestCShared(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	s.module = filepath.Join(s.dir, "pam_mfa.so")
	build := exec.CommandContext(t.Context(), "go", "build", "-buildmode=c-shared", "-o", s.module, ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	s.serve(t, ends(mfa.Accepted))
	if code := s.login(t, nil).code(t, "auth"); code != success { // Go's runtime keeps descriptors
		t.Errorf("pam_authenticate returned %d", code)
	}

	f, err := elf.Open(s.module)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	dynamic, err := f.DynamicSymbols()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range entryPoints {
		if !slices.ContainsFunc(dynamic, func(s elf.Symbol) bool { return s.Name == want && s.Section != elf.SHN_UNDEF }) {
			t.Errorf("does not export %s", want)
		}
	}
}
