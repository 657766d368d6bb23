package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A process is one entry of /proc.
type process struct {
	pid, parent, threads int
	title                string
}

// descendants returns the processes below pid.
func descendants(t *testing.T, pid int) []process {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	ok(t, err)
	var all []process
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // it ended meanwhile
		}
		// After the name in brackets: state, then the parent; see proc(5).
		var p process
		var state string
		rest := string(text[strings.LastIndexByte(string(text), ')')+1:])
		_, err = fmt.Sscan(rest, &state, &p.parent)
		ok(t, err)
		_, err = fmt.Sscan(string(text), &p.pid)
		ok(t, err)
		tasks, _ := os.ReadDir(filepath.Join(filepath.Dir(name), "task"))
		title, _ := os.ReadFile(filepath.Join(filepath.Dir(name), "cmdline"))
		p.threads, p.title = len(tasks), strings.TrimRight(string(title), "\x00")
		all = append(all, p)
	}
	return below(all, pid)
}

// below returns the children of pid, and theirs.
func below(all []process, pid int) []process {
	var found []process
	for _, p := range all {
		if p.parent == pid {
			found = append(found, p)
			found = append(found, below(all, p.pid)...)
		}
	}
	return found
}

func TestNoThreadsInSSHD(t *testing.T) {
	s, alice := ready(t)
	c := s.ssh(alice)
	c.toCode(s, alice)
	relays := 0
	for _, p := range descendants(t, s.sshdPID) {
		t.Logf("%q: %d thread", p.title, p.threads)
		if p.threads != 1 {
			t.Errorf("%q has %d threads", p.title, p.threads)
		}
		maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", p.pid))
		ok(t, err)
		if strings.Contains(string(maps), artefact("pam_mfa.so")) {
			relays++
		}
	}
	if relays < 2 { // the monitor and the child that holds the conversation
		t.Errorf("only %d processes of sshd hold the module", relays)
	}
	c.send(s.code(alice, 1))
	c.expectIn(t)
}
