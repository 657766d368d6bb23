package enroll

import (
	"context"
	"errors"
	"testing"
	"time"

	"mfa/internal/account"
	"mfa/internal/challenge"
	"mfa/internal/mfa"
	"mfa/internal/text"
)

// watched is a conversation that saw alice as she is.
func watched(t *testing.T, s *Service) *challenge.Conversation {
	t.Helper()
	asker := challenge.New(challenge.Config{}, challenge.Deps{Accounts: s.Accounts, Log: s.Log, Now: s.Now})
	c := asker.Converse(s.Accounts.User(s.Accounts.Records().Account(alice), mfa.Origin{Service: "sshd", Address: "203.0.113.7"}), silent{})
	en, err := s.Accounts.Records().Enrollment(t.Context(), alice.Name)
	if err != nil {
		en = mfa.Enrollment{}
	}
	st, err := s.Accounts.Records().Account(alice).State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c.User.See(st, en)
	return c
}

// silent is a terminal at which Enter is pressed.
type silent struct{}

func (silent) Prompt(context.Context, mfa.Prompt) (string, error) { return "", nil }

// completeApp makes an app part of the enrollment.
func completeApp(t *testing.T, s *Service, c *challenge.Conversation) error {
	t.Helper()
	_, err := (&setup{s: s, c: c}).complete(t.Context(), mfa.Verdict{}, proven{
		begun: mfa.Enrolling{Method: mfa.TOTP}, edit: func(en *mfa.Enrollment) { en.TOTP = &mfa.TOTPSecret{Secret: "x"} },
	})
	return err
}

// Whatever another did meanwhile, nothing that builds upon what was seen before is
// written.
func TestNothingIsWrittenOverWhatCameBetween(t *testing.T) {
	wishes := map[string]func(*Service, *challenge.Conversation) error{
		"complete": func(s *Service, c *challenge.Conversation) error {
			return completeApp(t, s, c)
		},
		"opt out": func(s *Service, c *challenge.Conversation) error { return s.OptOut(t.Context(), c.User) },
		"prefer":  func(s *Service, c *challenge.Conversation) error { return s.Prefer(t.Context(), c.User, mfa.Email) },
		"backup codes": func(s *Service, c *challenge.Conversation) error {
			_, err := s.NewBackupCodes(t.Context(), c.User)
			return err
		},
		"begin": func(_ *Service, c *challenge.Conversation) error {
			_, err := c.User.BeginSetup(t.Context(), mfa.Enrolling{Method: mfa.TOTP})
			return err
		},
		"later": func(_ *Service, c *challenge.Conversation) error { return c.User.Unchanged(t.Context()) },
	}
	meanwhile := map[string]func(*Service) error{
		"entered": func(s *Service) error { return s.SetContact(t.Context(), alice, mfa.Email, "new@example.com", "root") },
		"app": func(s *Service) error {
			_, err := s.SetApp(t.Context(), alice, "root")
			return err
		},
		"reset": func(s *Service) error {
			_, err := s.Reset(t.Context(), alice.Name, "root")
			return err
		},
		"locked": func(s *Service) error {
			_, err := s.Accounts.Lock(t.Context(), alice, 0, "root")
			return err
		},
		"locked and unlocked": func(s *Service) error {
			_, err := s.Accounts.Lock(t.Context(), alice, 0, "root")
			if err == nil {
				_, err = s.Accounts.Unlock(t.Context(), alice.Name, "root")
			}
			return err
		},
		"revoked": func(s *Service) error {
			return s.Accounts.Interrupt(t.Context(), s.Accounts.Records().Account(alice), text.Of("x"), "x")
		},
		"edited by hand": func(s *Service) error {
			return s.Accounts.Records().UpdateEnrollment(t.Context(), alice.Name, func(en *mfa.Enrollment) error {
				*en = mfa.Enrollment{UID: alice.UID, Email: &mfa.Address{Address: "hand@example.com"}}
				return nil
			})
		},
	}
	for wish, wants := range wishes {
		for what, does := range meanwhile {
			if wish == "begin" && what == "edited by hand" {
				continue // nothing counts yet; the confirmation looks
			}
			for _, enrolled := range []bool{false, true} {
				s := newService(t)
				s.TOTP = challenge.TOTPConfig{Digits: 6, Period: mfa.Duration(30 * time.Second), Algorithm: "SHA1"}
				if enrolled {
					if err := s.SetContact(t.Context(), alice, mfa.Email, "alice@example.com", "root"); err != nil {
						t.Fatal(err)
					}
				}
				c := watched(t, s)
				if err := does(s); err != nil {
					t.Fatal(err)
				}
				before, _ := s.Accounts.Records().Enrollment(t.Context(), alice.Name)
				if err := wants(s, c); !errors.Is(err, account.ErrChanged) {
					t.Errorf("%s, after %s, enrolled %v: %v", wish, what, enrolled, err)
				}
				if now, _ := s.Accounts.Records().Enrollment(t.Context(), alice.Name); now.Fingerprint() != before.Fingerprint() {
					t.Errorf("%s, after %s, enrolled %v: wrote %+v", wish, what, enrolled, now)
				}
			}
		}
	}
}

// A conversation's own change is what its next one builds upon.
func TestOwnChangesAreSeen(t *testing.T) {
	s := newService(t)
	c := watched(t, s)
	err := completeApp(t, s, c)
	if err == nil {
		_, err = s.NewBackupCodes(t.Context(), c.User)
	}
	if err == nil {
		err = s.Prefer(t.Context(), c.User, mfa.TOTP)
	}
	if err != nil {
		t.Fatal(err)
	}
}
