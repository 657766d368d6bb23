package doctor

import (
	"os"
	"strings"
	"testing"
	"time"
)

const (
	askingSudo  = "auth requisite pam_unix.so\nauth required pam_mfa.so\n"
	keepsPrompt = "Defaults env_reset, !passprompt_override\n"
)

// TestLeftOut breaks what lies beside PAM and sshd, one thing at a time.
func TestLeftOut(t *testing.T) {
	future := time.Now().Add(24 * time.Hour).UTC().Format(time.RFC3339)
	for name, tc := range map[string]struct {
		spoil func(m folder)
		want  []string
	}{
		"module nowhere, and nobody asks": {func(m folder) {
			m.remove("lib/x86_64-linux-gnu/security/pam_mfa.so")
			m.remove("etc/pam.d/sshd")
		}, []string{"module-missing", "mfa-absent"}},
		"nopasswd": {func(m folder) {
			m.write("etc/pam.d/sudo", 0o644, askingSudo)
			m.write("etc/sudoers", 0o440, keepsPrompt+"# %x ALL=(ALL) NOPASSWD: ALL\n%sudo ALL=(ALL:ALL) \\\n  NOPASSWD: ALL\n")
		}, []string{"sudo-nopasswd"}},
		"nopasswd in a folder": {func(m folder) {
			m.write("etc/pam.d/sudo", 0o644, askingSudo)
			m.write("etc/sudoers", 0o440, keepsPrompt+"@includedir /etc/sudoers.d\n")
			m.write("etc/sudoers.d/90-cloud", 0o440, "carol ALL=(ALL) NOPASSWD:ALL\n")
			m.write("etc/sudoers.d/old.bak", 0o440, "dave ALL=(ALL) NOPASSWD:ALL\n")
		}, []string{"sudo-nopasswd"}},
		"sudo does not authenticate": {func(m folder) {
			m.write("etc/pam.d/sudo", 0o644, askingSudo)
			m.write("etc/sudoers", 0o440, keepsPrompt+"#includedir /etc/sudoers.d\nDefaults:carol !authenticate\n")
		}, []string{"sudo-nopasswd"}},
		"sudo -p": {func(m folder) {
			m.write("etc/pam.d/sudo", 0o644, askingSudo)
			m.write("etc/sudoers", 0o440, "Defaults env_reset\nDefaults:carol !passprompt_override\n# Defaults !passprompt_override\n")
		}, []string{"sudo-prompt"}},
		"sudo -p, turned on later": {func(m folder) {
			m.write("etc/pam.d/sudo", 0o644, askingSudo)
			m.write("etc/sudoers", 0o440, keepsPrompt+"@includedir /etc/sudoers.d\n")
			m.write("etc/sudoers.d/later", 0o440, "Defaults passprompt_override\n")
		}, []string{"sudo-prompt"}},
		"sudo -p, kept in a folder": {func(m folder) {
			m.write("etc/pam.d/sudo", 0o644, askingSudo)
			m.write("etc/sudoers", 0o440, "@includedir /etc/sudoers.d\n")
			m.write("etc/sudoers.d/passprompt", 0o440, "Defaults !passprompt_override\n")
		}, nil},
		"sudo asks for no second factor": {func(m folder) {
			m.write("etc/sudoers", 0o440, "carol ALL=(ALL) NOPASSWD: ALL\n")
		}, nil},
		"texts without a provider": {func(m folder) {
			m.write(users+"carol.toml", 0o600, "version = 1\nuid = 1000\n[sms]\naddress = \"+17891234567\"\n")
		}, []string{"method-without-provider", "policy-out"}},
		"texts beside mail": {func(m folder) {
			m.write(users+"carol.toml", 0o600, recordOf(1000)+"[sms]\naddress = \"+17891234567\"\n")
		}, nil},
		"record from the future": {func(m folder) {
			m.write(users+"carol.toml", 0o600, recordOf(1000)+"confirmed = "+future+"\n")
		}, []string{"record-future"}},
		"a program that is not root": {func(m folder) {
			m.write("etc/passwd", 0o644, "root:x:0:0::/root:/bin/sh\ncarol:x:1000:1000::/home/carol:/bin/sh\npostgres:x:110:110::/:/bin/sh\n")
			m.write("etc/pam.d/postgresql", 0o644, "auth requisite pam_unix.so\nauth required pam_mfa.so\n")
		}, []string{"not-root"}},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			tc.spoil(m)
			expectIDs(t, name, m.examine().Findings, tc.want)
		})
	}
}

// The daemon's own folders are its own while it does not run, too.
func TestFoldersOfTheDaemonThatIsStopped(t *testing.T) {
	m := newMachine(t)
	m.write("etc/passwd", 0o644, "root:x:0:0::/root:/bin/sh\ncarol:x:1000:1000::/home/carol:/bin/sh\nmfa:x:4711:4711::/var/lib/mfa:/sbin/nologin\n")
	for _, name := range []string{"", "/key", "/lock", "/state.db", "/state-0.log", "/state-1.log", "/users", "/users/carol.toml"} {
		m.chown("var/lib/mfa" + name)
	}
	expectIDs(t, "stopped", m.examine().Findings, nil)
	if err := os.Chown(m.path("var/lib/mfa/lock"), 0, 0); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(m.path("var/lib/mfa/users/carol.toml"), 0, 0); err != nil {
		t.Fatal(err)
	}
	expectIDs(t, "lock and record of root", m.examine().Findings, []string{"state", "record-broken"})
	m.write("etc/passwd", 0o644, "root:x:0:0::/root:/bin/sh\ncarol:x:1000:1000::/home/carol:/bin/sh\nmfa:x:4712:4711::/var/lib/mfa:/sbin/nologin\n")
	m.chown("var/lib/mfa/users/carol.toml")
	expectIDs(t, "of somebody else", m.examine().Findings, []string{"store-folder", "key-file", "record-broken"})
}

// Our package's files for fail2ban are not fail2ban.
func TestFail2banIsAProgram(t *testing.T) {
	m := newMachine(t)
	m.write("etc/fail2ban/jail.d/mfa.conf", 0o644, "[mfa]\n")
	files, err := Within(m.dir)
	if err != nil {
		t.Fatal(err)
	}
	e := &exam{Host: Host{Root: m.dir, FS: files}}
	e.fail2ban(t.Context())
	if len(e.Findings) != 1 || e.Findings[0].Severity != OK || !strings.Contains(e.Findings[0].What, "not installed") {
		t.Errorf("%+v", e.Findings)
	}
	m.write("usr/bin/fail2ban-client", 0o755, "")
	if !e.hasProgram("fail2ban-client") {
		t.Error("it is installed")
	}
}

// The factors of a login are named in the order in which they are asked.
func TestOrderIsSaid(t *testing.T) {
	for stack, want := range map[string]string{
		"auth requisite pam_unix.so\nauth required pam_mfa.so\n": "password (pam_unix), then second factor (pam_mfa)",
		"auth required pam_mfa.so\nauth requisite pam_unix.so\n": "second factor (pam_mfa), then password (pam_unix)",
		"auth [success=1 default=ignore] pam_mfa.so proven=publickey\nauth requisite pam_unix.so\n" +
			"auth required pam_mfa.so exempt=success\n": "SSH key or password (pam_unix), then second factor (pam_mfa)",
	} {
		m := newMachine(t)
		m.write("etc/pam.d/sshd", 0o644, stack)
		files, err := Within(m.dir)
		if err != nil {
			t.Fatal(err)
		}
		if got := ExamineStack(files, "sshd").Login.Goes; got != want {
			t.Errorf("%q\ngot %q\nwant %q", stack, got, want)
		}
	}
}

// A change of any file of a stack is seen at the next question.
func TestChangesPassword(t *testing.T) {
	m := newMachine(t)
	ask := func() bool {
		files, err := Within(m.dir)
		if err != nil {
			t.Fatal(err)
		}
		return ChangesPassword(files, "sshd")
	}
	for text, want := range map[string]bool{
		"":                              false,
		"account required pam_mfa.so\n": true,
		"account sufficient pam_unix.so\naccount required pam_mfa.so\n": false,
		"account requisite pam_mfa.so\naccount required pam_unix.so\n":  true,
		"account [default=ignore] pam_mfa.so\n":                         false,
	} {
		m.write("etc/pam.d/sshd", 0o644, "auth required pam_unix.so\n"+text)
		if got := ask(); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
	_ = os.Remove(m.path("etc/pam.d/sshd"))
	if ask() {
		t.Error("there is no stack")
	}
}
