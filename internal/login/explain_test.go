package login

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"mfa/internal/deliver/spend"
	"mfa/internal/mfa"
	"mfa/internal/store"
	"mfa/internal/wire"
)

// snapshot is all that a login could change.
func snapshot(t *testing.T, d *harness) (items []store.Item) {
	t.Helper()
	keys, err := d.store.Keys(t.Context(), "")
	if err != nil {
		return nil // the test broke it
	}
	for _, key := range keys {
		it, err := d.store.Get(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		items = append(items, it)
	}
	return items
}

// Explain says what Login then does, and itself does nothing.
func TestExplainSaysWhatLoginDoes(t *testing.T) {
	outcomes := map[string]mfa.Outcome{
		wire.ResultLetIn: mfa.Exempt, wire.ResultAsk: mfa.NoConversation, wire.ResultEnroll: mfa.NoConversation,
		wire.ResultExhausted: mfa.Exhausted, wire.ResultLocked: mfa.Exhausted, wire.ResultKeepOut: mfa.MustEnroll, wire.ResultUnavailable: mfa.Unavailable,
	}
	lockAlice := func(d *harness) {
		err := d.engine.deps.Accounts.Records().UpdateState(t.Context(), "alice", func(st *mfa.State) error {
			*st = mfa.State{UID: 1000, LockedUntil: new(start.Add(time.Hour)), LockedFor: mfa.Duration(time.Hour)}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	texts := func(provider, fallback bool, methods ...mfa.Method) func(*settings) {
		return func(s *settings) {
			s.policy.TextMessages, s.policy.FallbackToEmail, s.policy.Policy.Methods = provider, fallback, methods
		}
	}
	phoned := func(en mfa.Enrollment, provider bool) func(d *harness) {
		return func(d *harness) {
			if en.UID, en.SMS = 1001, (&mfa.Address{Address: phone}); !provider {
				d.mute = errNoMobile
			}
			d.enroll("bob", en)
		}
	}
	usedUp := func(d *harness) {
		phoned(mfa.Enrollment{Email: &mfa.Address{Address: "bob@example.com"}}, true)(d)
		d.spent = spend.LimitError{Limit: spend.LimitUser, Until: start.Add(25 * time.Hour), Window: 24 * time.Hour}
	}
	sentOut := func(d *harness) {
		err := d.engine.deps.Accounts.Records().UpdateState(t.Context(), "alice", func(st *mfa.State) error {
			st.UID, st.Sends = 1000, []time.Time{start, start, start, start, start}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	mode := func(m string) func(*settings) { return func(s *settings) { s.policy.Policy.Mode = m } }
	both := mfa.Enrollment{UID: 1001, Email: &mfa.Address{Address: "bob@example.com"}, TOTP: &mfa.TOTPSecret{}}
	for name, tc := range map[string]struct {
		user   string
		change []func(*settings)
		before func(d *harness)
		want   string
		pam    string
		text   string
	}{
		"enrolled":                         {"alice", nil, nil, wire.ResultAsk, "PAM_SUCCESS", "a code is asked for: email"},
		"off":                              {"alice", []func(*settings){mode(ModeOff)}, nil, wire.ResultLetIn, "PAM_IGNORE", "mode is off"},
		"off by rule":                      {"alice", []func(*settings){rules(off(Rule{Groups: []string{"contractors"}}))}, nil, wire.ResultLetIn, "PAM_IGNORE", "mode is off"},
		"off, and locked":                  {"alice", []func(*settings){mode(ModeOff)}, lockAlice, wire.ResultLetIn, "PAM_IGNORE", "mode is off"},
		"locked":                           {"alice", nil, lockAlice, wire.ResultLocked, "PAM_MAXTRIES", "locked for 60 minutes"},
		"not enrolled":                     {"bob", nil, nil, wire.ResultKeepOut, "PAM_PERM_DENIED", "refused: not enrolled"},
		"to enroll":                        {"bob", []func(*settings){enrolling}, nil, wire.ResultEnroll, "PAM_SUCCESS", "led to a second factor"},
		"optional":                         {"bob", []func(*settings){mode(ModeOptional)}, nil, wire.ResultLetIn, "PAM_IGNORE", "mode is optional"},
		"two that are sent":                {"bob", []func(*settings){rules(Rule{Methods: []mfa.Method{mfa.Email, mfa.TOTP}})}, func(d *harness) { d.enroll("bob", both) }, wire.ResultAsk, "PAM_SUCCESS", "a menu of email and totp"},
		"two":                              {"bob", nil, func(d *harness) { d.enroll("bob", both) }, wire.ResultAsk, "PAM_SUCCESS", "a code is asked for: totp, or with m email"},
		"not counted":                      {"alice", []func(*settings){enrolling, rules(Rule{Methods: []mfa.Method{mfa.TOTP}})}, nil, wire.ResultEnroll, "PAM_SUCCESS", "does not count here: email; then led"},
		"nobody":                           {"nobody-here", nil, nil, wire.ResultAsk, "PAM_SUCCESS", "a code is asked for: email"},
		"account unknown":                  {"broken", nil, nil, wire.ResultUnavailable, "PAM_AUTHINFO_UNAVAIL", "account look-up failed"},
		"groups unknown":                   {"alice", []func(*settings){rules(off(Rule{Groups: []string{"staff"}}))}, func(d *harness) { d.groups.down = errors.New("ldap is down") }, wire.ResultUnavailable, "PAM_AUTHINFO_UNAVAIL", "policy look-up failed"},
		"store unusable":                   {"alice", nil, func(d *harness) { d.store.Fail(errors.New("disk on fire")) }, wire.ResultUnavailable, "PAM_AUTHINFO_UNAVAIL", "record or store unusable"},
		"off, store is not":                {"alice", []func(*settings){mode(ModeOff)}, func(d *harness) { d.store.Fail(errors.New("disk on fire")) }, wire.ResultLetIn, "PAM_IGNORE", "mode is off"},
		"another spelling":                 {"ALICE", []func(*settings){rules(off(Rule{Users: []string{"alice"}}))}, nil, wire.ResultLetIn, "PAM_IGNORE", "mode is off"},
		"texts alone, nobody carries":      {"bob", []func(*settings){texts(false, true, mfa.SMS)}, phoned(mfa.Enrollment{}, false), wire.ResultUnavailable, "PAM_AUTHINFO_UNAVAIL", "refused: a code would go by sms, and no text messages are set up: sms.provider is empty"},
		"texts that go by email":           {"bob", []func(*settings){texts(false, true, mfa.SMS)}, phoned(mfa.Enrollment{Email: &mfa.Address{Address: "bob@example.com"}}, false), wire.ResultAsk, "PAM_SUCCESS", "a code is asked for: sms"},
		"texts that may not go by email":   {"bob", []func(*settings){texts(false, false, mfa.SMS)}, phoned(mfa.Enrollment{Email: &mfa.Address{Address: "bob@example.com"}}, false), wire.ResultUnavailable, "PAM_AUTHINFO_UNAVAIL", "sms.provider is empty"},
		"to enroll by what nobody carries": {"bob", []func(*settings){texts(false, true, mfa.TOTP), enrolling}, phoned(mfa.Enrollment{}, false), wire.ResultUnavailable, "PAM_AUTHINFO_UNAVAIL", "sms.provider is empty"},
		"texts used up":                    {"bob", []func(*settings){texts(true, true, mfa.SMS)}, usedUp, wire.ResultExhausted, "PAM_MAXTRIES", "refused: no code can be sent by sms for 24 hours: sms.per_user_per_day reached"},
		"texts used up, and email counts":  {"bob", []func(*settings){texts(true, true, mfa.SMS, mfa.Email)}, usedUp, wire.ResultAsk, "PAM_SUCCESS", "a code is asked for"},
		"codes used up":                    {"alice", nil, sentOut, wire.ResultExhausted, "PAM_MAXTRIES", "refused: no code can be sent by email for 15 minutes: code.max_sends reached"},
		"of another account":               {"alice", nil, func(d *harness) { d.enroll("alice", mfa.Enrollment{UID: 999}) }, wire.ResultKeepOut, "PAM_PERM_DENIED", "not enrolled"},
	} {
		t.Run(name, func(t *testing.T) {
			d := newHarness(t, tc.change...)
			if tc.before != nil {
				tc.before(d)
			}
			before := snapshot(t, d)
			x := d.engine.Explain(t.Context(), wire.Visit{User: tc.user, Service: "sshd", RHost: "192.0.2.1"})
			if x.Result != tc.want || x.PAM != tc.pam || !strings.Contains(x.Text, tc.text) {
				t.Errorf("explained as %+v", x)
			}
			if after := snapshot(t, d); !reflect.DeepEqual(before, after) || d.mailCount() > 0 {
				t.Errorf("the store changed from\n%v\nto\n%v, %d mails", before, after, d.mailCount())
			}
			if data, err := os.ReadFile(d.audit); err != nil || len(data) > 0 {
				t.Errorf("in the audit file: %s %v", data, err)
			}

			v, _ := d.engine.Login(t.Context(), request(tc.user), promptFunc(func(context.Context, mfa.Prompt) (string, error) {
				return "", mfa.ErrNoConversation
			}))
			if v.Outcome != outcomes[x.Result] {
				t.Errorf("explained as %s, but the login ends as %v: %s", x.Result, v.Outcome, v.Reason)
			}
			if got := auditRules(t, d); x.Rule != got[len(got)-1] {
				t.Errorf("explained by rule %q, the login was decided by %q", x.Rule, got)
			}
		})
	}
}

// The policy as it may be: nothing of it can be set up by users, or all by a phone without
// a provider. Such people were said to be led to another method, and are kept out: by the
// census, by an explanation and by the login itself.
func TestKeptOutIsSaid(t *testing.T) {
	phoneOnly := mfa.Enrollment{UID: 1000, SMS: &mfa.Address{Address: phone}}
	for name, tc := range map[string]struct {
		methods []mfa.Method
		change  func(*settings)
		en      *mfa.Enrollment // nil: an address
		out     int
		result  string
	}{
		"backup codes":              {[]mfa.Method{mfa.Backup}, nil, nil, 1, wire.ResultKeepOut},
		"texts without a provider":  {[]mfa.Method{mfa.SMS}, nil, nil, 1, wire.ResultKeepOut},
		"an app":                    {[]mfa.Method{mfa.TOTP}, nil, nil, 0, wire.ResultEnroll},
		"backup codes, with grace":  {[]mfa.Method{mfa.Backup}, func(s *settings) { s.policy.Policy.EnrollGrace = minutes(60) }, nil, 0, wire.ResultAsk},
		"backup codes, optional":    {[]mfa.Method{mfa.Backup}, func(s *settings) { s.policy.Policy.Mode, s.policy.Policy.OptOut = ModeOptional, true }, nil, 0, wire.ResultAsk},
		"a phone nobody carries to": {[]mfa.Method{mfa.TOTP}, nil, &phoneOnly, 1, wire.ResultUnavailable},
		"a phone that counts":       {[]mfa.Method{mfa.SMS}, nil, &phoneOnly, 1, wire.ResultUnavailable},
		"texts and calls":           {[]mfa.Method{mfa.SMS, mfa.Call}, nil, &phoneOnly, 1, wire.ResultUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			d := newHarness(t, enrolling, func(s *settings) {
				s.policy.Policy.Methods, s.policy.Policy.SelfContacts = tc.methods, true
				if tc.change != nil {
					tc.change(s)
				}
			})
			d.mute = errNoMobile
			if tc.en != nil {
				d.enroll("alice", *tc.en)
			}
			x := d.engine.Explain(t.Context(), wire.Visit{User: "alice", Service: "sshd", RHost: "192.0.2.1"})
			if x.Census == nil || x.Census.Out != tc.out || x.Result != tc.result {
				t.Errorf("%+v, census %+v", x, x.Census)
			}
			if tc.result != wire.ResultKeepOut {
				return
			}
			if x.PAM != "PAM_PERM_DENIED" || x.Text != "a code is asked for that does not count here: email; then refused: nothing can be set up by the user" || x.Policy != "of 1 users with a record 0 get in by the first factor alone, and 1 have a second factor but none that counts (1 of them are kept out); whoever has no record is kept out, as nothing can be set up by users: only administrators enroll them" {
				t.Errorf("%+v", x)
			}
			d.login(request("alice"), mfa.MustEnroll, d.withCode(), step{want: "Nothing can be set up here."})
		})
	}
	t.Run("at a reload without the provider", func(t *testing.T) {
		d := newHarness(t, texting)
		d.enroll("alice", phoneOnly)
		after := d.engine.cfg
		after.TextMessages = false
		if told := TellOfPolicy(d.engine.cfg, after, d.engine.deps.Accounts.Records(), slog.New(slog.DiscardHandler)); !strings.Contains(told, "(1 of them are kept out)") {
			t.Errorf("told %q", told)
		}
	})
	t.Run("where a directory may know more", func(t *testing.T) {
		d := newHarness(t, enrolling, func(s *settings) {
			s.policy.Policy.Methods, s.policy.TextMessages, s.policy.Directory = []mfa.Method{mfa.SMS}, true, true
			s.policy.Policy.SelfContacts = false
		})
		if x := d.engine.Explain(t.Context(), wire.Visit{User: "alice", Service: "sshd"}); x.Census.Without != 1 || x.Census.Out != 0 {
			t.Errorf("census %+v", x.Census)
		}
	})
}

// A login by a key that is not named matches no remembered login that is bound to a key, nor
// one that was made without a key: the explanation let in by a login with a password, and the
// login asked for a code.
func TestExplainOfSomeKey(t *testing.T) {
	const none, other = "", "SHA256:other"
	for name, tc := range map[string]struct {
		bind   SessionConfig
		made   string // key that it was remembered with
		result string
		text   string
	}{
		"made by a password": {bothBound, none, wire.ResultAsk, "a code is asked for: email"},
		"made by a key":      {bothBound, other, wire.ResultAsk, "a code is asked for: email; a remembered login counts only for the key it was made with, and --key names none"},
		"bound to no key":    {bound(BindAddress), mfa.Any, wire.ResultRemembered, "let in without a code"},
		"of keys alone":      {bound(BindKey), other, wire.ResultAsk, "a code is asked for: email; a remembered login counts only for the key it was made with, and --key names none"},
	} {
		t.Run(name, func(t *testing.T) {
			d := newHarness(t, func(s *settings) { s.policy.Session = tc.bind })
			en, err := d.engine.deps.Accounts.Records().Enrollment(t.Context(), "alice")
			if err != nil {
				t.Fatal(err)
			}
			s, _ := tc.bind.binding(mfa.Origin{Service: "sshd", Address: "192.0.2.1", Key: tc.made})
			s.ID, s.Method, s.Enrollment, s.Created, s.LastUsed, s.Expires = "one", mfa.Email, en.Fingerprint(), start, start, start.Add(time.Hour)
			err = d.engine.deps.Accounts.Records().UpdateState(t.Context(), "alice", func(st *mfa.State) error {
				st.UID, st.Sessions = 1000, []mfa.Session{s}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			x := d.engine.Explain(t.Context(), wire.Visit{User: "alice", Service: "sshd", RHost: "192.0.2.1", FirstFactor: "publickey"})
			if x.Result != tc.result || !strings.HasPrefix(x.Text, tc.text) || tc.result == wire.ResultAsk && x.Text != tc.text {
				t.Errorf("%+v", x)
			}
			key := tc.made
			if key == none || key == mfa.Any {
				return
			}
			if x := d.engine.Explain(t.Context(), wire.Visit{User: "alice", Service: "sshd", RHost: "192.0.2.1", Key: key}); x.Result != wire.ResultRemembered {
				t.Errorf("by its key: %+v", x)
			}
		})
	}
}

func TestExplainTellsWhyRulesDoNotMatch(t *testing.T) {
	d := newHarness(t, rules(
		off(Rule{Name: "glass", Users: []string{"u1", "u2", "u3", "u4", "u5", "u6"}}),
		off(Rule{Services: []string{"sudo", "su"}}),
		off(Rule{Networks: nets("10.0.0.0/8")}),
		off(Rule{FirstFactor: "publickey"}),
		off(Rule{Groups: []string{"staff", "gone"}}),
		Rule{Name: "last", Remember: new("never"), EnrollGrace: new(minutes(60))},
	))
	x := d.engine.Explain(t.Context(), wire.Visit{User: "alice", Service: "sshd", RHost: "192.0.2.1"})
	want := []wire.Passed{
		{Rule: "glass", Key: "users", Why: "the user is alice, not u1, u2, u3, u4 or 2 more"},
		{Rule: "policy.rule[2]", Key: "services", Why: "the service is sshd, not sudo or su"},
		{Rule: "policy.rule[3]", Key: "networks", Why: "192.0.2.1 is not in 10.0.0.0/8"},
		{Rule: "policy.rule[4]", Key: "first_factor", Why: "the first factor is password, not publickey"},
		{Rule: "policy.rule[5]", Key: "groups", Why: "alice is not in group staff or gone (which does not exist)"},
	}
	if !slices.Equal(x.Passed, want) || x.Rule != "last" {
		t.Errorf("rule %q, passed\n%q\nwant\n%q", x.Rule, x.Passed, want)
	}
	if s := x.Settings; s == nil || s.Remember != "never" || s.EnrollGrace != minutes(60) || s.Mode != ModeRequired {
		t.Errorf("settings %+v", s)
	}
	x = d.engine.Explain(t.Context(), wire.Visit{User: "alice", Service: "sshd", RHost: "host.example.com", Key: "SHA256:x"})
	if x.Rule != "policy.rule[4]" || x.Passed[2].Why != `"host.example.com" is no IP address, and only those are in networks` || x.Key != "SHA256:x" {
		t.Errorf("by key: %+v", x)
	}
}
