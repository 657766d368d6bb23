package login

import (
	"strings"
	"testing"
	"time"

	"mfa/internal/factor/otp"
	"mfa/internal/mfa"
)

// An app that an administrator set up is confirmed by its first code, even after
// a former app of a shorter period.
func TestAppOfAnAdministrator(t *testing.T) {
	d := newHarness(t)
	err := d.engine.deps.Accounts.Records().Account(mfa.Identity{Name: "alice", UID: 1000}).Update(t.Context(), func(st *mfa.State) error {
		st.TOTPStep = otp.Step(start, 15*time.Second)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	shown, err := d.enrol.SetApp(t.Context(), mfa.Identity{Name: "alice", UID: 1000}, "root")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(shown.Text, "secret=")
	secret, _, _ := strings.Cut(rest, "&")
	raw, err := otp.ParseSecret(strings.TrimSpace(strings.SplitN(secret, "\n", 2)[0]))
	if err != nil {
		t.Fatalf("%v in %q", err, shown.Text)
	}
	p := otp.Params{Digits: 6, Period: 30 * time.Second, Algorithm: "SHA1"}
	code, err := otp.Code(raw, otp.Step(start, p.Period), p)
	if err != nil {
		t.Fatal(err)
	}
	d.login(request("alice"), mfa.Accepted, step{"authenticator app", say(code), nil})
	en, err := d.engine.deps.Accounts.Records().Enrollment(t.Context(), "alice")
	if err != nil || !en.TOTP.Confirmed.Equal(start) {
		t.Errorf("confirmed %v, %v", en.TOTP.Confirmed, err)
	}
}
