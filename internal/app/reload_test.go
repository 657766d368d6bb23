package app

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mfa/internal/deliver"
	"mfa/internal/login"
	"mfa/internal/mfa"
	"mfa/internal/wire"
)

// A login that began before a reload goes on, and can still have its mail sent, which
// goes the new way; but it goes by the new policy.
func TestReloadKeepsRunningLogins(t *testing.T) {
	dir := shortDir(t)
	r := run(t, goodConfig(dir))
	m := r.dial()
	m.expect(wire.Prompt, "Code: ")
	code(t, r.cfg.Email.Outbox.Path, 1)

	next := r.cfg
	next.Email.Outbox.Path = filepath.Join(dir, "new-outbox")
	next.Policy.Mode = login.ModeOff
	if err := r.Reload(next); err != nil {
		t.Fatal(err)
	}
	m.answer("r")
	m.expect(wire.Prompt, "A new code ")
	m.answer(code(t, next.Email.Outbox.Path, 1))
	m.expect(wire.Done, "x")

	r.dial().expect(wire.Done, "x") // so does the next
}

// Many reloads while a mail waits for its relay: it is sent once there is a way.
func TestReloadMendsAMailThatWaits(t *testing.T) {
	dir := shortDir(t)
	cfg := goodConfig(dir)
	// A file where the folder should be: each attempt fails, none for good.
	cfg.Email.Outbox.Path = filepath.Join(dir, "file", "outbox")
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r := run(t, cfg)
	m := r.dial()
	m.expect(wire.Prompt, "Code: ")
	next := cfg
	for _, name := range []string{"file/1", "file/2", "good"} {
		next.Email.Outbox.Path = filepath.Join(dir, name)
		if err := r.Reload(next); err != nil {
			t.Fatal(err)
		}
	}
	m.answer(code(t, next.Email.Outbox.Path, 1))
	m.expect(wire.Done, "s")
}

func TestReloadRefused(t *testing.T) {
	r := run(t, goodConfig(shortDir(t)))
	bad := r.cfg
	bad.Policy.Mode = login.ModeOff
	bad.Email.Transport = deliver.TransportSMTP
	bad.Email.SMTP.Username, bad.Email.SMTP.PasswordFile = "u", "/nonexistent/password"
	err := r.Reload(bad)
	if err == nil || !strings.Contains(err.Error(), "email.smtp.password_file") {
		t.Fatalf("reload: %v", err)
	}
	if st := r.status(t.Context()); st.Mode != login.ModeRequired || st.Email != deliver.TransportOutbox {
		t.Errorf("after a refused reload: %+v", st)
	}
	m := r.dial()
	m.expect(wire.Prompt, "Code: ")
	m.answer(code(t, r.cfg.Email.Outbox.Path, 1))
	m.expect(wire.Done, "s")
	if text := auditText(t, r); !strings.Contains(text, `"event":"config.refused"`) {
		t.Errorf("audit: %s", text)
	}
}

// Keys that only a restart can change stay, and are named; the rest counts.
func TestReloadKeepsWhatNeedsARestart(t *testing.T) {
	dir := shortDir(t)
	level := new(slog.LevelVar)
	r := run(t, goodConfig(dir), func(o *Options) { o.Level = level })
	next := goodConfig(filepath.Join(dir, "elsewhere"))
	next.Server.MaxLogins = 1
	next.Policy.Mode = login.ModeOptional
	next.Log.Level = "warn"
	if err := r.Reload(next); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"server", "store", "secrets.key_file", "audit.file"} {
		if s := r.log.String(); !strings.Contains(s, "a restart is needed") || !strings.Contains(s, "key="+key) {
			t.Errorf("nothing is said of %s: %s", key, s)
		}
	}
	st := r.status(t.Context())
	if st.Store != r.cfg.Store.Path || st.MaxLogins != r.cfg.Server.MaxLogins || st.Mode != login.ModeOptional {
		t.Errorf("status %+v", st)
	}
	if level.Level() != slog.LevelWarn {
		t.Errorf("log.level is %v", level.Level())
	}
	if text := auditText(t, r); !strings.Contains(text, `"event":"config.loaded"`) {
		t.Errorf("audit: %s", text)
	}
	if _, err := os.Stat(filepath.Join(dir, "elsewhere")); err == nil {
		t.Error("the new store, key or audit file was made")
	}
}

// A reload of the same says nothing of restarts.
func TestReloadOfTheSame(t *testing.T) {
	r := run(t, goodConfig(shortDir(t)))
	if err := r.Reload(r.cfg); err != nil {
		t.Fatal(err)
	}
	if s := r.log.String(); strings.Contains(s, "restart") {
		t.Errorf("log: %s", s)
	}
}

func auditText(t *testing.T, r *running) string {
	t.Helper()
	text, err := os.ReadFile(r.cfg.Audit.File)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// A policy that lets people in by the first factor alone says how many; one that leaves
// it as it was says nothing.
func TestReloadSaysWhomThePolicyLetsIn(t *testing.T) {
	r := run(t, goodConfig(shortDir(t)))
	for _, step := range []struct {
		change func(p *login.PolicyConfig)
		want   string // in the log; empty: nothing
	}{
		{func(p *login.PolicyConfig) { p.EnrollGrace = 1 }, ""},
		{func(p *login.PolicyConfig) { p.Mode = login.ModeOff }, "of 1 users with a record 1 get in by the first factor alone"},
		{func(p *login.PolicyConfig) { p.ReenrollAfterOff = true }, "0 get in by the first factor alone, and 1 have a second factor but none that counts (they prove"},
		{func(p *login.PolicyConfig) { p.Mode, p.OptOut = login.ModeOptional, false }, `no_record="let in by the first factor alone"`},
		{
			func(p *login.PolicyConfig) {
				p.ReenrollAfterOff, p.Methods, p.EnrollAtLogin = false, []mfa.Method{mfa.TOTP}, false
			},
			"(1 of them are kept out)",
		},
		{func(p *login.PolicyConfig) {
			p.Rules = []login.Rule{{Users: []string{r.user}, Mode: new(login.ModeOff)}}
		}, "1 get in by the first factor alone"},
	} {
		before := len(r.log.String())
		next := r.cfg
		step.change(&next.Policy)
		if err := r.Reload(next); err != nil {
			t.Fatal(err)
		}
		said := r.log.String()[before:]
		if (step.want != "") != strings.Contains(said, "the policy changes who") || !strings.Contains(said, step.want) {
			t.Errorf("want %q in the log: %s", step.want, said)
		}
	}
}
