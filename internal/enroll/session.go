package enroll

import (
	"context"

	"mfa/internal/mfa"
)

// forget ends the remembered logins of somebody whose enrollment changed: they
// were proven by what is no longer there. None of them counts any more as it is,
// because it bears the fingerprint of the former enrollment; but none shall come
// back with it either.
func (s *Service) forget(ctx context.Context, id mfa.Identity, actor string) {
	ctx = context.WithoutCancel(ctx)
	if _, err := s.Asker.RevokeSessions(ctx, s.Records.Account(id), "", actor, "the enrollment changed"); err != nil {
		s.Log.Error("remembered sessions not dropped; they do not count while the enrollment stays as it is now",
			"user", id.Name, "error", err)
	}
}
