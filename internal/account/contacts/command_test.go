package contacts

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mfa/internal/account"
	"mfa/internal/mfa"
)

// script returns a command that runs a script of sh.
func script(t *testing.T, text string, args ...string) *command {
	t.Helper()
	name := filepath.Join(t.TempDir(), "contacts")
	if err := os.WriteFile(name, []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	c, err := newCommand(account.ContactsCommandConfig{Path: name, Args: args, Timeout: mfa.Duration(2 * time.Second)})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCommand(t *testing.T) {
	t.Setenv("LEAK", "secret-of-the-daemon")
	for name, tc := range map[string]struct {
		script string
		args   []string
		want   string // of values
		err    string
	}{
		"lines":            {script: `echo email=$1@example.com; echo; echo " phone = +1 415 555 2671 "`, want: "{[alice@example.com] [+1 415 555 2671]}"},
		"an object":        {script: `echo '{"email": "alice@example.com", "phone": null}'`, want: "{[alice@example.com] []}"},
		"nothing":          {script: `exit 0`, want: "{[] []}"},
		"empty values":     {script: `echo email=; echo phone=`, want: "{[] []}"},
		"arguments":        {script: `echo email=$#$2$4@example.com`, args: []string{"--user", "{{.User}}", "--uid", "{{.UID}}"}, want: "{[4alice1000@example.com] []}"},
		"no shell":         {script: `echo "email=$1@example.com"`, args: []string{"$(id); {{.User}}"}, want: "{[$(id); alice@example.com] []}"},
		"no environment":   {script: `echo "email=x${LEAK}y@example.com"`, want: "{[xy@example.com] []}"},
		"fails":            {script: `echo no such table >&2; exit 3`, err: "no such table"},
		"fails, and talks": {script: `echo email=alice@example.com; exit 1`, err: "exit status 1"},
		"unknown key":      {script: `echo mail=alice@example.com`, err: "unknown key"},
		"unknown, object":  {script: `echo '{"mail": "alice@example.com"}'`, err: "unknown key"},
		"two entries":      {script: `echo email=a@example.com; echo email=b@example.com`, err: account.ErrTwoEntries.Error()},
		"twice, object":    {script: `echo '{"email": "a@example.com", "email": "b@example.com"}'`, err: account.ErrTwoEntries.Error()},
		"two objects":      {script: `echo '{"email": "a@example.com"} {"email": "b@example.com"}'`, err: "more than one"},
		"no line":          {script: `echo alice@example.com`, err: "not KEY=VALUE"},
		"half an object":   {script: `echo '{"email": "a@example.com"'`, err: "EOF"},
		"another type":     {script: `echo '{"email": ["a@example.com"]}'`, err: "email"},
		"too much":         {script: `yes email=a@example.com | head -c 100000`, err: "more than 4096 bytes"},
		"hangs":            {script: `sleep 600`, err: "contacts.command.timeout"},
		"leaves a child":   {script: `sleep 600 & sleep 600`, err: "contacts.command.timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := script(t, tc.script, tc.args...).look(t.Context(), alice)
			if (err != nil) != (tc.err != "") || err != nil && !strings.Contains(err.Error(), tc.err) {
				t.Fatalf("error %v, want %q", err, tc.err)
			}
			if err == nil && fmt.Sprint(got) != tc.want {
				t.Errorf("found %v, want %s", got, tc.want)
			}
			if errors.Is(err, errDown) != (tc.err == "contacts.command.timeout") {
				t.Errorf("down: %v", err)
			}
		})
	}
	if _, err := script(t, "echo email=$1@example.com").look(t.Context(), mfa.Identity{Name: "--help"}); err == nil {
		t.Error("a name that is an option is taken")
	}
	c, err := newCommand(account.ContactsCommandConfig{Path: "/nowhere", Timeout: mfa.Duration(time.Second)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.look(t.Context(), alice); err == nil {
		t.Error("a program that is not there has nothing to say")
	}
}

func FuzzSaid(f *testing.F) {
	for _, s := range []string{"email=a@example.com\nphone=+1", `{"email":"a@example.com","phone":null}`, "{}", "", "=", "{\"email\":"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if v, err := readSaid(data); err == nil && len(v.emails)+len(v.phones) > 2 {
			t.Errorf("found %+v", v)
		}
	})
}
