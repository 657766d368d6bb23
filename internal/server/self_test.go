package server

import (
	"bufio"
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mfa/internal/account"
	"mfa/internal/audit"
	"mfa/internal/challenge"
	"mfa/internal/deliver"
	"mfa/internal/enroll"
	"mfa/internal/factor/otp"
	"mfa/internal/host/nss"
	"mfa/internal/login"
	"mfa/internal/mfa"
	"mfa/internal/seal"
	"mfa/internal/store/storetest"
	"mfa/internal/wire"
)

// nobodyUID is an account that every system has, and that is not root.
const nobodyUID = 65534

// selfDesk is a Control that knows the account nobody, whose app has the secret
// returned.
func selfDesk(t *testing.T, policy login.PolicyConfig) (*Control, account.Records, []byte) {
	t.Helper()
	log := slog.New(slog.NewTextHandler(testWriter{t}, nil))
	au, err := audit.Open(audit.Config{}, log)
	if err != nil {
		t.Fatal(err)
	}
	return selfDeskOn(t, policy, au, log)
}

// selfDeskOn is a selfDesk whose other rooms write to au and log.
func selfDeskOn(t *testing.T, policy login.PolicyConfig, au *audit.Log, log *slog.Logger) (*Control, account.Records, []byte) {
	t.Helper()
	records := account.Records{S: &storetest.Memory{}}
	key, err := seal.Create(filepath.Join(t.TempDir(), "key"))
	if err != nil {
		t.Fatal(err)
	}
	mail := deliver.NewQueue(relay{}, time.Minute)
	t.Cleanup(func() { mail.Close(context.Background()) })
	totp := challenge.TOTPConfig{Digits: 6, Period: mfa.Duration(30 * time.Second), Algorithm: "SHA1", Skew: 1}
	accounts := account.New(account.Config{
		Lockout: account.LockoutConfig{Failures: 5, Window: mfa.Duration(time.Hour)}, Period: totp.Period, Skew: totp.Skew,
	}, account.Deps{Records: records, Key: key, Mail: mail, Audit: au, Log: log, Now: time.Now})
	asker := challenge.New(challenge.Config{
		Code: challenge.CodeConfig{EntryTimeout: mfa.Duration(time.Minute), Digits: 6, MaxSends: 5}, TOTP: totp,
		Prompt: challenge.PromptConfig{Echo: true, QR: "off"},
	}, challenge.Deps{Accounts: accounts, Key: key, Mail: mail, Audit: au, Log: log, Now: time.Now})
	service := &enroll.Service{
		Accounts: accounts, Audit: au, Log: log, Now: time.Now,
		TOTP: totp, QR: "off", Host: "host", BackupCodes: 1,
	}
	lookup := func(_ context.Context, name string) (mfa.Identity, error) {
		if name != "nobody" {
			return mfa.Identity{}, nss.ErrNoAccount
		}
		return mfa.Identity{Name: "nobody", UID: nobodyUID}, nil
	}
	engine := login.New(login.Config{Policy: policy}, login.Deps{
		Accounts: accounts, Asker: asker, Enroll: service, Key: key, Audit: au, Log: log, Lookup: lookup, Now: time.Now,
	})
	secret := otp.NewSecret("SHA1")
	err = records.UpdateEnrollment(t.Context(), "nobody", func(en *mfa.Enrollment) error {
		*en = mfa.Enrollment{UID: nobodyUID, TOTP: &mfa.TOTPSecret{
			Secret:    accounts.SealTOTP(mfa.Identity{Name: "nobody"}, secret),
			Algorithm: "SHA1", Digits: 6, Period: totp.Period, Confirmed: time.Now(),
		}}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return &Control{
		Now:    func() Snapshot { return Snapshot{Engine: engine, Enroll: service, Accounts: accounts} },
		Lookup: lookup, Log: log,
	}, records, secret
}

// person answers each prompt by fn and remembers what was said.
type person struct {
	fn   func(text string) (string, error)
	said []string
}

func (p *person) Prompt(_ context.Context, q mfa.Prompt) (string, error) {
	p.said = append(p.said, q.Text)
	if q.Kind == mfa.Ask {
		return p.fn(q.Text)
	}
	return "", nil
}

func codeOf(t *testing.T, secret []byte) string {
	t.Helper()
	p := otp.Params{Digits: 6, Period: 30 * time.Second, Algorithm: "SHA1"}
	code, err := otp.Code(secret, otp.Step(time.Now(), p.Period), p)
	if err != nil {
		t.Fatal(err)
	}
	return code
}

var everything = login.PolicyConfig{
	Mode: login.ModeOptional, OptOut: true, SelfContacts: true,
	Methods: []mfa.Method{mfa.TOTP, mfa.Email, mfa.Backup},
}

// asked is what the verbs of self-service are asked for.
var asked = url.Values{wire.QueryMethod: {string(mfa.TOTP)}, wire.QueryLanguage: {"de"}}

// Whatever one wants to change, the second factor comes first: without it
// nothing is.
func TestSelfServiceWantsProof(t *testing.T) {
	for _, verb := range []string{wire.SelfEnroll, wire.SelfPrefer, wire.SelfLanguage, wire.SelfOptOut, wire.SelfBackupCodes} {
		t.Run(verb, func(t *testing.T) {
			s, records, _ := selfDesk(t, everything)
			before, err := records.S.Get(t.Context(), "users/nobody")
			if err != nil {
				t.Fatal(err)
			}
			p := &person{fn: func(string) (string, error) { return "990099", nil }}
			v, _ := s.exchange().manage(t.Context(), nobodyUID, verb, asked, p)
			if v.Outcome != mfa.Exhausted {
				t.Errorf("outcome %v, said %q", v.Outcome, p.said)
			}
			after, err := records.S.Get(t.Context(), "users/nobody")
			if err != nil || after.Rev != before.Rev {
				t.Errorf("the enrollment changed: %v", err)
			}
		})
	}
}

func TestSelfServiceAfterProof(t *testing.T) {
	for verb, want := range map[string]func(en mfa.Enrollment) bool{
		wire.SelfPrefer:      func(en mfa.Enrollment) bool { return en.Preferred == mfa.TOTP },
		wire.SelfLanguage:    func(en mfa.Enrollment) bool { return en.Language == "de" && en.TOTP != nil },
		wire.SelfOptOut:      func(en mfa.Enrollment) bool { return en.Skipped != nil && en.TOTP == nil },
		wire.SelfBackupCodes: func(en mfa.Enrollment) bool { return en.Backup != nil },
	} {
		t.Run(verb, func(t *testing.T) {
			s, records, secret := selfDesk(t, everything)
			p := &person{fn: func(string) (string, error) { return codeOf(t, secret), nil }}
			v, err := s.exchange().manage(t.Context(), nobodyUID, verb, asked, p)
			if v.Outcome != mfa.Accepted {
				t.Fatalf("outcome %v, %v, said %q", v.Outcome, err, p.said)
			}
			if en, err := records.Enrollment(t.Context(), "nobody"); err != nil || !want(en) {
				t.Errorf("enrollment %+v, %v", en, err)
			}
		})
	}
}

func TestSelfServiceRefuses(t *testing.T) {
	required := everything
	required.Mode = login.ModeRequired
	for name, tc := range map[string]struct {
		policy login.PolicyConfig
		verb   string
		method mfa.Method
		want   string
	}{
		"opting out of what is required": {required, wire.SelfOptOut, "", "required here"},
		"a method that is not set up":    {everything, wire.SelfPrefer, mfa.Email, "is not set up"},
		"an unknown method":              {everything, wire.SelfPrefer, "pigeon", "is not set up"},
		"a language that nobody speaks":  {everything, wire.SelfLanguage, "", "but in these: en, de, ja."},
		"an unknown verb":                {everything, "everything", "", "does not know"},
	} {
		t.Run(name, func(t *testing.T) {
			s, _, secret := selfDesk(t, tc.policy)
			p := &person{fn: func(prompt string) (string, error) {
				if tc.verb == wire.SelfLanguage {
					t.Errorf("it is asked %q for what cannot be", prompt)
				}
				return codeOf(t, secret), nil
			}}
			v, _ := s.exchange().manage(t.Context(), nobodyUID, tc.verb, url.Values{wire.QueryMethod: {string(tc.method)}, wire.QueryLanguage: {"tlh"}}, p)
			if v.Outcome != mfa.MustEnroll || !strings.Contains(strings.Join(p.said, "\n"), tc.want) {
				t.Errorf("outcome %v, said %q", v.Outcome, p.said)
			}
		})
	}
}

// The switch of protocols, over a real socket, for something that is refused.
func TestSelfServiceSwitchesProtocols(t *testing.T) {
	s, _, _ := selfDesk(t, everything)
	path := filepath.Join(t.TempDir(), "control.sock")
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	srv := s.Server(context.Background())
	done := make(chan error, 1)
	go func() { done <- srv.Serve(s.Gate(l)) }()
	t.Cleanup(func() {
		_ = srv.Close()
		<-done
	})
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	ask := func(upgrade string) (*http.Response, *bufio.Reader) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://mfad/v1/self/no-such-verb", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Connection", "Upgrade")
		req.Header.Set("Upgrade", upgrade)
		if err := req.Write(c); err != nil {
			t.Fatal(err)
		}
		r := bufio.NewReader(c)
		resp, err := http.ReadResponse(r, req)
		if err != nil {
			t.Fatal(err)
		}
		return resp, r
	}
	if resp, _ := ask("websocket"); resp.StatusCode != http.StatusUpgradeRequired {
		t.Errorf("another protocol: %v", resp.Status)
	}
	c2, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c2.Close()
	_ = c2.SetDeadline(time.Now().Add(30 * time.Second))
	c = c2
	resp, r := ask(wire.Upgrade)
	if resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("our protocol: %v", resp.Status)
	}
	f, err := wire.Read(r)
	if err != nil || f.Type != wire.Failure {
		t.Errorf("frame %q %q, %v", f.Type, f.Payload, err)
	}
	if f, err := wire.Read(r); err != nil || f.Type != wire.Done || f.Payload[0] != 'e' {
		t.Errorf("frame %q %q, %v", f.Type, f.Payload, err)
	}
}
