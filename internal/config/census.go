package config

import (
	"context"

	"mfa/internal/host/nss"
	"mfa/internal/login"
	"mfa/internal/mfa"
	"mfa/internal/wire"
)

// Count is login.Count for this configuration and a user with the enrollment en.
// Generation is the current one (mfa.Enrollment.Generation).
func (cfg Config) Count(ctx context.Context, c *wire.Census, generation int, user string, en mfa.Enrollment) {
	login.Count(ctx, c, login.Config{
		Policy: cfg.Policy, TextMessages: cfg.SMS.Provider != "", FallbackToEmail: cfg.SMS.FallbackToEmail,
		Directory: cfg.Contacts.Source != "", Generation: generation,
	}, nss.Groups{}, user, en)
}
