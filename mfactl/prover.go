package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"mfa/internal/config"
	"mfa/internal/host/doctor"
	"mfa/internal/host/nss"
	"mfa/internal/host/setup"
)

// knownService wants one service that can be set up.
func knownService(args []string) error {
	known := strings.Join(setup.Services, ", ")
	switch {
	case len(args) != 1:
		return fmt.Errorf("accepts 1 arg, received %d: one of %s", len(args), known)
	case !slices.Contains(setup.Services, args[0]):
		return fmt.Errorf("invalid argument %q: setup knows %s; other programs of /etc/pam.d are set up by hand, see pam_mfa(8)", args[0], known)
	}
	return nil
}

// prover finds out whose login proves a change: that of the user named, or of
// whoever became root. Where nobody can tell who that is, anybody's does.
func (s *switcher) prover(ctx context.Context) error {
	named := s.user != ""
	if !named {
		s.user = whoAmI(ctx)
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

// whoAmI returns who became root, by sudo(8) or by the login that the kernel keeps
// (pam_loginuid(8)); "" if neither tells.
func whoAmI(ctx context.Context) string {
	if name := os.Getenv("SUDO_USER"); name != "" {
		return name
	}
	data, err := os.ReadFile("/proc/self/loginuid")
	if err != nil {
		return ""
	}
	uid, err := strconv.ParseUint(strings.TrimSpace(string(data)), 10, 32)
	if err != nil || uid == math.MaxUint32 {
		return "" // no login
	}
	id, err := nss.LookupUID(ctx, uint32(uid))
	if err != nil {
		return ""
	}
	return id.Name
}

// foresee finds out what doctor will warn of after a change of sshd, so that it is
// said before the question. What cannot be foreseen is said after the change.
func (s *switcher) foresee(ctx context.Context, host doctor.Host, cfg config.Config, o setup.Options, changes []setup.Change) {
	if s.service != "sshd" || host.SSHD == nil {
		return
	}
	ask := func(ctx context.Context, connection string) (string, error) {
		args := []string{"-T", "-C", connection}
		for _, setting := range setup.SSHDSettings(o) {
			args = append(args, "-o", setting)
		}
		return runProgram(ctx, "/usr/sbin/sshd", args...)
	}
	st := doctor.ExamineStack(setup.Changed(host.FS, changes), s.service)
	for _, f := range doctor.ExamineSSHD(ctx, host.FS, ask, st, time.Duration(cfg.Server.LoginTimeout)) {
		if f.Severity == doctor.Warning {
			s.warned = append(s.warned, f)
		}
	}
}
