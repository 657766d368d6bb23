package sms

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"mfa/internal/deliver"
	"mfa/internal/deliver/carrier"
	"mfa/internal/deliver/delivertest"
	"mfa/internal/mfa"
)

// smsProgram writes a shell script and returns a table that runs it. The
// script's folder is DIR in body.
func smsProgram(t *testing.T, body string, args ...string) (cfg deliver.SMSConfig, dir string) {
	t.Helper()
	path, dir := delivertest.Program(t, "sms", body)
	return deliver.SMSConfig{Provider: deliver.ProviderCommand, Command: deliver.SMSCommandConfig{
		Path: path, Args: args, Timeout: mfa.Duration(20 * time.Second),
	}}, dir
}

func TestSMSCommandLine(t *testing.T) {
	t.Setenv("MFA_TEST_SECRET", "leaks")
	for _, tc := range []struct {
		args []string
		want string
	}{
		{nil, "+14155552671\n"},
		{[]string{"--to={{.To}}", "$(id)", "{{.Digits}}; id", ""}, "--to=+14155552671\n$(id)\n14155552671; id\n\n"},
	} {
		cfg, dir := smsProgram(t, `for a; do echo "$a"; done > DIR/args; env > DIR/env; cat > DIR/text`, tc.args...)
		m := sms("123456")
		m.Text += "\n\n@example.com #123456"
		if err := newSMS(t, cfg, Options{}).Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		if got := delivertest.ReadFile(t, dir+"/args"); got != tc.want {
			t.Errorf("arguments %q, want %q", got, tc.want)
		}
		if got := delivertest.ReadFile(t, dir+"/text"); got != m.Text {
			t.Errorf("standard input %q, want %q", got, m.Text)
		}
		if env := delivertest.ReadFile(t, dir+"/env"); strings.Contains(env, "leaks") {
			t.Errorf("environment is %q", env)
		}
	}
}

func TestSMSCommandExitCodes(t *testing.T) {
	for code, want := range map[int]string{1: "final", 64: "final", 69: "final", 71: "final", 75: "later", 78: "final"} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			cfg, dir := smsProgram(t, fmt.Sprintf(`cat >/dev/null; printf 'bad \033[1m day\n123456 to +14155552671' >&2; exit %d`, code))
			err := newSMS(t, cfg, Options{}).Send(t.Context(), sms("123456"))
			if blame(err) != want {
				t.Errorf("it is for %q to mend, want %q", blame(err), want)
			}
			says := fmt.Sprintf("run sms command %q: exit status %d: bad ?[1m day [hidden] to +1*******71", dir+"/sms", code)
			if err.Error() != says {
				t.Errorf("error is %q, want %q", err, says)
			}
		})
	}
}

func TestSMSCommandStderrGoesToTheLog(t *testing.T) {
	cfg, _ := smsProgram(t, `cat >&2; i=0; while [ $i -lt 400 ]; do echo 'much too much' >&2; i=$((i+1)); done`)
	var log bytes.Buffer
	s := newSMS(t, cfg, Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err := s.Send(t.Context(), sms("123456")); err != nil {
		t.Fatal(err)
	}
	got := log.String()
	if !strings.Contains(got, "message=id1") || !strings.Contains(got, "[hidden] is your login code") || strings.Contains(got, "123456") {
		t.Errorf("log is %q", got)
	}
	if len(got) > carrier.AnswerLimit+300 {
		t.Errorf("log of %d bytes", len(got))
	}
}

func TestSMSCommandKilled(t *testing.T) {
	cfg, _ := smsProgram(t, `kill -KILL $$`)
	delivertest.WantTemporary(t, newSMS(t, cfg, Options{}).Send(t.Context(), sms("1")), "signal: killed")
}

func TestSMSCommandTimeout(t *testing.T) {
	cfg, dir := smsProgram(t, `read x < DIR/never`)
	never := delivertest.Fifo(t, dir+"/never")
	defer never.Close()
	cfg.Command.Timeout = mfa.Duration(50 * time.Millisecond)
	delivertest.WantTemporary(t, newSMS(t, cfg, Options{}).Send(t.Context(), sms("1")), "not done within 50ms")
}

// Processes that the program started end with it.
func TestSMSCommandEndsItsChildren(t *testing.T) {
	cfg, dir := smsProgram(t, `(exec 3> DIR/alive; echo > DIR/ready; read x < DIR/never) & wait`)
	defer delivertest.Fifo(t, dir+"/never").Close()
	ready, alive := delivertest.Fifo(t, dir+"/ready"), dir+"/alive"
	defer ready.Close()
	if err := syscall.Mkfifo(alive, 0o600); err != nil {
		t.Fatal(err)
	}
	child, err := os.OpenFile(alive, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer child.Close()
	gone := errors.New("the client has gone")
	ctx, cancel := context.WithCancelCause(t.Context())
	var waiter sync.WaitGroup
	waiter.Go(func() {
		_, _ = ready.Read(make([]byte, 1)) // ends when the child runs
		cancel(gone)
	})
	if err := newSMS(t, cfg, Options{}).Send(ctx, sms("1")); !errors.Is(err, gone) {
		t.Errorf("error is %v, want the context's cause", err)
	}
	waiter.Wait()
	if err := child.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(child); err != nil { // its end, once nobody holds the other
		t.Errorf("the child lives on: %v", err)
	}
}

func TestSMSCommandMissing(t *testing.T) {
	for _, path := range []string{filepath.Join(t.TempDir(), "none"), t.TempDir()} {
		cfg := deliver.SMSConfig{Provider: deliver.ProviderCommand, Command: deliver.SMSCommandConfig{Path: path, Timeout: mfa.Duration(time.Second)}}
		if err := newSMS(t, cfg, Options{}).Send(t.Context(), sms("1")); blame(err) != "config" {
			t.Error(err)
		}
	}
}

func TestSMSCommandNamesTheKey(t *testing.T) {
	for _, tc := range []struct {
		want   string
		change func(*deliver.SMSCommandConfig)
	}{
		{"sms.command.path: ", func(c *deliver.SMSCommandConfig) { c.Path = "sms" }},
		{"sms.command.timeout: ", func(c *deliver.SMSCommandConfig) { c.Timeout = 0 }},
		{"sms.command.args: \"{{.To\" is no template", func(c *deliver.SMSCommandConfig) { c.Args = []string{"{{.To"} }},
		{"sms.command.args: may use {{.To}} and {{.Digits}}; the message comes on standard input", func(c *deliver.SMSCommandConfig) { c.Args = []string{"{{.To}}", "{{.Text}}"} }},
		{"sms.command.args: the number is in none of them", func(c *deliver.SMSCommandConfig) { c.Args = []string{"--send"} }},
	} {
		cfg := deliver.SMSCommandConfig{Path: "/bin/true", Timeout: mfa.Duration(time.Second)}
		tc.change(&cfg)
		_, err := New(deliver.SMSConfig{Provider: deliver.ProviderCommand, Command: cfg}, Options{})
		if err == nil || !strings.HasPrefix(err.Error(), tc.want) {
			t.Errorf("error is %v, want %q", err, tc.want)
		}
	}
}
