package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"mfa/internal/host"
	"mfa/internal/host/nss"
	"mfa/internal/host/setup"
)

// plainName matches what a file in /etc/pam.d may be called.
var plainName = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9_.@+-]*$`)

// knownService wants one service that can be set up; in one line each can.
func knownService(args []string, oneLine bool) error {
	known := strings.Join(setup.Services, ", ")
	switch {
	case oneLine && len(args) == 1 && plainName.MatchString(args[0]):
	case len(args) != 1:
		return fmt.Errorf("accepts 1 arg, received %d: one of %s", len(args), known)
	case !slices.Contains(setup.Services, args[0]):
		return fmt.Errorf("invalid argument %q: setup knows %s; with --one-line every program of /etc/pam.d, the others are set up by hand, see pam_mfa(8)", args[0], known)
	}
	return nil
}

// prover sets s.user to the user whose login proves a change: the one of --user, or
// the user who became root (host.Caller). It stays "" if neither is known: then the
// login of any user proves it.
func (s *switcher) prover(ctx context.Context) error {
	named := s.user != ""
	if !named {
		s.user = host.Caller(ctx)
	}
	if s.user == "" {
		return nil
	}
	id, err := nss.Lookup(ctx, s.user)
	switch {
	case err == nil:
		s.user = id.Name // as the audit file has it
	case errors.Is(err, nss.ErrNoAccount) && named:
		return exitError{code: exitNotFound, err: fmt.Errorf("no account named %q on this machine", s.user), hint: "Name the user who will log in to prove it."}
	case named:
		return hinted(err, "Nothing was changed.")
	}
	return nil
}
