package trylogin

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mfa/internal/mfa"
)

// A person is a Prompter in a test.
type person func(mfa.Prompt) (string, error)

func (p person) Prompt(_ context.Context, said mfa.Prompt) (string, error) { return p(said) }

// stacks returns a folder with a service of each name and stack.
func stacks(t *testing.T, services map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range services {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// A login ends as the two calls say, and each is told once it has returned.
func TestTry(t *testing.T) {
	const permit = "required pam_permit.so"
	dir := stacks(t, map[string]string{
		"open":    "auth " + permit + "\naccount " + permit,
		"closed":  "auth required pam_deny.so\naccount " + permit,
		"expired": "auth " + permit + "\naccount required pam_debug.so acct=acct_expired",
		"change":  "auth " + permit + "\naccount required pam_debug.so acct=new_authtok_reqd",
		"reused":  "auth required pam_debug.so auth=new_authtok_reqd\naccount " + permit,
		"other":   "auth required pam_debug.so auth=maxtries\naccount " + permit,
	})
	const success = "pam_authenticate: PAM_SUCCESS (0): Success"
	for service, want := range map[string]struct {
		end   End
		steps []string
	}{
		"open":    {LetIn, []string{success, "pam_acct_mgmt: PAM_SUCCESS (0): Success"}},
		"OPEN":    {LetIn, []string{success, "pam_acct_mgmt: PAM_SUCCESS (0): Success"}},
		"closed":  {Refused, []string{"pam_authenticate: PAM_AUTH_ERR (7): Authentication failure"}},
		"expired": {Refused, []string{success, "pam_acct_mgmt: PAM_ACCT_EXPIRED (13): User account has expired"}},
		"change":  {ChangeFirst, []string{success, "pam_acct_mgmt: PAM_NEW_AUTHTOK_REQD (12): Authentication token is no longer valid; new one required"}},
		"reused":  {Refused, []string{"pam_authenticate: PAM_NEW_AUTHTOK_REQD (12): Authentication token is no longer valid; new one required"}},
		"nothing": {Refused, []string{"pam_authenticate: PAM_MAXTRIES (11): Have exhausted maximum number of retries for service"}},
	} {
		var steps []string
		deaf := person(func(mfa.Prompt) (string, error) { return "", nil }) // pam_debug.so talks
		l := Login{User: "daemon", Service: service, Dir: dir, Person: deaf}
		end, err := l.Try(t.Context(), func(s Step) { steps = append(steps, s.String()) })
		if end != want.end || err != nil || !slices.Equal(steps, want.steps) {
			t.Errorf("%s: %v, %v, %q", service, end, err, steps)
		}
		if file, there := l.File(); there != (service != "nothing") || file != filepath.Join(dir, strings.ToLower(service)) {
			t.Errorf("%s: file %q, there %v", service, file, there)
		}
	}
}

// Modules see where the login comes from; what they say and ask reaches the person.
func TestConversation(t *testing.T) {
	dir := stacks(t, map[string]string{
		"asks": "auth required pam_echo.so on %t from %H\nauth required pam_permit.so\naccount required pam_permit.so",
		"sshd": "auth required pam_echo.so on %t from %H\nauth required pam_permit.so\naccount required pam_permit.so",
	})
	for service, tty := range map[string]string{"asks": ttyOf("asks"), "sshd": "ssh"} {
		var said []mfa.Prompt
		end, err := Login{
			Service: service, RHost: "203.0.113.7", Dir: dir,
			Person: person(func(p mfa.Prompt) (string, error) {
				said = append(said, p)
				return "daemon", nil
			}),
		}.Try(t.Context(), func(Step) {})
		if end != LetIn || err != nil {
			t.Errorf("%s: %v, %v", service, end, err)
		}
		want := []mfa.Prompt{{Kind: mfa.Info, Text: "on " + tty + " from 203.0.113.7"}, {Kind: mfa.Ask, Text: "login:"}}
		if !slices.Equal(said, want) {
			t.Errorf("%s: said %+v", service, said)
		}
	}
}

// A login whose context ends lets nobody in, whatever the stack says.
func TestInterrupted(t *testing.T) {
	dir := stacks(t, map[string]string{"open": "auth required pam_permit.so\naccount required pam_permit.so"})
	ctx, cancel := context.WithCancel(t.Context())
	end, err := Login{Service: "open", Dir: dir, Person: person(func(mfa.Prompt) (string, error) {
		cancel()
		return "daemon", nil
	})}.Try(ctx, func(s Step) { t.Errorf("told %v", s) })
	if end != Refused || err == nil || err.Error() != "interrupted" {
		t.Errorf("%v, %v", end, err)
	}
}
