package login

import (
	"context"
	"errors"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

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
		wire.ResultLocked: mfa.Exhausted, wire.ResultKeepOut: mfa.MustEnroll, wire.ResultUnavailable: mfa.Unavailable,
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
		"enrolled":           {"alice", nil, nil, wire.ResultAsk, "PAM_SUCCESS", "a code is asked for: email"},
		"off":                {"alice", []func(*settings){mode(ModeOff)}, nil, wire.ResultLetIn, "PAM_IGNORE", "mode is off"},
		"off by rule":        {"alice", []func(*settings){rules(off(Rule{Groups: []string{"contractors"}}))}, nil, wire.ResultLetIn, "PAM_IGNORE", "mode is off"},
		"off, and locked":    {"alice", []func(*settings){mode(ModeOff)}, lockAlice, wire.ResultLetIn, "PAM_IGNORE", "mode is off"},
		"locked":             {"alice", nil, lockAlice, wire.ResultLocked, "PAM_MAXTRIES", "locked for 60 minutes"},
		"not enrolled":       {"bob", nil, nil, wire.ResultKeepOut, "PAM_PERM_DENIED", "refused: not enrolled"},
		"to enroll":          {"bob", []func(*settings){enrolling}, nil, wire.ResultEnroll, "PAM_SUCCESS", "led to a second factor"},
		"optional":           {"bob", []func(*settings){mode(ModeOptional)}, nil, wire.ResultLetIn, "PAM_IGNORE", "mode is optional"},
		"two that are sent":  {"bob", []func(*settings){rules(Rule{Methods: []mfa.Method{mfa.Email, mfa.TOTP}})}, func(d *harness) { d.enroll("bob", both) }, wire.ResultAsk, "PAM_SUCCESS", "a menu of email and totp"},
		"two":                {"bob", nil, func(d *harness) { d.enroll("bob", both) }, wire.ResultAsk, "PAM_SUCCESS", "a code is asked for: totp, or with m email"},
		"not counted":        {"alice", []func(*settings){enrolling, rules(Rule{Methods: []mfa.Method{mfa.TOTP}})}, nil, wire.ResultEnroll, "PAM_SUCCESS", "does not count here: email; then led"},
		"nobody":             {"nobody-here", nil, nil, wire.ResultAsk, "PAM_SUCCESS", "a code is asked for: email"},
		"account unknown":    {"broken", nil, nil, wire.ResultUnavailable, "PAM_AUTHINFO_UNAVAIL", "account look-up failed"},
		"groups unknown":     {"alice", []func(*settings){rules(off(Rule{Groups: []string{"staff"}}))}, func(d *harness) { d.groups.down = errors.New("ldap is down") }, wire.ResultUnavailable, "PAM_AUTHINFO_UNAVAIL", "policy look-up failed"},
		"store unusable":     {"alice", nil, func(d *harness) { d.store.Fail(errors.New("disk on fire")) }, wire.ResultUnavailable, "PAM_AUTHINFO_UNAVAIL", "record or store unusable"},
		"off, store is not":  {"alice", []func(*settings){mode(ModeOff)}, func(d *harness) { d.store.Fail(errors.New("disk on fire")) }, wire.ResultLetIn, "PAM_IGNORE", "mode is off"},
		"another spelling":   {"ALICE", []func(*settings){rules(off(Rule{Users: []string{"alice"}}))}, nil, wire.ResultLetIn, "PAM_IGNORE", "mode is off"},
		"of another account": {"alice", nil, func(d *harness) { d.enroll("alice", mfa.Enrollment{UID: 999}) }, wire.ResultKeepOut, "PAM_PERM_DENIED", "not enrolled"},
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
