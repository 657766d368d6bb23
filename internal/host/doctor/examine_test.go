package doctor

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mfa/internal/seal"
	"mfa/internal/store"
	"mfa/internal/store/local"
	"mfa/internal/wire"
)

// A folder is a machine made of files.
type folder struct {
	t   *testing.T
	dir string
}

// newMachine makes a machine with nothing wrong: sshd asks for a second factor,
// the administrator carol has one, and the console is open to root.
func newMachine(t *testing.T) folder {
	t.Helper()
	if os.Geteuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("needs root")
		}
		t.Skip("needs root: files have to be root's")
	}
	m := folder{t, t.TempDir()}
	if err := errors.Join(os.Chmod(filepath.Dir(m.dir), 0o755), os.Chmod(m.dir, 0o755)); err != nil { //nolint:gosec // the daemon of a test is not root
		t.Fatal(err)
	}
	m.write("etc/mfa/mfa.toml", 0o644, "[policy]\nmode = \"required\"\n")
	m.write("etc/pam.d/sshd", 0o644, "auth requisite pam_unix.so\nauth required pam_mfa.so\n")
	m.write("etc/pam.d/login", 0o644, "auth requisite pam_unix.so\n")
	m.write("etc/pam.d/other", 0o644, "auth required pam_deny.so\n")
	m.write("etc/passwd", 0o644, "root:x:0:0::/root:/bin/sh\ncarol:x:1000:1000::/home/carol:/bin/sh\n")
	m.write("etc/group", 0o644, "sudo:x:27:carol\n")
	m.write("etc/shadow", 0o640, "root:$y$x:19000:0:99999:7:::\ncarol:!:19000:0:99999:7:::\n")
	m.write("lib/x86_64-linux-gnu/security/pam_unix.so", 0o644, "")
	m.write("lib/x86_64-linux-gnu/security/pam_deny.so", 0o644, "")
	m.write("lib/x86_64-linux-gnu/security/pam_mfa.so", 0o644, "\x7fELF pam_mfa version 1.2\x00more")
	m.write("var/lib/mfa/key", 0o600, strings.Repeat("0a", 32)+"\n")
	m.mode("var/lib/mfa", 0o700)
	s, err := local.Open(m.path("var/lib/mfa"), func(known string) (*seal.Key, error) {
		return seal.LoadFor(m.path("var/lib/mfa/key"), os.Geteuid(), known)
	})
	if err == nil {
		err = errors.Join(store.CheckFormat(t.Context(), s), s.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	m.write("var/lib/mfa/users/carol.toml", 0o600, recordOf(1000))
	return m
}

func recordOf(uid int) string {
	return "version = 1\nuid = " + map[bool]string{true: "1000", false: "1001"}[uid == 1000] +
		"\n[email]\naddress = \"carol@example.com\"\n"
}

func (m folder) path(name string) string { return filepath.Join(m.dir, name) }

func (m folder) write(name string, mode os.FileMode, text string) {
	m.t.Helper()
	if err := os.MkdirAll(filepath.Dir(m.path(name)), 0o755); err != nil {
		m.t.Fatal(err)
	}
	if err := os.WriteFile(m.path(name), []byte(text), 0o600); err != nil {
		m.t.Fatal(err)
	}
	m.mode(name, mode)
}

func (m folder) mode(name string, mode os.FileMode) {
	m.t.Helper()
	if err := os.Chmod(m.path(name), mode); err != nil {
		m.t.Fatal(err)
	}
}

func (m folder) remove(name string) {
	m.t.Helper()
	if err := os.RemoveAll(m.path(name)); err != nil {
		m.t.Fatal(err)
	}
}

func (m folder) chown(name string) {
	m.t.Helper()
	if err := os.Chown(m.path(name), 4711, -1); err != nil {
		m.t.Fatal(err)
	}
}

func (m folder) examine(services ...string) Report {
	m.t.Helper()
	files, err := Within(m.dir)
	if err != nil {
		m.t.Fatal(err)
	}
	return Examine(m.t.Context(), Host{Root: m.dir, FS: files, Config: "/etc/mfa/mfa.toml", Version: "1.2"}, services)
}

const users = "var/lib/mfa/users/"

// longAgo is before any setup could still wait.
var longAgo = time.Unix(1_700_000_000, 0)

// TestMachine breaks one thing of a machine at a time.
func TestMachine(t *testing.T) {
	for name, tc := range map[string]struct {
		spoil func(m folder)
		want  []string
	}{
		"nothing wrong": {func(folder) {}, nil},
		"config refused": {
			func(m folder) { m.write("etc/mfa/mfa.toml", 0o644, "[policy]\nmode = 'x'\n") },
			[]string{"config"},
		},
		"config missing":   {func(m folder) { m.remove("etc/mfa") }, []string{"config"}},
		"config writable":  {func(m folder) { m.mode("etc/mfa/mfa.toml", 0o666) }, []string{"config"}},
		"config of a user": {func(m folder) { m.chown("etc/mfa/mfa.toml") }, []string{"config"}},
		"key readable":     {func(m folder) { m.mode("var/lib/mfa/key", 0o644) }, []string{"key-file"}},
		"key missing":      {func(m folder) { m.remove("var/lib/mfa/key") }, []string{"key-file", "state"}},
		"database lost":    {func(m folder) { m.remove("var/lib/mfa/state.db") }, []string{"state"}},
		"database empty":   {func(m folder) { m.write("var/lib/mfa/state.db", 0o600, "") }, []string{"state"}},
		"database damaged": {func(m folder) { m.write("var/lib/mfa/state.db", 0o600, strings.Repeat("garbage ", 4096)) }, []string{"state"}},
		"another key":      {func(m folder) { m.write("var/lib/mfa/key", 0o600, strings.Repeat("0b", 32)+"\n") }, []string{"state"}},
		"method not counted": {func(m folder) {
			m.write("etc/mfa/mfa.toml", 0o644, "[policy]\nmethods = [\"totp\"]\n")
		}, []string{"policy-without"}},
		"texts by the standard": {func(m folder) {
			m.write("etc/mfa/mfa.toml", 0o644, "[policy]\nnist = true\nmethods = [\"totp\", \"sms\"]\n[sms]\nfallback_to_email = false\n")
		}, []string{"policy-without", "nist"}},
		"method kept out": {func(m folder) {
			m.write("etc/mfa/mfa.toml", 0o644, "[policy]\nmethods = [\"totp\"]\nenroll_at_login = false\n")
		}, []string{"policy-out"}},
		"key is none":       {func(m folder) { m.write("var/lib/mfa/key", 0o600, "secret") }, []string{"key-file"}},
		"key of a user":     {func(m folder) { m.chown("var/lib/mfa/key") }, []string{"key-file"}},
		"store open":        {func(m folder) { m.mode("var/lib/mfa", 0o755) }, []string{"store-folder"}},
		"store writable":    {func(m folder) { m.mode("var/lib/mfa", 0o777) }, []string{"store-folder"}},
		"store of a user":   {func(m folder) { m.chown("var/lib/mfa") }, []string{"store-folder"}},
		"store missing":     {func(m folder) { m.remove("var/lib/mfa") }, []string{"store-folder"}},
		"module old":        {func(m folder) { m.write("lib/x86_64-linux-gnu/security/pam_mfa.so", 0o644, "pam_mfa version 1.1\x00") }, []string{"module-version"}},
		"module of no one":  {func(m folder) { m.write("lib/x86_64-linux-gnu/security/pam_mfa.so", 0o644, "ELF") }, []string{"module-version"}},
		"module writable":   {func(m folder) { m.mode("lib/x86_64-linux-gnu/security/pam_mfa.so", 0o666) }, []string{"module-file"}},
		"module missing":    {func(m folder) { m.remove("lib/x86_64-linux-gnu/security/pam_mfa.so") }, []string{"module-missing"}},
		"record broken":     {func(m folder) { m.write(users+"dave.toml", 0o600, "uid = x") }, []string{"record-broken"}},
		"record newer":      {func(m folder) { m.write(users+"dave.toml", 0o600, "version = 99\nuid = 1\n") }, []string{"record-broken"}},
		"record of a user":  {func(m folder) { m.chown(users + "carol.toml") }, []string{"record-owner"}},
		"record a link":     {func(m folder) { _ = os.Symlink("/dev/null", m.path(users+"dave.toml")) }, []string{"record-broken"}},
		"record writable":   {func(m folder) { m.write(users+"dave.toml", 0o666, recordOf(1001)) }, []string{"record-mode"}},
		"record misnamed":   {func(m folder) { m.write(users+"Dave.toml", 0o600, recordOf(1001)) }, []string{"record-name"}},
		"record of another": {func(m folder) { m.write(users+"carol.toml", 0o600, recordOf(1001)) }, []string{"record-uid"}},
		"record of an alias": {func(m folder) {
			m.write("etc/passwd", 0o644, "root:x:0:0::/root:/bin/sh\ncarol:x:1000:1000::/home/carol:/bin/sh\ncarol.long:x:1000:1000::/home/carol:/bin/sh\n")
			m.write(users+"carol.long.toml", 0o600, recordOf(1000))
		}, []string{"record-alias"}},
		"what editors leave": {func(m folder) { m.write(users+".carol.toml.swp", 0o600, "x"); m.write(users+"carol.toml~", 0o600, "x") }, nil},
		"admin not enrolled": {func(m folder) { m.remove(users + "carol.toml") }, []string{"admin-not-enrolled"}},
		"admin kept out": {func(m folder) {
			m.remove(users + "carol.toml")
			m.write("etc/mfa/mfa.toml", 0o644, "[policy]\nenroll_at_login = false\n")
		}, []string{"admin-not-enrolled"}},
		"no way in": {func(m folder) { m.write("etc/shadow", 0o640, "root:*:::\n") }, []string{"break-glass"}},
		"console asks too": {func(m folder) {
			m.write("etc/pam.d/login", 0o644, "auth requisite pam_unix.so\nauth required pam_mfa.so\n")
		}, []string{"break-glass"}},
		"nobody must": {func(m folder) {
			m.write("etc/shadow", 0o640, "")
			m.write("etc/mfa/mfa.toml", 0o644, "[policy]\nmode = \"optional\"\n")
		}, nil},
		"backup codes": {func(m folder) {
			m.write("etc/shadow", 0o640, "")
			m.write(users+"carol.toml", 0o600, recordOf(1000)+"[backup]\nid = \"x\"\nsalt = \"\"\nmemory_kib = 1\ntime = 1\nthreads = 1\nhashes = []\n")
		}, nil},
		"another socket": {func(m folder) { m.write("etc/mfa/mfa.toml", 0o644, "[server]\npam_socket = \"/run/x/pam.sock\"\n") }, []string{"socket-mismatch"}},
		"module gives up": {func(m folder) {
			m.write("etc/pam.d/sshd", 0o644, "auth requisite pam_unix.so\nauth required pam_mfa.so timeout=60\n")
		}, []string{"module-timeout"}},
		"nobody is asked": {func(m folder) { m.remove("etc/pam.d/sshd") }, []string{"mfa-absent"}},
		"another one asks": {func(m folder) {
			m.write("etc/pam.d/vsftpd", 0o644, "auth required pam_unix.so\nauth required pam_mfa.so\n")
		}, []string{"wrong-password-reaches-mfa"}},
		"left by dpkg": {func(m folder) {
			m.write("etc/pam.d/sshd.dpkg-old", 0o644, "auth required pam_unix.so\nauth required pam_mfa.so\n")
		}, nil},
		"setup not confirmed": {func(m folder) {
			m.write("var/backups/mfa/sudo/pending", 0o600, "")
			_ = os.Chtimes(m.path("var/backups/mfa/sudo/pending"), longAgo, longAgo)
		}, []string{"setup-pending"}},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			tc.spoil(m)
			expectIDs(t, name, m.examine().Findings, tc.want)
		})
	}
}

// Rules and password changes are read of mfa.toml as it is written, whatever else
// of it is refused.
func TestExtra(t *testing.T) {
	m := newMachine(t)
	m.write("etc/shadow", 0o640, "")
	m.write("etc/mfa/mfa.toml", 0o644, "[[policy.rule]]\nusers = [\"glass\"]\nmode = \"off\"\n[lockout]\nforce_password_change = true\n")
	for _, f := range m.examine().Findings {
		if f.ID == "break-glass" && !strings.Contains(f.What, "glass") {
			t.Errorf("the rule was not seen: %+v", f)
		}
	}
}

// Links stay within the folder that is looked at, also absolute ones.
func TestLinksStayWithin(t *testing.T) {
	m := newMachine(t)
	m.write("etc/authselect/system-auth", 0o644, "auth requisite pam_unix.so\n")
	if err := os.Symlink("/etc/authselect/system-auth", m.path("etc/pam.d/system-auth")); err != nil {
		t.Fatal(err)
	}
	m.write("etc/pam.d/sshd", 0o644, "auth substack system-auth\nauth required pam_mfa.so\n")
	// A substack's requisite ends the substack, not the stack.
	expectIDs(t, "sshd", m.examine("sshd").Findings, []string{"wrong-password-reaches-mfa"})
}

// The daemon's word is held against what is installed.
func TestDaemon(t *testing.T) {
	m := newMachine(t)
	files, err := Within(m.dir)
	if err != nil {
		t.Fatal(err)
	}
	e := &exam{Host: Host{Root: m.dir, FS: files, Version: "1.2", Status: func(context.Context) (wire.Status, error) {
		return wire.Status{Version: "1.3", PID: 1, Problem: "disk full"}, nil
	}}}
	e.daemon(t.Context())
	e.stacks = []Stack{ExamineStack(files, "sshd")}
	e.module(t.Context())
	expectIDs(t, "daemon", e.Findings, []string{"store", "daemon-version", "module-version"})

	// On a full disk codes that need no room let in, and it was said that all are refused. What
	// fits into the room that is reserved can be changed, and it was said that nothing can.
	e = &exam{Host: Host{Root: m.dir, FS: files, Status: func(context.Context) (wire.Status, error) {
		return wire.Status{PID: 1, StoreFull: true, Problem: "disk full"}, nil
	}}}
	e.daemon(t.Context())
	for _, f := range e.Findings {
		if f.ID == "store" && (f.Severity != Error || strings.Contains(f.Why, "Every login") || !strings.Contains(f.Why, "whose decision cannot be written are refused") ||
			strings.Contains(f.Why, "nothing can") || !strings.Contains(f.Why, "changes may fail")) {
			t.Errorf("a full disk: %+v", f)
		}
	}
	expectIDs(t, "a full disk", e.Findings, []string{"store"})

	e = &exam{Host: Host{Root: m.dir, FS: files, Status: func(context.Context) (wire.Status, error) {
		return wire.Status{}, os.ErrNotExist
	}}}
	e.daemon(t.Context())
	expectIDs(t, "daemon", e.Findings, []string{"daemon"})
}

func TestSMS(t *testing.T) {
	for _, p := range []smsPlace{{Provider: "fax"}, {Provider: "http"}, {Provider: "command"}} {
		if err := p.reach(t.Context()); err == nil {
			t.Errorf("%+v can be reached", p)
		}
	}
	var p smsPlace
	for want, set := range map[string]func(){
		"https://api.twilio.com":            func() {},
		"https://api.us1.twilio.com":        func() { p.Twilio.Region = "us1" },
		"https://api.dublin.ie1.twilio.com": func() { p.Twilio.Region, p.Twilio.Edge = "ie1", "dublin" },
		"http://127.0.0.1:1":                func() { p.Twilio.BaseURL = "http://127.0.0.1:1" },
	} {
		p = smsPlace{Provider: "twilio"}
		set()
		if got := p.twilio(); got != want {
			t.Errorf("Twilio is at %q, want %q", got, want)
		}
	}
}
