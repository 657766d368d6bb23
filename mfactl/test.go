package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/msteinert/pam/v2"
	"github.com/spf13/cobra"

	"mfa/internal/mfa"
)

func testCommand() *cobra.Command {
	s := stackTest{}
	cmd := &cobra.Command{
		Use:   "test USER --service SERVICE",
		Short: "Try a user's login in this terminal, through the real PAM stack",
		Long: "Go through the PAM stack of a service as a login of USER would, here in the\n" +
			"terminal, and say what each PAM call returned. Nothing is simulated: codes are\n" +
			"sent, and wrong answers count. No session is opened.\n\n" +
			"What a program does beside PAM is not tried: sshd's keys and AllowUsers, sudo's\n" +
			"rules. Exit code 0: the login would be let in; 1: it would not.",
		Example: "  mfactl test alice --service sshd\n  mfactl test alice --service sshd --rhost 203.0.113.7\n" +
			"  mfactl test alice --service sshd --pam-dir /root/pam.d.new",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s.user = args[0]
			return s.run(cmd)
		},
	}
	cmd.Flags().StringVar(&s.service, "service", "", "the PAM service, as in /etc/pam.d: sshd, sudo, su")
	cmd.Flags().StringVar(&s.rhost, "rhost", "", "where the login seems to come from, an `ADDRESS`; empty: here")
	cmd.Flags().StringVar(&s.dir, "pam-dir", "", "take the stack from this `FOLDER`, not from /etc/pam.d")
	if err := cmd.MarkFlagRequired("service"); err != nil {
		panic(err) // the flag is there
	}
	return cmd
}

// A stackTest is one login that is tried.
type stackTest struct{ user, service, rhost, dir string }

// pamDir is where libpam looks first.
const pamDir = "/etc/pam.d"

func (s *stackTest) run(cmd *cobra.Command) error {
	if err := s.check(cmd); err != nil {
		return err
	}
	t := newTerminal(cmd)
	tx, err := s.start(cmd.Context(), t)
	if err != nil {
		return exitError{code: exitFailed, err: fmt.Errorf("pam_start: %w", err)}
	}
	in, err := s.steps(cmd, tx)
	if err := errors.Join(err, tx.End()); err != nil {
		return exitError{code: exitFailed, err: err}
	}
	if !in {
		return exitError{code: exitFailed, err: fmt.Errorf("%s would not be let in", s.user)}
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%s would be let in.\n", s.user)
	return nil
}

// check refuses a service that is none, and warns of what would mislead.
func (s *stackTest) check(cmd *cobra.Command) error {
	if s.service == "" || strings.ContainsAny(s.service, "/\x00") {
		return exitError{code: exitUsage, err: fmt.Errorf("no PAM service is called %q", s.service)}
	}
	dir := pamDir
	if s.dir != "" {
		dir = s.dir
	}
	file := filepath.Join(dir, strings.ToLower(s.service)) // as pam_start(3) does
	if _, err := os.Stat(file); errors.Is(err, os.ErrNotExist) {
		fmt.Fprintf(cmd.ErrOrStderr(), "mfactl: there is no %s: libpam goes by the service \"other\"\n", file)
	}
	if os.Geteuid() != 0 {
		fmt.Fprintln(cmd.ErrOrStderr(), "mfactl: not root: modules may refuse what they would let sshd do")
	}
	return nil
}

// start begins as sshd and login do.
func (s *stackTest) start(ctx context.Context, t *terminal) (*pam.Transaction, error) {
	handler := pam.ConversationFunc(func(style pam.Style, text string) (string, error) {
		return relay(ctx, t, style, text)
	})
	tx, err := pam.StartConfDir(s.service, s.user, handler, s.dir)
	if s.dir == "" {
		tx, err = pam.Start(s.service, s.user, handler)
	}
	if err != nil {
		return nil, err
	}
	items := map[pam.Item]string{pam.Tty: ttyOf(s.service)}
	if s.rhost != "" {
		items[pam.Rhost] = s.rhost
	}
	for item, value := range items {
		if err := tx.SetItem(item, value); err != nil {
			return nil, errors.Join(err, tx.End())
		}
	}
	return tx, nil
}

// ttyOf returns what a service calls its terminal: sshd has none yet.
func ttyOf(service string) string {
	if service == "sshd" {
		return "ssh"
	}
	tty, err := os.Readlink("/proc/self/fd/0")
	if err != nil || !strings.HasPrefix(tty, "/dev/") {
		return "unknown"
	}
	return tty
}

// relay shows what a module says, and types its answer.
func relay(ctx context.Context, t *terminal, style pam.Style, text string) (string, error) {
	kinds := map[pam.Style]mfa.PromptKind{
		pam.PromptEchoOn: mfa.Ask, pam.PromptEchoOff: mfa.AskHidden, pam.TextInfo: mfa.Info, pam.ErrorMsg: mfa.Failure,
	}
	kind, known := kinds[style]
	if !known {
		return "", pam.ErrConv
	}
	return t.Prompt(ctx, mfa.Prompt{Kind: kind, Text: text})
}

// steps goes through the calls of a login, and says whether it would be let in.
func (s *stackTest) steps(cmd *cobra.Command, tx *pam.Transaction) (in bool, err error) {
	say := func(call string, err error) bool {
		status, ok := errors.AsType[pam.Error](err)
		if err == nil {
			status, ok = 0, true
		}
		if ok {
			fmt.Fprintf(cmd.OutOrStdout(), "%s: %s (%d): %s\n", call, pamName(status), int(status), status.Error())
		}
		return ok
	}
	err = tx.Authenticate(0)
	if cmd.Context().Err() != nil {
		return false, errInterrupted
	}
	if !say("pam_authenticate", err) {
		return false, err
	}
	if err != nil {
		return false, nil
	}
	err = tx.AcctMgmt(0)
	if cmd.Context().Err() != nil {
		return false, errInterrupted
	}
	if !say("pam_acct_mgmt", err) {
		return false, err
	}
	if errors.Is(err, pam.ErrNewAuthtokReqd) {
		fmt.Fprintln(cmd.OutOrStdout(), "The login would go on once the password is changed.")
		return true, nil
	}
	return err == nil, nil
}

// pamNames are the codes of Linux-PAM (_pam_types.h), by number.
var pamNames = [...]string{
	"SUCCESS", "OPEN_ERR", "SYMBOL_ERR", "SERVICE_ERR", "SYSTEM_ERR", "BUF_ERR", "PERM_DENIED", "AUTH_ERR",
	"CRED_INSUFFICIENT", "AUTHINFO_UNAVAIL", "USER_UNKNOWN", "MAXTRIES", "NEW_AUTHTOK_REQD", "ACCT_EXPIRED",
	"SESSION_ERR", "CRED_UNAVAIL", "CRED_EXPIRED", "CRED_ERR", "NO_MODULE_DATA", "CONV_ERR", "AUTHTOK_ERR",
	"AUTHTOK_RECOVERY_ERR", "AUTHTOK_LOCK_BUSY", "AUTHTOK_DISABLE_AGING", "TRY_AGAIN", "IGNORE", "ABORT",
	"AUTHTOK_EXPIRED", "MODULE_UNKNOWN", "BAD_ITEM", "CONV_AGAIN", "INCOMPLETE",
}

func pamName(status pam.Error) string {
	if i := int(status); i >= 0 && i < len(pamNames) {
		return "PAM_" + pamNames[i]
	}
	return "unknown"
}
