package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"mfa/internal/account/contacts/contactstest"
)

// A login that waits for the directory says so.
const (
	directoryDown  = "it cannot be asked now"
	directoryTwice = "more than one entry for you"
)

// byLDAP makes a site whose codes go where an OpenLDAP server of its own says, and starts
// what a login needs.
func byLDAP(t *testing.T, settings ...string) (*site, *contactstest.Slapd) {
	t.Helper()
	d := contactstest.StartSlapd(t)
	s := newSite(t)
	s.askLDAP(d)
	s.set(settings...)
	s.run()
	return s, d
}

// askLDAP has the site ask a server, as a user of its own, by TLS.
func (s *site) askLDAP(d *contactstest.Slapd) {
	s.t.Helper()
	ok(s.t, os.WriteFile(s.path("ldap-password"), []byte(contactstest.ReaderPassword+"\n"), 0o600))
	s.set(
		`contacts.source = "ldap"`, "contacts.confirmed = true", `policy.methods = ["totp", "email", "sms", "backup"]`,
		fmt.Sprintf("contacts.ldap.urls = [%q]", d.TLSURL()), "contacts.ldap.ca_file = "+quoted(d.CAFile),
		"contacts.ldap.base = "+quoted(contactstest.Suffix), "contacts.ldap.bind_dn = "+quoted(contactstest.Reader),
		"contacts.ldap.password_file = "+quoted(s.path("ldap-password")), `contacts.ldap.timeout = "2s"`,
	)
}

// listed makes a user whom the directory has, with an address.
func listed(t *testing.T, d *contactstest.Slapd, name string) account {
	t.Helper()
	a := newAccount(t, name)
	d.Add(t, contactstest.People, a.name, map[string][]string{"mail": {a.email}})
	return a
}

// withApp gives a user an app, as an administrator does.
func (s *site) withApp(a account) phone {
	s.t.Helper()
	out := s.mustControl("enroll", a.name, "--totp")
	return phoneOf(s.t, regexp.MustCompile(`otpauth://\S+`).FindString(out))
}

// expectDirectory ends the test unless the last login of a was refused for the sake of the
// directory, as a and the log see it.
func (s *site) expectDirectory(a account, told string, logged ...string) {
	s.t.Helper()
	from := s.log.len()
	expectSaid(s.t, unwrapped(s.expectDenied(a)), told)
	expectSaid(s.t, s.lastReason(a.name), append([]string{"unavailable: directory look-up failed"}, logged...)...)
	awaitSaid(s.t, s.log, from, append([]string{"directory look-up failed", "user=" + a.name}, logged...)...)
	s.expectLetters(a, 0)
	for _, text := range []string{s.log.String(), s.auditText()} {
		for _, secret := range []string{contactstest.ReaderPassword, a.email} {
			if strings.Contains(text, secret) {
				s.t.Errorf("%q is in the log:\n%s", secret, text)
			}
		}
	}
}

func TestDirectoryHasTheAddress(t *testing.T) {
	for name, change := range map[string]func(d *contactstest.Slapd) []string{
		"by TLS": func(*contactstest.Slapd) []string { return nil },
		"by STARTTLS": func(d *contactstest.Slapd) []string {
			return []string{fmt.Sprintf("contacts.ldap.urls = [%q]", d.URL())}
		},
		"anonymous": func(*contactstest.Slapd) []string {
			return []string{`contacts.ldap.bind_dn = ""`, `contacts.ldap.password_file = ""`}
		},
		"the second server": func(d *contactstest.Slapd) []string {
			return []string{fmt.Sprintf("contacts.ldap.urls = [%q, %q]", "ldaps://127.0.0.1:1", d.TLSURL())}
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := contactstest.StartSlapd(t)
			s := newSite(t)
			s.askLDAP(d)
			s.set(change(d)...)
			s.run()
			alice := listed(t, d, "alice")
			s.login(alice, 1)
			if _, err := os.Stat(s.path("store/users/" + alice.name + ".toml")); err == nil {
				t.Error("a record was written")
			}
		})
	}
}

// Each of the programs tells of it, and none too much.
func TestDirectoryIsToldOf(t *testing.T) {
	s, d := byLDAP(t)
	alice := listed(t, d, "alice")
	before := s.mustControl("explain", alice.name)
	expectSaid(t, before, "a code is asked for: email", "email a***e@example.com (ldap, looked up just now)")
	s.login(alice, 1)
	expectSaid(t, s.mustControl("show", alice.name), "a***e@example.com", "by the directory (ldap)", "(ldap, looked up just now)")
	expectSaid(t, s.mustControl("show", alice.name, "--reveal"), alice.email)
	expectSaid(t, s.mustControl("users"), alice.name, "a***e@example.com (ldap, just now)")
	out, _ := s.control("doctor", "--config", s.path("mfa.toml"))
	expectSaid(t, out, "directory (ldap): answers; of 1 users it is remembered")
	if events := s.events(alice, "contacts.changed"); len(events) != 1 || events[0]["to"] != "a***e@example.com" || events[0]["method"] != "email" {
		t.Errorf("the audit file has %v", events)
	}
	bob := newAccount(t, "bob")
	if out, status := s.control("show", bob.name); status != 3 {
		t.Errorf("of whom nobody has anything: status %d, %s", status, out)
	}
	d.Stop(t)
	s.reload()
	out, status := s.control("doctor", "--config", s.path("mfa.toml"))
	if status == 0 {
		t.Error("doctor finds nothing wrong")
	}
	expectSaid(t, out, "connection refused", "contacts.keep")
	expectSaid(t, s.mustControl("show", alice.name), "a***e@example.com", "connection refused")
}

// A directory that is down locks out nobody of whom it is remembered what it said, and
// nobody who has an app; who has nothing else waits for it, and enrolls nothing meanwhile.
func TestDirectoryIsDown(t *testing.T) {
	s, d := byLDAP(t)
	alice, bob, carol := listed(t, d, "alice"), listed(t, d, "bob"), listed(t, d, "carol")
	s.login(alice, 1)
	app := s.withApp(carol)
	d.Stop(t)
	s.reload()
	from := s.log.len()
	c := s.begin(alice)
	if said := unwrapped(c.expect(t, codePrompt(alice))); !strings.Contains(said, "The directory cannot be asked now; it last answered ") {
		t.Errorf("the prompt says %q", said)
	}
	c.send(s.code(alice, 2))
	c.expectIn(t)
	awaitSaid(t, s.log, from, "the code goes where it said before", "user="+alice.name, "age=")

	s.reload()
	s.expectDirectory(bob, directoryDown, "connection refused")
	own := s.own(bob, "enroll")
	expectSaid(t, unwrapped(own.expectOut(t)), directoryDown)
	c = s.begin(carol)
	c.expect(t, `authenticator app[^\0]*Code[^\n]*: $`)
	c.send(app.code(t, time.Now()))
	c.expectIn(t)
	if x := s.explain(bob); x.Result != "unavailable" || !strings.Contains(x.Text, "directory look-up failed") {
		t.Errorf("explained as %+v", x)
	}

	d.Start(t)
	s.reload()
	s.login(bob, 1)
}

// Its word from before counts no longer than contacts.keep.
func TestDirectoryIsDownTooLong(t *testing.T) {
	d := contactstest.StartSlapd(t)
	alice := listed(t, d, "alice")
	s, clock := inProcess(t, `contacts.source = "ldap"`, "contacts.confirmed = true", `contacts.keep = "1d"`,
		fmt.Sprintf("contacts.ldap.urls = [%q]", d.TLSURL()), "contacts.ldap.ca_file = "+quoted(d.CAFile),
		"contacts.ldap.base = "+quoted(contactstest.Suffix))
	s.login(alice, 1)
	d.Stop(t)
	clock.pass(20 * time.Hour)
	s.login(alice, 2)
	clock.pass(5 * time.Hour)
	expectSaid(t, unwrapped(s.expectDenied(alice)), directoryDown)
}

// One that takes the connection and says nothing holds up nobody for long.
func TestDirectoryHolds(t *testing.T) {
	s, d := byLDAP(t)
	p := contactstest.StartProxy(t, d.Port)
	s.set(fmt.Sprintf("contacts.ldap.urls = [%q]", p.URL()))
	s.reload()
	alice, bob, carol := listed(t, d, "alice"), listed(t, d, "bob"), listed(t, d, "carol")
	s.login(alice, 1)
	app := s.withApp(carol)
	p.Hold(true)
	s.reload()
	s.expectDirectory(bob, directoryDown, "not done within contacts.ldap.timeout")
	s.reload()
	c := s.begin(carol)
	c.expect(t, `authenticator app[^\0]*Code[^\n]*: $`)
	c.send(app.code(t, time.Now()))
	c.expectIn(t)
	s.login(alice, 2)
	p.Hold(false)
	s.reload()
	s.login(bob, 1)
}

// Each of what can be wrong with it, and what the user and the log see.
func TestDirectoryIsWrong(t *testing.T) {
	d := contactstest.StartSlapd(t)
	other := contactstest.StartSlapd(t, "ldap.example.com")
	wrong := filepath.Join(t.TempDir(), "password")
	ok(t, os.WriteFile(wrong, []byte("Wr0ng-of-the-reader\n"), 0o600))
	for name, tc := range map[string]struct {
		settings []string
		logged   string
	}{
		"wrong password": {[]string{"contacts.ldap.password_file = " + quoted(wrong)}, "Invalid Credentials"},
		"certificate of another name": {[]string{
			fmt.Sprintf("contacts.ldap.urls = [%q]", other.TLSURL()), "contacts.ldap.ca_file = " + quoted(other.CAFile),
		}, "certificate"},
		"by STARTTLS, too": {[]string{
			fmt.Sprintf("contacts.ldap.urls = [%q]", other.URL()), "contacts.ldap.ca_file = " + quoted(other.CAFile),
		}, "certificate"},
		"an authority that is not trusted": {[]string{"contacts.ldap.ca_file = " + quoted(other.CAFile)}, "certificate signed by unknown authority"},
		"no such base":                     {[]string{`contacts.ldap.base = "dc=nowhere"`}, "No Such Object"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.askLDAP(d)
			s.set(tc.settings...)
			s.run()
			alice := listed(t, d, "alice")
			s.expectDirectory(alice, directoryDown, tc.logged)
			out, status := s.control("doctor", "--config", s.path("mfa.toml"))
			if status == 0 {
				t.Error("doctor finds nothing wrong")
			}
			expectSaid(t, out, "directory (ldap)", tc.logged)
			if text := out + s.log.String(); strings.Contains(text, "Wr0ng-of-the-reader") {
				t.Error("the password is in what is said")
			}
		})
	}
}

func TestDirectoryHasTwoEntries(t *testing.T) {
	s, d := byLDAP(t)
	alice := listed(t, d, "alice")
	d.Add(t, contactstest.Others, alice.name, map[string][]string{"mail": {"other@example.com"}})
	s.expectDirectory(alice, directoryTwice, "more than one entry")
	if found, err := s.letters("other@example.com"); err != nil || len(found) > 0 {
		t.Errorf("%d mails to the other, %v", len(found), err)
	}
}

// No mobile: who can be sent nothing else sets up what policy offers; a number that is not
// one is no "none".
func TestDirectoryHasNoMobile(t *testing.T) {
	settings, tw := byTwilio(t)
	s, d := byLDAP(t, append(settings, `policy.methods = ["sms"]`)...)
	alice, bob, carol := listed(t, d, "alice"), newAccount(t, "bob"), newAccount(t, "carol")
	d.Add(t, contactstest.People, bob.name, map[string][]string{"mobile": {"0151 23456789"}})
	d.Add(t, contactstest.People, carol.name, map[string][]string{"mobile": {"+1 (415) 555-2671"}})
	c := s.begin(alice)
	c.expect(t, phonePrompt)
	c.close()
	s.expectDirectory(bob, "nothing for you that a code can be sent to", "Begin the number with + and the country code")
	c = s.begin(carol)
	c.expect(t, regexp.QuoteMeta(maskedNumber)+`[^\0]*`+endOfCode)
	c.send(texted(t, tw, 1))
	c.expectIn(t)
	if to := tw.Texts()[0].To; to != number {
		t.Errorf("sent to %s", to)
	}
}

// An address that changes there counts at the next login, and is told at the one before.
func TestDirectoryChanges(t *testing.T) {
	s, d := byLDAP(t)
	alice := listed(t, d, "alice")
	s.login(alice, 1)
	d.Set(t, alice.name, "mail", "other@example.org")
	s.reload()
	moved := alice
	moved.email = "other@example.org"
	c := s.begin(alice)
	c.expect(t, `o\*\*\*r@example\.org[^\0]*Code[^\n]*: $`)
	code, err := s.waitCode(moved.email, 1)
	ok(t, err)
	c.send(code)
	c.expectIn(t)
	eventually(t, "a notice to the old address", func() bool {
		found, err := s.letters(alice.email)
		ok(t, err)
		return len(found) == 2 && strings.Contains(unwrapped(found[1].body), "directory has another address")
	})
	if events := s.events(alice, "contacts.changed"); len(events) != 2 || !strings.Contains(fmt.Sprint(events[1]["reason"]), "before: a***e@example.com") {
		t.Errorf("the audit file has %v", events)
	}
}

// An address that does not count as confirmed is offered, and becomes the user's own by a code.
func TestDirectoryIsOfferedInEnrolling(t *testing.T) {
	s, d := byLDAP(t, "contacts.confirmed = false", "policy.self_contacts = false", `policy.methods = ["email", "backup"]`)
	alice := listed(t, d, "alice")
	c := s.begin(alice)
	if said := unwrapped(c.expect(t, emailPrompt)); !strings.Contains(said, "a***e@example.com") || strings.Contains(said, alice.email) {
		t.Errorf("it offers %q", said)
	}
	c.send("eve@example.org")
	expectSaid(t, unwrapped(c.expect(t, emailPrompt)), "Only a***e@example.com")
	c.send("")
	c.expect(t, codePrompt(alice))
	c.send(s.code(alice, 1))
	c.keep(t)
	c.expectIn(t)
	d.Stop(t)
	s.reload()
	s.login(alice, 2) // the directory is not needed any more
	expectSaid(t, s.mustControl("show", alice.name), "a***e@example.com")
}

// contacts.prefer says whose address counts.
func TestDirectoryOrTheUser(t *testing.T) {
	s, d := byLDAP(t)
	alice := newAccount(t, "alice")
	d.Add(t, contactstest.People, alice.name, map[string][]string{"mail": {"theirs@example.com"}})
	s.mustControl("enroll", alice.name, "--email", alice.email, "--no-message")
	s.login(alice, 1)
	s.set(`contacts.prefer = "directory"`)
	s.reload()
	c := s.begin(alice)
	c.expect(t, `t\*\*\*s@example\.com[^\0]*Code[^\n]*: $`)
	code, err := s.waitCode("theirs@example.com", 1)
	ok(t, err)
	c.send(code)
	c.expectIn(t)
}

// Backup codes for who has no record but the directory's, and the choice to have none.
func TestDirectoryAndWhatUsersDo(t *testing.T) {
	s, d := byLDAP(t, `policy.mode = "optional"`, "policy.opt_out = true")
	alice, bob := listed(t, d, "alice"), listed(t, d, "bob")
	c := s.own(alice, "backup-codes")
	c.expect(t, codePrompt(alice))
	c.send(s.code(alice, 1))
	said := c.expectStatus(t, 0)
	codes := backupLine.FindAllString(said, -1)
	if len(codes) == 0 {
		t.Fatalf("no backup codes: %q", said)
	}
	s.good(alice, codes[0])
	c = s.own(bob, "opt-out")
	c.expect(t, codePrompt(bob))
	c.send(s.code(bob, 1))
	c.expectStatus(t, 0)
	s.begin(bob).expectIn(t)
	s.mustControl("reset", "--yes", bob.name)
	s.login(bob, 2)
}

// systemd's user records and a program, in the place of LDAP.
func TestDirectoryOfOtherKinds(t *testing.T) {
	alice, bob := newAccount(t, "alice"), newAccount(t, "bob")
	ok(t, os.MkdirAll("/run/userdb", 0o755))
	record := fmt.Sprintf(`{"userName":%q,"uid":%d,"emailAddress":%q}`, alice.name, alice.uid, alice.email)
	ok(t, os.WriteFile("/run/userdb/"+alice.name+".user", []byte(record), 0o644))
	program := filepath.Join(base, "contacts")
	ok(t, os.WriteFile(program, fmt.Appendf(nil, "#!/bin/sh\n[ \"$1\" = %s ] && echo email=%s\n[ \"$1\" != %s ]\n", alice.name, alice.email, bob.name), 0o755))
	for source, settings := range map[string][]string{
		"userdb":  {`contacts.source = "userdb"`},
		"command": {`contacts.source = "command"`, "contacts.command.path = " + quoted(program)},
	} {
		t.Run(source, func(t *testing.T) {
			s := newSite(t)
			s.set(append(settings, "contacts.confirmed = true", `policy.methods = ["email"]`)...)
			s.run()
			s.login(alice, 1)
			expectSaid(t, s.mustControl("show", alice.name), "by the directory ("+source+")")
			out, _ := s.control("doctor", "--config", s.path("mfa.toml"))
			expectSaid(t, out, "directory ("+source+"): answers")
			c := s.begin(bob)
			if source == "command" { // it fails for bob, which is no "has none"
				expectSaid(t, unwrapped(c.expectOut(t)), directoryDown)
				expectSaid(t, s.lastReason(bob.name), "exit status 1")
				return
			}
			c.expect(t, emailPrompt)
			c.close()
		})
	}
}

// The user records of systemd, as systemd-userdbd hands them out: it merges those of folders
// with the accounts of NSS. A record of another uid is of another account, and a userdbd
// that is gone is no "has none".
func TestDirectoryOfUserdbd(t *testing.T) {
	alice, bob, carol := newAccount(t, "alice"), newAccount(t, "bob"), newAccount(t, "carol")
	ok(t, os.MkdirAll("/run/userdb", 0o755))
	record := func(a account, uid int, email string) {
		t.Helper()
		text := fmt.Sprintf(`{"userName":%q,"uid":%d,"gid":%[2]d,"disposition":"regular","emailAddress":%q}`, a.name, uid, email)
		ok(t, os.WriteFile("/run/userdb/"+a.name+".user", []byte(text), 0o644))
		ok(t, os.Symlink(a.name+".user", fmt.Sprintf("/run/userdb/%d.user", uid)))
	}
	record(alice, alice.uid, alice.email)
	record(carol, carol.uid+5000, "eve@example.com")
	ok(t, os.MkdirAll("/run/systemd/userdb", 0o755))
	t.Cleanup(func() { // a socket that nobody listens on is an error to libnss-systemd, for each name it is asked for
		for _, dir := range []string{"/run/systemd/userdb", "/run/userdb"} {
			ok(t, os.RemoveAll(dir))
		}
	})
	_, stop := service(t, exec.Command("/usr/lib/systemd/systemd-userdbd"))
	eventually(t, "systemd-userdbd listens", func() bool {
		c, err := net.Dial("unix", "/run/systemd/userdb/io.systemd.Multiplexer")
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
	s := newSite(t)
	s.set(`contacts.source = "userdb"`, "contacts.confirmed = true", `policy.methods = ["email"]`)
	s.run()
	s.login(alice, 1)
	expectSaid(t, s.mustControl("show", alice.name), "by the directory (userdb)")
	c := s.begin(bob) // who has a record without an address
	c.expect(t, emailPrompt)
	c.close()
	expectSaid(t, unwrapped(s.expectDenied(carol)), directoryDown)
	expectSaid(t, s.lastReason(carol.name), "of another account")
	s.expectLetters(carol, 0)

	_ = stop(syscall.SIGTERM)
	dave := newAccount(t, "dave")
	expectSaid(t, unwrapped(s.expectDenied(dave)), directoryDown)
	s.login(alice, 2) // who is remembered
}

// Nobody is asked for whom nothing depends on it.
func TestDirectoryIsNotAskedForNothing(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ok(t, err)
	defer l.Close()
	connected := make(chan struct{}, 100)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			connected <- struct{}{}
			_ = c.Close()
		}
	}()
	s := newSite(t)
	s.set(`contacts.source = "ldap"`, "contacts.confirmed = true", `policy.methods = ["email", "backup"]`, `contacts.ldap.base = "dc=example,dc=com"`,
		fmt.Sprintf("contacts.ldap.urls = [%q]", "ldaps://"+l.Addr().String()))
	s.run()
	alice := s.newUser("alice")
	s.login(alice, 1)
	s.mustControl("lock", alice.name)
	expectSaid(t, s.expectDenied(alice), "locked")
	if len(connected) > 0 {
		t.Error("it was asked")
	}
	bob := newAccount(t, "bob")
	expectSaid(t, unwrapped(s.expectDenied(bob)), directoryDown)
	if len(connected) == 0 {
		t.Error("it was not asked of who has nothing: the test would see nothing")
	}
}
