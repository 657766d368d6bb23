package account

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"syscall"

	"mfa/internal/store"
)

// policyKey is where the store remembers the policy that was in force last, so
// that turning it off and on again is noticed across restarts and hosts.
const policyKey = store.Meta + "policy"

// A Policy is the part of [policy] that decides whether everybody has to enroll anew.
type Policy struct {
	Mode     string // policy.mode, as it is noted
	Off      bool   // for everybody
	Reenroll bool   // policy.reenroll_after_off
}

// The modes that are noted for a policy that is off.
const (
	modeOff    = "off"
	modeByRule = "by rule" // but not for everybody
)

// noted is what is stored of a policy.
type noted struct {
	Mode       string `json:"mode"`
	Generation int    `json:"generation"`
}

// NotePolicy stores the policy in s and returns the generation: how often everybody had to
// enroll anew. It is one more each time that the policy comes back from off with
// Reenroll. With an error the generation is the one that was read, or 0.
//
// Each host of a fleet has a policy of its own, and a generation: what one host has on or
// off makes nobody enroll anew on the others.
func NotePolicy(ctx context.Context, s store.Store, host string, p Policy) (generation int, err error) {
	var now noted
	key := policyKey
	if host != "" {
		key += "/" + host
	}
	err = store.Update(ctx, s, key, func(old []byte) ([]byte, error) {
		if old != nil {
			if err := json.Unmarshal(old, &now); err != nil {
				return nil, fmt.Errorf("parse %q: %w", key, err)
			}
		}
		if now.Mode == modeOff && !p.Off && p.Reenroll {
			now.Generation++
		}
		now.Mode = p.Mode
		if p.Mode == modeOff && !p.Off {
			now.Mode = modeByRule
		}
		return json.Marshal(now)
	})
	return now.Generation, err
}

// Generation is NotePolicy for a daemon: where the disk of s takes no writes, logins that
// need none go on, so the policy counts without the note.
func Generation(ctx context.Context, s store.Store, host string, p Policy, log *slog.Logger) (generation int, err error) {
	generation, err = NotePolicy(ctx, s, host, p)
	if errors.Is(err, syscall.EROFS) {
		log.Error("policy not noted: until it is, nobody has to enroll anew because it was off", "error", err)
		err = nil
	}
	return generation, err
}

// NoteGeneration notes in s, where no policy is noted, that everybody had to enroll anew
// so often.
func NoteGeneration(ctx context.Context, s store.Store, generation int) error {
	return store.Update(ctx, s, policyKey, func(old []byte) ([]byte, error) {
		if old != nil || generation == 0 {
			return old, nil
		}
		return json.Marshal(noted{Generation: generation})
	})
}
