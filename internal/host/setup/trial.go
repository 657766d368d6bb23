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
	"config", "config-files", "daemon", "store", "store-folder", "key-file", "socket", "socket-folder", "selinux", "disk",
	"module-missing", "module-file",
}

// Ready returns why no login could work after any change, or nil. It does not look at the
// stacks that a plan changes; Make does.
func Ready(ctx context.Context, h doctor.Host) error {
	var errs []error
	for _, f := range doctor.Examine(ctx, h, []string{"other"}).Findings {
		if f.Severity == doctor.Error && slices.Contains(needed, f.ID) {
			errs = append(errs, fmt.Errorf("%s: %s", f.Where, f.What))
		}
	}
	return errors.Join(errs...)
}

// Foresee returns the warnings that doctor will have after the changes, for sshd only. Try
// finds the rest after the change. The limit is server.login_timeout.
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

// Try examines a change that was made with doctor and sshd. It returns the factors that a
// login asks for now (doctor.Login.Goes), and warnings. The error says why the change must
// be undone. The limit is server.login_timeout.
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
