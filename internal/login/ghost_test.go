package login

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"mfa/internal/mfa"
	"mfa/internal/store"
)

// heard is all that a name is told which is asked by this script: two connections,
// a resend too soon and in time, wrong codes to the lock, and the lock. Withheld says
// whether it asks by sshd, which keeps back what a stranger types.
func (d *harness) heard(name string, withheld bool) (all []string) {
	d.t.Helper()
	masked := regexp.MustCompile(`\S\*\*\*\S@example\.com`)
	visit := func(answers ...string) {
		p := promptFunc(func(_ context.Context, p mfa.Prompt) (string, error) {
			all = append(all, fmt.Sprint(p.Kind, masked.ReplaceAllString(p.Text, "***")))
			if p.Kind != mfa.Ask {
				return "", nil
			}
			if len(answers) == 0 {
				return "", mfa.ErrNoConversation
			}
			next := answers[0]
			answers = answers[1:]
			if withheld && next != "" {
				return "", mfa.Withheld(len(next))
			}
			return next, nil
		})
		v, err := d.engine.Login(d.t.Context(), request(name), p)
		all = append(all, fmt.Sprint(v.Outcome, v.Reason, err))
		d.advance(time.Second)
	}
	word := name
	if withheld {
		word = "123" // nobody knows that a name was typed
	}
	visit()
	visit("r", "990099", "990098")
	d.advance(time.Minute)
	visit("r", word, "990099", "990099", "990099", "990099")
	for range 2 {
		visit("2222-2222-2222-2222", "123456")
	}
	d.advance(16 * time.Minute)
	visit("990099")
	return all
}

// A name that exists and one that does not are told the same, connection after
// connection, through the lock and after it.
func TestStrangersAreAnsweredAlike(t *testing.T) {
	with := func(s *settings) { s.keeping.Lockout.Notify, s.keeping.Lockout.Recovery = true, true }
	d := newHarness(t, with)
	d.enroll("alice", mfa.Enrollment{UID: 1000, Email: &mfa.Address{Address: "alice@example.com", Confirmed: start}})
	ghost := d.heard("ghost", false)
	d.now = start
	expectAlike(t, d.heard("alice", false), ghost)
	keys, err := d.store.Keys(t.Context(), "")
	if err != nil || slices.ContainsFunc(keys, func(k string) bool { return k == store.States+"ghost" || k == store.Users+"ghost" }) {
		t.Errorf("stored: %q %v", keys, err)
	}
	if len(d.mailed(`(ghost)`)) != 0 {
		t.Error("something was sent for a stranger")
	}
}

// The same where sshd keeps back all that a stranger types but its length.
func TestStrangersAreAnsweredAlikeByLength(t *testing.T) {
	with := func(s *settings) { s.keeping.Lockout.Notify, s.keeping.Lockout.Recovery = true, true }
	d := newHarness(t, with)
	d.enroll("alice", mfa.Enrollment{UID: 1000, Email: &mfa.Address{Address: "alice@example.com", Confirmed: start}})
	ghost := d.heard("ghost", true)
	d.now = start
	alice := d.heard("alice", false)
	ask := func(all []string) (kept []string) { // a name is a word of letters to a stranger
		for _, said := range all {
			kept = append(kept, strings.NewReplacer("That is a name, not the code.", "That cannot be the code.").Replace(oneLine(said)))
		}
		return kept
	}
	expectAlike(t, ask(alice), ask(ghost))
}

func expectAlike(t *testing.T, alice, ghost []string) {
	t.Helper()
	for i := range min(len(alice), len(ghost)) {
		if alice[i] != ghost[i] {
			t.Fatalf("alice hears %q, a stranger %q", alice[i], ghost[i])
		}
	}
	if len(alice) != len(ghost) {
		t.Fatalf("alice hears\n%q, a stranger\n%q", alice, ghost)
	}
}

// Of an account that sshd refuses nothing is counted, and nobody is let in; the words
// are those for others. Somebody with a key is told.
func TestWithheldAnswersOfAnAccount(t *testing.T) {
	d := newHarness(t, func(s *settings) { s.policy.Policy.Methods = []mfa.Method{mfa.TOTP, mfa.Email} })
	const six, one = mfa.Withheld(6), mfa.Withheld(1)
	for range 3 { // more than lock
		d.login(request("alice"), mfa.Exhausted, step{want: "A code was sent", err: six}, step{want: "2 tries left", err: mfa.Withheld(4)},
			step{want: "cannot be the code", err: six}, step{want: "One try left", err: six}, step{want: "This login ends here"})
	}
	if st := d.state("alice"); len(st.Failures) != 0 || st.LockedUntil != nil {
		t.Errorf("counted: %+v", st)
	}
	if !strings.Contains(d.log.String(), "PermitRootLogin") {
		t.Errorf("the log tells nobody why:\n%s", d.log)
	}
	d.login(request("alice"), mfa.WrongCode, step{want: "A code was sent", err: one}, step{"can be sent in", d.code, nil},
		step{want: "2 tries left", err: mfa.ErrNoConversation})

	withKey := request("alice")
	withKey.SSHAuthInfo = keyInfo
	d.login(withKey, mfa.NoConversation, step{want: "being sent", err: six}, step{want: "does not let you log in this way"})
}

// The memory is bounded, and a name is remembered while others come.
func TestStrangersAreBounded(t *testing.T) {
	d := newHarness(t)
	d.login(request("ghost"), mfa.WrongCode, wrong("sent"), step{want: "2 tries", err: mfa.ErrNoConversation})
	for i := range 3000 {
		acct := d.engine.deps.Accounts.Records().UnknownAccount(d.engine.deps.UnknownUsers, fmt.Sprint("x", i))
		if err := acct.Update(t.Context(), func(st *mfa.State) error { st.LockedHard = true; return nil }); err != nil {
			t.Fatal(err)
		}
	}
	d.login(request("x2999"), mfa.Exhausted, step{want: "until an administrator unlocks it"})
	d.login(request("x0"), mfa.NoConversation, step{want: "A code was sent to", err: mfa.ErrNoConversation})
}

// A store that is out of reach is told to everybody alike.
func TestStrangersWhileTheStoreIsDown(t *testing.T) {
	d := newHarness(t)
	d.store.Fail(errors.New("disk on fire"))
	d.login(request("ghost"), mfa.Unavailable, step{want: "cannot be checked"})
}
