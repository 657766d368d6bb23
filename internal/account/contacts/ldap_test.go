package contacts

import (
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mfa/internal/account"
	"mfa/internal/account/contacts/contactstest"
	"mfa/internal/mfa"
)

// asked returns what a directory says of id under a configuration.
func asked(t *testing.T, cfg account.LDAPConfig, id mfa.Identity) (values, error) {
	t.Helper()
	s, err := newLDAP(cfg, Options{Log: slog.New(slog.DiscardHandler), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	return s.look(t.Context(), id)
}

// settingsFor returns what a configuration of the server says.
func settingsFor(s *contactstest.Slapd) account.LDAPConfig {
	return account.LDAPConfig{
		URLs: []string{s.TLSURL()}, StartTLS: true, CAFile: s.CAFile, Base: contactstest.Suffix, Filter: "(uid={{.User}})",
		Email: "mail", Phone: "mobile", Timeout: mfa.Duration(3 * time.Second),
	}
}

func password(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(name, []byte(text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestLDAP(t *testing.T) {
	s := contactstest.StartSlapd(t)
	s.Add(t, contactstest.People, "alice", map[string][]string{"mail": {"alice@example.com"}, "mobile": {"+1 415 555 2671"}, "pager": {"+1 415 555 0000"}})
	s.Add(t, contactstest.People, "bare", nil)
	s.Add(t, contactstest.People, "twin", map[string][]string{"mail": {"twin@example.com"}})
	s.Add(t, contactstest.Others, "twin", map[string][]string{"mail": {"other@example.com"}})
	s.Add(t, contactstest.People, "many", map[string][]string{"mail": {"m1@example.com", "m2@example.com"}})
	s.Add(t, contactstest.People, `odd*(name)\`, map[string][]string{"mail": {"odd@example.com"}})
	s.Add(t, contactstest.People, "Case", map[string][]string{"mail": {"eve@example.com"}})
	s.Add(t, contactstest.People, "Number", map[string][]string{"mail": {"number@example.com"}, "uidNumber": {"1000"}})
	s.Add(t, contactstest.People, "Other", map[string][]string{"mail": {"eve@example.com"}, "uidNumber": {"1001"}})
	for name, tc := range map[string]struct {
		change func(c *account.LDAPConfig)
		user   string
		want   values
		err    string
	}{
		"by TLS":      {user: "alice", want: values{[]string{"alice@example.com"}, []string{"+1 415 555 2671"}}},
		"by STARTTLS": {change: func(c *account.LDAPConfig) { c.URLs = []string{s.URL()} }, user: "alice", want: values{[]string{"alice@example.com"}, []string{"+1 415 555 2671"}}},
		"in clear":    {change: func(c *account.LDAPConfig) { c.URLs, c.StartTLS = []string{s.URL()}, false }, user: "alice", want: values{[]string{"alice@example.com"}, []string{"+1 415 555 2671"}}},
		"bound": {change: func(c *account.LDAPConfig) {
			c.BindDN, c.PasswordFile = contactstest.Reader, password(t, contactstest.ReaderPassword)
		}, user: "alice", want: values{[]string{"alice@example.com"}, []string{"+1 415 555 2671"}}},
		"other attributes": {change: func(c *account.LDAPConfig) { c.Email, c.Phone = "", "Pager" }, user: "alice", want: values{nil, []string{"+1 415 555 0000"}}},
		"another filter":   {change: func(c *account.LDAPConfig) { c.Filter = "(&(objectClass=inetOrgPerson)(cn={{.User}})(!(sn={{.UID}})))" }, user: "alice", want: values{[]string{"alice@example.com"}, []string{"+1 415 555 2671"}}},
		"another base":     {change: func(c *account.LDAPConfig) { c.Base = contactstest.Others }, user: "twin", want: values{[]string{"other@example.com"}, nil}},
		"the next server":  {change: func(c *account.LDAPConfig) { c.URLs = []string{"ldaps://127.0.0.1:1", s.TLSURL()} }, user: "alice", want: values{[]string{"alice@example.com"}, []string{"+1 415 555 2671"}}},

		"no such user":   {user: "nobody"},
		"neither":        {user: "bare"},
		"a pattern":      {user: "*"},
		"an injection":   {user: "x)(uid=alice"},
		"odd name":       {user: `odd*(name)\`, want: values{[]string{"odd@example.com"}, nil}},
		"another case":   {user: "case", err: "letters of another case"},
		"and its number": {user: "number", want: values{[]string{"number@example.com"}, nil}},
		"and another's":  {user: "other", err: "letters of another case"},
		"its own case":   {user: "Case", want: values{[]string{"eve@example.com"}, nil}},
		"by its number":  {change: func(c *account.LDAPConfig) { c.Filter = "(&(uid={{.User}})(uidNumber={{.UID}}))" }, user: "other"},
		"several values": {user: "many", want: values{[]string{"m1@example.com", "m2@example.com"}, nil}},
		"two entries":    {user: "twin", err: account.ErrTwoEntries.Error()},
		"down":           {change: func(c *account.LDAPConfig) { c.URLs = []string{"ldaps://127.0.0.1:1"} }, user: "alice", err: "connection refused"},
		"wrong password": {change: func(c *account.LDAPConfig) {
			c.BindDN, c.PasswordFile = contactstest.Reader, password(t, "Wr0ng-secret")
		}, user: "alice", err: "Invalid Credentials"},
		"another name": {change: func(c *account.LDAPConfig) {
			c.URLs = []string{strings.Replace(s.TLSURL(), "127.0.0.1", "localhost", 1)}
		}, user: "alice", err: "certificate is not valid for"},
		"by STARTTLS too":                  {change: func(c *account.LDAPConfig) { c.URLs = []string{strings.Replace(s.URL(), "127.0.0.1", "localhost", 1)} }, user: "alice", err: "certificate is not valid for"},
		"an authority that is not trusted": {change: func(c *account.LDAPConfig) { c.CAFile = "" }, user: "alice", err: "unknown authority"},
		"no such base":                     {change: func(c *account.LDAPConfig) { c.Base = "dc=nowhere" }, user: "alice", err: "No Such Object"},
		"no LDAP":                          {change: func(c *account.LDAPConfig) { c.URLs = []string{"ldaps" + strings.TrimPrefix(s.URL(), "ldap")} }, user: "alice", err: "TLS"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := settingsFor(s)
			if tc.change != nil {
				tc.change(&cfg)
			}
			got, err := asked(t, cfg, mfa.Identity{Name: tc.user, UID: 1000})
			if (err != nil) != (tc.err != "") || err != nil && !strings.Contains(err.Error(), tc.err) {
				t.Fatalf("error %v, want %q", err, tc.err)
			}
			slices.Sort(got.emails)
			if !slices.Equal(got.emails, tc.want.emails) || !slices.Equal(got.phones, tc.want.phones) {
				t.Errorf("found %+v, want %+v", got, tc.want)
			}
			if err != nil && (strings.Contains(err.Error(), "Wr0ng") || strings.ContainsAny(err.Error(), "\n\x00")) {
				t.Errorf("the error says too much: %q", err)
			}
		})
	}
}

// A server that takes the connection and says nothing ends in its time, whatever the
// connection begins with; the next one is asked, and the next time first.
func TestLDAPHolds(t *testing.T) {
	s := contactstest.StartSlapd(t)
	s.Add(t, contactstest.People, "alice", map[string][]string{"mail": {"alice@example.com"}})
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	for _, scheme := range []string{"ldap://", "ldaps://"} {
		cfg := settingsFor(s)
		cfg.Timeout = mfa.Duration(time.Second)
		cfg.URLs = []string{scheme + silent.Addr().String()}
		if _, err := asked(t, cfg, alice); !errors.Is(err, errDown) || !strings.Contains(err.Error(), "contacts.ldap.timeout") {
			t.Errorf("%s alone: %v", scheme, err)
		}
		cfg.URLs = append(cfg.URLs, s.TLSURL())
		source, err := newLDAP(cfg, Options{Log: slog.New(slog.DiscardHandler), Now: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		if v, err := source.look(t.Context(), alice); err != nil || len(v.emails) != 1 {
			t.Errorf("%s and another: %+v, %v", scheme, v, err)
		}
		if first := source.order(time.Now())[0]; !strings.HasSuffix(s.TLSURL(), first.address) {
			t.Errorf("%s is asked first again", first.address)
		}
	}
}
