package enroll

import (
	"context"
	"time"

	"mfa/internal/audit"
	"mfa/internal/mfa"
	"mfa/internal/otp"
)

// SetApp gives id a new authenticator app, in the place of one that is there, and
// returns what is to be shown to the user, once: QR code, address and key. It
// counts as confirmed once a code of it was typed. Actor is who did it.
func (s *Service) SetApp(ctx context.Context, id mfa.Identity, actor string) (text string, err error) {
	secret := otp.NewSecret(s.TOTP.Algorithm)
	t := mfa.TOTPSecret{
		Secret: s.Asker.SealTOTP(id, secret), Algorithm: s.TOTP.Algorithm, Digits: s.TOTP.Digits, Period: s.TOTP.Period,
	}
	acct := s.Records.Account(id)
	err = acct.Update(ctx, func(st *mfa.State) error {
		s.Asker.NewApp(st, s.Now(), time.Duration(t.Period))
		st.RevokeSessions()
		return nil
	})
	if err != nil {
		return "", err
	}
	var before mfa.Enrollment
	err = s.Records.UpdateEnrollment(ctx, id.Name, func(en *mfa.Enrollment) error {
		before = s.starting(en, id)
		en.UID, en.Generation, en.Skipped, en.TOTP = id.UID, s.Generation, nil, &t
		return nil
	})
	if err == nil {
		err = enable(ctx, acct, mfa.TOTP)
	}
	if err != nil {
		return "", err
	}
	s.Audit.Record(audit.Event{
		Time: s.Now(), Event: audit.Enrolled, User: id.Name, UID: &id.UID,
		Method: string(mfa.TOTP), Actor: actor, Reason: "app entered",
	})
	if before.Enrolled() {
		s.byAdministrator(id).Notify(before, "Second factor changed",
			"An authenticator app was set up for you, by an administrator.", adviceAsk)
	}
	return s.totpSetup(id, secret), nil
}
