package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"mfa/internal/account"
	"mfa/internal/account/record"
	"mfa/internal/config"
	ondisk "mfa/internal/config/disk"
	"mfa/internal/mfa"
	"mfa/internal/seal"
	"mfa/internal/store"
	"mfa/internal/store/local"
)

// A snapshot is all that a daemon finds when it starts.
type snapshot struct {
	records     map[string]string
	states      map[string]mfa.State
	enrollments map[string]mfa.Enrollment
	events      []auditLine
}

// An auditLine is of a line of the audit file what is looked at.
type auditLine struct{ Event, User string }

// open opens a folder as mfad does and reads all of it. With power a power failure left it.
func open(dir string, power bool) (_ *snapshot, err error) {
	ctx := context.Background()
	cfg := config.Default()
	cfg.Store.Path, cfg.Secrets.KeyFile = filepath.Join(dir, "store"), filepath.Join(dir, "key")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	var key *seal.Key
	s, err := local.Open(cfg.Store.Path, func(known string) (*seal.Key, error) {
		var err error
		key, err = ondisk.OpenKey(cfg, known, slog.New(slog.DiscardHandler))
		return key, err
	})
	if err != nil {
		return nil, fmt.Errorf("does not start: %w", err)
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := errors.Join(store.CheckFormat(ctx, s), account.NoteKey(ctx, s, key)); err != nil {
		return nil, fmt.Errorf("does not start: %w", err)
	}
	if _, err := account.Floor(ctx, s); err != nil {
		return nil, fmt.Errorf("does not start: %w", err)
	}
	snap := &snapshot{records: map[string]string{}, states: map[string]mfa.State{}, enrollments: map[string]mfa.Enrollment{}}
	if err := snap.read(ctx, s, key); err != nil {
		return nil, err
	}
	return snap, snap.readAudit(filepath.Join(dir, "audit", "audit.jsonl"), power)
}

// read reads every record, and opens what is sealed.
func (s *snapshot) read(ctx context.Context, from *local.Store, key *seal.Key) error {
	keys, err := from.Keys(ctx, "")
	if err != nil {
		return fmt.Errorf("not readable: %w", err)
	}
	for _, k := range keys {
		it, err := from.Get(ctx, k)
		if err != nil {
			return fmt.Errorf("not readable: %w", err)
		}
		s.records[k] = string(it.Value)
		if user, is := strings.CutPrefix(k, store.States); is {
			if s.states[user], err = record.DecodeState(k, it.Value); err != nil {
				return fmt.Errorf("not readable: %w", err)
			}
		}
		if user, is := strings.CutPrefix(k, store.Users); is {
			if s.enrollments[user], err = record.DecodeEnrollment(k, it.Value); err != nil {
				return fmt.Errorf("not readable: %w", err)
			}
			if err := unseal(key, user, s.enrollments[user]); err != nil {
				return fmt.Errorf("not readable: %w", err)
			}
		}
	}
	return nil
}

// unseal opens what is sealed in an enrollment.
func unseal(key *seal.Key, user string, en mfa.Enrollment) error {
	id := mfa.Identity{Name: user, UID: en.UID}
	var errs []error
	if en.TOTP != nil {
		_, err := account.OpenTOTPWith(key, id, en.TOTP.Secret)
		errs = append(errs, err)
	}
	if en.HOTP != nil {
		_, err := account.OpenHOTPWith(key, id, en.HOTP.Secret)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// readAudit reads the audit file, whose lines are not synced: after a power failure any of
// them may be torn.
func (s *snapshot) readAudit(path string, power bool) error {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	for line := range bytes.Lines(text) {
		var l auditLine
		if json.Unmarshal(line, &l) != nil && !power {
			return fmt.Errorf("the audit file has %q", line)
		}
		s.events = append(s.events, l)
	}
	return err
}

// digest returns what counts of all records, as one text.
func (s *snapshot) digest() string {
	var keys []string
	for k := range s.records {
		if k != "meta/format" && k != "meta/key" { // each start writes them
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	var b strings.Builder
	for _, k := range keys {
		fmt.Fprintf(&b, "%s = %s\n", k, s.records[k])
	}
	return b.String()
}
