package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"mfa/internal/audit/audittest"
	"mfa/internal/deliver/delivertest"
)

// A site is one test's installation: a folder with a configuration, a store, an
// outbox, and what runs on them.
type site struct {
	t        testing.TB
	dir      string
	settings map[string]string          // mfa.toml: dotted key to TOML value
	env      []string                   // of the daemon, beside what it needs
	under    []string                   // the program that starts the daemon, and its arguments
	log      *record                    // of the daemon that runs
	signal   func(syscall.Signal) error // to that daemon
	stop     func(syscall.Signal) error // the same, and waits for its end
	network  string                     // network namespace of sshd and ssh; empty: the tests' own
	from     string                     // address that ssh comes from; empty: 127.0.0.1
	sshdPort int
	sshdLog  *record
	sshdPID  int
	pid      int // of the daemon that runs

	modulePath string // of pam_mfa.so
}

// sites counts the sites made so far; it keeps the names of sockets short.
var sites int

// newSite makes a site with a configuration that works, whose mails go to an
// outbox. Nothing runs yet.
func newSite(t testing.TB) *site {
	t.Helper()
	sites++
	s := &site{t: t, dir: fmt.Sprintf("%s/%d", base, sites), modulePath: artefact("pam_mfa.so")}
	ok(t, os.Mkdir(s.dir, 0o755))
	ok(t, os.Mkdir(s.path("run"), 0o755))
	s.settings = map[string]string{
		"server.pam_socket":     quoted(s.path("run/pam.sock")),
		"server.control_socket": quoted(s.path("run/control.sock")),
		"store.path":            quoted(s.path("store")),
		"secrets.key_file":      quoted(s.path("key")),
		"email.transport":       `"outbox"`,
		"email.outbox.path":     quoted(s.path("outbox")),
		"audit.file":            quoted(s.path("audit.jsonl")),
		"log.level":             `"debug"`,
	}
	from := syslog.len()
	t.Cleanup(func() {
		audittest.Check(t, s.path("audit.jsonl"))
		if t.Failed() {
			t.Logf("--- syslog:\n%s", syslog.String()[min(from, syslog.len()):])
		}
	})
	return s
}

// quoted writes a text as a TOML string.
func quoted(text string) string { b, _ := json.Marshal(text); return string(b) }

// path returns the absolute path of a file of the site.
func (s *site) path(name string) string { return filepath.Join(s.dir, name) }

// writeConfig writes the settings to mfa.toml and returns its path.
func (s *site) writeConfig() string {
	s.t.Helper()
	tables := map[string][]string{}
	for _, key := range slices.Sorted(maps.Keys(s.settings)) {
		i := strings.LastIndex(key, ".")
		tables[key[:i]] = append(tables[key[:i]], key[i+1:]+" = "+s.settings[key])
	}
	var b strings.Builder
	for _, table := range slices.Sorted(maps.Keys(tables)) {
		fmt.Fprintf(&b, "[%s]\n%s\n", table, strings.Join(tables[table], "\n"))
	}
	name := s.path("mfa.toml")
	ok(s.t, os.WriteFile(name, []byte(b.String()), 0o600))
	return name
}

// startDaemon starts mfad and returns when it says that it is ready.
func (s *site) startDaemon() {
	s.t.Helper()
	name := s.path("notify")
	_ = os.Remove(name)
	notify, err := net.ListenPacket("unixgram", name)
	ok(s.t, err)
	defer func() { _ = notify.Close() }()
	line := append(slices.Clone(s.under), artefact("mfad"), "--config", s.writeConfig())
	cmd := exec.Command(line[0], line[1:]...)
	cmd.Env = append([]string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "NOTIFY_SOCKET=" + name}, s.env...)
	s.log, s.stop = service(s.t, cmd)
	s.pid = cmd.Process.Pid
	s.signal = func(sig syscall.Signal) error { return cmd.Process.Signal(sig) }
	ok(s.t, notify.SetReadDeadline(time.Now().Add(patience)))
	buf := make([]byte, 4096)
	for {
		n, _, err := notify.ReadFrom(buf)
		if err != nil {
			s.t.Fatalf("mfad is not ready: %v\n%s", err, s.log)
		}
		if slices.Contains(strings.Split(string(buf[:n]), "\n"), "READY=1") {
			return
		}
	}
}

// refusedStart runs mfad, ends the test unless it refuses to start, and returns
// what it wrote.
func (s *site) refusedStart() string {
	s.t.Helper()
	out, err := exec.Command("timeout", "20", artefact("mfad"), "--config", s.path("mfa.toml")).CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() == 124 {
		s.t.Fatalf("mfad started: %v\n%s", err, out)
	}
	return string(out)
}

// stopDaemon stops mfad as systemd does.
func (s *site) stopDaemon() error { return s.stop(syscall.SIGTERM) }

// restartDaemon stops mfad and starts it again.
func (s *site) restartDaemon() {
	s.t.Helper()
	ok(s.t, s.stopDaemon())
	s.startDaemon()
}

// control runs mfactl and returns what it wrote and its exit status.
func (s *site) control(args ...string) (string, int) {
	s.t.Helper()
	args = append([]string{"--socket", s.path("run/control.sock")}, args...)
	cmd := exec.Command(artefact("mfactl"), args...)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		s.t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// mustControl is control for what has to work.
func (s *site) mustControl(args ...string) string {
	s.t.Helper()
	out, status := s.control(args...)
	if status != 0 {
		s.t.Fatalf("mfactl %q: status %d\n%s", args, status, out)
	}
	return out
}

// newUser makes an account and enrolls it. The daemon must run.
func (s *site) newUser(name string) account {
	s.t.Helper()
	a := newAccount(s.t, name)
	s.mustControl("enroll", a.name, "--email", a.email, "--no-message")
	return a
}

// module returns the words of a PAM line that name the module and this site.
func (s *site) module(args ...string) string {
	args = append([]string{s.modulePath, "socket=" + s.path("run/pam.sock")}, args...)
	return strings.Join(args, " ")
}

// stack writes /etc/pam.d/SERVICE: the auth lines given, and account and session
// lines that let everybody in who was authenticated.
func (s *site) stack(service string, auth ...string) {
	s.t.Helper()
	lines := append(slices.Clone(auth),
		"account required pam_unix.so",
		"account required "+s.module(),
		"session required pam_permit.so", "")
	ok(s.t, os.WriteFile("/etc/pam.d/"+service, []byte(strings.Join(lines, "\n")), 0o644))
}

// passwordThenCode is the auth part for password and code.
func (s *site) passwordThenCode(args ...string) []string {
	return []string{"auth requisite pam_unix.so nodelay", "auth required " + s.module(args...)}
}

// codeOnly is the auth part behind a first factor that PAM does not see.
func (s *site) codeOnly(args ...string) []string {
	return []string{"auth required " + s.module(args...)}
}

// A letter is one mail.
type letter struct{ to, subject, body, html, raw string }

// codeLine is how a mail shows its code.
var codeLine = regexp.MustCompile(`(?m)^Your code: (\d+)\r?$`)

// code returns the code in the letter.
func (l letter) code() (string, error) {
	m := codeLine.FindStringSubmatch(l.body)
	if m == nil {
		return "", fmt.Errorf("no code in the mail %q", l.raw)
	}
	return m[1], nil
}

// isNotice says whether the letter tells something and holds no code.
func (l letter) isNotice() bool { _, err := l.code(); return err != nil }

// letters returns the mails in the outbox to an address, oldest first.
func (s *site) letters(to string) ([]letter, error) { return readMaildir(s.path("outbox"), to) }

// readMaildir returns the mails to an address in a maildir, oldest first.
func readMaildir(dir, to string) ([]letter, error) {
	names, err := filepath.Glob(filepath.Join(dir, "new", "*"))
	if err != nil {
		return nil, err
	}
	// A message is synced before it is renamed into new, so times grow.
	times := map[string]time.Time{}
	for _, name := range names {
		info, err := os.Stat(name)
		if err != nil {
			return nil, err
		}
		times[name] = info.ModTime()
	}
	slices.SortFunc(names, func(a, b string) int { return times[a].Compare(times[b]) })
	var found []letter
	for _, name := range names {
		raw, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		l, err := parseLetter(string(raw))
		if err != nil {
			return nil, fmt.Errorf("read mail %q: %w", name, err)
		}
		if strings.Contains(l.to, to) {
			found = append(found, l)
		}
	}
	return found, nil
}

// parseLetter reads a mail.
func parseLetter(raw string) (letter, error) {
	m, err := delivertest.ReadMail(raw)
	return letter{to: m.Header.Get("To"), subject: m.Header.Get("Subject"), body: m.Text, html: m.HTML, raw: raw}, err
}

// waitCode returns the code of the nth mail (1: first) to an address that has
// one, as soon as it arrived. Any goroutine may call it.
func (s *site) waitCode(to string, n int) (string, error) {
	for late := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		found, err := s.letters(to)
		if err != nil {
			return "", err
		}
		if found = slices.DeleteFunc(found, letter.isNotice); len(found) >= n {
			return found[n-1].code()
		}
		if time.Now().After(late) {
			return "", fmt.Errorf("mail %d to %s never came", n, to)
		}
	}
}

// code is waitCode for the test's own goroutine.
func (s *site) code(a account, n int) string {
	s.t.Helper()
	code, err := s.waitCode(a.email, n)
	ok(s.t, err)
	return code
}

// expectLetters ends the test unless exactly n mails went to a.
func (s *site) expectLetters(a account, n int) {
	s.t.Helper()
	found, err := s.letters(a.email)
	ok(s.t, err)
	if len(found) != n {
		s.t.Fatalf("%d mails to %s, want %d", len(found), a.email, n)
	}
}

// wrong returns a code that is not the one given.
func wrong(code string) string {
	return string('0'+(code[0]-'0'+1)%10) + code[1:]
}
