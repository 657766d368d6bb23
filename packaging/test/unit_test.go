package packages

import (
	"os/exec"
	"strings"
	"testing"
	"time"
)

// filtered returns the system calls that the unit's filter lets through, as
// systemd.exec(5) says: lines in order, "~" takes away.
func filtered(t *testing.T) map[string]bool {
	t.Helper()
	groups := map[string][]string{}
	group := ""
	for line := range strings.Lines(say(t, time.Minute, "systemd-analyze", "syscall-filter", "--no-pager")) {
		name := strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "@"):
			group = name
		case name == "" || strings.HasPrefix(name, "#"):
		default:
			groups[group] = append(groups[group], name)
		}
	}
	allowed := map[string]bool{}
	var set func(name string, to bool)
	set = func(name string, to bool) {
		if !strings.HasPrefix(name, "@") {
			allowed[name] = to
			return
		}
		if len(groups[name]) == 0 {
			t.Fatalf("systemd knows no group %s", name)
		}
		for _, n := range groups[name] {
			set(n, to)
		}
	}
	for line := range strings.Lines(read(t, root+"/packaging/systemd/mfad.service") + "\n") {
		if list, ok := strings.CutPrefix(strings.TrimSpace(line), "SystemCallFilter="); ok {
			list, takes := strings.CutPrefix(list, "~")
			for _, name := range strings.Fields(list) {
				set(name, !takes)
			}
		}
	}
	return allowed
}

// TestSystemCalls holds the filter of the unit to what was seen to be called
// (packaging/systemd/syscalls), and to what nobody needs there.
func TestSystemCalls(t *testing.T) {
	_, err := exec.LookPath("systemd-analyze")
	need(t, "systemd-analyze", err == nil)
	allowed := filtered(t)
	seen := 0
	for line := range strings.Lines(read(t, root+"/packaging/systemd/syscalls") + "\n") {
		name := strings.TrimSpace(line)
		if strings.HasPrefix(name, "#") {
			continue
		}
		seen++
		name, refused := strings.CutPrefix(name, "-")
		if allowed[name] == refused {
			t.Errorf("%s is allowed: %v, and syscalls has it otherwise", name, allowed[name])
		}
	}
	if seen < 80 {
		t.Errorf("only %d calls are listed", seen)
	}
	for _, name := range []string{
		"io_uring_setup", "keyctl", "add_key", "process_vm_readv", "process_vm_writev", "ptrace", "shmget", "msgget", "mq_open",
		"setuid", "setgid", "setgroups", "chown", "mount", "unshare", "bpf", "init_module", "kexec_load", "userfaultfd", "perf_event_open",
		"open_by_handle_at", "name_to_handle_at", "setns", "settimeofday",
	} {
		if allowed[name] {
			t.Errorf("%s is allowed", name)
		}
	}
}

// TestExposure holds systemd's own figure for the unit as it is shipped, and for the one
// with the drop-in of a machine whose mfad sends nothing over the network. The guest asks
// the booted systems (confined, localOnly).
func TestExposure(t *testing.T) {
	_, err := exec.LookPath("systemd-analyze")
	need(t, "systemd-analyze", err == nil)
	folder := t.TempDir()
	unit := strings.ReplaceAll(read(t, root+"/packaging/systemd/mfad.service"), "/usr/local", "/usr")
	extra := read(t, root+"/packaging/systemd/local-only.conf")
	for tenths, text := range map[string]string{"12": unit, "4": unit + "\n" + extra} {
		write(t, folder+"/mfad.service", text)
		if said, err := attempt(t, time.Minute, "systemd-analyze", "security", "--offline=true", "--threshold="+tenths, "--no-pager", folder+"/mfad.service"); err != nil {
			t.Errorf("above %s tenths: %v\n%s", tenths, err, said)
		}
	}
}
