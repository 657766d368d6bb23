package doctor

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"mfa/internal/config"
	"mfa/internal/deliver"
	"mfa/internal/wire"
)

const nobody = 65534

// aHost returns a configuration whose store is nobody's, as if mfad ran so, and a folder that
// nobody may look into.
func aHost(t *testing.T) (config.Config, string) {
	t.Helper()
	dir := newMachine(t).dir // it skips where there is no root
	cfg := config.Default()
	cfg.Store.Path = filepath.Join(dir, "store")
	if err := errors.Join(os.Mkdir(cfg.Store.Path, 0o700), os.Chown(cfg.Store.Path, nobody, nobody)); err != nil {
		t.Fatal(err)
	}
	return cfg, dir
}

// TestCarriersAreLookedAtWithTheRightsOfMfad: doctor looked as root, and said ok of an outbox
// in /root and of a program that is root's alone; no code ever went out.
func TestCarriersAreLookedAtWithTheRightsOfMfad(t *testing.T) {
	cfg, dir := aHost(t)
	at := func(name string) string { return filepath.Join(dir, name) }
	err := errors.Join(
		os.Mkdir(at("roots"), 0o700), os.Mkdir(at("readable"), 0o755), os.Mkdir(at("half"), 0o755), os.Mkdir(at("read"), 0o755),
		os.MkdirAll(at("half/tmp"), 0o755), os.Mkdir(at("read/tmp"), 0o755), os.Mkdir(at("read/new"), 0o755), os.Mkdir(at("read/cur"), 0o755),
		os.Chown(at("half"), nobody, nobody), os.Chown(at("read/tmp"), nobody, nobody), os.Chown(at("read/new"), nobody, nobody),
		os.WriteFile(at("program"), nil, 0o755), os.WriteFile(at("private"), nil, 0o700), os.WriteFile(at("roots/program"), nil, 0o755),
		os.WriteFile(at("text"), nil, 0o644),
	)
	if err != nil {
		t.Fatal(err)
	}
	in := cfg.Store.Path + "/outbox"
	for name, tc := range map[string]struct {
		transport, provider, path string
		want                      string // in what is wrong; empty: nothing is
		mend                      string
	}{
		"outbox of mfad":            {deliver.TransportOutbox, "", in, "", ""},
		"outbox among root's":       {deliver.TransportOutbox, "", at("roots/outbox"), "permission denied", `path = "` + in + `"`},
		"outbox that is root's":     {deliver.TransportOutbox, "", at("readable"), "permission denied", "chown -R --reference=" + cfg.Store.Path + " " + at("readable")},
		"outbox to be made":         {deliver.TransportOutbox, "", at("readable/outbox"), "permission denied", "ReadWritePaths=" + at("readable/outbox")},
		"part of it is root's":      {deliver.TransportOutbox, "", at("half"), "permission denied", "chown -R "},
		"what it writes to is mfad": {deliver.TransportOutbox, "", at("read"), "", ""},
		"sendmail":                  {deliver.TransportSendmail, "", at("program"), "", ""},
		"sendmail of root":          {deliver.TransportSendmail, "", at("private"), "permission denied", "chmod a+rx " + at("private")},
		"sendmail among root's":     {deliver.TransportSendmail, "", at("roots/program"), "permission denied", "namei -l " + at("roots/program")},
		"texts":                     {"", deliver.ProviderCommand, at("program"), "", ""},
		"texts by root's":           {"", deliver.ProviderCommand, at("private"), "permission denied", "chmod a+rx " + at("private")},
		"texts among root's":        {"", deliver.ProviderCommand, at("roots/program"), "permission denied", "chmod a+rx " + at("roots/program")},
		"texts by no program":       {"", deliver.ProviderCommand, at("text"), "permission denied", "chmod a+rx " + at("text")},
		"texts by a folder":         {"", deliver.ProviderCommand, at("readable"), "is a directory", ""},
	} {
		t.Run(name, func(t *testing.T) {
			e := &exam{cfg: cfg, known: true}
			if tc.provider != "" {
				e.extra.SMS.Provider, e.extra.SMS.Command.Path = tc.provider, tc.path
				e.sms(t.Context())
			} else {
				e.cfg.Email.Transport, e.cfg.Email.From = tc.transport, "mfa@example.com"
				e.cfg.Email.Outbox.Path, e.cfg.Email.Sendmail.Path = tc.path, tc.path
				e.mail(t.Context())
			}
			expectProblem(t, e.Findings, tc.want, tc.mend)
		})
	}
}

// expectProblem wants one error that says so, and the line that mends it; with "" none.
func expectProblem(t *testing.T, found []Finding, want, mend string) {
	t.Helper()
	var wrong []Finding
	for _, f := range found {
		if f.Severity == Error {
			wrong = append(wrong, f)
		}
	}
	switch {
	case want == "" && len(wrong) == 0:
	case len(wrong) != 1 || want == "" || !strings.Contains(wrong[0].What, want) || !strings.Contains(wrong[0].Mend, mend):
		t.Errorf("%+v, want %q and %q", found, want, mend)
	}
}

// TestCarriersAreSeenAsByMfad: what the daemon's unit hides or keeps from writing is not there
// for it, whatever the rights are.
func TestCarriersAreSeenAsByMfad(t *testing.T) {
	cfg, dir := aHost(t)
	place := filepath.Join(dir, "place")
	if err := errors.Join(os.Mkdir(place, 0o777), os.WriteFile(place+"/program", nil, 0o755)); err != nil { //nolint:gosec // as it is meant
		t.Fatal(err)
	}
	for name, tc := range map[string]struct{ mount, folder, program string }{
		"read-only": {"mount --bind $0 $0; mount -o remount,bind,ro $0", "read-only file system", ""},
		"hidden":    {"mount -t tmpfs -o mode=0 none $0", "permission denied", "permission denied"},
		"both":      {":", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			e := &exam{cfg: cfg, known: true, status: &wire.Status{PID: confinedDaemon(t, tc.mount, place)}}
			e.cfg.Email.Transport, e.cfg.Email.From, e.cfg.Email.Outbox.Path = deliver.TransportOutbox, "mfa@example.com", place
			if err := os.Chmod(place, 0o777); err != nil { //nolint:gosec // the same
				t.Fatal(err)
			}
			e.mail(t.Context())
			expectProblem(t, e.Findings, tc.folder, "ReadWritePaths="+place)
			e.Findings = nil
			e.extra.SMS.Provider, e.extra.SMS.Command.Path = deliver.ProviderCommand, place+"/program"
			e.sms(t.Context())
			expectProblem(t, e.Findings, tc.program, "/usr/local/bin")
			for _, f := range e.Findings {
				if strings.Contains(f.What+f.Mend, "/proc/") {
					t.Errorf("it speaks of no path of mfa.toml: %+v", f)
				}
			}
		})
	}
}

// confinedDaemon starts a process of nobody's in mounts of its own, once they are made, and
// returns its number.
func confinedDaemon(t *testing.T, mount, place string) int {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	cmd := exec.CommandContext(ctx, "unshare", "--mount", "--propagation", "private", "sh", "-ec",
		mount+"; exec setpriv --reuid 65534 --regid 65534 --clear-groups sh -c 'echo up; exec sleep 600'", place)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	t.Cleanup(func() { cancel(); _ = cmd.Wait() })
	if err == nil {
		_, err = out.Read(make([]byte, 3))
	}
	if err != nil {
		t.Fatal(err)
	}
	return cmd.Process.Pid
}

// TestSecretsOfTexts: a secret of [sms] that is root's alone keeps mfad from its next start,
// and nothing said so.
func TestSecretsOfTexts(t *testing.T) {
	cfg, dir := aHost(t)
	path, secret := filepath.Join(dir, "mfa.toml"), filepath.Join(dir, "secret")
	if err := errors.Join(os.WriteFile(path, nil, 0o644), os.WriteFile(secret, []byte("x\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	cfg.Audit.File = ""
	for key, spoil := range map[string]func(c *deliver.SMSConfig){
		"sms.twilio.auth_token_file": func(c *deliver.SMSConfig) { c.Provider, c.Twilio.AuthTokenFile = deliver.ProviderTwilio, secret },
		"sms.twilio.api_secret_file": func(c *deliver.SMSConfig) { c.Provider, c.Twilio.APISecretFile = deliver.ProviderTwilio, secret },
		"sms.proxy_password_file":    func(c *deliver.SMSConfig) { c.Provider, c.ProxyPasswordFile = deliver.ProviderHTTP, secret },
		"":                           func(c *deliver.SMSConfig) { c.ProxyPasswordFile = secret },
	} {
		c := cfg
		spoil(&c.SMS)
		err := FilesProblem(c, path)
		if (err != nil) != (key != "") || err != nil && (!errors.Is(err, syscall.EACCES) || !strings.HasPrefix(err.Error(), key)) {
			t.Errorf("%q: %v", key, err)
		}
	}
}
