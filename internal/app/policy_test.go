package app

import (
	"testing"

	"mfa/internal/account"
	"mfa/internal/login"
)

// Everybody enrolls anew after nobody was asked; not after some were not.
func TestGenerationCountsOffForEverybody(t *testing.T) {
	r := run(t, goodConfig(shortDir(t)))
	off := r.cfg.Policy
	off.Mode, off.ReenrollAfterOff = login.ModeOff, true
	partly, required := off, off
	partly.Rules = []login.Rule{{Users: []string{"alice"}, Mode: new(login.ModeRequired)}}
	required.Mode = login.ModeRequired
	for i, step := range []struct {
		policy login.PolicyConfig
		want   int
	}{
		{required, 0},
		{partly, 0},
		{required, 0},
		{off, 0},
		{partly, 1},
		{required, 1},
		{off, 1},
		{required, 2},
	} {
		if got, err := account.Generation(t.Context(), r.store, "", step.policy.Noted(), r.log.logger()); err != nil || got != step.want {
			t.Errorf("step %d: generation %d, %v; want %d", i, got, err, step.want)
		}
	}
}
