package contacts

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mfa/internal/account"
	"mfa/internal/mfa"
)

var alice = mfa.Identity{Name: "alice", UID: 1000}

// A scripted source says what a test wants, and counts how often it was asked.
type scripted struct {
	mu    sync.Mutex // guards what follows
	says  values
	err   error
	hold  chan struct{} // if not nil, it says nothing until it is closed
	asked int
}

func (s *scripted) look(ctx context.Context, _ mfa.Identity) (values, error) {
	s.mu.Lock()
	s.asked++
	says, err, hold := s.says, s.err, s.hold
	s.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return values{}, down{context.Cause(ctx)}
		}
	}
	return says, err
}

func (s *scripted) is(says values, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.says, s.err = says, err
}

// directoryOver returns a Directory over s that ends with the test.
func directoryOver(t *testing.T, s source) *Directory {
	t.Helper()
	d := over("ldap", s, Options{Log: slog.New(slog.DiscardHandler), Now: time.Now})
	t.Cleanup(d.Close)
	return d
}

func TestShapes(t *testing.T) {
	for _, tc := range []struct {
		said     values
		regions  []string
		emails   []string
		phones   []string
		unusable string // method
	}{
		{said: values{}},
		{said: values{emails: []string{" alice@example.com "}}, emails: []string{"alice@example.com"}},
		{said: values{emails: []string{"", "  "}, phones: []string{""}}},
		{said: values{emails: []string{"alice"}}, unusable: "email"},
		{said: values{emails: []string{"Alice <alice@example.com>"}}, unusable: "email"},
		{said: values{emails: []string{"alice@example.com\r\nBcc: eve@example.com"}}, unusable: "email"},
		{said: values{emails: []string{"alice", "alice@example.com"}}, emails: []string{"alice@example.com"}},
		{said: values{phones: []string{"+1 415 555-2671"}}, phones: []string{"+14155552671"}},
		{said: values{phones: []string{"+1 (415) 555.2671"}}, phones: []string{"+14155552671"}},
		{said: values{phones: []string{"+1‑415–555−2671"}}, phones: []string{"+14155552671"}},
		{said: values{phones: []string{"+49 (0)1512 3456789"}}, phones: []string{"+4915123456789"}},
		{said: values{phones: []string{"+39 06 698 12345"}}, phones: []string{"+390669812345"}},
		{said: values{phones: []string{"0151 23456789"}}, unusable: "sms"},
		{said: values{phones: []string{"0049 151 23456789"}}, unusable: "sms"},
		{said: values{phones: []string{"(415) 555-2671"}}, unusable: "sms"},
		{said: values{phones: []string{"+1 415 555 2671 ext. 7"}}, unusable: "sms"},
		{said: values{phones: []string{"+1 900 555 1234"}}, unusable: "sms"},
		{said: values{phones: []string{"+1 415 555 2671"}}, regions: []string{"DE"}, unusable: "sms"},
		{said: values{phones: []string{"n/a", "+1 415 555 2671"}}, phones: []string{"+14155552671"}},
	} {
		d := &Directory{opts: Options{Regions: tc.regions}}
		got, err := d.shaped(tc.said)
		if err != nil || !slices.Equal(got.Emails, tc.emails) || !slices.Equal(got.Phones, tc.phones) {
			t.Errorf("%+v becomes %+v, %v", tc.said, got, err)
		}
		for _, m := range []mfa.Method{mfa.Email, mfa.SMS} {
			if (got.Unusable[m] != nil) != (string(m) == tc.unusable) {
				t.Errorf("%+v: unusable %v", tc.said, got.Unusable)
			}
		}
		for _, err := range got.Unusable {
			if strings.Contains(err.Error(), "555 2671") || strings.Contains(err.Error(), "Bcc") {
				t.Errorf("the error repeats what is there: %v", err)
			}
		}
	}
}

// An answer is taken again for a moment, whichever it was.
func TestRecentAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &scripted{}
		d := over("ldap", s, Options{Log: slog.New(slog.DiscardHandler), Now: time.Now})
		defer d.Close()
		for _, says := range []struct {
			values values
			err    error
		}{{values{emails: []string{"a@example.com"}}, nil}, {values{}, nil}, {values{}, account.ErrTwoEntries}} {
			s.is(says.values, says.err)
			before := s.asked
			for range 3 {
				f, err := d.Look(t.Context(), alice)
				if !errors.Is(err, says.err) || !slices.Equal(f.Emails, says.values.emails) {
					t.Fatalf("found %+v, %v", f, err)
				}
				time.Sleep(recent / 4)
			}
			if s.asked != before+1 {
				t.Errorf("asked %d times", s.asked-before)
			}
			time.Sleep(recent)
		}
	})
}

// A directory that is down is not asked for each user.
func TestDownForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &scripted{err: down{errors.New("connection refused")}}
		d := over("ldap", s, Options{Log: slog.New(slog.DiscardHandler), Now: time.Now})
		defer d.Close()
		for _, name := range []string{"alice", "bob", "carol"} {
			if _, err := d.Look(t.Context(), mfa.Identity{Name: name}); !errors.Is(err, errDown) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if s.asked != 1 {
			t.Errorf("asked %d times", s.asked)
		}
		time.Sleep(recent)
		s.is(values{emails: []string{"a@example.com"}}, nil)
		if _, err := d.Look(t.Context(), mfa.Identity{Name: "bob"}); err != nil {
			t.Error(err)
		}
	})
}

// A caller that waits no longer does not end the look-up: the next one has its answer. One that
// never comes ends by itself, and all who ask meanwhile share it.
func TestSlowAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &scripted{says: values{emails: []string{"a@example.com"}}, hold: make(chan struct{})}
		d := over("ldap", s, Options{Log: slog.New(slog.DiscardHandler), Now: time.Now})
		defer d.Close()
		short, cancel := context.WithTimeoutCause(t.Context(), time.Second, errors.New("no answer within 1s"))
		defer cancel()
		if _, err := d.Look(short, alice); err == nil || !strings.Contains(err.Error(), "within 1s") {
			t.Errorf("after a second: %v", err)
		}
		close(s.hold)
		if f, err := d.Look(t.Context(), alice); err != nil || len(f.Emails) != 1 || s.asked != 1 {
			t.Errorf("found %+v, %v, asked %d times", f, err, s.asked)
		}
		s.mu.Lock()
		s.hold = make(chan struct{})
		s.mu.Unlock()
		time.Sleep(recent)
		began := time.Now()
		if _, err := d.Look(t.Context(), alice); !errors.Is(err, errDown) || time.Since(began) != lookTime {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
	})
}

func TestAnswersAreBounded(t *testing.T) {
	d := directoryOver(t, &scripted{})
	for i := range maxRecent + 100 {
		if _, err := d.Look(t.Context(), mfa.Identity{Name: "user", UID: uint32(i)}); err != nil {
			t.Fatal(err)
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.said) > maxRecent {
		t.Errorf("%d answers are kept", len(d.said))
	}
}

func TestNewRefuses(t *testing.T) {
	ldap := account.LDAPConfig{URLs: []string{"ldaps://ldap.example.com"}, StartTLS: true, Base: "dc=example", Filter: "(uid={{.User}})", Email: "mail"}
	with := func(change func(c *account.LDAPConfig)) account.ContactsConfig {
		c := ldap
		change(&c)
		return account.ContactsConfig{Source: "ldap", LDAP: c}
	}
	command := func(path string, args ...string) account.ContactsConfig {
		return account.ContactsConfig{Source: "command", Command: account.ContactsCommandConfig{Path: path, Args: args}}
	}
	for _, tc := range []struct {
		cfg  account.ContactsConfig
		want string
	}{
		{account.ContactsConfig{}, ""},
		{account.ContactsConfig{Source: "userdb"}, ""},
		{with(func(*account.LDAPConfig) {}), ""},
		{with(func(c *account.LDAPConfig) { c.URLs = []string{"ldap://[::1]:3890"}; c.StartTLS = false }), ""},
		{with(func(c *account.LDAPConfig) { c.URLs = []string{"ldap://ldap.example.com"}; c.StartTLS = false }), "contacts.ldap.urls"},
		{with(func(c *account.LDAPConfig) { c.URLs = []string{"ldap.example.com"} }), "contacts.ldap.urls"},
		{with(func(c *account.LDAPConfig) { c.URLs = []string{"http://ldap.example.com"} }), "contacts.ldap.urls"},
		{with(func(c *account.LDAPConfig) { c.URLs = []string{"ldaps://u:p@ldap.example.com"} }), "contacts.ldap.urls"},
		{with(func(c *account.LDAPConfig) { c.URLs = []string{"ldaps:///dc=example"} }), "contacts.ldap.urls"},
		{with(func(c *account.LDAPConfig) { c.CAFile = "/dev/null" }), "contacts.ldap.ca_file"},
		{with(func(c *account.LDAPConfig) { c.CAFile = "/nowhere" }), "contacts.ldap.ca_file"},
		{with(func(c *account.LDAPConfig) { c.BindDN, c.PasswordFile = "cn=mfa", "/nowhere" }), "contacts.ldap.password_file"},
		{with(func(c *account.LDAPConfig) { c.Filter = "(uid=alice)" }), "contacts.ldap.filter"},
		{with(func(c *account.LDAPConfig) { c.Filter = "(uid={{.Name}})" }), "contacts.ldap.filter"},
		{with(func(c *account.LDAPConfig) { c.Filter = "uid={{.User}})" }), "contacts.ldap.filter"},
		{with(func(c *account.LDAPConfig) { c.Filter = "(uid={{.User" }), "contacts.ldap.filter"},
		{command("/bin/echo"), ""},
		{command("/bin/echo", "--id", "{{.UID}}"), ""},
		{command("echo"), "contacts.command.path"},
		{command("/bin/echo", "alice"), "contacts.command.args"},
		{command("/bin/echo", "{{.Home}}"), "contacts.command.args"},
		{account.ContactsConfig{Source: "nis"}, "contacts.source"},
	} {
		d, err := New(tc.cfg, Options{Log: slog.New(slog.DiscardHandler), Now: time.Now})
		if (err == nil) != (tc.want == "") || err != nil && !strings.HasPrefix(err.Error(), tc.want+": ") {
			t.Errorf("%+v: %v, want %q", tc.cfg, err, tc.want)
		}
		if d != nil {
			d.Close()
		}
	}
}
