package setup

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"mfa/internal/host"
	"mfa/internal/host/doctor"
)

// needed are the findings of doctor with which no login could work after a change.
var needed = []string{
	"config", "config-email", "daemon", "store", "store-folder", "key-file", "socket", "socket-folder", "selinux", "disk",
	"module-missing", "module-file",
}

// Ready returns an error that says why no login could work after a change; nil if none
// keeps it from working. Make looks at what a plan changes.
func Ready(ctx context.Context, h doctor.Host) error {
	var errs []error
	for _, f := range doctor.Examine(ctx, h, []string{"other"}).Findings {
		if f.Severity == doctor.Error && slices.Contains(needed, f.ID) {
			errs = append(errs, fmt.Errorf("%s: %s", f.Where, f.What))
		}
	}
	return errors.Join(errs...)
}

// Foresee returns what doctor will warn of after a change of sshd. What cannot be
// foreseen Try finds after the change. The limit is server.login_timeout.
func Foresee(ctx context.Context, h doctor.Host, o Options, changes []Change, limit time.Duration) []doctor.Finding {
	if o.Service != "sshd" || h.SSHD == nil {
		return nil
	}
	ask := func(ctx context.Context, connection string) (string, error) {
		args := []string{"-T", "-C", connection}
		for _, setting := range SSHDSettings(o) {
			args = append(args, "-o", setting)
		}
		return host.Run(ctx, host.SSHD, args...)
	}
	st := doctor.ExamineStack(Changed(h.FS, changes), o.Service)
	var warned []doctor.Finding
	for _, f := range doctor.ExamineSSHD(ctx, h.FS, ask, st, limit) {
		if f.Severity == doctor.Warning {
			warned = append(warned, f)
		}
	}
	return warned
}

// Try asks doctor and sshd what they make of a change that was made, and returns what
// a login goes through now and what to warn of. The error says why the change must be
// taken back. The limit is server.login_timeout.
func Try(ctx context.Context, h doctor.Host, service string, limit time.Duration) (goes string, warned []doctor.Finding, err error) {
	st := doctor.ExamineStack(h.FS, service)
	found := st.Found
	if service == "sshd" && h.SSHD != nil {
		if _, err := host.Run(ctx, host.SSHD, "-t"); err != nil {
			return "", nil, fmt.Errorf("sshd does not take it: %w", err)
		}
		found = append(found, doctor.ExamineSSHD(ctx, h.FS, h.SSHD, st, limit)...)
	}
	var errs []error
	for _, f := range found {
		switch f.Severity {
		case doctor.Error:
			errs = append(errs, fmt.Errorf("%s: %s", f.Where, f.What))
		case doctor.Warning:
			warned = append(warned, f)
		case doctor.OK:
		}
	}
	return st.Login.Goes, warned, errors.Join(errs...)
}
