package login

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"mfa/internal/account"
	"mfa/internal/mfa"
	"mfa/internal/wire"
)

// A fakeDirectory is a directory that says what a test wants.
type fakeDirectory struct {
	now func() time.Time

	mu    sync.Mutex // guards what follows
	of    map[string]account.Found
	err   error
	asked []string
}

func (r *fakeDirectory) Look(_ context.Context, id mfa.Identity) (account.Found, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked = append(r.asked, id.Name)
	f := r.of[id.Name]
	f.At = r.now()
	return f, r.err
}

func (r *fakeDirectory) is(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = err
}

func (r *fakeDirectory) says(user string, f account.Found) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.of[user] = f
}

// looked returns who was looked up since the last call.
func (r *fakeDirectory) looked() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	asked := r.asked
	r.asked = nil
	return asked
}

var errRegister = errors.New("connection refused")

// withFakeDirectory returns a harness with a directory that has bob's address. What it has counts
// as confirmed.
func withFakeDirectory(t *testing.T, change ...func(*settings)) (*harness, *fakeDirectory) {
	t.Helper()
	r := &fakeDirectory{of: map[string]account.Found{"bob": {Emails: []string{"bob@example.com"}}}}
	d := newHarness(t, append([]func(*settings){func(s *settings) {
		s.directory = r
		s.keeping.Contacts = account.ContactsConfig{Source: "ldap", Confirmed: true, Prefer: account.PreferUser, Keep: mfa.Duration(7 * 24 * time.Hour)}
		s.policy.Policy.EnrollAtLogin, s.policy.Policy.SelfContacts = true, true
	}}, change...)...)
	r.now = d.clock
	return d, r
}

// noRecord ends the test if there is an enrollment of bob.
func (d *harness) noRecord() {
	d.t.Helper()
	if en, err := d.accounts.Records().Enrollment(d.t.Context(), "bob"); err == nil {
		d.t.Errorf("a record was written: %+v", en)
	}
}

func TestDirectorySaysWhereCodesGo(t *testing.T) {
	d, r := withFakeDirectory(t)
	d.login(request("bob"), mfa.Accepted, step{"sent to b***b@example.com", d.code, nil})
	d.noRecord()
	if to := d.mails[0].To; to != "bob@example.com" {
		t.Errorf("sent to %s", to)
	}
	if got := d.state("bob").Contacts; got == nil || got.Email != "bob@example.com" || got.Source != "ldap" || !got.At.Equal(start) {
		t.Errorf("remembered %+v", got)
	}
	if r.looked(); d.audited("contacts.changed") != 1 {
		t.Error("what the directory says is not in the audit file")
	}
	d.login(request("alice"), mfa.Accepted, d.withCode())
	if asked := r.looked(); len(asked) > 0 {
		t.Errorf("looked up for who has an address: %v", asked)
	}
}

// A directory that is down locks nobody out of whom it is remembered what it said, for so
// long; never is it taken for one that has nothing.
func TestDirectoryDown(t *testing.T) {
	for _, failure := range []error{errRegister, account.ErrTwoEntries} {
		d, r := withFakeDirectory(t)
		d.login(request("bob"), mfa.Accepted, d.withCode())
		r.is(failure)
		d.advance(3 * 24 * time.Hour)
		d.login(request("bob"), mfa.Accepted, step{"it last answered 3 days", d.code, nil})
		d.advance(5 * 24 * time.Hour)
		want := "cannot be asked now"
		if errors.Is(failure, account.ErrTwoEntries) {
			want = "more than one entry"
		}
		d.login(request("bob"), mfa.Unavailable, step{want: want})
		r.is(nil)
		d.login(request("bob"), mfa.Accepted, d.withCode())
		d.noRecord()
	}
}

func TestDirectoryDownForWhoWasNeverSeen(t *testing.T) {
	for name, mode := range map[string]func(*settings){
		"required":           func(*settings) {},
		"required, no lead":  func(s *settings) { s.policy.Policy.EnrollAtLogin = false },
		"optional":           func(s *settings) { s.policy.Policy.Mode = ModeOptional },
		"optional, opt out":  func(s *settings) { s.policy.Policy.Mode, s.policy.Policy.OptOut = ModeOptional, true },
		"nothing remembered": func(s *settings) { s.keeping.Contacts.Keep = 0 },
	} {
		t.Run(name, func(t *testing.T) {
			d, r := withFakeDirectory(t, mode)
			r.is(errRegister)
			d.login(request("bob"), mfa.Unavailable, step{want: "cannot be asked now"})
			c := d.engine.Converse(mfa.Identity{Name: "bob", UID: 1001}, mfa.Origin{Service: "mfactl", Address: "local", UID: 1001}, &script{t: t, steps: []step{{want: "cannot be asked now"}}})
			if v, _ := d.engine.Prove(t.Context(), c); v.Outcome != mfa.Unavailable {
				t.Errorf("bob may change what he has: %+v", v)
			}
			x := d.engine.Explain(t.Context(), wire.Visit{User: "bob", Service: "sshd"})
			if x.Result != wire.ResultUnavailable || !strings.Contains(strings.Join(x.Problems, " "), "connection refused") {
				t.Errorf("explained as %+v", x)
			}
			if d.mailCount() > 0 || d.state("bob").Contacts != nil {
				t.Error("something was sent or remembered")
			}
		})
	}
}

// Other methods go on while the directory is down.
func TestDirectoryDownAndAnApp(t *testing.T) {
	d, r := withFakeDirectory(t)
	d.enroll("bob", mfa.Enrollment{UID: 1001, TOTP: &mfa.TOTPSecret{
		Secret: d.accounts.SealTOTP(mfa.Identity{Name: "bob", UID: 1001}, []byte("12345678901234567890")), Algorithm: "SHA1", Digits: 6, Period: mfa.Duration(30 * time.Second),
	}})
	r.is(errRegister)
	d.login(request("bob"), mfa.WrongCode, wrong("authenticator app"), step{want: "", err: mfa.ErrNoConversation})
	r.is(nil)
	d.login(request("bob"), mfa.WrongCode, wrong("authenticator app"), step{want: "", answer: say("m")},
		step{"Code by email to b***b@example.com", func() string { return "2" }, nil}, step{"sent to b***b@example.com", nil, mfa.ErrNoConversation})
}

func TestDirectoryThatHasNothing(t *testing.T) {
	d, r := withFakeDirectory(t, func(s *settings) { s.policy.Policy.Methods = []mfa.Method{mfa.Email} })
	r.says("bob", account.Found{})
	d.login(request("bob"), mfa.NoConversation, step{want: "A second factor is needed"}, step{"Where should codes be sent?", nil, mfa.ErrNoConversation})
	if d.state("bob").Contacts != nil {
		t.Error("none is remembered")
	}
	r.says("bob", account.Found{Unusable: map[mfa.Method]error{mfa.Email: errors.New("that is not an address")}})
	d.login(request("bob"), mfa.Unavailable, step{want: "nothing for you that a code can be sent"})
}

// An address of the directory that counts elsewhere is proven before another method is set
// up: else the service where it does not count would hand out the factor of the others.
func TestDirectoryCountsElsewhere(t *testing.T) {
	d, r := withFakeDirectory(t, func(s *settings) {
		s.policy.Policy.Methods = []mfa.Method{mfa.Email}
		s.policy.Policy.Rules = []Rule{{Services: []string{"apps"}, Methods: []mfa.Method{mfa.TOTP}}}
	})
	apps := request("bob")
	apps.Service = "apps"
	d.login(apps, mfa.NoConversation, step{"sent to b***b@example.com", d.code, nil}, step{want: "A second factor is needed"}, step{"Add this key", nil, mfa.ErrNoConversation})
	if err := d.accounts.Records().ResetUser(t.Context(), "bob", d.clock()); err != nil {
		t.Fatal(err)
	}
	r.is(errRegister)
	d.login(apps, mfa.Unavailable, step{want: "cannot be asked now"})
}

// One that counts nowhere keeps nobody from setting up what does.
func TestDirectoryCountsNowhere(t *testing.T) {
	d, _ := withFakeDirectory(t, func(s *settings) {
		s.policy.Policy.Methods, s.policy.TextMessages, s.keeping.TextMessages = []mfa.Method{mfa.SMS}, true, true
	})
	d.login(request("bob"), mfa.NoConversation, step{want: "A second factor is needed"}, step{"Where should codes be sent?", nil, mfa.ErrNoConversation})
}

// Where both have something, contacts.prefer says whose counts.
func TestDirectoryAndTheUsersOwn(t *testing.T) {
	own := mfa.Enrollment{UID: 1001, Email: &mfa.Address{Address: "own@example.org", Confirmed: start, AddedBy: "bob"}}
	for prefer, want := range map[string]string{account.PreferUser: "o***n@example.org", account.PreferDirectory: "b***b@example.com"} {
		d, r := withFakeDirectory(t, func(s *settings) { s.keeping.Contacts.Prefer = prefer })
		d.enroll("bob", own)
		d.login(request("bob"), mfa.Accepted, step{"sent to " + want, d.code, nil})
		if asked := len(r.looked()) > 0; asked != (prefer == account.PreferDirectory) {
			t.Errorf("%s: asked %v", prefer, asked)
		}
		r.is(errRegister)
		d.login(request("bob"), mfa.Accepted, step{"sent to " + want, d.code, nil})
		en, err := d.accounts.Records().Enrollment(t.Context(), "bob")
		if err != nil || en.Email.Address != "own@example.org" {
			t.Errorf("%s: the record became %+v, %v", prefer, en.Email, err)
		}
	}
}

// While the directory does not say, no address counts in the place of what it may have.
func TestDirectoryDownAndPreferred(t *testing.T) {
	d, r := withFakeDirectory(t, func(s *settings) { s.keeping.Contacts.Prefer = account.PreferDirectory })
	d.enroll("bob", mfa.Enrollment{UID: 1001, Email: &mfa.Address{Address: "own@example.org", Confirmed: start, AddedBy: "bob"}})
	r.is(errRegister)
	d.login(request("bob"), mfa.Unavailable, step{want: "cannot be asked now"})
	r.is(nil)
	r.says("bob", account.Found{})
	d.login(request("bob"), mfa.Accepted, step{"sent to o***n@example.org", d.code, nil})
}

// Somebody who chose to have no second factor is not asked for the directory's sake, while policy
// lets them choose.
func TestDirectoryAndOptOut(t *testing.T) {
	for mode, want := range map[string]mfa.Outcome{ModeOptional: mfa.Exempt, ModeRequired: mfa.Accepted} {
		d, r := withFakeDirectory(t, func(s *settings) { s.policy.Policy.Mode, s.policy.Policy.OptOut = mode, true })
		d.enroll("bob", mfa.Enrollment{UID: 1001, Skipped: &start})
		if want == mfa.Exempt {
			r.is(errRegister)
			d.login(request("bob"), want)
			if len(r.looked()) > 0 {
				t.Error("looked up for nothing")
			}
			continue
		}
		d.login(request("bob"), want, d.withCode())
	}
	d, _ := withFakeDirectory(t, func(s *settings) { s.policy.Policy.Mode = ModeOptional })
	d.login(request("bob"), mfa.Accepted, d.withCode()) // has one, so is asked
}

// An address that changed there counts at once, ends what was proven by the old one, and
// is told there.
func TestDirectoryChangesItsWord(t *testing.T) {
	d, r := withFakeDirectory(t, func(s *settings) {
		s.policy.Session = SessionConfig{Remember: RememberAlways, Lifetime: mfa.Duration(90 * 24 * time.Hour), Bind: []string{BindAddress}, IPv4Prefix: 32}
	})
	d.login(request("bob"), mfa.Accepted, d.withCode())
	d.login(request("bob"), mfa.Accepted) // remembered
	epoch := d.state("bob").Epoch
	r.says("bob", account.Found{Emails: []string{"new@example.com"}})
	d.advance(time.Minute)
	d.login(request("bob"), mfa.Accepted, step{"sent to n***w@example.com", d.code, nil})
	if d.state("bob").Epoch == epoch {
		t.Error("conversations that saw the old address go on")
	}
	d.await(func() bool {
		for _, m := range d.mails {
			if m.To == "bob@example.com" && strings.Contains(m.Text, "directory has another address") {
				return true
			}
		}
		return false
	})
	text, err := os.ReadFile(d.audit)
	if err != nil || !strings.Contains(string(text), "before: b***b@example.com") || strings.Contains(string(text), "new@example.com") {
		t.Errorf("the audit file: %v\n%s", err, text)
	}
}

// Of several values one stays taken, in whichever order they come.
func TestDirectoryWithSeveralValues(t *testing.T) {
	d, r := withFakeDirectory(t)
	d.login(request("bob"), mfa.Accepted, d.withCode())
	for _, values := range [][]string{{"a@example.com", "bob@example.com"}, {"bob@example.com", "a@example.com"}} {
		r.says("bob", account.Found{Emails: values})
		d.advance(time.Minute)
		d.login(request("bob"), mfa.Accepted, step{"sent to b***b@example.com", d.code, nil})
	}
}

// An address that is not confirmed is offered in enrolling, masked, and counts once it is.
func TestDirectoryIsOffered(t *testing.T) {
	for _, selfContacts := range []bool{true, false} {
		d, _ := withFakeDirectory(t, func(s *settings) {
			s.keeping.Contacts.Confirmed = false
			s.policy.Policy.SelfContacts, s.policy.Policy.Methods = selfContacts, []mfa.Method{mfa.Email}
		})
		another := step{"type another", say("typo"), nil}
		refused := step{"That is not an address", say(""), nil}
		if !selfContacts {
			another, refused = step{"Press Enter to have a code sent there.", say("eve@example.org"), nil}, step{"Only b***b@example.com", say(""), nil}
		}
		d.login(request("bob"), mfa.Accepted, step{want: "A second factor is needed"}, another, refused,
			step{"sent to b***b@example.com", d.code, nil}, step{want: "Done"})
		en, err := d.accounts.Records().Enrollment(t.Context(), "bob")
		if err != nil || en.Email == nil || en.Email.Address != "bob@example.com" || en.Email.Confirmed.IsZero() || en.Email.AddedBy == "bob" {
			t.Errorf("the record is %+v, %v", en.Email, err)
		}
	}
}

func TestDirectoryDownWhenItIsOffered(t *testing.T) {
	for _, selfContacts := range []bool{true, false} {
		d, r := withFakeDirectory(t, func(s *settings) {
			s.keeping.Contacts.Confirmed = false
			s.policy.Policy.SelfContacts, s.policy.Policy.Methods = selfContacts, []mfa.Method{mfa.Email}
		})
		r.is(errRegister)
		if selfContacts {
			d.login(request("bob"), mfa.NoConversation, step{want: "A second factor is needed"}, step{"Where should codes be sent?", nil, mfa.ErrNoConversation})
		} else {
			d.login(request("bob"), mfa.Unavailable, step{want: "cannot be asked now"})
		}
	}
}

// After everybody had to enroll anew, what the directory has still counts: nobody enrolls
// it. What the user had set up does not.
func TestDirectoryAfterPolicyWasOff(t *testing.T) {
	d, _ := withFakeDirectory(t, func(s *settings) { s.policy.Generation, s.keeping.Generation = 2, 2 })
	d.login(request("bob"), mfa.Accepted, d.withCode())
	d.enroll("bob", mfa.Enrollment{UID: 1001, Generation: 1, Email: &mfa.Address{Address: "old@example.org", Confirmed: start}})
	d.login(request("bob"), mfa.Accepted, step{"sent to b***b@example.com", d.code, nil})
}

// A lock is told where codes go, with its way out; backup codes and the preferred method
// are there for who has no record.
func TestDirectoryIsASecondFactorLikeOthers(t *testing.T) {
	d, _ := withFakeDirectory(t, func(s *settings) { s.keeping.Lockout.Recovery, s.keeping.Lockout.Notify = true, true })
	id := mfa.Identity{Name: "bob", UID: 1001}
	c := d.engine.Converse(id, mfa.Origin{Service: "mfactl", Address: "local", UID: 1001}, &script{t: t, steps: []step{d.withCode()}})
	if v, err := d.engine.Prove(t.Context(), c); v.Outcome != mfa.Accepted {
		t.Fatalf("%+v, %v", v, err)
	}
	codes, err := d.enrol.NewBackupCodes(t.Context(), c.User)
	if err != nil || len(codes) == 0 {
		t.Fatalf("backup codes: %v", err)
	}
	if err := d.enrol.Prefer(t.Context(), c.User, mfa.Email); err != nil {
		t.Errorf("prefer: %v", err)
	}
	en, err := d.accounts.Records().Enrollment(t.Context(), "bob")
	if err != nil || en.Email != nil || en.Backup == nil || en.Preferred != mfa.Email {
		t.Errorf("the record is %+v, %v", en, err)
	}
	d.login(request("bob"), mfa.Exhausted, wrong("sent"), wrong(""), wrong(""), step{want: "ends here"})
	d.login(request("bob"), mfa.Exhausted, wrong("was sent"), wrong("One try left"), step{want: "A recovery code was sent to b***b@example.com"})
}

// Explain writes nothing, and tells where the address is from.
func TestExplainTellsOfTheDirectory(t *testing.T) {
	d, _ := withFakeDirectory(t)
	x := d.engine.Explain(t.Context(), wire.Visit{User: "bob", Service: "sshd"})
	if x.Result != wire.ResultAsk || len(x.Directory) != 1 || !x.Directory[0].Counts || x.Directory[0].Address != "b***b@example.com" || len(x.Enrolled) != 1 {
		t.Errorf("explained as %+v", x)
	}
	if d.state("bob").Contacts != nil {
		t.Error("explain wrote")
	}
	v, err := d.enrol.Show(t.Context(), mfa.Identity{Name: "bob", UID: 1001})
	if err != nil || v.Email != "b***b@example.com" || len(v.Directory) != 1 || v.Directory[0].Source != "ldap" {
		t.Errorf("shown as %+v, %v", v, err)
	}
	if d.state("bob").Contacts != nil {
		t.Error("show wrote")
	}
}

// Of a name that is no account nothing goes to the directory that gives the name away,
// and its prompts are the same whether the directory answers.
func TestDirectoryAndStrangers(t *testing.T) {
	d, r := withFakeDirectory(t)
	d.login(request("hunter2"), mfa.NoConversation, step{"sent to", nil, mfa.ErrNoConversation})
	r.is(errRegister)
	d.login(request("hunter2"), mfa.NoConversation, step{"was sent to", nil, mfa.ErrNoConversation})
	asked := r.looked()
	if len(asked) == 0 || asked[0] == "hunter2" || asked[0] != asked[len(asked)-1] {
		t.Errorf("asked of %q", asked)
	}
}
