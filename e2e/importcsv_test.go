package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// populate makes n accounts by writing them down, and returns their names. They are gone
// when the test ends.
func populate(t *testing.T, n int) []string {
	t.Helper()
	before, err := os.ReadFile("/etc/passwd")
	ok(t, err)
	t.Cleanup(func() { ok(t, os.WriteFile("/etc/passwd", before, 0o644)) })
	names := make([]string, n)
	var lines strings.Builder
	for i := range names {
		names[i] = fmt.Sprintf("crowd%05d", i)
		fmt.Fprintf(&lines, "%s:x:%d:%d::/nonexistent:/bin/sh\n", names[i], 100_000+i, 100_000+i)
	}
	ok(t, os.WriteFile("/etc/passwd", append(before, lines.String()...), 0o644))
	return names
}

// Ten thousand lines are in within a minute, and it shows how far it is. A broken line in
// the middle changes nothing.
func TestImportOfTenThousandLines(t *testing.T) {
	const many, within = 10_000, time.Minute
	s := newSite(t)
	s.set(`log.level = "error"`)
	s.startDaemon()
	names := populate(t, many)
	table := filepath.Join(s.dir, "people.csv")
	write := func(broken bool) {
		var b strings.Builder
		b.WriteString("phone;email;user\r\n")
		for i, name := range names {
			email := name + "@example.com"
			if broken && i == many/2 {
				email = name + " at example.com"
			}
			fmt.Fprintf(&b, "+1415555%04d;%s;%s\r\n", i, email, name)
		}
		ok(t, os.WriteFile(table, []byte(b.String()), 0o600))
	}

	write(true)
	out, status := s.control("import", "csv", table, "--yes")
	if status != 1 {
		t.Errorf("a broken line: status %d", status)
	}
	expectSaid(t, out, fmt.Sprintf("people.csv:%d: ", many/2+2), "That is not an address", "1 line cannot be taken; nothing was changed")
	expectSaid(t, s.mustControl("users"), "No users.")

	write(false)
	began := time.Now()
	c := open(t, exec.Command(artefact("mfactl"), "--socket", s.path("run/control.sock"), "import", "csv", table, "--yes"))
	c.expect(t, `checking: [1-9]\d* of 10000`)
	c.expect(t, `importing: [1-9]\d* of 10000`)
	select {
	case <-c.end:
	case <-time.After(within - time.Since(began)):
		t.Fatalf("%d lines are not in after %v", many, within)
	}
	t.Logf("%d lines in %v", many, time.Since(began))
	said, status, err := c.finish()
	ok(t, err)
	if status != 0 {
		t.Errorf("status %d", status)
	}
	expectSaid(t, said[max(0, len(said)-300):], "10000 users entered, 0 kept as they are, 0 set up so already.")
	expectSaid(t, s.mustControl("show", names[many-1], "--reveal"), names[many-1]+"@example.com", "+14155559999")
	expectSaid(t, s.mustControl("import", "csv", table, "--yes"), "0 users entered, 0 kept as they are, 10000 set up so already.")

	listed := filepath.Join(s.dir, "users.csv")
	ok(t, os.WriteFile(listed, []byte(s.mustControl("users", "--csv", "--reveal")), 0o600))
	expectSaid(t, s.mustControl("import", "csv", listed), "10000 set up so already.")
}

// Users who are entered from a table log in by the code that is sent, which confirms it.
func TestImportedFromATableIn(t *testing.T) {
	s, _ := inProcess(t)
	alice, bob := newAccount(t, "alice"), newAccount(t, "bob")
	table := filepath.Join(s.dir, "people.csv")
	ok(t, os.WriteFile(table, []byte("\ufeffuser,email\r\n"+alice.name+","+alice.email+"\r\n"+bob.name+","+bob.email+"\r\n"), 0o600))
	expectSaid(t, s.mustControl("import", "csv", table, "--yes"), "2 users entered")
	s.expectLetters(alice, 0)
	s.login(alice, 1)
	expectSaid(t, s.mustControl("import", "csv", table, "--yes"), "0 users entered, 0 kept as they are, 2 set up so already.")
	expectSaid(t, s.mustControl("users", "--csv"), alice.name+",a***e@example.com,,20", bob.name+",b***b@example.com,,,")
	expectSaid(t, s.mustControl("confirm", "resend", "--all"), "1 user of 1 told")
}
