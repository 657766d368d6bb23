package config

import (
	"context"

	"mfa/internal/host/nss"
	"mfa/internal/login"
	"mfa/internal/mfa"
	"mfa/internal/wire"
)

// Count adds to c what this configuration means for one more user, who has en, where
// generation is how often everybody had to enroll anew (mfa.Enrollment). It asks NSS
// for the groups of the user and nobody else.
func (cfg Config) Count(ctx context.Context, c *wire.Census, generation int, user string, en mfa.Enrollment) {
	login.Count(ctx, c, login.Config{Policy: cfg.Policy, TextMessages: cfg.SMS.Provider != "", Generation: generation}, nss.Groups{}, user, en)
}
